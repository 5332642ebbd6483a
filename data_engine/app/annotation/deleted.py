"""Frames that are deleted, or brought back, on the annotation backend after their jobs were accepted.

No date of a job tells of it, so the tasks are asked: those with accepted jobs, and of them those that moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_engine.app.annotation.jobs import SeenJob
from data_engine.app.engine import Engine
from data_engine.lineage import deleted_frames
from data_engine.lineage.database import Connection
from data_engine.ports import AnnotationBackend
from data_engine.words import counted


@dataclass(frozen=True, slots=True)
class Noticed:
    """What the dataset does not know yet of accepted jobs that it holds."""

    jobs: frozenset[str] = frozenset()
    """Lineage ids of jobs that gave it a frame that is deleted now, or that were brought back one."""
    notes: tuple[str, ...] = ()


def notice_deleted(engine: Engine, backend: AnnotationBackend, seen: Sequence[SeenJob]) -> Noticed:
    """Record which frames of accepted jobs are deleted now, and tell which of the merged jobs that concerns.

    Args:
        engine: the workspace.
        backend: where the jobs are.
        seen: jobs as they were just read, those of a task together.
    """
    tasks = {entry.job.task_id: entry.known.task_id for entry in seen if entry.job.accepted}
    if not tasks:
        return Noticed()
    with engine.database.read() as connection:
        before = deleted_frames.looked_at(connection, tasks.values())
    told = backend.deleted_frames({number: before[task_id] for number, task_id in tasks.items()})
    flipped: set[str] = set()
    if told:
        with engine.database.write() as connection:
            for number, found in told.items():
                of_jobs = {e.known.id: e.job.frame_names for e in seen if e.job.task_id == number}
                flipped |= deleted_frames.record(connection, tasks[number], found.names, of_jobs, at=found.at)
    merged = {entry.known.id: entry for entry in seen if entry.job.accepted and entry.merged}
    with engine.database.read() as connection:
        given = deleted_frames.given(connection, merged)
    notes = (
        f"job {entry.job.id}: {counted(len(given[identity]), 'frame')} deleted on the annotation server after "
        "being merged: out of the dataset with the next export"
        for identity, entry in merged.items()
        if identity in given
    )
    return Noticed(frozenset(merged.keys() & (flipped | given.keys())), tuple(notes))


def deleted_now(engine: Engine, seen: Iterable[SeenJob]) -> dict[str, set[str]]:
    """Names of the deleted frames of these jobs' tasks, by lineage id of the task, as they were noticed last."""
    with engine.database.read() as connection:
        return deleted_frames.names(connection, {entry.known.task_id for entry in seen})


def keep_deleted(connection: Connection, seen: SeenJob, names: Iterable[str]) -> None:
    """Record which frames of a job were deleted when it was read."""
    deleted_frames.record(connection, seen.known.task_id, set(names), {seen.known.id: seen.job.frame_names})
