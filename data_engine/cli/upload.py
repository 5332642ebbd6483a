"""``dataengine upload``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.errors import UsageError
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
    again: Annotated[
        int | None,
        typer.Option(metavar="TASK", min=1, help="Make a task anew that the annotation server lost, by its number."),
    ] = None,
) -> Report:
    """The same frames uploaded again give the same task."""
    if again is not None:
        from data_engine.app.annotation.upload_again import upload_again

        if frames is not None or preannotations is not None:
            raise UsageError("--again makes a task as it was: it takes neither --frames nor --preannotations")
        return upload_again(engine, again)
    from data_engine.app.annotation import upload as app_upload

    return app_upload.upload(engine, frames=frames, preannotations=preannotations)
