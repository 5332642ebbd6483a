"""What of a source is on record: its frames and videos, the files and names they are known by, and what held them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection, rows_where_in
from data_engine.lineage.tables import (
    accepted,
    dataset_frames,
    dataset_versions,
    files,
    frames,
    models,
    probes,
    proposals,
    sampled,
    split_plans,
    task_frames,
    tasks,
    video_duplicates,
    videos,
)


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


def box_ids(connection: Connection, what: Source) -> set[str]:
    """Ids of the boxes of these frames, and of those that were proposed or shown on them."""
    found: set[str] = set()
    for table in (accepted, proposals, probes):
        query = sa.select(table.c.id).distinct()
        found |= {row.id for row in rows_where_in(connection, query, table.c.frame_id, what.frames)}
    return found


def known_names(connection: Connection) -> tuple[set[str], set[str]]:
    """What pictures on record are called: the keys of their files, and the names of frames."""
    keys = set(connection.scalars(sa.select(files.c.key).where(files.c.frame_id.is_not(None))))
    keys |= {key for table in (frames, sampled) for key in connection.scalars(sa.select(table.c.key))}
    return keys, set(connection.scalars(sa.select(frames.c.name)))


def short_ids(connection: Connection) -> set[str]:
    """The beginnings of the frames' ids, as their pictures are called in training folders and tasks."""
    return {identity[:8] for identity in connection.scalars(sa.select(frames.c.id))}


def on_the_same_axis(connection: Connection, what: Source) -> list[str]:
    """Ids of the other videos whose places in time are counted on the axis of one of these: copies, cuts, and
    recordings that overlap or adjoin.
    """
    mine = {f"video:{video}" for video in what.videos}
    plans = connection.execute(sa.select(split_plans.c.source, split_plans.c.shares)).all()
    axes = {row.shares or row.source for row in plans if row.source in mine}
    others = {row.source for row in plans if (row.shares or row.source) in axes} - mine
    return sorted(source.removeprefix("video:") for source in others if source.startswith("video:"))


def names_of_videos(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Names of these videos, by id; of those that are on record."""
    return {
        row.id: row.name for row in rows_where_in(connection, sa.select(videos.c.id, videos.c.name), videos.c.id, ids)
    }


def cameras_of(connection: Connection, what: Source) -> dict[str, int]:
    """How many frames of the source each camera has."""
    counts: dict[str, int] = {}
    query = sa.select(frames.c.camera)
    for row in rows_where_in(connection, query, frames.c.id, what.frames):
        counts[row.camera] = counts.get(row.camera, 0) + 1
    return counts


def own_cameras(connection: Connection, kind: str, target: str) -> set[str]:
    """The camera of a video or frame."""
    table = videos if kind == "video" else frames
    return set(connection.scalars(sa.select(table.c.camera).where(table.c.id == target)))


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
