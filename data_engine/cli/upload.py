"""``dataengine upload``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.upload import UploadSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "upload", sections={"upload": UploadSettings})
def upload(
    engine: "Engine",
    *,
    frames: Annotated[Path | None, typer.Option(help="The folder of hard frames. Else the last selection's.")] = None,
    preannotations: Annotated[
        Path | None, typer.Option(help="The COCO file of their pre-annotations. Else the last one written.")
    ] = None,
) -> Report:
    """The same frames uploaded again give the same task."""
    from data_engine.app import upload as app_upload

    return app_upload.upload(engine, frames=frames, preannotations=preannotations)
