"""``dataengine dataset log|show|diff|stats``: what the versions hold, and what changed from one to the other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command
from data_engine.cli.dataset_group import app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

Version = Annotated[
    str | None,
    typer.Argument(metavar="[VERSION]", help="v3, 3 or the beginning of its id. Else the newest.", show_default=False),
]


@command(app, "dataset log")
def log(engine: "Engine") -> Report:
    """List the versions, newest first.

    With their date, what made them, what they hold, and how many frames and boxes they added (+), changed (~) and
    removed (-) against the one before.
    """
    from data_engine.app.dataset import dataset_log

    return dataset_log.log(engine)


@command(app, "dataset show")
def show(engine: "Engine", *, version: Version = None) -> Report:
    """Show what a version holds.

    By class, camera, side of the split, annotator, reviewer and proposing model, with its files.
    """
    from data_engine.app.dataset import dataset_show

    return dataset_show.show(engine, version)


@command(app, "dataset diff")
def diff(
    engine: "Engine",
    *,
    first: Annotated[
        str | None, typer.Argument(metavar="[FROM]", help="v2, 2 or the beginning of its id.", show_default=False)
    ] = None,
    second: Annotated[
        str | None, typer.Argument(metavar="[TO]", help="The other one. Else the newest.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows of the table at most; --json tells all.")] = 20,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page (.html) with the frames that differ.")
    ] = None,
) -> Report:
    """Tell what distinguishes two versions, by frame and box; without names the newest and its parent.

    A box is the same in both when it has the same id, began as the same proposal, or overlaps best.
    """
    from data_engine.app.dataset import dataset_diff

    return dataset_diff.diff(engine, first, second, limit=limit, pictures=pictures)


@command(app, "dataset stats")
def stats(engine: "Engine", *, version: Version = None) -> Report:
    """Count a version's boxes.

    By class and side of the split, by size (small, medium and large as COCO has them), by camera and day; boxes a
    frame, empty frames, sizes of the pictures, and how rare the rarest class is.
    """
    from data_engine.app.dataset import dataset_stats

    return dataset_stats.stats(engine, version)
