"""``dataengine embed``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.embed import EmbedSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "embed", sections={"embed": EmbedSettings})
def embed(
    engine: "Engine",
    *,
    input: Annotated[
        Path | None, typer.Option(help="The folder of frames. Else the workspace's sampled frames.")
    ] = None,
) -> Report:
    """What was described before is not described again; filter does the rest itself."""
    from data_engine.app.footage import embed as app_embed

    return app_embed.embed(engine, input=input)
