"""``dataengine team``."""

from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.types import AccountRole, Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("team")


@command(app, "team list")
def list_people(engine: "Engine") -> Report:
    """List the people who annotate and review, and their jobs."""
    from data_engine.app.annotation import team

    return team.list_people(engine)


_Name = Annotated[str, typer.Argument(help="What they log in with.")]


@command(app, "team add")
def add(
    engine: "Engine",
    *,
    name: _Name,
    email: Annotated[str, typer.Option(help="Their address.")],
    role: Annotated[AccountRole, typer.Option(help="What they are to do.")] = "annotator",
    pages: Annotated[bool, typer.Option("--pages", help="For `serve` only, where people annotate in CVAT.")] = False,
) -> Report:
    """Make an account on the annotation server, or for the pages of `serve`.

    Its password is DATAENGINE_TEAM_PASSWORD; without one it is made up and shown this once.
    """
    from data_engine.app.annotation import team

    return team.add_person(engine, name, email, role, pages=pages)


@command(app, "team password")
def password(engine: "Engine", *, name: _Name) -> Report:
    """Give an account of the pages another password.

    It is DATAENGINE_TEAM_PASSWORD; without one it is made up and shown this once.
    """
    from data_engine.app.annotation import team

    return team.set_password(engine, name)


@command(app, "team token")
def token(
    engine: "Engine",
    *,
    name: _Name,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take all of their tokens back instead.")] = False,
) -> Report:
    """Make a token for scripts that ask the pages in somebody's name."""
    from data_engine.app.annotation import team

    return team.make_token(engine, name, revoke=revoke)


@command(app, "team remove")
def remove(engine: "Engine", *, name: _Name) -> Report:
    """Take an account of the pages away; what they did stays theirs."""
    from data_engine.app.annotation import team

    return team.remove_person(engine, name)
