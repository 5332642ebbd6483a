"""What models were measured to be worth, and the truth that they are measured by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage import classes
from data_engine.lineage.database import Connection, rows_where_in, upsert
from data_engine.lineage.datasets import holds
from data_engine.lineage.tables import accepted, categories, dataset_frames, evaluations, videos
from data_engine.types import Split
from data_engine.types.evaluation import EvaluatedOn, TruthBox


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One model on one set of pictures."""

    id: str
    """Content id of the model with its classes, the set, the settings and the environment."""
    model_id: str
    kind: EvaluatedOn
    dataset_version_id: str | None
    """The version that the set is of; None for a folder."""
    data_digest: str
    settings: Mapping[str, Any]
    environment: str
    """What decides the answers beside the model's bytes, as of the class canary, and what matched them."""
    images: int
    boxes: int
    metrics: Mapping[str, Any]
    """``map``, ``map50`` and ``recall``, and ``per_class`` with the same, each average as ``[value, low, high]``; what
    is not defined is None.  ``thresholds`` by class."""
    key: str
    """Storage key of the column file of matches."""
    at: str


def record(connection: Connection, row: EvaluationRow) -> None:
    """Record an evaluation, in the place of an earlier one of the same content."""
    values = {name: getattr(row, name) for name in EvaluationRow.__slots__}
    upsert(connection, evaluations, [{**values, "settings": dict(row.settings), "metrics": dict(row.metrics)}])


def by_id(connection: Connection, identity: str) -> EvaluationRow | None:
    """A recorded evaluation, or None."""
    row = connection.execute(sa.select(evaluations).where(evaluations.c.id == identity)).one_or_none()
    return None if row is None else EvaluationRow(**row._mapping)


def of_model(connection: Connection, model_id: str, kind: EvaluatedOn | None = None) -> list[EvaluationRow]:
    """The evaluations of a model, on one kind of set or on all, the newest first."""
    query = sa.select(evaluations).where(evaluations.c.model_id == model_id)
    if kind is not None:
        query = query.where(evaluations.c.kind == kind)
    rows = connection.execute(query.order_by(evaluations.c.at.desc(), evaluations.c.id))
    return [EvaluationRow(**row._mapping) for row in rows]


def frames_on(connection: Connection, side: Split, number: int) -> list[str]:
    """Ids of the frames on one side of version ``number``, in order."""
    held = dataset_frames.c
    query = sa.select(held.frame_id).where(holds(dataset_frames, number), held.split == side)
    return list(connection.scalars(query.order_by(held.frame_id)))


def truth_on(connection: Connection, number: int, frame_ids: Iterable[str]) -> dict[str, list[TruthBox]]:
    """The boxes of version ``number`` on these frames under the classes of today, by frame id, in order of their ids.

    Those of a class that was retired since are left out; frames without a box are, too.
    """
    ever = classes.registry(connection)
    names = {row.id: row.name for row in connection.execute(sa.select(categories.c.id, categories.c.name))}
    now = {number: ever.now(name) for number, name in names.items() if name in ever}
    box = accepted.c
    query = sa.select(box.frame_id, box.category_id, box.x, box.y, box.w, box.h, box.iscrowd)
    query = query.where(holds(accepted, number)).order_by(box.id)
    found: dict[str, list[TruthBox]] = {}
    for row in rows_where_in(connection, query, box.frame_id, frame_ids):
        if row.category_id in now:
            truth = TruthBox(now[row.category_id], (row.x, row.y, row.w, row.h), row.iscrowd)
            found.setdefault(row.frame_id, []).append(truth)
    return found


def captured(connection: Connection, video_ids: Iterable[str]) -> dict[str, str]:
    """When the recordings of these videos began, ISO 8601, by video id; those of which nobody knows are left out."""
    query = sa.select(videos.c.id, videos.c.captured_at).where(videos.c.captured_at.is_not(None))
    return {row.id: row.captured_at for row in rows_where_in(connection, query, videos.c.id, video_ids)}
