"""``dataengine status``."""

from typing import TYPE_CHECKING

from data_engine.cli.command import command, new_app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "status")
def status(engine: "Engine") -> Report:
    """Begins or upgrades the records where need be and notes what the jobs say; else it changes nothing."""
    from data_engine.app import status as app_status

    return app_status.status(engine)
