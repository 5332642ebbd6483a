"""The steps of creating tasks on a server: what :class:`data_engine.ports.Ledger` asks for, kept in lineage."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import sqlalchemy as sa

from data_engine.lineage.database import Database, upsert
from data_engine.lineage.tables import task_frames, task_steps, tasks


class TaskLedger:
    """The ledger of one annotation backend.

    Args:
        database: where it is kept.
        backend: name of the backend, as in ``tasks.backend``.
        now: the present, as it is recorded.
    """

    def __init__(self, database: Database, backend: str, *, now: Callable[[], str]) -> None:
        self._database = database
        self._backend = backend
        self._now = now

    def steps(self, uid: str) -> dict[str, str]:
        """The finished steps of a task with what is worth knowing of each."""
        query = sa.select(task_steps.c.step, task_steps.c.detail).where(*self._of(uid))
        with self._database.read() as connection:
            return {row.step: row.detail for row in connection.execute(query)}

    def record(self, uid: str, step: str, detail: str = "") -> None:
        """A step is finished."""
        row = {"backend": self._backend, "task_id": uid, "step": step, "detail": detail, "at": self._now()}
        with self._database.write() as connection:
            upsert(connection, task_steps, [row])

    def forget(self, uid: str) -> None:
        """The task begins again."""
        with self._database.write() as connection:
            connection.execute(sa.delete(task_steps).where(*self._of(uid)))

    def numbers(self) -> dict[int, str]:
        """The server's numbers of the finished tasks, ascending, with their uids."""
        query = sa.select(task_steps.c.detail, task_steps.c.task_id)
        query = query.where(task_steps.c.backend == self._backend, task_steps.c.step == "ready")
        with self._database.read() as connection:
            return dict(sorted((int(row.detail), row.task_id) for row in connection.execute(query)))

    def frame_names(self, uid: str) -> tuple[str, ...]:
        """The frames of a planned task in their order."""
        query = sa.select(task_frames.c.name).join(tasks, tasks.c.id == task_frames.c.task_id)
        query = query.where(tasks.c.id == uid, tasks.c.backend == self._backend).order_by(task_frames.c.position)
        with self._database.read() as connection:
            return tuple(connection.scalars(query))

    def labels(self, uid: str) -> tuple[str, ...]:
        """The labels of a planned task."""
        query = sa.select(tasks.c.plan).where(tasks.c.id == uid, tasks.c.backend == self._backend)
        with self._database.read() as connection:
            plan = connection.scalar(query)
        return () if plan is None else tuple(plan["labels"])

    def alone(self, uid: str) -> AbstractContextManager[None]:
        """Wait until no other process is at this task, and keep it so."""
        return self._database.alone(f"task {self._backend} {uid}")

    def _of(self, uid: str) -> tuple[sa.ColumnElement[bool], ...]:
        return task_steps.c.backend == self._backend, task_steps.c.task_id == uid
