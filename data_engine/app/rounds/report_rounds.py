"""What each round cost and brought, for the report: labels, minutes, and every round's model on the same pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_engine.app.dataset.dataset_stats import balance
from data_engine.app.rounds import rounds
from data_engine.app.rounds.round_labour import Reviewed, reviewed
from data_engine.app.rounds.round_rows import decision_of
from data_engine.errors import DataEngineError
from data_engine.lineage import classes, datasets, models, version_counts

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.lineage.rounds import Round
    from data_engine.types.evaluation import EvaluationSet

MOST = 40
"""Newest rounds whose models are measured on today's pictures."""


def told(engine: Engine, found: Sequence[Round], on: EvaluationSet | None) -> list[dict[str, Any]]:
    """A mapping a round, in their order.

    Args:
        engine: the workspace.
        found: the rounds.
        on: what every round's model is measured on; None leaves what was measured when each round ended.
    """
    reviews = reviewed(engine, found)
    return [
        _told(engine, one, reviews.get(one.number, Reviewed()), on if place >= len(found) - MOST else None)
        for place, one in enumerate(found)
    ]


def _told(engine: Engine, one: Round, review: Reviewed, on: EvaluationSet | None) -> dict[str, Any]:
    decided = decision_of(engine, one)
    return {
        "round": one.number,
        "begun": one.begun_at,
        "ended": one.ended_at,
        "version": None if one.version is None else f"v{one.version}",
        "pool": one.pool,
        "chosen": one.chosen,
        "frames": one.frames,
        "boxes": one.boxes,
        "imported": one.imported,
        "jobs": one.jobs,
        "jobs_timed": one.jobs_timed,
        "minutes": one.minutes,
        "review_minutes": review.minutes if review.jobs else None,
        "reviews_timed": review.jobs,
        "model_before": one.model_before,
        "model_after": one.model_after,
        "decision": None if decided is None else decided.what,
        "reasons": [] if decided is None else list(decided.reasons),
        "reached": _reached(engine, one, on),
        "cpu_s": dict(one.cpu_s),
        "stop": one.stop,
    }


def _reached(engine: Engine, one: Round, on: EvaluationSet | None) -> Mapping[str, Any] | None:
    """What the round's model reaches on these pictures; where it can't be asked any more, what it reached then."""
    from data_engine.app.models.evaluate import evaluate

    if one.model_after is None:
        return one.metrics
    with engine.database.read() as connection:
        model = models.by_id(connection, one.model_after)
    if model is None:
        return one.metrics
    if on is not None:
        try:
            return rounds.as_metrics(evaluate(engine, model, on), on)
        except DataEngineError:
            # Thinned, damaged, or of other classes: what was measured then still stands.
            pass
    return one.metrics or _by_training(model.metrics, one)


def _by_training(metrics: Mapping[str, Any], one: Round) -> dict[str, Any] | None:
    """What the training itself measured, on the validation side of its own version: no intervals."""
    if metrics.get("map50") is None:
        return None

    def alone(value: float | None) -> dict[str, float | None]:
        return {"value": value, "low": None, "high": None}

    return {
        "on": "its own validation side" if one.version is None else f"validation of v{one.version}",
        "kind": "training",
        "digest": None,
        "images": metrics.get("images"),
        "boxes": None,
        "map": alone(metrics.get("map")),
        "map50": alone(metrics["map50"]),
        "ap50_per_class": {
            name: {**alone(value), "boxes": None} for name, value in (metrics.get("ap50_per_class") or {}).items()
        },
    }


def class_balance(engine: Engine, found: Sequence[Round]) -> dict[str, Any] | None:
    """Boxes by class in the version of the first round and in the newest; None without a version."""
    with engine.database.read() as connection:
        newest = datasets.latest(connection)
        if newest is None:
            return None
        numbers = [one.version for one in found if one.version is not None]
        first = min(numbers, default=newest.number)
        counts = {number: _boxes(connection, number) for number in {first, newest.number}}
    before, after = counts[first], counts[newest.number]
    rows = [
        {
            "class": name,
            "before": before.get(name, 0),
            "after": boxes,
            "share_before": _share(before.get(name, 0), before),
            "share_after": _share(boxes, after),
        }
        for name, boxes in sorted(after.items(), key=lambda item: (-item[1], item[0]))
    ]
    return {"from": f"v{first}", "to": newest.label, "classes": rows, **balance(after)}


def _boxes(connection: Any, number: int) -> dict[str, int]:
    registry = classes.registry_at(connection, number)
    counts = {category.id: 0 for category in registry.offered.categories}
    for group in version_counts.class_groups(connection, number):
        counts[group.category_id] = counts.get(group.category_id, 0) + group.boxes
    names = {category.id: category.name for category in registry.categories}
    return {names.get(category, f"class {category}"): boxes for category, boxes in counts.items()}


def _share(boxes: int, counts: Mapping[str, int]) -> float | None:
    total = sum(counts.values())
    return boxes / total if total else None
