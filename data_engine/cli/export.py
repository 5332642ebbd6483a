"""``dataengine export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.asking import asking
from data_engine.cli.command import command, new_app
from data_engine.errors import UsageError
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Of --dry-run: rows of the table at most.")] = 20,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of --dry-run: a page (.html) of what would change.")
    ] = None,
) -> Report:
    """Only accepted jobs enter a version. Nothing new accepted: no new version.

    Boxes are merged three ways: what people were shown, what came back, and what the dataset holds by now.
    """
    from data_engine.app.merge import export as app_export

    if dry_run:
        from data_engine.app.merge import export_dry_run

        if output is not None:
            raise UsageError("--dry-run writes no version", hint="leave --output out")
        return export_dry_run.try_export(engine, task_id=task_id, limit=limit, pictures=pictures)
    if pictures is not None:
        raise UsageError("--pictures shows what --dry-run finds", hint="add --dry-run; later: dataengine dataset diff")
    return app_export.export(engine, task_id=task_id, output=output, ask=asking())
