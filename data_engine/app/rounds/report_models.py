"""The models, one against the other, and the dataset's certificate, for the report."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from data_engine.app.dataset.dataset_certificate import certificate_key, not_shown, written, wrong_with
from data_engine.app.engine import Engine
from data_engine.app.rounds.round_rows import PROMOTED
from data_engine.errors import DataEngineError
from data_engine.lineage import champions, datasets, models

if TYPE_CHECKING:
    from data_engine.types import Model
    from data_engine.types.evaluation import EvaluationSet


def models_of(engine: Engine, on: EvaluationSet | None) -> dict[str, Any]:
    """The model in use, and against it the one that was trained last, or the one that was in use before."""
    with engine.database.read() as connection:
        used = champions.newest(connection)
        trained = models.trained(connection)
        other_id = trained[-1][0].id if trained else None
        if used is not None and other_id in (None, used.model_id):
            other_id = used.over_id
        champion = None if used is None else models.by_id(connection, used.model_id)
        other = None if other_id is None else models.by_id(connection, other_id)
        count = len(trained)
    found: dict[str, Any] = {
        "trained": count,
        "in_use": None if champion is None else _model(champion),
        "other": None if other is None else _model(other),
        "comparison": None,
        "told": "",
    }
    if champion is None:
        found["told"] = "no model is in use yet"
    elif other is None:
        found["told"] = "there is no other model to hold it against"
    elif on is None:
        found["told"] = "they were not held against each other: there are no pictures to measure them on"
    else:
        found |= _compared(engine, champion, other, on, newer=bool(trained) and trained[-1][0].id == other.id)
    return found


def _compared(engine: Engine, champion: Model, other: Model, on: EvaluationSet, *, newer: bool) -> dict[str, Any]:
    """The later model against the earlier one, whichever of the two is in use."""
    from data_engine.app.models.evaluate import compare

    earlier, later = (champion, other) if newer else (other, champion)
    try:
        comparison = compare(engine, earlier, later, on)
    except DataEngineError as error:
        return {"told": f"they cannot be held against each other: {error.message}"}
    return {"comparison": asdict(comparison)}


def _model(model: Model) -> dict[str, Any]:
    return {"id": model.id, "kind": model.kind, "file": model.key, "classes": list(model.class_names)}


def promotions(engine: Engine) -> list[dict[str, Any]]:
    """Every model that came into use, the newest first."""
    with engine.database.read() as connection:
        rows = champions.history(connection)
    return [
        {
            "at": row.at,
            "model": row.model_id,
            "what": PROMOTED[row.action],
            "instead_of": row.over_id,
            "by": row.actor,
            "reason": row.reason,
        }
        for row in reversed(rows)
    ]


def certificate(engine: Engine) -> dict[str, Any] | None:
    """What the newest version's certificate says, as it was written with it; None before the first version."""
    with engine.database.read() as connection:
        version = datasets.latest(connection)
    if version is None:
        return None
    said = written(engine, version.number)
    if said is None or said["id"] != version.id:
        return {
            "version": version.label,
            "said": None,
            "wrong": [],
            "not_shown": "",
            "file": engine.shown(certificate_key(version.number)),
        }
    return {
        "version": version.label,
        "said": said,
        "wrong": wrong_with(said),
        "not_shown": not_shown(said),
        "file": engine.shown(certificate_key(version.number)),
    }
