"""``dataengine init``."""

from pathlib import Path
from typing import Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.ports import Progress
from data_engine.types import Report

app = new_app()


@command(app, "init")
def init(
    progress: Progress,
    *,
    folder: Annotated[Path, typer.Argument(help="The folder; made when it is not there.")] = Path(),
    classes: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT,...", help="The names of the objects to find, in the order of their ids."),
    ] = None,
) -> Report:
    """Every other command finds the workspace from the folder it is called in, upwards."""
    from data_engine.app import init as app_init

    names = tuple(name.strip() for text in classes or () for name in text.split(",") if name.strip())
    return app_init.init(folder, classes=names, progress=progress)
