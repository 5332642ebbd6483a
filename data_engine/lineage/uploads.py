"""Tasks as they were planned and made on the annotation backend, and the frames that they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in
from data_engine.lineage.shown_boxes import proposals_on
from data_engine.lineage.tables import IMPORT, frames, proposals, task_frames, tasks
from data_engine.types import TaskFrame, TaskSpec


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task that was decided on; it may or may not exist on the backend."""

    spec: TaskSpec
    assignees: tuple[str, ...]
    """Who its jobs go to in rotation, beginning with the first; empty when ``spec.assignee`` says it all."""
    position: int
    """Place among the tasks of its upload, from 0."""


class PictureSize(NamedTuple):
    """A frame with its size in pixels: there may be a hundred thousand."""

    id: str
    name: str
    width: int
    height: int


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


def pictures_of(connection: Connection, task_id: str) -> dict[str, PictureSize]:
    """Name inside the task -> frame, as plain as it comes."""
    query = (
        sa.select(task_frames.c.name.label("named"), frames.c.id, frames.c.name, frames.c.width, frames.c.height)
        .join(frames, frames.c.id == task_frames.c.frame_id)
        .where(task_frames.c.task_id == task_id)
    )
    return {row[0]: PictureSize._make(row[1:]) for row in connection.execute(query).cursor.fetchall()}


def frame_order(connection: Connection, task_id: str) -> list[str]:
    """Names inside the task, in their order."""
    query = sa.select(task_frames.c.name).where(task_frames.c.task_id == task_id)
    return list(connection.scalars(query.order_by(task_frames.c.position)))


def task_labels(connection: Connection, task_id: str) -> tuple[str, ...]:
    """The labels that a task was planned with."""
    plan = connection.scalar(sa.select(tasks.c.plan).where(tasks.c.id == task_id))
    return () if plan is None else tuple(plan["labels"])


def task_name(connection: Connection, task_id: str) -> str:
    """What a task is called."""
    return connection.scalar(sa.select(tasks.c.name).where(tasks.c.id == task_id)) or ""


def count_tasks(connection: Connection) -> int:
    """How many tasks there are, also planned ones; imports, which nobody was given, do not count."""
    given = ~tasks.c.backend.startswith(IMPORT, autoescape=True)
    return connection.scalar(sa.select(sa.func.count()).select_from(tasks).where(given)) or 0
