"""``dataengine ingest``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.cli.usage import OptionalValue
from data_engine.stages.ingest import IngestSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "ingest", sections={"ingest": IngestSettings})
def ingest(
    engine: "Engine",
    *,
    input: Annotated[
        list[Path] | None, typer.Option(help="A video or a folder of videos; may be given again. Else the workspace's.")
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(help="Write the results as JSON lines, one a file; to ingest.jsonl in the workspace, or here."),
        OptionalValue("[FILE]"),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(help="Write the results as CSV, a row a file; to ingest.csv in the workspace, or here."),
        OptionalValue("[FILE]"),
    ] = None,
) -> Report:
    """A file that is registered and unchanged is not read again.

    Beside a video may lie what is known of it, as hall.mp4.json or hall.json: {"venue": ..., "event": ...,
    "camera": ..., "captured_at": "2026-11-20T08:00:00+01:00"}.
    """
    from data_engine.app.footage import ingest as app_ingest

    def place(given: str | None, default: str) -> Path | None:
        return None if given is None else Path(given) if given else engine.root / default

    return app_ingest.ingest(
        engine,
        inputs=tuple(input or ()),
        jsonl=place(jsonl, app_ingest.JSONL),
        csv=place(csv, app_ingest.CSV),
    )
