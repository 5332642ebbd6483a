"""``dataengine preannotate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.preannotate import PreannotateSettings
from data_engine.stages.predict import PredictSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "preannotate", sections={"preannotate": PreannotateSettings, "predict": PredictSettings})
def preannotate(
    engine: "Engine",
    *,
    frames: Annotated[
        Path | None, typer.Option(help="The list of hard frames, or a folder of frames. Else the last selection.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The model's file. Else the one in use.")] = None,
    output: Annotated[Path | None, typer.Option(help="The COCO file to write.")] = None,
) -> Report:
    """What the filter already asked the model is not asked again."""
    from data_engine.app.annotation import preannotate as app_preannotate

    return app_preannotate.preannotate(engine, frames=frames, model=model, output=output)
