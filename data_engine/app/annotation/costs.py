"""What labelling costs here, by what finished jobs took."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from data_engine.lineage import job_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from data_engine.app.engine import Engine
    from data_engine.selection.costs import CostModel, JobTime


def cost_model(engine: Engine) -> CostModel:
    """Minutes a frame and a box, learned from the jobs in the newest version; until there are any, as the settings say.

    Nothing is asked of the annotation backend: what counts is what was seen whenever a command looked at the jobs.
    """
    from data_engine.selection.costs import CostModel, learned

    settings = engine.settings.filter
    stated = CostModel.stated(settings.minutes_per_frame, settings.minutes_per_box)
    return learned(finished_jobs(engine, stated), stated)


def finished_jobs(engine: Engine, stated: CostModel) -> list[JobTime]:
    """What each job in the newest version took whose beginnings and ends were seen; by the job's id.

    Args:
        engine: the workspace.
        stated: what a job is expected to take; a gap much longer is a pause.
    """
    from data_engine.selection.costs import JobTime

    with engine.database.read() as connection:
        contents = job_times.contents(connection)
        told = job_times.changes(connection)
    minutes = minutes_worked(told, contents, stated)
    return [JobTime(*contents[job], minutes[job]) for job in sorted(contents) if job in minutes]


def minutes_worked(
    told: Iterable[job_times.Change],
    contents: Mapping[str, tuple[int, int]],
    stated: CostModel,
    *,
    review: bool = False,
) -> dict[str, float]:
    """Minutes of annotation of each job that was handed in and that was seen ``in progress``, by its id.

    Args:
        told: all changes of all jobs: those of one cut the time of another.
        contents: frames and boxes of jobs, as far as they are known, by id.
        stated: as of :func:`finished_jobs`.
        review: those of the reviewers instead.
    """
    from data_engine.selection.working_time import IDLE_FACTOR, IDLE_MINUTES, JobChange, job_minutes

    changes = [
        JobChange(
            change.job_id,
            datetime.fromisoformat(change.at).timestamp(),
            change.stage,
            change.state,
            change.assignee or (change.reviewer if review else change.annotator),
        )
        for change in told
    ]
    cap = {
        job: max(IDLE_MINUTES, IDLE_FACTOR * (frames * stated.minutes_per_frame + boxes * stated.minutes_per_box))
        for job, (frames, boxes) in contents.items()
    }
    return job_minutes(changes, cap, "validation" if review else "annotation")
