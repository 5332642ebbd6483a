"""What each version changed against the one before it, of all versions at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.datasets import annotation_of
from data_engine.lineage.tables import accepted, dataset_frames, dataset_versions, runs
from data_engine.types import Annotation, DatasetVersion

_BATCH = 500


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version, and the run that made it."""

    version: DatasetVersion
    created_at: str
    run_id: str
    stage: str
    settings: Mapping[str, Any]


@dataclass(slots=True)
class Moves:
    """Rows that begin or end with a version."""

    begun: int = 0
    ended: int = 0
    both: int = 0
    """Of frames: those that had a row before and have another now."""
    changed: int = 0
    """Of these, those whose boxes or side are others."""


def records(connection: Connection) -> list[VersionRecord]:
    """All versions, oldest first."""
    query = (
        sa.select(dataset_versions, runs.c.stage, runs.c.settings)
        .join(runs, runs.c.id == dataset_versions.c.run_id)
        .order_by(dataset_versions.c.number)
    )
    return [
        VersionRecord(
            DatasetVersion(row.id, row.number, row.parent_id, row.frames, row.boxes, row.key),
            row.created_at,
            row.run_id,
            row.stage,
            row.settings,
        )
        for row in connection.execute(query)
    ]


def frame_moves(connection: Connection) -> dict[int, Moves]:
    """What became of frames, by the number of the version."""
    moves = _ends(connection, dataset_frames)
    before, now = _replaced()
    differ = sa.case((_differ(before, now), 1), else_=0)
    query = (
        sa.select(now.c.since, sa.func.count().label("both"), sa.func.sum(differ).label("changed"))
        .join(before, (before.c.frame_id == now.c.frame_id) & (before.c.until == now.c.since))
        .group_by(now.c.since)
    )
    for row in connection.execute(query):
        moves[row.since].both, moves[row.since].changed = row.both, int(row.changed)
    return moves


def box_moves(connection: Connection) -> dict[int, Moves]:
    """How many boxes came or went with frames that came or went whole, by the number of the version."""
    moves = _ends(connection, accepted)
    both = _both()
    for end in ("since", "until"):
        query = (
            sa.select(both.c.number, sa.func.count(accepted.c.id).label("boxes"))
            .select_from(
                both.outerjoin(accepted, (accepted.c.frame_id == both.c.frame_id) & (accepted.c[end] == both.c.number))
            )
            .group_by(both.c.number)
        )
        for row in connection.execute(query):
            if row.number in moves:
                name = "begun" if end == "since" else "ended"
                setattr(moves[row.number], name, getattr(moves[row.number], name) - row.boxes)
    return moves


def changed_boxes(connection: Connection) -> Iterator[tuple[int, tuple[list[Annotation], list[Annotation]]]]:
    """The boxes that ended and began on each frame that a version changed, without those that are the same.

    Yields:
        the version's number, the boxes that ended, those that began; a frame at a time.
    """
    both = _both()
    other = accepted.alias("other")
    parts = []
    for end, other_end in (("until", "since"), ("since", "until")):
        same = sa.exists().where(
            other.c.id == accepted.c.id,
            other.c.category_id == accepted.c.category_id,
            other.c[other_end] == accepted.c[end],
        )
        parts.append(
            sa.select(accepted, both.c.number.label("version"), sa.literal(end == "since").label("begins"))
            .select_from(
                both.outerjoin(accepted, (accepted.c.frame_id == both.c.frame_id) & (accepted.c[end] == both.c.number))
            )
            .where(accepted.c.id.is_not(None), ~same)
        )
    united = sa.union_all(*parts).subquery()
    query = sa.select(united).order_by(united.c.version, united.c.frame_id, united.c.id)
    last: tuple[int, str] | None = None
    found: tuple[list[Annotation], list[Annotation]] = ([], [])
    for row in connection.execute(query, execution_options={"yield_per": _BATCH}):
        key = row.version, row.frame_id
        if last is not None and key != last:
            yield last[0], found
            found = ([], [])
        last = key
        found[bool(row.begins)].append(annotation_of(row))
    if last is not None:
        yield last[0], found


def _ends(connection: Connection, table: Any) -> dict[int, Moves]:
    numbers = connection.scalars(sa.select(dataset_versions.c.number))
    moves = {number: Moves() for number in numbers}
    for end in ("since", "until"):
        query = sa.select(table.c[end].label("number"), sa.func.count().label("rows")).group_by(table.c[end])
        for row in connection.execute(query):
            if row.number in moves:
                setattr(moves[row.number], "begun" if end == "since" else "ended", row.rows)
    return moves


def _replaced() -> tuple[Any, Any]:
    return dataset_frames.alias("before"), dataset_frames.alias("now")


def _differ(before: Any, now: Any) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = (before.c.content != now.c.content) | (before.c.split != now.c.split)
    return found


def _both() -> Any:
    """The frames that had a row before a version and have another with it: frame, number of the version."""
    before, now = _replaced()
    query = sa.select(now.c.frame_id, now.c.since.label("number")).join(
        before, (before.c.frame_id == now.c.frame_id) & (before.c.until == now.c.since)
    )
    return query.cte("replaced").prefix_with("MATERIALIZED")
