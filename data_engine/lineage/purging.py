"""What of a source is on record, and removing it: rows with its boxes, names and pictures' places go for good.

The rows by which versions hold its frames stay, with the content ids of the boxes that are gone: the versions' own ids
are made of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, rows_where_in
from data_engine.lineage.tables import (
    accepted,
    canaries,
    dataset_frames,
    dataset_versions,
    embeddings,
    files,
    frames,
    jobs,
    metadata,
    models,
    predictions,
    sampled,
    task_frames,
    tasks,
    video_duplicates,
    videos,
    work,
)

STUB = "purged"
"""Camera of the frames that versions held and that are gone; the first part of their names."""


@dataclass(frozen=True, slots=True)
class Source:
    """Everything that goes with a source."""

    frames: tuple[str, ...]
    videos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskPart:
    """Frames of a task on an annotation backend."""

    id: str
    backend: str
    number: int | None
    names: tuple[str, ...]
    """Of the frames that go, as the task names them."""
    whole: bool
    """Whether no frame of it stays."""


def source(connection: Connection, kind: str, target: str) -> Source:
    """The frames and videos of a camera, of a video, or one frame; and every other frame with the same picture."""
    owned, found = _named(connection, kind, target)
    sums = {row.sha256 for row in rows_where_in(connection, sa.select(files.c.sha256), files.c.frame_id, found)}
    alike = rows_where_in(connection, sa.select(files.c.frame_id), files.c.sha256, sums)
    found |= {row.frame_id for row in alike if row.frame_id is not None}
    return Source(tuple(sorted(found)), tuple(owned))


def _named(connection: Connection, kind: str, target: str) -> tuple[list[str], set[str]]:
    """The videos and frames that a source names."""
    if kind == "frame":
        return [], {target}
    if kind == "camera":
        owned = list(connection.scalars(sa.select(videos.c.id).where(videos.c.camera == target).order_by(videos.c.id)))
        of_camera = sa.select(frames.c.id).where(frames.c.camera == target)
        found = set(connection.scalars(of_camera))
    else:
        owned, found = [target], set()
    for table, column in ((frames, frames.c.id), (sampled, sampled.c.frame_id)):
        found |= {row[0] for row in rows_where_in(connection, sa.select(column), table.c.video_id, owned)}
    return owned, found


def names_and_keys(connection: Connection, what: Source) -> tuple[dict[str, str], set[str]]:
    """Names of the frames that no other frame has, by frame id; and the keys of all files with their pictures."""
    named = {
        row.id: row.name
        for row in rows_where_in(connection, sa.select(frames.c.id, frames.c.name), frames.c.id, what.frames)
    }
    gone = set(what.frames)
    shared = {
        row.name
        for row in rows_where_in(connection, sa.select(frames.c.id, frames.c.name), frames.c.name, set(named.values()))
        if row.id not in gone
    }
    keys = {row.key for row in rows_where_in(connection, sa.select(frames.c.key), frames.c.id, what.frames)}
    for table in (sampled, files):
        keys |= {row.key for row in rows_where_in(connection, sa.select(table.c.key), table.c.frame_id, what.frames)}
    return {identity: name for identity, name in named.items() if name not in shared}, keys


def picture_sums(connection: Connection, what: Source) -> set[str]:
    """SHA-256 sums of the files with these frames' pictures."""
    query = sa.select(files.c.sha256)
    return {row.sha256 for row in rows_where_in(connection, query, files.c.frame_id, what.frames)}


def video_keys(connection: Connection, what: Source) -> dict[str, str]:
    """The places of the videos and of their copies, with the codec: of a folder of pictures that is not a file's."""
    query = sa.select(videos.c.id, videos.c.key, videos.c.codec)
    found = {row.id: row for row in rows_where_in(connection, query, videos.c.id, what.videos)}
    keys: dict[str, str] = {row.key: row.codec for row in found.values()}
    copies = sa.select(files.c.key, files.c.video_id)
    for row in rows_where_in(connection, copies, files.c.video_id, what.videos):
        keys.setdefault(row.key, found[row.video_id].codec)
    return keys


def video_sizes(connection: Connection, what: Source) -> set[int]:
    """Sizes of the videos' files in bytes."""
    query = sa.select(videos.c.size_bytes)
    return {row.size_bytes for row in rows_where_in(connection, query, videos.c.id, what.videos)}


def video_names(connection: Connection, what: Source) -> set[str]:
    """Names of the videos."""
    return {row.name for row in rows_where_in(connection, sa.select(videos.c.name), videos.c.id, what.videos)}


def look_alikes(connection: Connection, what: Source) -> list[str]:
    """Ids of videos that look like one of these, by whatever method they were compared."""
    one, other = video_duplicates.c.video_id, video_duplicates.c.original_id
    found = {row[0] for row in rows_where_in(connection, sa.select(one), other, what.videos)}
    found |= {row[0] for row in rows_where_in(connection, sa.select(other), one, what.videos)}
    return sorted(found - set(what.videos))


def held_by_versions(connection: Connection, what: Source) -> dict[int, tuple[int, int]]:
    """How many frames and boxes of the source each version holds, by its number; of those that hold any."""
    numbers = list(connection.scalars(sa.select(dataset_versions.c.number)))
    counts: dict[int, list[int]] = {}
    for place, table in enumerate((dataset_frames, accepted)):
        query = sa.select(table.c.since, table.c.until)
        for row in rows_where_in(connection, query, table.c.frame_id, what.frames):
            for number in numbers:
                if row.since <= number and (row.until is None or number < row.until):
                    counts.setdefault(number, [0, 0])[place] += 1
    return {number: (held[0], held[1]) for number, held in sorted(counts.items())}


def models_trained_on(connection: Connection, numbers: Iterable[int]) -> list[str]:
    """Ids of the models that were trained on one of these versions."""
    query = sa.select(models.c.id).join(dataset_versions, dataset_versions.c.id == models.c.dataset_version_id)
    return sorted(row.id for row in rows_where_in(connection, query, dataset_versions.c.number, numbers))


def tasks_of(connection: Connection, what: Source) -> list[TaskPart]:
    """The tasks that hold frames of the source."""
    found: dict[str, list[str]] = {}
    query = sa.select(task_frames.c.task_id, task_frames.c.name)
    for row in rows_where_in(connection, query, task_frames.c.frame_id, what.frames):
        found.setdefault(row.task_id, []).append(row.name)
    number = sa.func.count().label("frames")
    sizes = sa.select(task_frames.c.task_id, number).group_by(task_frames.c.task_id)
    size_of = {row.task_id: row.frames for row in rows_where_in(connection, sizes, task_frames.c.task_id, found)}
    known = sa.select(tasks.c.id, tasks.c.backend, tasks.c.number)
    return sorted(
        (
            TaskPart(
                row.id, row.backend, row.number, tuple(sorted(found[row.id])), size_of[row.id] == len(found[row.id])
            )
            for row in rows_where_in(connection, known, tasks.c.id, found)
        ),
        key=lambda part: (part.backend, part.number or 0, part.id),
    )


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
