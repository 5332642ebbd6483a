"""``dataengine sample``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.sample import SampleSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "sample", sections={"sample": SampleSettings})
def sample(
    engine: "Engine",
    *,
    input: Annotated[
        list[Path] | None, typer.Option(help="A video or a folder of videos; may be given again. Else the workspace's.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The folder for the frames.")] = None,
) -> Report:
    """A video that was sampled before with the same settings is not decoded again."""
    from data_engine.app import sample as app_sample

    return app_sample.sample(engine, inputs=tuple(input or ()), output=output)
