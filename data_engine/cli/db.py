"""``dataengine db``."""

from typing import TYPE_CHECKING

from data_engine.cli.command import command, new_app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("db")


@command(app, "db upgrade", migrate=False)
def upgrade(engine: "Engine") -> Report:
    """Bring the lineage database to this program's schema."""
    from data_engine.app import db as app_db

    return app_db.upgrade(engine)


@command(app, "db check", migrate=False)
def check(engine: "Engine") -> Report:
    """Compare the lineage database with this program's schema.

    Changes nothing.
    """
    from data_engine.app import db as app_db

    return app_db.check(engine)
