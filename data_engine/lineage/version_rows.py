"""The rows of a version as its files tell them: frames with their numbers, and boxes a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks
from data_engine.lineage.datasets import holds
from data_engine.lineage.tables import accepted, dataset_frames, frames, purged, videos
from data_engine.types import BoxRow, Frame, Split


@dataclass(frozen=True, slots=True)
class FrameRow:
    """A frame of a version."""

    frame: Frame
    split: Split
    video_name: str | None
    number: int
    """From 1: frames are numbered in order of the versions that first held them, and of their ids."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of all frames that a version or one before it ever held."""

    order: tuple[str, ...]
    """Their ids: the first has number 1."""
    first: Mapping[str, int]
    """Number of the first version that held each, in the same order."""

    def up_to(self, version: int) -> tuple[str, ...]:
        """As the order was at an earlier version: a later one only adds to its end."""
        return tuple(i for i, first in self.first.items() if first <= version)


def numbers(connection: Connection, version: int) -> Numbers:
    """The numbers of the frames up to a version."""
    since = dataset_frames.c.since
    query = sa.select(sa.func.min(since), dataset_frames.c.frame_id).where(since <= version)
    found = sorted(connection.execute(query.group_by(dataset_frames.c.frame_id)).cursor.fetchall())
    first: dict[str, int] = {identity: number for number, identity in found}
    return Numbers(tuple(first), first)


def frame_rows(connection: Connection, version: int, known: Numbers) -> list[FrameRow]:
    """The frames of a version, in order of their numbers."""
    place = {identity: number for number, identity in enumerate(known.order, 1)}
    found = [
        FrameRow(
            Frame(identity, name, key, width, height, camera, video_id, pts, fraction_of(base)),
            split,
            video,
            place[identity],
        )
        for identity, split, name, key, width, height, camera, video_id, pts, base, video in picture_rows(
            connection, version
        )
    ]
    return sorted(found, key=lambda row: row.number)


def picture_rows(connection: Connection, version: int) -> Sequence[tuple[Any, ...]]:
    """What a version's files say of its frames, in no particular order and as the driver's tuples, for speed.

    Each is id, side, name, key, width, height, camera, id of the video, time stamp, time base, and name of the video.
    """
    query = (
        sa.select(
            dataset_frames.c.frame_id,
            dataset_frames.c.split,
            frames.c.name,
            frames.c.key,
            frames.c.width,
            frames.c.height,
            frames.c.camera,
            frames.c.video_id,
            frames.c.pts,
            frames.c.time_base,
            videos.c.name.label("video"),
        )
        .join(frames, frames.c.id == dataset_frames.c.frame_id)
        .outerjoin(videos, videos.c.id == frames.c.video_id)
        # Of what was purged a version keeps the content id alone.
        .where(holds(dataset_frames, version), dataset_frames.c.frame_id.not_in(sa.select(purged.c.id)))
    )
    rows: Sequence[tuple[Any, ...]] = connection.execute(query).cursor.fetchall()
    return rows


def box_rows(connection: Connection, version: int, frame_ids: Iterable[str]) -> dict[str, list[tuple[Any, ...]]]:
    """The boxes of these frames in a version by frame id, in order of their ids: values as of :class:`BoxRow`."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    query = sa.select(*(accepted.c[name] for name in BoxRow._fields)).where(holds(accepted, version))
    for chunk in chunks(frame_ids):
        # As the driver's tuples: a record a row takes several times as long.
        for row in connection.execute(query.where(accepted.c.frame_id.in_(chunk))).cursor.fetchall():
            found.setdefault(row[1], []).append(row)
    for rows in found.values():
        rows.sort(key=_id)
    return found


def touched(connection: Connection, version: int, *, boxes: bool = False) -> set[str]:
    """The frames that are not in a version as they were in the one before it: they came, left or changed.

    Args:
        boxes: also those of which any box begins or ends with it, which says nothing new where the rows are sound.
    """
    found: set[str] = set()
    for table in (dataset_frames, accepted) if boxes else (dataset_frames,):
        moved = (table.c.since == version) | (table.c.until == version)
        found.update(connection.scalars(sa.select(table.c.frame_id).where(moved).distinct()))
    return found


_id = itemgetter(0)


@lru_cache(maxsize=1024)
def fraction_of(text: str | None) -> Fraction | None:
    """A time base as it is recorded."""
    return None if text is None else Fraction(text)
