"""An evaluation as plain JSON values: for its record, for the file that is exported, and for ``--json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from data_engine.app.engine import Engine
from data_engine.lineage import evaluations
from data_engine.lineage.evaluations import EvaluationRow
from data_engine.types.evaluation import Comparison, Delta, Evaluation, EvaluationSet, Measured, Scores, Threshold

if TYPE_CHECKING:
    from data_engine.app.models.evaluation_matches import Looked
    from data_engine.stages.evaluate import EvaluateSettings

_DIGITS = 6


def record(
    engine: Engine, looked: Looked, on: EvaluationSet, evaluation: Evaluation, settings: EvaluateSettings
) -> None:
    """Record an evaluation that is not on record yet.

    Nothing by camera or day: whose footage it was is asked anew of lineage each time, which forgets what was purged.
    """
    from data_engine.stages.evaluate import STAGE, VERSION

    with engine.database.read() as connection:
        known = evaluations.by_id(connection, evaluation.id)
    if known is not None and engine.storage.exists(known.key):
        return
    row = EvaluationRow(
        id=evaluation.id,
        model_id=evaluation.model_id,
        kind=on.kind,
        dataset_version_id=on.version_id,
        data_digest=on.digest,
        settings=settings.model_dump(mode="json"),
        environment=looked.environment,
        images=evaluation.images,
        boxes=evaluation.boxes,
        metrics={
            **scores(evaluation.overall),
            "per_class": {name: scores(one) for name, one in evaluation.per_class.items()},
            "thresholds": {name: threshold(one) for name, one in evaluation.thresholds.items()},
            "calibration_error": rounded(evaluation.calibration.error),
        },
        key=looked.key,
        at=engine.now(),
    )
    with (
        engine.runner.run(STAGE, VERSION, settings, inputs=[on.digest], scope=[evaluation.model_id]) as run,
        engine.database.write() as connection,
    ):
        evaluations.record(connection, row)
        engine.runner.finish_input(connection, run, [on.digest])


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Every number of an evaluation."""
    groups = ("per_class", "per_size", "per_camera", "per_day")
    return {
        "evaluation_id": evaluation.id,
        "model_id": evaluation.model_id,
        "on": evaluation.on,
        "data_digest": evaluation.data_digest,
        "images": evaluation.images,
        "boxes": evaluation.boxes,
        "stretches": evaluation.stretches,
        **scores(evaluation.overall),
        **{group: {name: scores(one) for name, one in getattr(evaluation, group).items()} for group in groups},
        "thresholds": {name: threshold(one) for name, one in evaluation.thresholds.items()},
        "calibration": {"error": rounded(evaluation.calibration.error), "boxes": evaluation.calibration.boxes},
        "reliability": {name: asdict(one) for name, one in evaluation.reliability.items()},
        "confusion": asdict(evaluation.confusion),
        "curves": {name: asdict(one) for name, one in evaluation.curves.items()},
    }


def compared(comparison: Comparison) -> dict[str, Any]:
    """Every number of a comparison."""
    groups = ("per_class", "per_size", "per_camera", "per_day")
    return {
        "champion_id": comparison.champion_id,
        "challenger_id": comparison.challenger_id,
        "on": comparison.on,
        "data_digest": comparison.data_digest,
        "images": comparison.images,
        "boxes": comparison.boxes,
        "metric": comparison.metric,
        "level": comparison.level,
        "stretches": comparison.stretches,
        "overall": delta(comparison.overall),
        **{group: {name: delta(one) for name, one in getattr(comparison, group).items()} for group in groups},
        "recall": {name: delta(one) for name, one in comparison.recall.items()},
        "unmeasured": list(comparison.unmeasured),
        "champion_only": list(comparison.champion_only),
        "challenger_only": list(comparison.challenger_only),
    }


def scores(one: Scores) -> dict[str, Any]:
    """``map`` and ``map50`` as ``[value, low, high]``, ``recall``, and how much they rest on."""
    return {
        "map": interval(one.map),
        "map50": interval(one.map50),
        "recall": rounded(one.recall),
        "images": one.images,
        "boxes": one.boxes,
    }


def threshold(one: Threshold) -> dict[str, Any]:
    """A threshold with what is reached at it."""
    return {
        "wanted": one.wanted,
        "score": one.score,
        "reached": one.reached,
        "recall": interval(one.recall),
        "precision": interval(one.precision),
    }


def delta(one: Delta) -> dict[str, Any]:
    """A metric of two models."""
    return {name: rounded(value) if isinstance(value, float) else value for name, value in asdict(one).items()}


def interval(one: Measured) -> list[float | None]:
    """``[value, low, high]``."""
    return [rounded(one.value), rounded(one.low), rounded(one.high)]


def rounded(value: float | None) -> float | None:
    """To six digits, beyond which nothing is known."""
    return None if value is None else round(value, _DIGITS)
