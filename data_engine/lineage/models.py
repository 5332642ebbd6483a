"""Classes, models, and where their predictions lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage import classes
from data_engine.lineage.database import Connection, insert_new, rows_where_in, upsert
from data_engine.lineage.tables import (
    dataset_frames,
    dataset_versions,
    jobs,
    models,
    predictions,
    proposals,
    selection_frames,
    selections,
    task_frames,
)
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
        # One that was thinned and trained again is whole again.
        "thinned_at": None,
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


@dataclass(frozen=True, slots=True)
class Registered:
    """A model with what is recorded beside it."""

    model: Model
    version: int | None
    """Number of the dataset version that it was trained on; None for a model, or data, from elsewhere."""
    weights_key: str | None
    """Of the trainer's own checkpoint."""
    run_id: str | None
    """The training; None for a model from elsewhere."""
    registered_at: str
    thinned_at: str | None
    """When its weights were removed to save space."""


def registered(connection: Connection) -> list[Registered]:
    """Every model, in the order in which they were registered."""
    query = (
        sa.select(models, dataset_versions.c.number)
        .outerjoin(dataset_versions, models.c.dataset_version_id == dataset_versions.c.id)
        .order_by(models.c.registered_at, models.c.id)
    )
    return [
        Registered(_model(row), row.number, row.weights_key, row.run_id, row.registered_at, row.thinned_at)
        for row in connection.execute(query)
    ]


def trained_last(connection: Connection) -> Model | None:
    """The model that was trained here last; None before the first."""
    query = sa.select(models).where(models.c.run_id.is_not(None))
    row = connection.execute(query.order_by(models.c.registered_at.desc(), models.c.id).limit(1)).one_or_none()
    return None if row is None else _model(row)


def with_ancestors(connection: Connection, model_id: str) -> list[str]:
    """Id of a model, then those of the one that it was begun from, and so on."""
    found: list[str] = []
    at: str | None = model_id
    while at is not None and at not in found:
        found.append(at)
        at = connection.scalar(sa.select(models.c.parent_id).where(models.c.id == at))
    return found


def move(connection: Connection, model_id: str, key: str) -> None:
    """Record that the weights of a model lie elsewhere."""
    connection.execute(sa.update(models).where(models.c.id == model_id).values(key=key))


def set_thinned(connection: Connection, model_ids: Iterable[str], at: str) -> None:
    """Record that the weights of models were removed."""
    for model_id in model_ids:
        connection.execute(sa.update(models).where(models.c.id == model_id).values(thinned_at=at))


def needed(connection: Connection, done: str) -> set[str]:
    """Ids of the models that chose or proposed what is still open: frames of the newest selection that are in no task,
    and boxes in tasks with a job that was not accepted.

    Args:
        done: the stage of jobs that are accepted.
    """
    in_tasks = sa.select(task_frames.c.frame_id)
    newest = sa.select(sa.func.max(selections.c.number)).scalar_subquery()
    waiting = sa.exists().where(
        selection_frames.c.selection_id == selections.c.id, selection_frames.c.frame_id.not_in(in_tasks)
    )
    chose = sa.select(selections.c.model_id).where(selections.c.number == newest, waiting)
    open_tasks = sa.select(jobs.c.task_id).where((jobs.c.stage != done) | (jobs.c.state != "completed"))
    proposed = sa.select(proposals.c.model_id).where(proposals.c.task_id.in_(open_tasks)).distinct()
    return {found for query in (chose, proposed) for found in connection.scalars(query) if found is not None}


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


def predicted_beside_datasets(connection: Connection, model_id: str) -> dict[str, list[str]]:
    """The frames that a model was asked about and that no dataset version ever held, by the column file."""
    held = sa.exists().where(dataset_frames.c.frame_id == predictions.c.frame_id)
    query = sa.select(predictions.c.part_key, predictions.c.frame_id).where(predictions.c.model_id == model_id, ~held)
    found: dict[str, list[str]] = {}
    for row in connection.execute(query.order_by(predictions.c.part_key, predictions.c.position)):
        found.setdefault(row.part_key, []).append(row.frame_id)
    return found


def prediction_parts(connection: Connection, model_id: str) -> set[str]:
    """The column files with what a model said."""
    query = sa.select(predictions.c.part_key).where(predictions.c.model_id == model_id)
    return set(connection.scalars(query.distinct()))
