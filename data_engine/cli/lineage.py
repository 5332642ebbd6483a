"""``dataengine lineage``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.asking import confirmed
from data_engine.cli.command import command, new_app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("lineage")


@command(app, "lineage show")
def show(
    engine: "Engine",
    *,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="An id or its beginning, a version (v3), a name, a file; its kind may stand before it: job 12.",
        ),
    ],
    up: Annotated[bool, typer.Option("--up", help="Only what it comes from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what came of it.")] = False,
    depth: Annotated[int, typer.Option(min=1, max=50, help="Steps from it at most.")] = 3,
    everything: Annotated[
        bool, typer.Option("--all", help="Tell all of what there is much of, not the first few.")
    ] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Write it as a Mermaid flowchart.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Write it to this file: .json, .mmd and .md (Mermaid), else the tree."),
    ] = None,
) -> Report:
    """Tell what something comes from and what came of it.

    A box, proposal, frame, video, camera, task, job, selection, dataset version, model or person: from the footage to
    the models that were trained on it, with everybody who had a hand in it, every date and every setting.
    """
    from data_engine.app.lineage import lineage_show

    return lineage_show.show(
        engine, what, up=up, down=down, depth=depth, everything=everything, mermaid=mermaid, output=output
    )


@command(app, "lineage models")
def models(
    engine: "Engine",
    *,
    camera: Annotated[str | None, typer.Option(help="The camera's name.")] = None,
    video: Annotated[str | None, typer.Option(help="The video's id, name or file.")] = None,
    frame: Annotated[str | None, typer.Option(help="The frame's id, name or file.")] = None,
    person: Annotated[str | None, typer.Option(help="Who annotated or reviewed.")] = None,
) -> Report:
    """List the models that were trained on a camera, a video, a frame or somebody's work.

    With the dataset version, and how much of it each side of the split held.
    """
    from data_engine.app.lineage import lineage_models

    return lineage_models.trained_on(engine, camera=camera, video=video, frame=frame, person=person)


@command(app, "lineage purge")
def purge(
    engine: "Engine",
    *,
    camera: Annotated[str | None, typer.Option(help="The camera's name.")] = None,
    video: Annotated[str | None, typer.Option(help="The video's id, name or file.")] = None,
    frame: Annotated[str | None, typer.Option(help="The frame's id, name or file.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept with the tombstone.")] = None,
    by: Annotated[
        str | None, typer.Option(help="Who purges it.  [default: who is logged in]", show_default=False)
    ] = None,
    originals: Annotated[
        bool, typer.Option("--originals", help="Also remove its files outside the workspace.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> Report:
    """Remove a source, for privacy, from everything that derives from it.

    Videos, pictures, predictions, proposals, boxes, tasks, and every file that names it; a tombstone takes its place.
    Versions and models that had it are named.  There is no way back.
    """
    from data_engine.app.lineage import lineage_purge

    return lineage_purge.purge(
        engine,
        camera=camera,
        video=video,
        frame=frame,
        reason=reason,
        actor=by,
        originals=originals,
        dry_run=dry_run,
        sure=lambda question: yes or confirmed(question),
    )
