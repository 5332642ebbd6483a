"""``dataengine team``."""

from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.types import Report, Role

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("team")


@command(app, "team list")
def list_people(engine: "Engine") -> Report:
    """List the people who annotate and review, and their jobs."""
    from data_engine.app import team

    return team.list_people(engine)


@command(app, "team add")
def add(
    engine: "Engine",
    *,
    name: Annotated[str, typer.Argument(help="What they log in with.")],
    email: Annotated[str, typer.Option(help="Their address.")],
    role: Annotated[Role, typer.Option(help="What they are to do.")] = "annotator",
) -> Report:
    """Make an account on the annotation server.

    Its password is DATAENGINE_TEAM_PASSWORD; without one it is made up and shown this once.
    """
    from data_engine.app import team

    return team.add_person(engine, name, email, role)
