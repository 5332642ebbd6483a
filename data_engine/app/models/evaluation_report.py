"""What ``evaluate`` tells people: the numbers with their intervals, what they rest on, and files to take along."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from data_engine.app.asking import refuse_absent_devices
from data_engine.app.engine import Engine
from data_engine.app.models.evaluate import compare, evaluate, evaluation_set
from data_engine.app.models.evaluation_measure import measure
from data_engine.app.models.evaluation_record import as_json, compared
from data_engine.app.models.model_registry import CHAMPION, model_named
from data_engine.app.outputs import output_key
from data_engine.errors import UsageError
from data_engine.types import Model, Report
from data_engine.types.evaluation import Compared, Comparison, Delta, Evaluation, Measured, Scores
from data_engine.words import counted

OUTPUT = "evaluation.json"
_NAMES: Mapping[Compared, str] = {"map": "mAP", "map50": "mAP50", "recall": "recall"}
SHORT = 8
ALARMS = "recall at equal false alarms"
"""Title of the table of what two models find where both raise as many false alarms."""
_SIZES = {
    "small": f"small, to {32**2} px²",
    "medium": f"medium, to {96**2} px²",
    "large": f"large, from {96**2} px²",
}


def evaluated(
    engine: Engine,
    *,
    model: str | None = None,
    against: str | None = None,
    on: str | None = None,
    page: Path | None = None,
    output: Path | None = None,
) -> Report:
    """Measure a model, alone or against another one.

    Args:
        model: its file, its id or the beginning of it; the model in use by default.
        against: the model that it is held against, likewise.
        on: as of :func:`data_engine.app.models.evaluation_sets.evaluation_set`.
        page: where a page with the pictures is to be written.
        output: the JSON file with every number, the thresholds among them; ``evaluation.json`` by default.

    Raises:
        MissingInputError: no such model, or no such pictures.
        UsageError: a model against itself; a wanted recall of no class; a device that is not there.
        DamagedInputError: a file that is no model.
    """
    target = OUTPUT if output is None else output_key(engine, "--output", output, (".json",))
    if page is not None:
        output_key(engine, "--page", page, (".html", ".htm"))
    measured = model_named(engine, model or CHAMPION)
    other = None if against is None else model_named(engine, against)
    if other is not None and other.id == measured.id:
        raise UsageError(
            f"{_shown(other)} against itself shows nothing",
            hint="name two models: dataengine evaluate NEW --against OLD",
        )
    # Also where the answers are known: what is asked for and not there is never passed over.
    for one in (measured, other):
        if one is not None and engine.storage.exists(one.key):
            refuse_absent_devices(engine, engine.storage.path(one.key))
    where = evaluation_set(engine, on)
    mine = measure(engine, measured, where)
    theirs = None if other is None else measure(engine, other, where)
    evaluation = evaluate(engine, measured, where, mine)
    if other is None or theirs is None:
        report = _alone(engine, measured, evaluation)
    else:
        before = evaluate(engine, other, where, theirs)
        comparison = compare(engine, other, measured, where, measured=(theirs, mine))
        report = _beside(engine, measured, other, comparison, (evaluation, before))
    files = {"output": engine.shown(target)}
    engine.storage.write_bytes(target, json.dumps(report.data, ensure_ascii=False, indent=1).encode() + b"\n")
    if page is not None:
        from data_engine.app.models.evaluation_pages import write_page

        looked = None if theirs is None else theirs.looked
        files["page"] = write_page(engine, mine.looked, looked, where, evaluation, report, page)
    return Report(
        title=report.title,
        data={**report.data, **files},
        rows=report.rows,
        tables=report.tables,
        notes=report.notes,
        next=report.next,
    )


def _alone(engine: Engine, model: Model, evaluation: Evaluation) -> Report:
    overall = evaluation.overall
    unreached = [n for n, one in evaluation.thresholds.items() if one.recall.value is not None and not one.reached]
    notes = list(evaluation.notes)
    if unreached:
        at = evaluation.thresholds
        said = ", ".join(f"{name} {_number(at[name].recall.value)} of {at[name].wanted:g}" for name in unreached)
        notes.append(
            f"no score reaches the wanted recall of every class: {said}; the lowest that there is stands there"
        )
    return Report(
        title=f"{_shown(model)} on {_named(evaluation.on)}: mAP {told(overall.map)}, mAP50 {told(overall.map50)}; "
        f"{counted(evaluation.images, 'picture')}, {counted(evaluation.boxes, 'box')}",
        data={
            "model": engine.shown(model.key),
            **as_json(evaluation),
            "pictures_asked_now": evaluation.predicted_now,
            "confusion_from_score": evaluation.confusion.score,
            "confusion_from_overlap": evaluation.confusion.iou,
            "calibration_error": evaluation.calibration.error and round(evaluation.calibration.error, 4),
        },
        rows=tuple(_class_row(name, one, evaluation) for name, one in evaluation.per_class.items()),
        tables={
            **_groups(evaluation),
            "taken for": _confusion_rows(evaluation),
        },
        notes=tuple(notes),
    )


def _class_row(name: str, one: Scores, evaluation: Evaluation) -> dict[str, object]:
    at = evaluation.thresholds[name]
    return {
        "class": name,
        "boxes": one.boxes,
        "ap": told(one.map),
        "ap50": told(one.map50),
        "recall_wanted": at.wanted,
        "score": at.score,
        "recall": told(at.recall),
        "precision": told(at.precision),
        "calibration_error": _number(evaluation.reliability[name].error),
    }


def _groups(evaluation: Evaluation) -> dict[str, Sequence[Mapping[str, object]]]:
    groups = {"sizes": evaluation.per_size, "cameras": evaluation.per_camera, "days": evaluation.per_day}
    return {
        title: [
            {
                title[:-1]: _SIZES.get(name, name) if title == "sizes" else name,
                "images": one.images,
                "boxes": one.boxes,
                "map": told(one.map),
                "map50": told(one.map50),
            }
            for name, one in group.items()
        ]
        for title, group in groups.items()
        # One camera or day alone is the whole set again.
        if title == "sizes" or len(group) > 1
    }


def _confusion_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    confusion = evaluation.confusion
    across = [*(f"said {name}" for name in confusion.names), "not seen"]
    down = [*confusion.names, "nothing there"]
    return [
        {"true": name, **dict(zip(across, row, strict=True))} for name, row in zip(down, confusion.table, strict=True)
    ]


def _beside(
    engine: Engine,
    challenger: Model,
    champion: Model,
    comparison: Comparison,
    evaluations: tuple[Evaluation, Evaluation],
) -> Report:
    metric = _NAMES[comparison.metric]
    tables = {"sizes": comparison.per_size, "cameras": comparison.per_camera, "days": comparison.per_day}
    return Report(
        title=f"{_shown(challenger)} against {_shown(champion)} on {_named(comparison.on)}: {metric} "
        f"{apart(comparison.overall)}; {verdict(comparison.overall)}",
        data={
            "model": engine.shown(challenger.key),
            "against": engine.shown(champion.key),
            "comparison": compared(comparison),
            "evaluations": [as_json(one) for one in evaluations],
        },
        rows=tuple(_delta_row("class", name, one) for name, one in comparison.per_class.items()),
        tables={
            ALARMS: [_delta_row("class", name, one) for name, one in comparison.recall.items()],
            **{
                title: [
                    _delta_row(title[:-1], _SIZES.get(name, name) if title == "sizes" else name, one)
                    for name, one in group.items()
                ]
                for title, group in tables.items()
                if title == "sizes" or len(group) > 1
            },
        },
        notes=comparison.notes + _unmeasured(comparison),
    )


def _unmeasured(comparison: Comparison) -> tuple[str, ...]:
    if not comparison.unmeasured:
        return ()
    return (f"no box of {', '.join(comparison.unmeasured)}: nothing is said of it",)


def _delta_row(kind: str, name: str, one: Delta) -> dict[str, Any]:
    return {
        kind: name,
        "boxes": one.boxes,
        "against": _number(one.champion),
        "model": _number(one.challenger),
        "difference": None if one.difference is None else f"{one.difference:+.3f}",
        "interval": None if one.low is None or one.high is None else f"{one.low:+.3f} to {one.high:+.3f}",
    }


def apart(one: Delta) -> str:
    """``0.512 against 0.478, +0.034 [+0.012, +0.055]``."""
    if one.difference is None:
        return "not measured"
    between = "" if one.low is None or one.high is None else f" [{one.low:+.3f}, {one.high:+.3f}]"
    return f"{one.challenger:.3f} against {one.champion:.3f}, {one.difference:+.3f}{between}"


def verdict(one: Delta) -> str:
    """In words, what the interval allows to say."""
    if one.low is None or one.high is None:
        return "nothing tells whether that is chance"
    if one.low > 0:
        return "better, beyond chance"
    return "worse, beyond chance" if one.high < 0 else "no difference beyond chance"


def told(one: Measured) -> str | None:
    """``0.472 [0.461, 0.483]``; None where there is no number."""
    if one.value is None:
        return None
    between = "" if one.low is None or one.high is None else f" [{one.low:.3f}, {one.high:.3f}]"
    return f"{one.value:.3f}{between}"


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _named(on: str) -> str:
    return f"the {on}" if on.startswith(("golden", "validation")) else on


def _shown(model: Model) -> str:
    return f"{PurePosixPath(model.key).name} ({model.id[:SHORT]})"
