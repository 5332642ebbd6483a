"""Accepted boxes, and the versions of the master dataset that hold them.

A frame and its boxes carry the first version that holds them and the first that no longer does, so a version stores
only what it changed and every older one can still be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from data_engine.lineage.box_dates import Calendar, calendar
from data_engine.lineage.bulk import insert_rows
from data_engine.lineage.database import Connection, chunks, insert_new, rows_where_in
from data_engine.lineage.tables import (
    accepted,
    categories,
    category_names,
    dataset_frames,
    dataset_versions,
    job_frames,
    split_plans,
)
from data_engine.selection.splits import SplitPlan
from data_engine.types import Annotation, BoxDates, BoxRow, DatasetVersion, Split


class DatasetFrame(NamedTuple):
    """A frame of a version, as plain as it comes: there may be a hundred thousand."""

    frame_id: str
    job_id: str
    """Lineage id of the accepted job that its boxes come from."""
    content: str
    """Content id of its boxes."""
    split: Split


def latest(connection: Connection) -> DatasetVersion | None:
    """The newest version, or None before the first."""
    query = sa.select(dataset_versions).order_by(dataset_versions.c.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _version(row)


def versions(connection: Connection) -> list[DatasetVersion]:
    """All versions, oldest first."""
    return [_version(row) for row in connection.execute(sa.select(dataset_versions).order_by("number"))]


def frames_of(connection: Connection, number: int) -> dict[str, DatasetFrame]:
    """The frames of version ``number`` by id."""
    query = sa.select(
        dataset_frames.c.frame_id, dataset_frames.c.job_id, dataset_frames.c.content, dataset_frames.c.split
    ).where(holds(dataset_frames, number))
    # As the driver's tuples: a record a row takes several times as long.
    return {row[0]: DatasetFrame._make(row) for row in connection.execute(query).cursor.fetchall()}


def jobs_of(connection: Connection, number: int) -> set[str]:
    """Lineage ids of the jobs that the frames of version ``number`` come from."""
    return set(connection.scalars(sa.select(dataset_frames.c.job_id).where(holds(dataset_frames, number)).distinct()))


def sides_before(connection: Connection, frame_ids: Iterable[str]) -> dict[str, Split]:
    """The side of those of these frames that any version ever held; it only changes where a frame turns golden."""
    query = sa.select(dataset_frames.c.frame_id, dataset_frames.c.split).order_by(dataset_frames.c.since)
    return {row.frame_id: row.split for row in rows_where_in(connection, query, dataset_frames.c.frame_id, frame_ids)}


def frames_of_jobs(connection: Connection, job_ids: Iterable[str]) -> dict[str, set[str]]:
    """The frames that people were given with these jobs, by the job's lineage id."""
    found: dict[str, set[str]] = {}
    query = sa.select(job_frames.c.job_id, job_frames.c.frame_id)
    for chunk in chunks(job_ids):
        for job, frame in connection.execute(query.where(job_frames.c.job_id.in_(chunk))).cursor.fetchall():
            found.setdefault(job, set()).add(frame)
    return found


def record_frames_of_jobs(connection: Connection, given: Mapping[str, set[str]]) -> None:
    """Record which frames jobs give to the dataset: not those that were deleted or withheld when they were read.

    Args:
        given: frame ids by the job's lineage id.
    """
    known = frames_of_jobs(connection, given)
    for job, frame_ids in given.items():
        gone = sorted(known.get(job, set()) - frame_ids)
        for chunk in chunks(gone):
            of_job = (job_frames.c.job_id == job) & job_frames.c.frame_id.in_(chunk)
            connection.execute(sa.delete(job_frames).where(of_job))
    insert_new(
        connection,
        job_frames,
        [{"job_id": job, "frame_id": i} for job, ids in given.items() for i in sorted(ids - known.get(job, set()))],
    )


def boxes_of(connection: Connection, number: int) -> dict[str, list[Annotation]]:
    """The boxes of version ``number`` by frame id, in order of their ids."""
    found: dict[str, list[Annotation]] = {}
    dates = calendar(connection)
    query = sa.select(accepted).where(holds(accepted, number)).order_by(accepted.c.id)
    for row in connection.execute(query):
        found.setdefault(row.frame_id, []).append(annotation_of(row, dates))
    return found


def boxes_of_class(connection: Connection, number: int, category_id: int, limit: int) -> list[Annotation]:
    """Up to ``limit`` boxes of one class in version ``number``, always the same ones; none of a crowd, none golden."""
    golden = sa.select(dataset_frames.c.frame_id).where(
        holds(dataset_frames, number), dataset_frames.c.split == "golden"
    )
    query = sa.select(accepted).where(
        holds(accepted, number),
        accepted.c.category_id == category_id,
        accepted.c.iscrowd.is_(False),
        accepted.c.frame_id.not_in(golden),
    )
    # Ids are of content: their order is that of no frame or day.
    dates = calendar(connection)
    return [annotation_of(row, dates) for row in connection.execute(query.order_by(accepted.c.id).limit(limit))]


def count_boxes(connection: Connection, number: int) -> int:
    """How many boxes version ``number`` holds."""
    return connection.scalar(sa.select(sa.func.count()).select_from(accepted).where(holds(accepted, number))) or 0


def side_counts(connection: Connection, number: int) -> dict[str, int]:
    """How many frames of version ``number`` are on each side of the split."""
    query = sa.select(dataset_frames.c.split, sa.func.count().label("number")).where(holds(dataset_frames, number))
    return {row.split: row.number for row in connection.execute(query.group_by(dataset_frames.c.split))}


def label_counts(connection: Connection) -> dict[str, int]:
    """How many boxes of each registered class the newest version holds."""
    # Counted first, by the index alone; joined, the boxes would be read class by class.
    held = (
        sa.select(accepted.c.category_id, sa.func.count().label("number"))
        .where(accepted.c.until.is_(None))
        .group_by(accepted.c.category_id)
        .cte("held")
        .prefix_with("MATERIALIZED")
    )
    query = (
        sa.select(categories.c.name, sa.func.coalesce(held.c.number, 0).label("number"))
        .join(category_names, (category_names.c.category_id == categories.c.id) & category_names.c.until.is_(None))
        .outerjoin(held, held.c.category_id == categories.c.id)
        .order_by(categories.c.id)
    )
    return {row.name: row.number for row in connection.execute(query)}


def change_counts(connection: Connection, since: int, frame_ids: Collection[str] | None = None) -> dict[str, int]:
    """What people did to the proposals in the boxes that came in with version ``since``.

    Args:
        frame_ids: all frames with such boxes, where they are known.
    """
    query = sa.select(accepted.c.change, sa.func.count()).where(accepted.c.since == since).group_by(accepted.c.change)
    # Few frames are looked for by themselves; for many all boxes are looked through, once.
    few = frame_ids is not None and len(frame_ids) <= _FEW
    counts: Counter[str] = Counter()
    for part in (query.where(accepted.c.frame_id.in_(chunk)) for chunk in chunks(frame_ids or ())) if few else (query,):
        counts.update(dict(map(tuple, connection.execute(part))))
    return {change: counts[change] for change in ("kept", "edited", "added")}


_FEW = 10_000


def replace_frames(
    connection: Connection,
    number: int,
    changed: Sequence[DatasetFrame],
    boxes: Mapping[str, Sequence[Annotation]],
    dropped: Sequence[str] = (),
    acceptances: Mapping[str, str] | None = None,
) -> None:
    """From version ``number`` on these frames have these boxes, and no longer those that they had.

    Args:
        dropped: frames that the version no longer holds at all.
        acceptances: id of the acceptance that brings the boxes, by lineage id of their job.
    """
    brought = acceptances or {}
    rows = (_row(box, number, brought.get(box.job_id)) for frame in changed for box in boxes.get(frame.frame_id, ()))
    put_frames(connection, number, changed, rows, [*(frame.frame_id for frame in changed), *dropped])


def put_frames(
    connection: Connection,
    number: int,
    changed: Iterable[DatasetFrame],
    boxes: Iterable[Sequence[Any]],
    ended: Iterable[str],
) -> None:
    """As :func:`replace_frames`, in one pass over the boxes.

    Args:
        connection: in a transaction.
        number: of the version.
        changed: frames that begin with it.
        boxes: of all of them, values as of :class:`BoxRow`.
        ended: frames that end with it; those that also begin are among them, where a version before may hold them.
    """
    for chunk in chunks(ended):
        for table in (accepted, dataset_frames):
            statement = sa.update(table).where(table.c.frame_id.in_(chunk), table.c.until.is_(None))
            connection.execute(statement.values(until=number))
    frames = ((f.frame_id, number, f.job_id, f.content, f.split) for f in changed)
    insert_rows(connection, dataset_frames, ("frame_id", "since", "job_id", "content", "split"), frames)
    insert_rows(connection, accepted, BoxRow._fields, boxes)


def add_version(connection: Connection, version: DatasetVersion, *, run_id: str, created_at: str) -> None:
    """Record a new version."""
    row = {
        "id": version.id,
        "number": version.number,
        "parent_id": version.parent_id,
        "run_id": run_id,
        "frames": version.frames,
        "boxes": version.boxes,
        "key": version.key,
        "created_at": created_at,
    }
    connection.execute(sa.insert(dataset_versions), [row])


def plans(connection: Connection, sources: Iterable[str]) -> dict[str, SplitPlan]:
    """The split plans of those of these sources that have one."""
    return {
        row.source: SplitPlan(row.source, row.block, row.guard, row.fraction, row.phase, row.shares, row.shift)
        for row in rows_where_in(connection, sa.select(split_plans), split_plans.c.source, sources)
    }


def add_plans(connection: Connection, made: Iterable[SplitPlan]) -> None:
    """Keep the plans of new sources, for ever."""
    names = ("source", "block", "guard", "fraction", "phase", "shares", "shift")
    insert_new(connection, split_plans, [{name: getattr(plan, name) for name in names} for plan in made])


def holds(table: sa.FromClause, number: int) -> sa.ColumnElement[bool]:
    """Whether a row of ``annotations`` or ``dataset_frames`` is in version ``number``."""
    return (table.c.since <= number) & (table.c.until.is_(None) | (table.c.until > number))


def _version(row: Any) -> DatasetVersion:
    return DatasetVersion(row.id, row.number, row.parent_id, row.frames, row.boxes, row.key)


def _row(box: Annotation, number: int, acceptance: str | None) -> BoxRow:
    return BoxRow(
        box.id,
        box.frame_id,
        box.category_id,
        *box.xywh,
        box.iscrowd,
        box.job_id,
        box.proposal_id,
        box.model_id,
        box.change,
        box.annotator,
        box.reviewer,
        acceptance,
        number,
    )


def annotation_of(row: Any, dates: Calendar | None = None) -> Annotation:
    """A row of ``annotations``; without the dates of the hands that were laid on it where no calendar is given."""
    return Annotation(
        id=row.id,
        frame_id=row.frame_id,
        category_id=row.category_id,
        xywh=(row.x, row.y, row.w, row.h),
        job_id=row.job_id,
        iscrowd=row.iscrowd,
        proposal_id=row.proposal_id,
        model_id=row.model_id,
        change=row.change,
        annotator=row.annotator,
        reviewer=row.reviewer,
        dates=BoxDates() if dates is None else dates.of(row),
    )
