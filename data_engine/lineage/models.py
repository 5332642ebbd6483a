"""Classes, models, and where their predictions lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from data_engine.lineage import classes
from data_engine.lineage.database import Connection, insert_new, rows_where_in, upsert
from data_engine.lineage.tables import dataset_versions, models, predictions
from data_engine.types import ClassRegistry, Model


def registry(connection: Connection) -> ClassRegistry:
    """The class registry of this workspace."""
    return classes.registry(connection)


def add_classes(connection: Connection, names: Iterable[str], *, at: str | None = None) -> ClassRegistry:
    """Register new class names under the next free ids; ids once given never change."""
    classes.add(connection, names, at=at)
    return classes.registry(connection)


def add_model(
    connection: Connection, model: Model, *, run_id: str | None, weights_key: str | None, registered_at: str
) -> None:
    """Register a model, or what is new about one that came from elsewhere and was then found to be ours."""
    row = {
        "id": model.id,
        "kind": model.kind,
        "key": model.key,
        "weights_key": weights_key,
        "class_names": list(model.class_names),
        "dataset_version_id": model.dataset_version_id,
        "parent_id": model.parent_id,
        "run_id": run_id,
        "metrics": dict(model.metrics),
        "registered_at": registered_at,
    }
    if run_id is None:
        insert_new(connection, models, [row])
    else:
        upsert(connection, models, [row])


def by_id(connection: Connection, model_id: str) -> Model | None:
    """A registered model, or None."""
    row = connection.execute(sa.select(models).where(models.c.id == model_id)).one_or_none()
    return None if row is None else _model(row)


def weights_of(connection: Connection, model_id: str) -> str | None:
    """The key of the trainer's own checkpoint, to train on from; None for a model from elsewhere."""
    return connection.scalar(sa.select(models.c.weights_key).where(models.c.id == model_id))


def kind_trained_last(connection: Connection) -> str | None:
    """The kind of the model that was trained here last; None before the first."""
    query = sa.select(models.c.kind).where(models.c.run_id.is_not(None))
    kind: str | None = connection.scalar(query.order_by(models.c.registered_at.desc(), models.c.id).limit(1))
    return kind


def trained(connection: Connection) -> list[tuple[Model, int]]:
    """Models that were trained here, with their dataset version's number, in order of that number."""
    query = (
        sa.select(models, dataset_versions.c.number)
        .join(dataset_versions, models.c.dataset_version_id == dataset_versions.c.id)
        .order_by(dataset_versions.c.number, models.c.registered_at, models.c.id)
    )
    return [(_model(row), row.number) for row in connection.execute(query)]


def _model(row: Any) -> Model:
    return Model(
        id=row.id,
        kind=row.kind,
        key=row.key,
        class_names=tuple(row.class_names),
        dataset_version_id=row.dataset_version_id,
        parent_id=row.parent_id,
        metrics=row.metrics,
    )


def record_predictions(connection: Connection, model_id: str, frame_ids: Sequence[str], part_key: str) -> None:
    """Record that the predictions on these frames are the rows of one column file, in this order."""
    upsert(
        connection,
        predictions,
        [
            {"model_id": model_id, "frame_id": frame_id, "part_key": part_key, "position": position}
            for position, frame_id in enumerate(frame_ids)
        ],
    )


def predicted(connection: Connection, model_id: str, frame_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Where the predictions of a model on these frames lie: frame id -> (part key, row)."""
    query = sa.select(predictions.c.frame_id, predictions.c.part_key, predictions.c.position).where(
        predictions.c.model_id == model_id
    )
    found = rows_where_in(connection, query, predictions.c.frame_id, frame_ids)
    return {row.frame_id: (row.part_key, row.position) for row in found}
