"""Removing a source: rows with its boxes, names and pictures' places go for good.

The rows by which versions hold its frames stay, with the content ids of the boxes that are gone: the versions' own ids
are made of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, rows_where_in
from data_engine.lineage.purge_sources import Source, TaskPart
from data_engine.lineage.tables import (
    canaries,
    dataset_frames,
    embeddings,
    files,
    frames,
    jobs,
    metadata,
    predictions,
    tasks,
    videos,
    work,
)

STUB = "purged"
"""Camera of the frames that versions held and that are gone; the first part of their names."""


def column_files(connection: Connection, part_key: str) -> tuple[str, ...]:
    """The tables that name a column file: ``predictions``, ``embeddings``, ``canaries``."""
    named = (
        ("predictions", predictions.c.part_key),
        ("embeddings", embeddings.c.part_key),
        ("canaries", canaries.c.key),
    )
    return tuple(name for name, column in named if connection.scalar(sa.select(sa.exists().where(column == part_key))))


def move_rows(connection: Connection, table: str, before: str, after: str | None, kept: Sequence[str]) -> None:
    """Record that the rows of a column file are those of another, of these frames only, in this order.

    Args:
        after: key of the new file; None where no frame is left.
    """
    owner = {"predictions": predictions, "embeddings": embeddings}[table]
    if after is not None:
        statement = sa.update(owner).where(owner.c.part_key == before, owner.c.frame_id == sa.bindparam("frame"))
        places = [{"frame": frame, "at": position} for position, frame in enumerate(kept)]
        connection.execute(statement.values(part_key=after, position=sa.bindparam("at")), places)
    connection.execute(sa.delete(owner).where(owner.c.part_key == before))


def forget_files(connection: Connection, keys: Iterable[str]) -> None:
    """Forget files that were removed."""
    for chunk in chunks(sorted(keys)):
        connection.execute(sa.delete(files).where(files.c.key.in_(chunk)))


def remove_rows(connection: Connection, what: Source) -> dict[str, int]:
    """Remove every row that holds something of the source; how many, by table.

    Frames that a version holds or held stay as stubs: an id and nothing else.  How a video is cut into sides stays with
    its id: other footage of the same moments may be cut by it, and would change sides.
    """
    removed: dict[str, int] = {}
    stay = {
        row.frame_id
        for row in rows_where_in(
            connection, sa.select(dataset_frames.c.frame_id).distinct(), dataset_frames.c.frame_id, what.frames
        )
    }
    for table, column in _columns_that_name("frames"):
        if table not in (dataset_frames, frames):
            _delete(connection, table, column, what.frames, removed)
    _delete(connection, work, work.c.input_id, (*what.frames, *what.videos), removed)
    _delete(connection, frames, frames.c.id, sorted(set(what.frames) - stay), removed)
    for frame_id in sorted(stay):
        stub = {
            "name": f"{STUB}_{frame_id[:8]}",
            "key": f"{STUB}/{frame_id}",
            "camera": STUB,
            **dict.fromkeys(("video_id", "pts", "time_base", "dhash", "crop")),
        }
        connection.execute(sa.update(frames).where(frames.c.id == frame_id).values(stub))
    for table, column in _columns_that_name("videos"):
        if table not in (videos, frames):
            _delete(connection, table, column, what.videos, removed)
    _delete(connection, videos, videos.c.id, what.videos, removed)
    return removed


def stubs(connection: Connection) -> set[str]:
    """Ids of the frames that versions held and that were purged."""
    return set(connection.scalars(sa.select(frames.c.id).where(is_stub())))


def is_stub() -> sa.ColumnElement[bool]:
    """Whether a row of ``frames`` is what is left of one that was purged."""
    return (frames.c.camera == STUB) & frames.c.key.startswith(f"{STUB}/")


def retire_tasks(connection: Connection, parts: Iterable[TaskPart], empty_jobs: Mapping[str, Sequence[int]]) -> None:
    """Take tasks of which nothing is left, and jobs, off their backends: nobody asks for them any more.

    Args:
        empty_jobs: numbers of jobs of which no frame is left, by backend.
    """
    for part in parts:
        if part.whole:
            here = tasks.c.id == part.id
            off = f"{STUB} {part.backend}"
            connection.execute(sa.update(tasks).where(here).values(backend=off, number=None, name=STUB))
            connection.execute(sa.update(jobs).where(jobs.c.task_id == part.id).values(backend=off))
    for backend, numbers in empty_jobs.items():
        for chunk in chunks(numbers):
            where = (jobs.c.backend == backend) & jobs.c.number.in_(chunk)
            connection.execute(sa.update(jobs).where(where).values(backend=f"{STUB} {backend}"))


def _columns_that_name(what: str) -> list[tuple[sa.Table, sa.Column[str]]]:
    """The columns that hold ids of ``frames`` or ``videos``, in the order in which rows can be removed."""
    target = metadata.tables[what].c.id
    single = f"{what[:-1]}_id"
    return [
        (table, column)
        for table in reversed(metadata.sorted_tables)
        for column in table.c
        if column.name == single or any(key.column is target for key in column.foreign_keys)
    ]


def _delete(
    connection: Connection, table: sa.Table, column: sa.Column[str], ids: Iterable[str], removed: dict[str, int]
) -> None:
    for chunk in chunks(ids):
        done = connection.execute(sa.delete(table).where(column.in_(chunk)))
        if done.rowcount:
            removed[table.name] = removed.get(table.name, 0) + done.rowcount
