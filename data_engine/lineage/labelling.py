"""Jobs on the annotation backend as they were seen last, and every decision about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, upsert
from data_engine.lineage.job_times import record_changes
from data_engine.lineage.tables import job_frames, jobs, reviews
from data_engine.lineage.uploads import frame_names
from data_engine.types import Job, content_id

Action = Literal["submitted", "accepted", "rejected"]


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job as lineage saw it last."""

    id: str
    number: int
    task_id: str
    stage: str
    state: str
    assignee: str | None
    annotator: str | None
    reviewer: str | None
    updated_at: str
    merged_at: str | None
    """``updated_at`` of the job when its annotations last entered the dataset."""


def known_jobs(connection: Connection, task_ids: Iterable[str]) -> list[KnownJob]:
    """The jobs of these tasks, as they are recorded."""
    return _jobs(connection, jobs.c.task_id.in_(list(task_ids)))


def job_id(backend: str, task_id: str, job: Job) -> str:
    """Lineage's id of a job: numbers alone are the backend's, and a second server counts from 1 again."""
    return content_id("job", backend, task_id, job.id)


def record_jobs(connection: Connection, backend: str, task_id: str, seen: Sequence[Job]) -> list[KnownJob]:
    """Bring the record of a task's jobs up to what the backend says now.

    An assignee while the job is in ``annotation`` is its annotator, unless only its stage was set back.  Somebody else
    who is assigned when the job has left that stage is its reviewer, unless a review made here already said so; whoever
    the job was left with is not, for another may have submitted or reviewed it.  What is older than the record (another
    command was faster) changes nothing.
    """
    known = {job.id: job for job in _jobs(connection, jobs.c.task_id == task_id)}
    current: list[KnownJob] = []
    for job in seen:
        identity = job_id(backend, task_id, job)
        before = known.get(identity)
        if before is None:
            before = KnownJob(identity, job.id, task_id, "annotation", "new", None, None, None, "", None)
        elif datetime.fromisoformat(job.updated_at) < datetime.fromisoformat(before.updated_at):
            current.append(before)
            continue
        after = replace(before, stage=job.stage, state=job.state, assignee=job.assignee, updated_at=job.updated_at)
        if job.stage == "annotation":
            after = replace(after, annotator=_annotator(before, job), reviewer=None)
        elif _assigned_for_review(before, job):
            after = replace(after, reviewer=before.reviewer or job.assignee)
        current.append(after)
    upsert(connection, jobs, [_row(backend, job) for job in current if job != known.get(job.id)])
    record_changes(connection, known, current)
    # Which frames a job has never changes.
    fresh = [(record.id, job) for record, job in zip(current, seen, strict=True) if record.id not in known]
    names = frame_names(connection, task_id) if fresh else {}
    insert_new(
        connection,
        job_frames,
        [
            {"job_id": identity, "frame_id": names[name]}
            for identity, job in fresh
            for name in job.frame_names
            if name in names
        ],
    )
    return current


def _annotator(before: KnownJob, job: Job) -> str | None:
    # Whoever had it in review, and has it still when somebody moves it back, did not annotate it by that.
    new = job.assignee != before.assignee or before.annotator is None
    return job.assignee if new and job.assignee is not None else before.annotator


def _assigned_for_review(before: KnownJob, job: Job) -> bool:
    """Whether the job's assignee, who is no longer the one recorded, came after the annotation."""
    # Where nobody was assigned when the job was last seen in annotation, the first may as well be the annotator.
    told = before.stage != "annotation" or before.assignee is not None
    return told and job.assignee not in (None, before.assignee, before.annotator)


def record_review(
    connection: Connection,
    job: KnownJob,
    action: Action,
    *,
    actor: str | None,
    reason: str | None,
    now: str,
    decided_at: str | None = None,
) -> None:
    """Record a decision, and who made it as the job's annotator or reviewer.

    Args:
        decided_at: the backend's date of the decision, by which the same one is known; that of the job by default.
    """
    identity = content_id("review", job.id, action, decided_at or job.updated_at, actor or "", reason or "")
    insert_new(
        connection,
        reviews,
        [{"id": identity, "job_id": job.id, "action": action, "actor": actor, "reason": reason, "at": now}],
    )
    if actor is not None:
        values = {"annotator": actor} if action == "submitted" else {"reviewer": actor}
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(**values))


def record_reviewer(connection: Connection, job: KnownJob, reviewer: str | None) -> None:
    """Record who is to review a job, whoever was before."""
    connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(reviewer=reviewer))


def mark_merged(connection: Connection, merged: Sequence[KnownJob]) -> None:
    """Record that these jobs' annotations, as they are now, are in the dataset."""
    statement = sa.update(jobs).where(jobs.c.id == sa.bindparam("job")).values(merged_at=sa.bindparam("at"))
    if merged:
        connection.execute(statement, [{"job": job.id, "at": job.updated_at} for job in merged])


def numbered(connection: Connection, backend: str, number: int) -> KnownJob | None:
    """A job by the backend's number, as it is recorded; None where it was never seen."""
    found = _jobs(connection, (jobs.c.backend == backend) & (jobs.c.number == number))
    return found[0] if found else None


def _jobs(connection: Connection, where: sa.ColumnElement[bool]) -> list[KnownJob]:
    query = sa.select(*(jobs.c[name] for name in KnownJob.__dataclass_fields__)).where(where).order_by(jobs.c.number)
    return [KnownJob(*row) for row in connection.execute(query)]


def _row(backend: str, job: KnownJob) -> dict[str, str | int | None]:
    return {"backend": backend, **{name: getattr(job, name) for name in KnownJob.__dataclass_fields__}}
