"""``dataengine filter``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.filter import FilterSettings
from data_engine.stages.predict import PredictSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "filter", sections={"filter": FilterSettings, "predict": PredictSettings})
def filter_frames(
    engine: "Engine",
    *,
    input: Annotated[
        Path | None, typer.Option(help="The folder of frames. Else the workspace's sampled frames.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="The model's file. Else the one in use; without one, chosen for variety.")
    ] = None,
    second_model: Annotated[
        Path | None, typer.Option(help="Another model's file: boxes that only one of the two sees speak for a frame.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The list of hard frames; their folder is made beside it.")
    ] = None,
) -> Report:
    """Every chosen frame comes with the reason why it was taken."""
    from data_engine.app.selection import filter as app_filter

    return app_filter.filter_frames(engine, input=input, model=model, second_model=second_model, output=output)
