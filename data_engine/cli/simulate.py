"""``dataengine simulate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.retrain import RetrainSettings
from data_engine.stages.simulate_settings import SimulateSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "simulate", sections={"simulate": SimulateSettings, "retrain": RetrainSettings})
def simulate(
    engine: "Engine",
    *,
    coco: Annotated[
        Path | None, typer.Option(help="A labelled COCO file to play again. Else the newest dataset version.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The folder of its pictures. Else the file's own, or images/ beside it.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write every round of every seed and strategy to this CSV file.")
    ] = None,
) -> Report:
    """What was trained is kept, so that a simulation that was stopped goes on where it was."""
    from data_engine.app.selection import simulate as app_simulate

    return app_simulate.simulate(engine, coco=coco, images=images, output=output)
