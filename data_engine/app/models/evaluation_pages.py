"""The pictures of an evaluation: where two models differ most, or where one is wrong most; as a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.models.evaluation_matches import Looked, seen_by, true_boxes
from data_engine.app.selection.gallery import thumbnails
from data_engine.pages.evaluation import MOST, ShownFrame, Table, evaluation_page
from data_engine.stages.export import dataset_name
from data_engine.types import Detections, Frame, Report
from data_engine.types.evaluation import Evaluation, EvaluationSet
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.metrics.coco import TrueBoxes
    from data_engine.metrics.outcomes import Outcome
    from data_engine.pages.picture import XYWH

_BETTER, _WORSE, _OTHERWISE = "better here", "worse here", "otherwise wrong"
_TITLES = {
    "sizes": "by size of the box",
    "cameras": "by camera",
    "days": "by day",
    "taken for": "what boxes of each class are taken for",
}


def write_page(
    engine: Engine,
    looked: Looked,
    other: Looked | None,
    on: EvaluationSet,
    evaluation: Evaluation,
    report: Report,
    target: Path,
) -> str:
    """Write the page of a report.

    Returns:
        the file, as it can be typed.
    """
    shown = _alone(engine, looked, on) if other is None else _differing(engine, looked, other, on)
    page = evaluation_page(
        shown,
        thumbnails(engine, [entry.frame for entry in shown]),
        title=report.title,
        model=_called(looked),
        against=None if other is None else _called(other),
        notes=report.notes,
        facts=[
            ("set", on.name),
            ("pictures", str(evaluation.images)),
            ("boxes", str(evaluation.boxes)),
            ("stretches of footage", str(evaluation.stretches)),
        ],
        tables=[
            _table("by class", report.rows),
            *(_table(_TITLES.get(name, name), rows) for name, rows in report.tables.items()),
        ],
        curves=evaluation.curves if other is None else {},
        reliability={"all classes": evaluation.calibration, **evaluation.reliability} if other is None else {},
    )
    key = engine.storage.key_of(target)
    engine.storage.write_bytes(key, page.encode())
    return engine.shown(key)


def _called(looked: Looked) -> str:
    return f"{looked.opened.path.name} ({looked.opened.model.id[:8]})"


def _table(title: str, rows: Iterable[object]) -> Table:
    known = [dict(row) for row in rows if isinstance(row, dict)]
    head = list(dict.fromkeys(column for row in known for column in row))
    cells = [[_cell(row.get(column)) for column in head] for row in known]
    return Table(title.capitalize(), [column.replace("_", " ") for column in head], cells)


def _cell(value: object) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _alone(engine: Engine, looked: Looked, on: EvaluationSet) -> list[ShownFrame]:
    """The pictures with most errors, at most :data:`~data_engine.pages.evaluation.MOST`."""
    found = _outcomes(engine, looked, on, looked.names, looked.frames)
    ranked = sorted(
        (-(int((~one.found & ~true.crowd).sum()) + int(one.false.sum())), frame.id, frame, true, seen, one)
        for frame, (true, seen, one) in zip(looked.frames, found, strict=True)
    )
    shown = []
    for errors, _id, frame, true, seen, one in ranked[:MOST]:
        if errors:
            missed, false = int((~one.found & ~true.crowd).sum()), int(one.false.sum())
            kind = "overlooked and false" if missed and false else "overlooked" if missed else "false alarms"
            said = [f"{counted(missed, 'box')} overlooked", f"{counted(false, 'false alarm')}"]
            shown.append(
                ShownFrame(
                    frame, dataset_name(frame), kind, said, _truth(true, looked.names), _said(seen, looked.names)
                )
            )
    return shown


def _differing(engine: Engine, model: Looked, other: Looked, on: EvaluationSet) -> list[ShownFrame]:
    """The pictures on which two models differ most, by their common classes."""
    from data_engine.metrics.outcomes import apart

    names = [name for name in model.names if name in other.names]
    here = {frame.id for frame in other.frames}
    frames = [frame for frame in model.frames if frame.id in here]
    pairs = zip(
        frames,
        _outcomes(engine, model, on, names, frames),
        _outcomes(engine, other, on, names, frames),
        strict=True,
    )
    ranked = sorted(
        ((-apart(mine[2], theirs[2]), frame.id, frame, mine, theirs) for frame, mine, theirs in pairs),
        key=lambda entry: entry[:2],
    )
    shown = []
    for differ, _id, frame, (true, seen, one), (_true, seen_too, two) in ranked[:MOST]:
        if not differ:
            break
        gained, lost = int((one.found & ~two.found).sum()), int((two.found & ~one.found).sum())
        false, false_too = int(one.false.sum()), int(two.false.sum())
        balance = gained - lost + false_too - false
        shown.append(
            ShownFrame(
                frame,
                dataset_name(frame),
                _BETTER if balance > 0 else _WORSE if balance < 0 else _OTHERWISE,
                [
                    f"found by it alone: {gained}, by the other alone: {lost}",
                    f"false alarms: {false} against {false_too}",
                ],
                _truth(true, names),
                _said(seen, names),
                _said(seen_too, names),
            )
        )
    return shown


def _outcomes(
    engine: Engine, looked: Looked, on: EvaluationSet, names: Sequence[str], frames: Sequence[Frame]
) -> list[tuple[TrueBoxes, Detections, Outcome]]:
    """What is there, what the model says from the settings' score on, and what became of both; of these classes."""
    from data_engine.metrics.outcomes import outcome

    settings = engine.settings.evaluate
    columns = [looked.names.index(name) for name in names]
    seen = seen_by(engine, looked.opened, frames)
    found = []
    for frame, true in zip(frames, true_boxes(on, frames, names), strict=True):
        all_classes = seen.get(frame.id, Detections.empty(len(looked.names)))
        mine = Detections(all_classes.xyxy, all_classes.scores[:, columns]).kept(settings.score)
        found.append((true, mine, outcome(true, mine, overlap=settings.iou)))
    return found


def _truth(true: TrueBoxes, names: Sequence[str]) -> list[tuple[str, XYWH]]:
    return [
        (f"{names[label]}{' (many)' if crowd else ''}", (x1, y1, x2 - x1, y2 - y1))
        for (x1, y1, x2, y2), label, crowd in zip(
            true.xyxy.tolist(), true.classes.tolist(), true.crowd.tolist(), strict=True
        )
    ]


def _said(seen: Detections, names: Sequence[str]) -> list[tuple[str, XYWH]]:
    return [
        (f"{names[label]} {score:.2f}", (x1, y1, x2 - x1, y2 - y1))
        for (x1, y1, x2, y2), label, score in zip(
            seen.xyxy.tolist(), seen.labels.tolist(), seen.best.tolist(), strict=True
        )
    ]
