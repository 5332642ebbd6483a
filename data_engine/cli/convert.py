"""``dataengine convert``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.convert import ConvertSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "convert", sections={"convert": ConvertSettings})
def convert(
    engine: "Engine",
    *,
    input: Annotated[Path | None, typer.Option(help="A COCO file. Else the newest dataset version.")] = None,
    output: Annotated[Path | None, typer.Option(help="The folder to write.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Where the pictures lie, when they are not where the file says.")
    ] = None,
) -> Report:
    """Pictures are linked, not copied, where the disk allows; pictures without boxes stay as background."""
    from data_engine.app.dataset import convert as app_convert

    return app_convert.convert(engine, input=input, output=output, images=images)
