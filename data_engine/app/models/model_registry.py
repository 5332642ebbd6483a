"""``models list|show``: every model with its data, its parent, its numbers, and when it was in use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_engine.app.engine import Engine, present
from data_engine.app.lineage.lineage_find import meant
from data_engine.app.models.in_use import current_model, is_model
from data_engine.app.models.models import register_model
from data_engine.errors import MissingInputError
from data_engine.lineage import champions, evaluations, models, tombstones
from data_engine.lineage.champions import Reign
from data_engine.lineage.database import Connection
from data_engine.lineage.models import Registered
from data_engine.types import Model, Report
from data_engine.words import counted

NEWEST, CHAMPION = "newest", "champion"


def model_named(engine: Engine, name: str) -> Model:
    """A model by its id or the beginning of it, by its file, or as ``champion`` or ``newest`` (trained last here).

    A model file that is not known yet is registered.

    Raises:
        MissingInputError: there is no such model.
        UsageError: several ids begin so; the file does not name its classes.
        DamagedInputError: the file is no model, or one of other classes.
    """
    with engine.database.read() as connection:
        if name == CHAMPION:
            row = champions.newest(connection)
            found = None if row is None else models.by_id(connection, row.model_id)
        elif name == NEWEST:
            found = models.trained_last(connection)
            if found is None:
                raise MissingInputError("no model was trained here yet", hint="run first: dataengine retrain")
        else:
            path = Path(name)
            found = None
            if not (present(path) and path.is_file()):
                found = models.by_id(connection, _key(engine, connection, name))
    if found is not None:
        return found
    if name == CHAMPION:
        path_in_use = current_model(engine, None)
        if path_in_use is None:
            raise MissingInputError("no model is in use yet", hint="run first: dataengine retrain")
        path = path_in_use
    return register_model(engine, path).model


def _key(engine: Engine, connection: Connection, name: str) -> str:
    try:
        return meant(engine, connection, ("model", name)).key
    except MissingInputError as error:
        raise MissingInputError(error.message, hint="dataengine models list") from None


def list_models(engine: Engine) -> Report:
    """Every registered model, the newest first."""
    # First of all, for it mends what a promotion that was killed left undone.
    path = current_model(engine, None)
    with engine.database.read() as connection:
        known = models.registered(connection)
        reigns = champions.reigns(connection)
        marked = {one for stone in tombstones.known(connection) for one in stone.detail.get("models", ())}
    used = reigns[-1].model_id if reigns else None
    if used is None and path is not None:
        # As an earlier release left it, which recorded nothing about it.
        used = next((one.model.id for one in known if is_model(engine, path, one.model)), None)
    rows = [_row(engine, one, reigns, marked) for one in reversed(known)]
    there = sum(bool(row["weights"]) for row in rows)
    return Report(
        title=f"{counted(len(rows), 'model')}, the weights of {there} are there",
        data={
            "models": len(rows),
            "in_use": used,
            "file": None if path is None else engine.shown(engine.storage.key_of(path)),
        },
        rows=tuple(rows),
        next="" if rows else "dataengine retrain",
    )


def _row(engine: Engine, one: Registered, reigns: Sequence[Reign], marked: set[str]) -> dict[str, Any]:
    mine = [reign for reign in reigns if reign.model_id == one.model.id]
    return {
        "model": one.model.id[:12],
        "kind": one.model.kind,
        "version": None if one.version is None else f"v{one.version}",
        "parent": one.model.parent_id and one.model.parent_id[:12],
        "map50": _number(one.model.metrics.get("map50")),
        "golden_map50": _number((one.model.metrics.get("golden") or {}).get("map50")),
        "registered": one.registered_at[:16],
        "in_use_since": mine[-1].since[:16] if mine else None,
        "in_use_until": mine[-1].until[:16] if mine and mine[-1].until else None,
        "weights": None if not engine.storage.exists(one.model.key) else engine.shown(one.model.key),
        **({"thinned": one.thinned_at[:16]} if one.thinned_at else {}),
        **({"on_purged": True} if one.model.id in marked else {}),
    }


def show_model(engine: Engine, name: str) -> Report:
    """All that is recorded of one model."""
    current_model(engine, None)
    model = model_named(engine, name)
    with engine.database.read() as connection:
        (one,) = [one for one in models.registered(connection) if one.model.id == model.id]
        mine = [reign for reign in champions.reigns(connection) if reign.model_id == model.id]
        decided = champions.decisions(connection, model.id)
        measured = evaluations.of_model(connection, model.id)
        stones = [stone for stone in tombstones.known(connection) if model.id in stone.detail.get("models", ())]
        children = [other.model.id for other in models.registered(connection) if other.model.parent_id == model.id]
    weights = one.weights_key if one.weights_key and engine.storage.exists(one.weights_key) else None
    return Report(
        title=f"{model.kind} model {model.id}" + (", in use" if mine and mine[-1].until is None else ""),
        data={
            "id": model.id,
            "kind": model.kind,
            "classes": list(model.class_names),
            "formats": [*(["onnx"] if engine.storage.exists(model.key) else []), *(["torch"] if weights else [])],
            "file": engine.shown(model.key) if engine.storage.exists(model.key) else None,
            "checkpoint": None if weights is None else engine.shown(weights),
            "thinned_at": one.thinned_at,
            "dataset_version": None if one.version is None else f"v{one.version}",
            "run": one.run_id,
            "parent": model.parent_id,
            "children": children,
            "registered_at": one.registered_at,
            "metrics": dict(model.metrics),
            "map": model.metrics.get("map"),
            "map50": model.metrics.get("map50"),
            "purged_with": [f"{stone.kind} {stone.target}" for stone in stones],
        },
        tables={
            "in_use": [{"since": reign.since, "until": reign.until} for reign in mine],
            "decisions": [
                {
                    "at": row.at,
                    "decided": row.action,
                    "against": row.over_id and row.over_id[:12],
                    "on": row.detail.get("on"),
                    "difference": (row.detail.get("overall") or {}).get("difference"),
                    "reason": row.reason or "; ".join(row.detail.get("reasons", ())) or None,
                    "by": row.actor,
                }
                for row in decided
            ],
            "evaluations": [
                {
                    "at": row.at,
                    "set": row.kind,
                    "data": row.data_digest[:12],
                    "images": row.images,
                    "boxes": row.boxes,
                    **{name: _number(_first(row.metrics.get(name))) for name in ("map", "map50", "recall")},
                }
                for row in measured
            ],
        },
        notes=() if mine else _why_not(decided),
    )


def _why_not(decided: Sequence[champions.ChampionRow]) -> tuple[str, ...]:
    if not decided:
        return ("nothing was decided about it yet: dataengine promote",)
    return ()


def _first(value: Any) -> Any:
    """The value of one that may stand with its interval."""
    return value[0] if isinstance(value, list | tuple) and value else value


def _number(value: Any) -> float | None:
    return round(value, 4) if isinstance(value, int | float) else None
