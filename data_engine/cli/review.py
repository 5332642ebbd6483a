"""``dataengine review``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.types import Report, Stage, State

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("review")

By = Annotated[str | None, typer.Option(help="Who does this, for the record.")]
JobNumber = Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's number.")]


@command(app, "review list")
def list_jobs(
    engine: "Engine",
    *,
    stage: Annotated[Stage | None, typer.Option(help="Only jobs in this stage.")] = None,
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    assignee: Annotated[str | None, typer.Option(help="Only this person's jobs.")] = None,
) -> Report:
    """List the jobs with their stage, state and assignee."""
    from data_engine.app import review as app_review

    return app_review.list_jobs(engine, stage=stage, state=state, assignee=assignee)


@command(app, "review show")
def show(engine: "Engine", *, job: JobNumber) -> Report:
    """Show one job.

    Its frames and boxes, the reviewers' remarks, and where to open it.
    """
    from data_engine.app import review as app_review

    return app_review.show(engine, job)


@command(app, "review start")
def start(engine: "Engine", *, job: JobNumber, by: By = None) -> Report:
    """Say that work on a job begins: its minutes count from now."""
    from data_engine.app import review as app_review

    return app_review.start(engine, job, by=by)


@command(app, "review submit")
def submit(
    engine: "Engine",
    *,
    job: JobNumber,
    file: Annotated[Path | None, typer.Argument(help="The edited COCO file. Else the job's own.")] = None,
    by: By = None,
) -> Report:
    """Read the edited boxes of a job and hand it to the reviewer."""
    from data_engine.app import review as app_review

    return app_review.submit(engine, job, file=file, by=by)


@command(app, "review accept")
def accept(
    engine: "Engine",
    *,
    jobs: Annotated[list[int], typer.Argument(metavar="JOB...", min=1, help="The jobs' numbers.")],
    by: By = None,
) -> Report:
    """Accept jobs: their boxes enter the next dataset version."""
    from data_engine.app import review as app_review

    return app_review.accept(engine, tuple(jobs), by=by)


@command(app, "review reject")
def reject(
    engine: "Engine",
    *,
    job: JobNumber,
    reason: Annotated[str, typer.Option(help="What is wrong; the annotator reads it.")],
    by: By = None,
    frame: Annotated[str | None, typer.Option(help="The frame that the reason is about, by its file name.")] = None,
    box: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(metavar="LEFT TOP WIDTH HEIGHT", help="The place in that frame, in pixels."),
    ] = None,
) -> Report:
    """Reject a job: it goes back to its annotator with the reason."""
    from data_engine.app import review as app_review

    return app_review.reject(engine, job, reason=reason, by=by, frame=frame, box=box)
