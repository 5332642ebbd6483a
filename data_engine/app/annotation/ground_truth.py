"""``review audit --ground-truth``: frames labelled a second time on the server, and what the jobs are worth by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_engine.app.annotation.jobs import SeenJob, refresh
from data_engine.app.models.models import registered_classes
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import uploads
from data_engine.ports import QualitySource, frames_of
from data_engine.types import Report
from data_engine.words import counted, shapes

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.metrics.agreement import Agreement
    from data_engine.metrics.coco import TrueBoxes
    from data_engine.types import Box, ClassRegistry

SAME_OBJECT = 0.4
"""Overlap from which two boxes are one object, where the server does not say its own (CVAT's default)."""
_SAME = 1e-6
"""Difference of two shares that is rounding."""
_NUMBERS = ("precision", "recall", "accuracy")


def ground_truth(engine: Engine, share: float) -> Report:
    """Make a ground-truth job of each task that has none, and compare the jobs with those that are finished.

    The server's own numbers stand beside those that are computed here of the same frames.  The server compares all
    shapes, also those that no detector takes; here only boxes are.

    Args:
        share: of each task's frames, above 0 to 1; a job that is there keeps those that it has.

    Raises:
        UsageError: the backend has no ground truth.
        MissingInputError: no task was uploaded.
    """
    backend = engine.backend()
    if not isinstance(backend, QualitySource):
        raise UsageError(
            f"the annotation backend {backend.name!r} has no ground-truth jobs: a CVAT server does",
            hint='[annotation] backend = "cvat" in dataengine.toml',
        )
    with engine.database.read() as connection:
        tasks = uploads.task_numbers(connection, backend.name)
    if not tasks:
        raise MissingInputError("no task was uploaded yet", hint="run first: dataengine upload")
    registry = registered_classes(engine)
    seen = refresh(engine, backend)
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    engine.progress.start("ground truth", len(tasks), "tasks")
    for number, uid in tasks.items():
        jobs = [job for job in seen if job.job.task_id == number]
        if jobs:
            made = backend.ground_truth(number, share, int(uid[:7], 16))
            job = backend.job(made)
            if job.state == "completed" and not job.accepted:
                # Nobody reviews the ground truth, and the server counts what is accepted.
                job = backend.update_job(made, stage="acceptance", state="completed", expected=job.updated_at)
            content = backend.annotations(made)
            truth, drawn = content.boxes, len(content.boxes) + len(content.deleted)
            size = sum(len(seen.job.frame_names) for seen in jobs)
            row: dict[str, Any] = {"task": number, "job": made, "state": job.state}
            row |= {"frames": drawn, "share": round(drawn / size, 4)}
            if drawn != frames_of(share, size):
                notes.append(
                    f"task {number}: its ground truth is there since before, of {drawn} of {counted(size, 'frame')} "
                    f"({drawn / size:.1%}), not {share:.1%}"
                )
            if job.accepted:
                quality = backend.quality(number)
                least = float(quality.get("iou_threshold") or SAME_OBJECT)
                row |= {f"server_{name}": quality.get(name) for name in _NUMBERS}
                found, strange = _found(engine, jobs, truth)
                strange.update(content.left_out)
                own = _agreement(truth, found, registry, least)
                row |= {"precision": own.precision, "recall": own.recall}
                if strange and _differ(row):
                    notes.append(
                        f"task {number}: the server's precision and recall are of all shapes ({shapes(strange)} are "
                        "drawn in these jobs), those beside them of upright boxes alone"
                    )
            rows.append(row | {"open": backend.link_of(made)})
        engine.progress.advance()
    engine.progress.finish()
    waiting = [row for row in rows if "precision" not in row]
    if waiting:
        notes.append(
            "label the frames of the unfinished ones from nothing, complete them, and run this again: "
            "dataengine review assign JOB --to NAME gives one to somebody"
        )
    return Report(
        title=f"{counted(len(rows), 'ground-truth job')}, {len(rows) - len(waiting)} of them finished",
        data={"jobs": len(rows), "finished": len(rows) - len(waiting)},
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _found(
    engine: Engine, jobs: Sequence[SeenJob], truth: Mapping[str, Sequence[Box]]
) -> tuple[dict[str, Sequence[Box]], Counter[str]]:
    """What the jobs hold on the frames of the ground truth; and what is no box in these jobs, by what it is."""
    backend = engine.backend()
    found: dict[str, Sequence[Box]] = {}
    strange: Counter[str] = Counter()
    for seen in jobs:
        if truth.keys() & set(seen.job.frame_names):
            content = backend.annotations(seen.job.id)
            found.update((name, rows) for name, rows in content.boxes.items() if name in truth)
            strange.update(content.left_out)
    return found, strange


def _differ(row: Mapping[str, Any]) -> bool:
    pairs = [(row[f"server_{name}"], row[name]) for name in ("precision", "recall")]
    return any(None in pair or abs(pair[0] - pair[1]) > _SAME for pair in pairs)


def _agreement(
    truth: Mapping[str, Sequence[Box]], found: Mapping[str, Sequence[Box]], registry: ClassRegistry, least: float
) -> Agreement:
    from data_engine.metrics.agreement import agreement

    names = sorted(truth.keys() & found.keys())
    return agreement(
        [_boxes(truth[name], registry) for name in names], [_boxes(found[name], registry) for name in names], least
    )


def _boxes(boxes: Sequence[Box], registry: ClassRegistry) -> TrueBoxes:
    from data_engine.metrics.coco import TrueBoxes

    known = [box for box in boxes if box.label in registry and min(box.xywh[2:]) > 0]
    corners = [(x, y, x + w, y + h) for x, y, w, h in (box.xywh for box in known)]
    return TrueBoxes.of(corners, [registry.index_of(registry.id_of(box.label)) for box in known])
