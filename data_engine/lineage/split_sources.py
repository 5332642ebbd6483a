"""What the split is decided by: the looks and places of the dataset's frames, and what is known of their sources."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from data_engine.lineage.database import Connection, insert_new, rows_where_in
from data_engine.lineage.datasets import holds
from data_engine.lineage.tables import (
    accepted,
    dataset_frames,
    frames,
    golden_blocks,
    split_plans,
    video_duplicates,
    videos,
)
from data_engine.selection.kept_apart import SIDES
from data_engine.selection.splits import place_of
from data_engine.types import Split

_UNSIGNED = (1 << 64) - 1
FOREVER = int(np.iinfo(np.int64).max)
"""The end of what the newest version still holds."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame with its place and its look."""

    frame_id: str
    source: str
    """As of :func:`data_engine.selection.splits.place`."""
    position: float
    dhash: int | None
    """Unsigned difference hash."""
    side: Split
    """The newest that it had."""


@dataclass(frozen=True, slots=True, eq=False)
class Ever:
    """Every frame that the dataset ever held, in columns, for a hundred thousand of them are looked through at once."""

    ids: list[str]
    names: list[str]
    """Sources, as of :func:`data_engine.selection.splits.place`."""
    sources: NDArray[np.intp]
    """``(n,)`` places in :attr:`names`."""
    positions: NDArray[np.float64]
    """``(n,)`` in the source."""
    hashes: NDArray[np.uint64]
    """``(n,)`` difference hashes; 0 where there is none."""
    hashed: NDArray[np.bool_]
    """``(n,)`` whether there is one."""
    row_frames: NDArray[np.intp]
    """``(m,)`` the frame of each row of the dataset, a place in the columns above; rows by their first version."""
    since: NDArray[np.int64]
    """``(m,)`` the first version of each row."""
    until: NDArray[np.int64]
    """``(m,)`` the first version that no longer holds it; the largest number where all do."""
    row_sides: NDArray[np.int8]
    """``(m,)`` the side that it gives the frame, as a place in :data:`data_engine.selection.kept_apart.SIDES`."""

    def sides(self) -> NDArray[np.int8]:
        """``(n,)`` the newest side of each frame."""
        found = np.zeros(len(self.ids), np.int8)
        found[self.row_frames] = self.row_sides
        return found

    def sides_at(self, number: int) -> NDArray[np.int8]:
        """``(n,)`` the side of each frame in version ``number``; -1 where that does not hold it."""
        found = np.full(len(self.ids), -1, np.int8)
        held = (self.since <= number) & (number < self.until)
        found[self.row_frames[held]] = self.row_sides[held]
        return found

    def placed(self) -> list[Placed]:
        """As records."""
        sides = [SIDES[code] for code in self.sides().tolist()]
        hashes = [
            one if is_one else None for one, is_one in zip(self.hashes.tolist(), self.hashed.tolist(), strict=True)
        ]
        names = [self.names[source] for source in self.sources.tolist()]
        return [Placed(*row) for row in zip(self.ids, names, self.positions.tolist(), hashes, sides, strict=True)]


_COLUMNS = (
    frames.c.id,
    frames.c.video_id,
    frames.c.pts,
    frames.c.time_base,
    frames.c.camera,
    frames.c.name,
    frames.c.dhash,
)


def ever_held(connection: Connection, number: int | None = None) -> Ever:
    """Every frame that any version held, or one up to version ``number``; in no particular order."""
    return rows_of(connection, sa.true() if number is None else dataset_frames.c.since <= number)


def rows_of(connection: Connection, which: sa.ColumnElement[bool]) -> Ever:
    """As :func:`ever_held`, of these rows of the dataset alone."""
    held = dataset_frames.c
    alone = frames.c.video_id.is_(None) | frames.c.time_base.is_(None)
    query = (
        sa.select(
            held.split,
            held.since,
            held.until,
            frames.c.id,
            frames.c.video_id,
            frames.c.pts,
            frames.c.time_base,
            frames.c.dhash,
            # Names are long, and frames of videos do not need theirs.
            sa.case((alone, frames.c.camera)),
            sa.case((alone, frames.c.name)),
        )
        .join(dataset_frames, held.frame_id == frames.c.id)
        .where(which)
    )
    # As the driver's tuples, in columns: a record a row takes several times as long.
    columns = list(zip(*connection.execute(query).cursor.fetchall(), strict=True)) or [()] * 10
    splits, since, until, ids, videos, pts, bases, dhashes, cameras, names = columns
    place: dict[str, int] = {}
    row_frames = np.array([place.setdefault(frame_id, len(place)) for frame_id in ids], np.intp)
    if len(place) < len(ids):
        # A row each of what is told of frames: those that were changed have several.
        one = np.zeros(len(place), np.intp)
        one[row_frames] = np.arange(len(ids))
        rows = one.tolist()
        videos, pts, bases, dhashes, cameras, names = (
            tuple([column[row] for row in rows]) for column in (videos, pts, bases, dhashes, cameras, names)
        )
    known: dict[str, int] = {}
    of_video = {video: known.setdefault(f"video:{video}", len(known)) for video in sorted({*videos} - {None})}
    sources = np.array([of_video.get(video, -1) for video in videos], np.intp)
    positions = _times(pts, bases)
    for row, (frame_id, name) in enumerate(zip(place, names, strict=True)):
        if name is not None:
            source, positions[row] = place_of(frame_id, name, cameras[row], None, None)
            sources[row] = known.setdefault(source, len(known))
    order = np.argsort(np.array(since, np.int64), kind="stable")
    codes = {side: code for code, side in enumerate(SIDES)}
    return Ever(
        list(place),
        list(known),
        sources,
        positions,
        np.array([0 if dhash is None else dhash & _UNSIGNED for dhash in dhashes], np.uint64),
        np.array([dhash is not None for dhash in dhashes], np.bool_),
        row_frames[order],
        np.array(since, np.int64)[order],
        np.array([FOREVER if end is None else end for end in until], np.int64)[order],
        np.array([codes[side] for side in splits], np.int8)[order],
    )


def _times(pts: Sequence[int | None], bases: Sequence[str | None]) -> NDArray[np.float64]:
    """``(n,)`` seconds of presentation times in their units; 0 where there is none."""
    ticks = np.array([0 if tick is None else tick for tick in pts], np.float64)
    units = {base: Fraction(base or 1) for base in set(bases)}
    up = {base: float(unit.numerator) for base, unit in units.items()}
    down = {base: float(unit.denominator) for base, unit in units.items()}
    # As Frame.time_s: one exactly rounded division.
    return np.asarray(ticks * [up[base] for base in bases] / [down[base] for base in bases], np.float64)


def frames_of_videos(connection: Connection, video_ids: Iterable[str]) -> list[Placed]:
    """Every registered frame of these videos; their side is not looked at, and said to be the guard."""
    query = sa.select(*_COLUMNS, sa.literal("guard"))
    return [_placed(*row) for row in rows_where_in(connection, query, frames.c.video_id, video_ids)]


def lone_frames(connection: Connection, cameras: Iterable[str]) -> list[Placed]:
    """Every registered frame of these cameras that came without its video; sides as of :func:`frames_of_videos`."""
    query = sa.select(*_COLUMNS, sa.literal("guard")).where(frames.c.video_id.is_(None))
    return [_placed(*row) for row in rows_where_in(connection, query, frames.c.camera, cameras)]


def copies(connection: Connection, video_ids: Iterable[str]) -> set[tuple[str, str]]:
    """Pairs of these videos with those that they are near-duplicates of, or that are near-duplicates of them."""
    table, ids = video_duplicates, list(video_ids)
    pairs: set[tuple[str, str]] = set()
    for column, other in ((table.c.video_id, table.c.original_id), (table.c.original_id, table.c.video_id)):
        pairs.update(tuple(row) for row in rows_where_in(connection, sa.select(column, other), column, ids))
    return pairs


@dataclass(frozen=True, slots=True)
class Recording:
    """A video with what its container says of the time."""

    video_id: str
    camera: str
    captured_at: str
    """ISO 8601, with or without an offset."""
    duration_s: float


def recordings(connection: Connection, cameras: Iterable[str]) -> list[Recording]:
    """The videos of these cameras of which it is known when they were recorded, by id."""
    query = sa.select(videos.c.id, videos.c.camera, videos.c.captured_at, videos.c.duration_s).where(
        videos.c.captured_at.is_not(None), videos.c.duration_s.is_not(None)
    )
    rows = rows_where_in(connection, query, videos.c.camera, cameras)
    return sorted((Recording(*row) for row in rows), key=lambda recording: recording.video_id)


def shared_axes(connection: Connection) -> dict[str, str]:
    """The source that another one's axis counts from, by the other one; those of their own are left out."""
    query = sa.select(split_plans.c.source, split_plans.c.shares).where(split_plans.c.shares.is_not(None))
    return {row.source: row.shares for row in connection.execute(query)}


def reached(connection: Connection, categories: Collection[int]) -> dict[int, set[Split]]:
    """On which of the sides train and valid any frame of the newest version has a box of these classes."""
    sides: dict[int, set[Split]] = {}
    names: tuple[Split, ...] = ("train", "valid")
    for category in sorted(categories):
        for side in names:
            query = (
                sa.select(accepted.c.id)
                .join(dataset_frames, dataset_frames.c.frame_id == accepted.c.frame_id)
                .where(accepted.c.category_id == category, accepted.c.until.is_(None))
                .where(dataset_frames.c.until.is_(None), dataset_frames.c.split == side)
                .limit(1)
            )
            if connection.scalar(query) is not None:
                sides.setdefault(category, set()).add(side)
    return sides


def golden(connection: Connection, number: int | None = None) -> dict[str, set[int]]:
    """The golden blocks by the source that their axis counts from: all, or those of version ``number``."""
    query = sa.select(golden_blocks.c.source, golden_blocks.c.block)
    if number is not None:
        query = query.where(golden_blocks.c.version <= number)
    found: dict[str, set[int]] = {}
    for source, block in connection.execute(query):
        found.setdefault(source, set()).add(block)
    return found


def has_golden(connection: Connection, number: int) -> bool:
    """Whether version ``number`` has golden blocks, or holds golden frames of an import that came with its sides."""
    if golden(connection, number):
        return True
    held = dataset_frames.c
    query = sa.select(held.frame_id).where(holds(dataset_frames, number), held.split == "golden").limit(1)
    return connection.scalar(query) is not None


def add_golden(connection: Connection, blocks: Iterable[tuple[str, int]], number: int) -> None:
    """Keep these blocks golden from version ``number`` on, for ever."""
    insert_new(connection, golden_blocks, [{"source": s, "block": b, "version": number} for s, b in sorted(blocks)])


def _placed(
    frame_id: str,
    video_id: str | None,
    pts: int | None,
    time_base: str | None,
    camera: str,
    name: str,
    dhash: int | None,
    side: Split,
) -> Placed:
    time_s = None if pts is None or time_base is None else _seconds(pts, time_base)
    source, position = place_of(frame_id, name, camera, video_id, time_s)
    return Placed(frame_id, source, position, None if dhash is None else dhash & _UNSIGNED, side)


def _seconds(pts: int, time_base: str) -> float:
    base = _fraction(time_base)
    # As Frame.time_s: one exactly rounded division.
    return pts * base.numerator / base.denominator


@cache
def _fraction(text: str) -> Fraction:
    return Fraction(text)
