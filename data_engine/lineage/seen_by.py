"""Which frames a model has learned from, and the boxes of the newest version that it is held against."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from data_engine.lineage.database import Connection, rows_where_in
from data_engine.lineage.datasets import holds
from data_engine.lineage.tables import accepted, dataset_frames, dataset_versions, models

BoxRow = tuple[str, str, int, float, float, float, float, bool]
"""Id, frame's id, class's id, left, top, width, height, and whether it is a crowd."""


def learned_from(connection: Connection, model_id: str) -> tuple[set[str], bool]:
    """Ids of the frames on the train side of what a model, and those that it began from, were trained on.

    Of a model from elsewhere nobody knows: then they are the train side of the newest version, for that is all of ours
    that a training may take.

    Returns:
        the frames, and whether that is known.
    """
    numbers: list[int] = []
    known = True
    seen: set[str] = set()
    identity: str | None = model_id
    while identity is not None and identity not in seen:
        seen.add(identity)
        query = sa.select(models.c.parent_id, dataset_versions.c.number).where(models.c.id == identity)
        row = connection.execute(
            query.outerjoin(dataset_versions, dataset_versions.c.id == models.c.dataset_version_id)
        ).one_or_none()
        known &= row is not None and row.number is not None
        if row is not None and row.number is not None:
            numbers.append(row.number)
        identity = None if row is None else row.parent_id
    held = dataset_frames.c
    sides: list[sa.ColumnElement[bool]] = [holds(dataset_frames, number) for number in numbers]
    if not known:
        sides.append(held.until.is_(None))
    side = sa.select(held.frame_id).where(held.split == "train", sa.or_(*sides))
    return set(connection.scalars(side.distinct())), known


def boxes_on(connection: Connection, frame_ids: Iterable[str]) -> list[BoxRow]:
    """The newest version's boxes on these frames."""
    box = accepted.c
    query = sa.select(box.id, box.frame_id, box.category_id, box.x, box.y, box.w, box.h, box.iscrowd)
    query = query.where(box.until.is_(None))
    return [tuple(row) for row in rows_where_in(connection, query, box.frame_id, frame_ids)]
