"""``dataengine sample``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_engine.cli.command import command, new_app
from data_engine.media.address import source_of
from data_engine.stages.sample_settings import SampleSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "sample", sections={"sample": SampleSettings})
def sample(
    engine: "Engine",
    *,
    input: Annotated[
        list[Any] | None,
        typer.Option(
            parser=source_of,
            metavar="PATH|URL",
            help="A video, a folder of videos or a live source (rtsp://, http://); may be given again. "
            "Else the workspace's videos.",
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(min=1, show_default=False, help="Seconds to record a live source before it is sampled."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The folder for the frames.")] = None,
) -> Report:
    """A video that was sampled before with the same settings is not decoded again."""
    from data_engine.app.footage import sample as app_sample

    return app_sample.sample(engine, inputs=tuple(input or ()), output=output, duration_s=duration)
