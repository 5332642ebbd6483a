"""Datasets from elsewhere: each import is a task with one accepted job of a backend of its own, the root of its boxes.

No annotation server knows such a backend, so nothing asks for its jobs; everything that follows a box to its job finds
where it came from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, insert_new
from data_engine.lineage.tables import (
    IMPORT,
    acceptances,
    dataset_frames,
    job_frames,
    jobs,
    task_frames,
    tasks,
    withdrawals,
)
from data_engine.types import content_id


@dataclass(frozen=True, slots=True)
class Import:
    """One import, as it is recorded."""

    name: str
    """What the dataset goes by here."""
    content: str
    """Content id of all that it says: its pictures and their boxes."""
    facts: Mapping[str, Any]
    """Where it came from, for people: ``source``, ``format``, ``sha256``, ``by`` …"""
    times: int = 1
    """Which delivery of this content it is: it may come again after another one of its name."""

    @property
    def backend(self) -> str:
        """The backend that stands for it."""
        return f"{IMPORT}{self.name}"

    @property
    def task_id(self) -> str:
        """Lineage id of its task."""
        again = () if self.times == 1 else (self.times,)
        return content_id("import", self.name, self.content, *again)

    @property
    def job_id(self) -> str:
        """Lineage id of its job."""
        return content_id("job", self.backend, self.task_id, 1)


def as_known(connection: Connection, made: Import) -> tuple[Import, bool]:
    """The delivery that an import is, and whether it is the last one of its name once more.

    What says the same as the last delivery is that delivery; what says something else is a new one, also where an
    earlier one said the same.
    """
    newest = sa.select(tasks.c.id).where(tasks.c.backend == made.backend).order_by(tasks.c.number.desc()).limit(1)
    last = connection.scalar(newest)
    known: Import | None = None
    while True:
        this = replace(made, times=1 if known is None else known.times + 1)
        if connection.scalar(sa.select(tasks.c.id).where(tasks.c.id == this.task_id)) is None:
            break
        known = this
    return (known, True) if known is not None and known.task_id == last else (this, False)


def jobs_of(connection: Connection, name: str) -> list[str]:
    """Lineage ids of the jobs of all imports of this name, the newest first."""
    query = sa.select(jobs.c.id).where(jobs.c.backend == f"{IMPORT}{name}").order_by(jobs.c.number.desc())
    return list(connection.scalars(query))


def acceptance_id(made: Import, at: str) -> str:
    """Id of the acceptance that the boxes of an import stand by which is merged at that time."""
    return content_id("acceptance", made.job_id, at)


def record(
    connection: Connection,
    made: Import,
    frames: Sequence[tuple[str, str]],
    *,
    labels: Sequence[str],
    run: str,
    at: str,
    refused: Collection[str] = (),
) -> None:
    """Record an import as accepted and merged; one that is known, as accepted anew.

    Args:
        frames: ids of its frames with their names, in order.
        labels: its classes.
        run: id of the run that merges it.
        at: the present.
        refused: frames that keep what the dataset has of them: what a revert took back of these stays taken back.
    """
    known = sa.select(sa.func.count()).select_from(tasks).where(tasks.c.backend == made.backend)
    number = (connection.scalar(known) or 0) + 1
    plan = {"labels": list(labels), "job_size": len(frames), "assignee": None, "assignees": [], "position": 0}
    task = {"id": made.task_id, "backend": made.backend, "number": number, "name": made.name, "run_id": run}
    insert_new(connection, tasks, [{**task, "plan": {**plan, **made.facts}}])
    job = {"id": made.job_id, "backend": made.backend, "number": number, "task_id": made.task_id}
    stands = {"stage": "acceptance", "state": "completed", "updated_at": at, "merged_at": at}
    insert_new(connection, jobs, [{**job, **stands}])
    anew = {name: stands[name] for name in ("updated_at", "merged_at")}
    connection.execute(sa.update(jobs).where(jobs.c.id == made.job_id).values(anew))
    # What is accepted anew is given again.
    of_job = withdrawals.c.job_id == made.job_id
    back = set(connection.scalars(sa.select(withdrawals.c.frame_id).where(of_job)))
    for chunk in chunks(sorted(back.difference(refused))):
        connection.execute(sa.delete(withdrawals).where(of_job, withdrawals.c.frame_id.in_(chunk)))
    names: dict[str, int] = {}
    for _frame, name in frames:
        names[name] = names.get(name, 0) + 1
    rows = [
        {
            "task_id": made.task_id,
            "frame_id": frame,
            # Names end with eight digits of the frame's id: of two that are the same, each goes by all of them.
            "name": name if names[name] == 1 else f"{frame}_{name}",
            "position": position,
        }
        for position, (frame, name) in enumerate(frames)
    ]
    insert_new(connection, task_frames, rows)
    insert_new(connection, job_frames, [{"job_id": made.job_id, "frame_id": frame} for frame, _name in frames])
    accepted = {"id": acceptance_id(made, at), "job_id": made.job_id, "accepted_at": at, "accepted_by": made.backend}
    insert_new(connection, acceptances, [{**accepted, "at": at, "content": made.content, "deleted": []}])


def sides_since(connection: Connection, number: int) -> dict[str, int]:
    """How many frames came in or changed with version ``number``, by side of the split."""
    query = sa.select(dataset_frames.c.split, sa.func.count().label("number")).where(dataset_frames.c.since == number)
    return {row.split: row.number for row in connection.execute(query.group_by(dataset_frames.c.split))}
