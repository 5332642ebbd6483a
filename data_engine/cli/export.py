"""``dataengine export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.export import ExportSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "export", sections={"export": ExportSettings})
def export(
    engine: "Engine",
    *,
    task_id: Annotated[
        int | None, typer.Option(min=1, help="One task, by the annotation backend's number. Else every task.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the new version is also written, whatever its number.")
    ] = None,
) -> Report:
    """Only accepted jobs enter a version. Nothing new accepted: no new version."""
    from data_engine.app import export as app_export

    return app_export.export(engine, task_id=task_id, output=output)
