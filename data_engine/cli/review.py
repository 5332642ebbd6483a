"""``dataengine review``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.errors import UsageError
from data_engine.types import Report, Role, Stage, State

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("review")

By = Annotated[str | None, typer.Option(help="Who does this, by name or e-mail, for the record.")]
JobNumber = Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's number.")]


@command(app, "review list")
def list_jobs(
    engine: "Engine",
    *,
    stage: Annotated[Stage | None, typer.Option(help="Only jobs in this stage.")] = None,
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    assignee: Annotated[
        str | None, typer.Option(help="Only this person's jobs, by name or e-mail; '' for nobody's.")
    ] = None,
) -> Report:
    """List the jobs with their stage, state, people and age."""
    from data_engine.app.annotation import review as app_review

    return app_review.list_jobs(engine, stage=stage, state=state, assignee=assignee)


@command(app, "review show")
def show(
    engine: "Engine",
    *,
    job: JobNumber,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser, too.")] = False,
) -> Report:
    """Show one job.

    Its frames and boxes, the reviewers' remarks, and where to open it.
    """
    from data_engine.app.annotation import review as app_review

    return app_review.show(engine, job, open_it=open_it)


@command(app, "review assign")
def assign(
    engine: "Engine",
    *,
    jobs: Annotated[list[int], typer.Argument(metavar="JOB...", min=1, help="The jobs' numbers.")],
    to: Annotated[str, typer.Option(help="Name or e-mail; '' takes the jobs from whoever has them.")],
    role: Annotated[
        Role | None, typer.Option("--as", help="What they are to do; jobs that wait for the other are not given.")
    ] = None,
) -> Report:
    """Give jobs to somebody: to correct the boxes, or to review them."""
    from data_engine.app.annotation import review as app_review

    return app_review.assign(engine, tuple(jobs), to, role=role)


@command(app, "review start")
def start(engine: "Engine", *, job: JobNumber, by: By = None) -> Report:
    """Say that work on a job begins: its minutes count from now."""
    from data_engine.app.annotation import review as app_review

    return app_review.start(engine, job, by=by)


@command(app, "review submit")
def submit(
    engine: "Engine",
    *,
    job: JobNumber,
    file: Annotated[
        Path | None, typer.Argument(help="The edited COCO file, not on a server. Else the job's own.")
    ] = None,
    by: By = None,
) -> Report:
    """Read the edited boxes of a job and hand it to the reviewer.

    On a server, where people correct them in their browser, set the job to completed and touch no box.
    """
    from data_engine.app.annotation import review as app_review

    return app_review.submit(engine, job, file=file, by=by)


@command(app, "review accept")
def accept(
    engine: "Engine",
    *,
    jobs: Annotated[list[int], typer.Argument(metavar="JOB...", min=1, help="The jobs' numbers.")],
    by: By = None,
) -> Report:
    """Accept jobs: their boxes enter the next dataset version."""
    from data_engine.app.annotation import review as app_review

    return app_review.accept(engine, tuple(jobs), by=by)


@command(app, "review reject")
def reject(
    engine: "Engine",
    *,
    job: JobNumber,
    reason: Annotated[str, typer.Option(help="What is wrong; the annotator reads it.")],
    by: By = None,
    frame: Annotated[
        str | None,
        typer.Option(
            metavar="N|NAME",
            help="The frame that the reason is about: its number in the task, from 0 as CVAT counts, or its file name.",
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="The place in that frame: left, top, width and height in pixels."),
    ] = None,
) -> Report:
    """Reject a job: it goes back to its annotator with the reason."""
    from data_engine.app.annotation import review as app_review

    place = None if box is None else _box(box)
    return app_review.reject(engine, job, reason=reason, by=by, frame=frame, box=place)


@command(app, "review requeue")
def requeue(
    engine: "Engine",
    *,
    findings: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="What dataset errors wrote. Else label_errors.json.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Only so many of its findings, the worst.")] = None,
    frames: Annotated[
        list[str] | None, typer.Option("--frame", metavar="FRAME", help="Instead: this frame; several times.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Instead: all frames with boxes of this class.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="What is to be looked at; annotators read it.")] = None,
    by: By = None,
) -> Report:
    """Have frames of the dataset looked at again, in a task of their own.

    They stay as they are until what is accepted there is exported, and takes the place of what they have.
    """
    from data_engine.app.annotation import requeue as app_requeue

    return app_requeue.requeue(engine, findings=findings, top=top, frames=frames or (), name=name, reason=reason, by=by)


@command(app, "review audit")
def audit(
    engine: "Engine",
    *,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only jobs that were handed in since then (UTC).")
    ] = None,
    ground_truth: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=1.0,
            metavar="FRACTION",
            help="Instead: have this share of each task's frames labelled a second time on the server, and compare.",
        ),
    ] = None,
) -> Report:
    """Tell what annotators did to the proposals.

    Boxes kept, moved, relabelled, added and removed; minutes a job; probes caught; what the review changed.
    """
    if ground_truth is not None:
        from data_engine.app.annotation import ground_truth as app_ground_truth

        if since is not None:
            raise UsageError("--since and --ground-truth do not go together", hint="dataengine review audit --help")
        return app_ground_truth.ground_truth(engine, ground_truth)
    from data_engine.app.annotation import audit as app_audit

    return app_audit.audit(engine, since=since)


def _box(text: str) -> tuple[float, float, float, float]:
    """``"10,20,30,40"`` as numbers; UsageError where it is no such box."""
    try:
        x, y, w, h = (float(word) for word in text.split(","))
    except ValueError:
        x = y = w = h = math.nan
    if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
        raise UsageError(
            f"--box {text}: not a box: left, top, width and height in pixels, as in 10,20,64,48",
            hint="dataengine review reject --help",
        )
    return x, y, w, h
