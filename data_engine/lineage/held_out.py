"""Accepted frames that a model was not trained on, and what people found on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection, rows_where_in
from data_engine.lineage.tables import accepted, categories, dataset_frames, dataset_versions


@dataclass(frozen=True, slots=True)
class AcceptedBox:
    """A box of the newest version."""

    label: str
    """Class name."""
    xywh: tuple[float, float, float, float]
    """Left, top, width, height in pixels of the frame."""
    crowd: bool


def frames(connection: Connection, trained_on: str | None, most: int) -> list[str]:
    """Ids of the newest version's frames that a model was not trained on, the newest first, at most ``most``.

    They are those that came to the dataset after the version that it was trained on, and the valid side.  Of a model
    from elsewhere nobody knows what it was trained on, but by an exported dataset only its train side; so for it they
    are the valid side alone.  The golden set is left out: it judges models, and nothing of them is fitted to it.

    Args:
        trained_on: id of the dataset version; None where it is not known.
        most: frames.
    """
    first = sa.func.min(dataset_frames.c.since)
    began = sa.select(dataset_frames.c.frame_id, first.label("first")).group_by(dataset_frames.c.frame_id).subquery()
    unseen = dataset_frames.c.split == "valid"
    if trained_on is not None:
        number = sa.select(dataset_versions.c.number).where(dataset_versions.c.id == trained_on).scalar_subquery()
        unseen = unseen | (began.c.first > number)
    query = (
        sa.select(dataset_frames.c.frame_id)
        .join(began, began.c.frame_id == dataset_frames.c.frame_id)
        .where(dataset_frames.c.until.is_(None), dataset_frames.c.split != "golden", unseen)
        .order_by(began.c.first.desc(), dataset_frames.c.frame_id)
        .limit(most)
    )
    return list(connection.scalars(query))


def golden(connection: Connection) -> list[str]:
    """Ids of the golden frames of the newest version, in order."""
    query = sa.select(dataset_frames.c.frame_id).where(
        dataset_frames.c.until.is_(None), dataset_frames.c.split == "golden"
    )
    return list(connection.scalars(query.order_by(dataset_frames.c.frame_id)))


def boxes_on(connection: Connection, frame_ids: Iterable[str]) -> dict[str, list[AcceptedBox]]:
    """The newest version's boxes on these frames, by frame id; frames without a box are left out."""
    query = (
        sa.select(accepted, categories.c.name)
        .join(categories, categories.c.id == accepted.c.category_id)
        .where(accepted.c.until.is_(None))
        .order_by(accepted.c.id)
    )
    found: dict[str, list[AcceptedBox]] = {}
    for row in rows_where_in(connection, query, accepted.c.frame_id, frame_ids):
        box = AcceptedBox(row.name, (row.x, row.y, row.w, row.h), row.iscrowd)
        found.setdefault(row.frame_id, []).append(box)
    return found
