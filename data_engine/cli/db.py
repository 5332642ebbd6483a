"""``dataengine db``."""

from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.asking import confirmed
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


@command(app, "db downgrade", migrate=False)
def downgrade(
    engine: "Engine",
    *,
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="What to go back to: 0005.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where going up again does not mend it.")] = False,
) -> Report:
    """Take the lineage database back to the schema of an older release.

    What that has no place for goes for good: it is told, with its rows, before it is asked.
    """
    from data_engine.app import db as app_db

    return app_db.downgrade(
        engine, revision, dry_run=dry_run, force=force, sure=lambda question: yes or confirmed(question)
    )


@command(app, "db check", migrate=False)
def check(engine: "Engine") -> Report:
    """Compare the lineage database with this program's schema.

    Changes nothing.
    """
    from data_engine.app import db as app_db

    return app_db.check(engine)
