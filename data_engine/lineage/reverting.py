"""Making the newest version hold what an older one held: rows are added and ended, none is rewritten or removed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, rows_where_in
from data_engine.lineage.tables import accepted, dataset_frames, dataset_versions, jobs, runs
from data_engine.types import Split


@dataclass(frozen=True, slots=True)
class MadeBy:
    """The run that made a version."""

    run_id: str
    stage: str
    state: str


def made_by(connection: Connection, number: int) -> MadeBy | None:
    """The run that made version ``number``; None where there is no such version."""
    query = sa.select(runs.c.id, runs.c.stage, runs.c.state)
    query = query.join(dataset_versions, dataset_versions.c.run_id == runs.c.id)
    row = connection.execute(query.where(dataset_versions.c.number == number)).one_or_none()
    return None if row is None else MadeBy(*row)


def last_sides(connection: Connection, frame_ids: Iterable[str]) -> dict[str, Split]:
    """The side of the split that each of these frames was on last, in whatever version."""
    query = sa.select(dataset_frames.c.frame_id, dataset_frames.c.since, dataset_frames.c.split)
    found: dict[str, tuple[int, Split]] = {}
    for row in rows_where_in(connection, query, dataset_frames.c.frame_id, frame_ids):
        found[row.frame_id] = max(found.get(row.frame_id, (0, row.split)), (row.since, row.split))
    return {frame_id: side for frame_id, (_since, side) in found.items()}


def restore(
    connection: Connection, number: int, new: int, restored: Mapping[str, Split], dropped: Collection[str]
) -> None:
    """From version ``new`` on, these frames and their boxes are as version ``number`` holds them.

    Args:
        restored: side of the split by frame id.
        dropped: frames that ``new`` does not hold.
    """
    for chunk in chunks([*restored, *dropped]):
        for table in (accepted, dataset_frames):
            held = table.c.frame_id.in_(chunk) & table.c.until.is_(None)
            connection.execute(sa.update(table).where(held).values(until=new))
    for chunk in chunks(restored):
        _copy(connection, accepted, number, new, chunk, {})
    for side in sorted(set(restored.values())):
        for chunk in chunks([frame_id for frame_id, one in restored.items() if one == side]):
            _copy(connection, dataset_frames, number, new, chunk, {"split": side})


def open_jobs(connection: Connection, number: int) -> tuple[int, int]:
    """How many frames of a version come from jobs that are not accepted any more, and from how many."""
    query = (
        sa.select(sa.func.count().label("frames"), sa.func.count(jobs.c.id.distinct()).label("jobs"))
        .select_from(dataset_frames.join(jobs, jobs.c.id == dataset_frames.c.job_id))
        .where(_holds(dataset_frames, number), (jobs.c.stage != "acceptance") | (jobs.c.state != "completed"))
    )
    row = connection.execute(query).one()
    return row.frames, row.jobs


def _copy(
    connection: Connection, table: sa.Table, number: int, new: int, frame_ids: list[str], given: Mapping[str, str]
) -> None:
    values = {**given, "since": new, "until": None}
    columns = [
        sa.literal(values[column.name], column.type).label(column.name) if column.name in values else column
        for column in table.c
    ]
    query = sa.select(*columns).where(table.c.frame_id.in_(frame_ids), _holds(table, number))
    connection.execute(sa.insert(table).from_select([column.name for column in table.c], query))


def _holds(table: sa.Table, number: int) -> sa.ColumnElement[bool]:
    return (table.c.since <= number) & (table.c.until.is_(None) | (table.c.until > number))
