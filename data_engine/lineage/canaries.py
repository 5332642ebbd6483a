"""What models said of known pictures, under which library versions, and the accepted boxes that it is held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection, rows_where_in, upsert
from data_engine.lineage.tables import accepted, canaries, categories, predictions

Xywh = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Canary:
    """A model's answers under one set of library versions."""

    environment: str
    key: str
    """Storage key of the answers."""
    verdict: Literal["agrees", "unclear"]


def of_model(connection: Connection, model_id: str) -> list[Canary]:
    """What a model was seen to answer, the newest first."""
    query = sa.select(canaries.c.environment, canaries.c.key, canaries.c.verdict).where(canaries.c.model_id == model_id)
    rows = connection.execute(query.order_by(canaries.c.checked_at.desc(), canaries.c.environment))
    return [Canary(*row) for row in rows]


def record(connection: Connection, model_id: str, canary: Canary, *, checked_at: str) -> None:
    """Record a model's answers under an environment, in the place of earlier ones under it."""
    row = {
        "model_id": model_id,
        "environment": canary.environment,
        "key": canary.key,
        "verdict": canary.verdict,
        "checked_at": checked_at,
    }
    upsert(connection, canaries, [row])


def labelled(connection: Connection) -> Iterator[tuple[str, str]]:
    """``(frame id, class name)`` of the newest version's boxes, each pair once, by frame id; as far as it is read."""
    query = (
        sa.select(accepted.c.frame_id, categories.c.name)
        .join(categories, categories.c.id == accepted.c.category_id)
        .where(accepted.c.until.is_(None), ~accepted.c.iscrowd)
        .distinct()
        .order_by(accepted.c.frame_id, categories.c.name)
    )
    for row in connection.execute(query):
        yield row.frame_id, row.name


def boxes_on(connection: Connection, frame_ids: Iterable[str]) -> dict[str, list[tuple[str, Xywh]]]:
    """Class name and place of the newest version's boxes on these frames, groups of things left out, by frame id."""
    query = (
        sa.select(accepted, categories.c.name)
        .join(categories, categories.c.id == accepted.c.category_id)
        .where(accepted.c.until.is_(None), ~accepted.c.iscrowd)
        .order_by(accepted.c.id)
    )
    found: dict[str, list[tuple[str, Xywh]]] = {}
    for row in rows_where_in(connection, query, accepted.c.frame_id, frame_ids):
        found.setdefault(row.frame_id, []).append((row.name, (row.x, row.y, row.w, row.h)))
    return found


def some_predicted(connection: Connection, model_id: str, most: int) -> list[str]:
    """Ids of at most ``most`` frames that a model was asked about, by id: always the same while no more are asked."""
    query = sa.select(predictions.c.frame_id).where(predictions.c.model_id == model_id)
    return list(connection.scalars(query.order_by(predictions.c.frame_id).limit(most)))
