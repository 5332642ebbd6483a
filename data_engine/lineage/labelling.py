"""Tasks and jobs on the annotation backend, the proposals that went up, and every decision about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in, upsert
from data_engine.lineage.job_times import record_changes
from data_engine.lineage.tables import IMPORT, frames, job_frames, jobs, proposals, reviews, task_frames, tasks
from data_engine.types import Box, Job, Outlined, Proposed, TaskFrame, TaskSpec, content_id

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


@dataclass(frozen=True, slots=True)
class Proposal:
    """A box that a model proposed and that people were shown."""

    id: str
    frame_id: str
    model_id: str | None
    box: Box


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task that was decided on; it may or may not exist on the backend."""

    spec: TaskSpec
    assignees: tuple[str, ...]
    """Who its jobs go to in rotation, beginning with the first; empty when ``spec.assignee`` says it all."""
    position: int
    """Place among the tasks of its upload, from 0."""


def plan_task(
    connection: Connection,
    planned: PlannedTask,
    *,
    backend: str,
    run_id: str,
    frame_ids: Mapping[str, str],
    model_id: str | None,
) -> None:
    """Record a task before it is created, so that a killed upload is finished as it was meant.

    Args:
        frame_ids: name inside the task -> frame id.
        model_id: whose proposals it holds.
    """
    spec = planned.spec
    plan = {
        "labels": list(spec.labels),
        "job_size": spec.job_size,
        "assignee": spec.assignee,
        "assignees": list(planned.assignees),
        "position": planned.position,
    }
    row = {"id": spec.uid, "backend": backend, "number": None, "name": spec.name, "plan": plan, "run_id": run_id}
    insert_new(connection, tasks, [row])
    insert_new(
        connection,
        task_frames,
        [
            {"task_id": spec.uid, "frame_id": frame_ids[frame.name], "name": frame.name, "position": position}
            for position, frame in enumerate(spec.frames)
        ],
    )
    insert_new(
        connection,
        proposals,
        [
            {
                "id": box.proposal_id,
                "task_id": spec.uid,
                "frame_id": frame_ids[frame.name],
                "model_id": model_id,
                "label": box.label,
                "x": box.xywh[0],
                "y": box.xywh[1],
                "w": box.xywh[2],
                "h": box.xywh[3],
                "score": box.score,
                "iscrowd": box.iscrowd,
                "attributes": dict(box.attributes),
                "position": position,
            }
            for frame in spec.frames
            for position, box in enumerate(frame.boxes)
        ],
    )


def pending_ids(connection: Connection, backend: str) -> list[str]:
    """The planned tasks that are not known to exist yet, in the order in which they were planned."""
    query = sa.select(tasks.c.id, tasks.c.plan).where(tasks.c.backend == backend, tasks.c.number.is_(None))
    return [row.id for row in sorted(connection.execute(query), key=lambda row: (row.plan["position"], row.id))]


def planned_task(connection: Connection, task_id: str) -> PlannedTask:
    """A task as it was planned, with the frames' keys of now: a picture may have moved since."""
    row = connection.execute(sa.select(tasks).where(tasks.c.id == task_id)).one()
    listed = connection.execute(
        sa.select(task_frames.c.name, frames.c.id, frames.c.key, frames.c.width, frames.c.height)
        .join(frames, frames.c.id == task_frames.c.frame_id)
        .where(task_frames.c.task_id == row.id)
        .order_by(task_frames.c.position)
    ).all()
    proposed = proposals_on(connection, row.id, [frame.id for frame in listed])
    pictures = tuple(
        TaskFrame(frame.name, frame.key, frame.width, frame.height, tuple(p.box for p in proposed.get(frame.id, ())))
        for frame in listed
    )
    spec = TaskSpec(row.id, row.name, tuple(row.plan["labels"]), pictures, row.plan["job_size"], row.plan["assignee"])
    return PlannedTask(spec, tuple(row.plan["assignees"]), row.plan["position"])


def count_frames(connection: Connection, task_ids: Iterable[str]) -> int:
    """How many frames these tasks have."""
    query = sa.select(sa.func.count().label("number")).select_from(task_frames)
    return sum(row.number for row in rows_where_in(connection, query, task_frames.c.task_id, task_ids))


def is_elsewhere(connection: Connection, task_id: str, backend: str) -> bool:
    """Whether a task of this id was planned for another backend."""
    found = connection.scalar(sa.select(tasks.c.backend).where(tasks.c.id == task_id))
    return found not in (None, backend)


def task_names(connection: Connection, backend: str) -> set[str]:
    """The names of all tasks that were planned for a backend."""
    return set(connection.scalars(sa.select(tasks.c.name).where(tasks.c.backend == backend)))


def tasks_elsewhere(connection: Connection, backend: str, each: int = 3) -> dict[str, dict[int, str]]:
    """The newest tasks of the other backends, ``each`` at most: their numbers there with their ids, by backend."""
    query = sa.select(tasks.c.backend, tasks.c.number, tasks.c.id)
    elsewhere = (tasks.c.backend != backend) & ~tasks.c.backend.startswith(IMPORT, autoescape=True)
    query = query.where(elsewhere, tasks.c.number.is_not(None)).order_by(tasks.c.number.desc())
    found: dict[str, dict[int, str]] = {}
    for row in connection.execute(query):
        of_backend = found.setdefault(row.backend, {})
        if len(of_backend) < each:
            of_backend[row.number] = row.id
    return found


def task_created(connection: Connection, task_id: str, number: int) -> None:
    """Record the backend's number of a planned task."""
    connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(number=number))


def task_numbers(connection: Connection, backend: str) -> dict[int, str]:
    """The backend's task numbers that were uploaded from here, with their ids."""
    query = sa.select(tasks.c.number, tasks.c.id).where(tasks.c.backend == backend, tasks.c.number.is_not(None))
    query = query.order_by(tasks.c.number)
    return {row.number: row.id for row in connection.execute(query)}


def frames_in_tasks(connection: Connection, backend: str | None = None, *, planned: bool = True) -> set[str]:
    """Ids of the frames that are in a task, or (unless told otherwise) are planned for one that does not exist yet.

    Args:
        backend: the tasks of this one; of all when not given.
    """
    query = sa.select(task_frames.c.frame_id).join(tasks, tasks.c.id == task_frames.c.task_id)
    if not planned:
        query = query.where(tasks.c.number.is_not(None))
    if backend is not None:
        query = query.where(tasks.c.backend == backend)
    return set(connection.scalars(query))


def frame_names(connection: Connection, task_id: str) -> dict[str, str]:
    """Name inside the task -> frame id."""
    query = sa.select(task_frames.c.name, task_frames.c.frame_id).where(task_frames.c.task_id == task_id)
    return {row.name: row.frame_id for row in connection.execute(query)}


def frame_order(connection: Connection, task_id: str) -> list[str]:
    """Names inside the task, in their order."""
    query = sa.select(task_frames.c.name).where(task_frames.c.task_id == task_id)
    return list(connection.scalars(query.order_by(task_frames.c.position)))


def task_labels(connection: Connection, task_id: str) -> tuple[str, ...]:
    """The labels that a task was planned with."""
    plan = connection.scalar(sa.select(tasks.c.plan).where(tasks.c.id == task_id))
    return () if plan is None else tuple(plan["labels"])


def proposals_on(connection: Connection, task_id: str, frame_ids: Iterable[str]) -> dict[str, list[Proposal]]:
    """What people were shown on these frames of a task, by frame id."""
    found: dict[str, list[Proposal]] = {}
    # Those that a probe stands for have no position: they were not shown.
    query = sa.select(proposals).where(proposals.c.task_id == task_id, proposals.c.position >= 0)
    query = query.order_by(proposals.c.position)
    for row in rows_where_in(connection, query, proposals.c.frame_id, frame_ids):
        xywh = (row.x, row.y, row.w, row.h)
        box = Box(row.label, xywh, row.score, row.id, row.iscrowd, row.attributes)
        found.setdefault(row.frame_id, []).append(Proposal(row.id, row.frame_id, row.model_id, box))
    return found


def shown_on(connection: Connection, task_id: str, frame_ids: Iterable[str]) -> dict[str, list[Proposed]]:
    """As :func:`proposals_on`, without what only those who are shown them need: scores, crowd marks, attributes."""
    found: dict[str, list[Proposed]] = {}
    names = ("frame_id", "id", "model_id", "label", "x", "y", "w", "h")
    query = sa.select(*(proposals.c[name] for name in names))
    query = query.where(proposals.c.task_id == task_id, proposals.c.position >= 0).order_by(proposals.c.position)
    for row in rows_where_in(connection, query, proposals.c.frame_id, frame_ids):
        frame_id, identity, model_id, label, x, y, w, h = row
        found.setdefault(frame_id, []).append(Proposed(identity, model_id, Outlined(label, (x, y, w, h))))
    return found


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


def job_numbers(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """The backend's numbers of these jobs, by lineage id."""
    query = sa.select(jobs.c.id, jobs.c.number)
    return {row.id: row.number for row in rows_where_in(connection, query, jobs.c.id, ids)}


def count_tasks(connection: Connection) -> int:
    """How many tasks there are, also planned ones; imports, which nobody was given, do not count."""
    given = ~tasks.c.backend.startswith(IMPORT, autoescape=True)
    return connection.scalar(sa.select(sa.func.count()).select_from(tasks).where(given)) or 0


def _jobs(connection: Connection, where: sa.ColumnElement[bool]) -> list[KnownJob]:
    query = sa.select(*(jobs.c[name] for name in KnownJob.__dataclass_fields__)).where(where).order_by(jobs.c.number)
    return [KnownJob(*row) for row in connection.execute(query)]


def _row(backend: str, job: KnownJob) -> dict[str, str | int | None]:
    return {"backend": backend, **{name: getattr(job, name) for name in KnownJob.__dataclass_fields__}}
