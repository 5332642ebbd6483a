"""Ground truth that plays the people of the loop: annotators who correct every proposal, and a reviewer.

They do what people do, by the same means: the annotator edits the job's COCO file and submits it, the reviewer accepts
or rejects the job.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_engine.app.annotation import review
from data_engine.app.annotation.jobs import refresh
from data_engine.app.engine import Engine
from data_engine.demo.footage import LabelledBox
from data_engine.formats.boxes import overlap
from data_engine.lineage import footage, uploads
from data_engine.types import Frame

Truth = Callable[[Frame], Sequence[LabelledBox]]
"""What is really to be seen on a frame."""

_GOOD_ENOUGH = 0.9
"""Overlap from which a person leaves a proposal as it is."""
_SAME_THING = 0.5
"""Overlap from which a person moves a proposal instead of drawing a new box."""
REASON = "a box is missing on this frame"


@dataclass(frozen=True, slots=True)
class Worked:
    """What the people did in one round."""

    jobs: int
    boxes: int
    """In the accepted jobs."""
    rejected: int
    """Jobs that went back once."""


def work(engine: Engine, truth: Truth, *, annotator: str, reviewer: str, careless: bool = False) -> Worked:
    """Annotate, submit and review every open job.

    Args:
        engine: the workspace.
        truth: what the annotator sees.
        annotator: who annotates.
        reviewer: who reviews.
        careless: overlook a box in the first job that has one, so that it is rejected and corrected.
    """
    backend = engine.backend()
    waiting = [seen.job for seen in refresh(engine, backend) if not seen.job.accepted]
    boxes = rejected = 0
    for job in waiting:
        file = Path(backend.link_of(job.id))
        frames = _frames(engine, job.task_id)
        slip = careless and not rejected and any(truth(frames[name]) for name in job.frame_names)
        if slip:
            forgotten = _correct(file, frames, truth, forget_one=True)
            review.submit(engine, job.id, by=annotator)
            review.reject(engine, job.id, REASON, by=reviewer, frame=forgotten)
            rejected += 1
        _correct(file, frames, truth)
        review.submit(engine, job.id, by=annotator)
        review.accept(engine, [job.id], by=reviewer)
        boxes += sum(len(truth(frames[name])) for name in job.frame_names)
    return Worked(len(waiting), boxes, rejected)


def _frames(engine: Engine, task_number: int) -> dict[str, Frame]:
    with engine.database.read() as connection:
        task_id = uploads.task_numbers(connection, engine.settings.annotation.backend)[task_number]
        names = uploads.frame_names(connection, task_id)
        frames = footage.frames_by_id(connection, names.values())
    return {name: frames[frame_id] for name, frame_id in names.items()}


def _correct(file: Path, frames: dict[str, Frame], truth: Truth, *, forget_one: bool = False) -> str | None:
    """Make the boxes of a job's file those of the truth, as a person would: keep, move, delete, draw.

    Returns:
        the frame on which a box was forgotten, when one was to be.
    """
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    labels = {category["name"]: category["id"] for category in document["categories"]}
    names = {number: name for name, number in labels.items()}
    proposed: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        proposed[annotation["image_id"]].append(annotation)
    forgotten: str | None = None
    corrected: list[dict[str, Any]] = []
    for image in document["images"]:
        left = proposed[image["id"]]
        seen = list(truth(frames[image["file_name"]]))
        if forget_one and forgotten is None and seen:
            forgotten = image["file_name"]
            seen.pop()
        for label, xywh in seen:
            best = max(
                left,
                key=lambda box: (overlap(box["bbox"], xywh), names[box["category_id"]] == label),
                default=None,
            )
            entry: dict[str, Any] = {"image_id": image["id"], "category_id": labels[label], "bbox": list(xywh)}
            if best is not None and overlap(best["bbox"], xywh) >= _SAME_THING:
                left.remove(best)
                same = overlap(best["bbox"], xywh) >= _GOOD_ENOUGH
                entry = {**best, "category_id": labels[label], "bbox": best["bbox"] if same else list(xywh)}
            corrected.append(entry)
    for number, entry in enumerate(corrected, 1):
        entry["id"] = number
    document["annotations"] = corrected
    file.write_text(json.dumps(document), "utf-8")
    return forgotten
