"""One frame with everything that was seen, proposed and accepted on it, for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data_engine.app.dataset.difference import class_name
from data_engine.app.engine import Engine
from data_engine.app.models.models import stored_predictions
from data_engine.errors import DataEngineError, MissingInputError
from data_engine.lineage import classes, datasets, footage, frame_look, frame_rows, models, tombstones
from data_engine.types import Frame

Layer = Literal["accepted", "proposal", "prediction"]
FLOOR = 0.05
"""Score below which a prediction is not drawn: a model keeps a hundred boxes of every frame."""


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box over the picture."""

    layer: Layer
    label: str
    xywh: tuple[float, float, float, float]
    """In pixels of the full frame."""
    score: float | None = None
    said: str = ""
    """What else is known of it."""
    id: str = ""
    """Of an accepted box, for its lineage."""


@dataclass(frozen=True, slots=True)
class Look:
    """A frame and what is on record of it."""

    frame: Frame
    boxes: tuple[DrawnBox, ...]
    labels: tuple[str, ...]
    """Classes of the boxes, in the order of the registry: by it they are coloured."""
    video: Any
    """``name venue event captured_at``; None for a lone picture."""
    choices: Sequence[Any]
    """``number rank score reason`` of the selections that chose it."""
    jobs: Sequence[Any]
    """``number stage state annotator reviewer imported deleted``"""
    versions: Sequence[Any]
    """``since until split``"""
    model: str | None
    """Id of the model whose predictions are shown."""
    before: str | None
    after: str | None
    """Ids of the frames beside it, by name."""
    remark: str = ""
    """What could not be read."""


def look(engine: Engine, frame_id: str) -> Look:
    """A frame as it stands now.

    Raises:
        MissingInputError: no such frame is on record, or it was purged.
    """
    with engine.database.read() as connection:
        frame = footage.frames_by_id(connection, [frame_id]).get(frame_id)
        if frame is None:
            raise MissingInputError("no such frame is on record")
        stone = tombstones.of(connection, frame_id)
        if stone is not None:
            raise MissingInputError(f"this frame was purged on {stone.at[:10]}")
        newest = datasets.latest(connection)
        registry = models.registry(connection) if newest is None else classes.registry_at(connection, newest.number)
        held = frame_look.held_boxes(connection, frame_id)
        shown = frame_look.shown_proposals(connection, frame_id)
        looked = frame_look.models_that_looked(connection, frame_id)
        model = models.by_id(connection, looked[0]) if looked else None
        choices = frame_look.choices_of(connection, frame_id)
        jobs = frame_look.jobs_of(connection, frame_id)
        versions = frame_look.versions_of(connection, frame_id)
        video = None if frame.video_id is None else frame_look.video_of(connection, frame.video_id)
        before, after = frame_rows.beside(connection, frame.name, frame.id)
    boxes = [
        DrawnBox("accepted", class_name(registry, box.category_id), box.xywh, None, _said(box), box.id) for box in held
    ]
    boxes += [DrawnBox("proposal", row.label, (row.x, row.y, row.w, row.h), row.score) for row in shown]
    remark = ""
    if model is not None:
        try:
            seen = stored_predictions(engine, model, [frame_id]).get(frame_id)
        except DataEngineError as error:
            seen, remark = None, error.message
        if seen is not None:
            kept = seen.kept(FLOOR)
            named = zip(kept.xyxy.tolist(), kept.labels.tolist(), kept.best.tolist(), strict=True)
            boxes += [
                DrawnBox("prediction", model.class_names[place], (x1, y1, x2 - x1, y2 - y1), score)
                for (x1, y1, x2, y2), place, score in named
            ]
    order = [category.name for category in registry.categories]
    found = {box.label for box in boxes}
    labels = (*(name for name in order if name in found), *sorted(found - set(order)))
    return Look(
        frame=frame,
        boxes=tuple(boxes),
        labels=labels,
        video=video,
        choices=choices,
        jobs=jobs,
        versions=versions,
        model=None if model is None else model.id,
        before=before,
        after=after,
        remark=remark,
    )


def _said(box: frame_look.HeldBox) -> str:
    how = {"kept": "as proposed", "edited": "corrected", "added": "drawn"}[box.change]
    by = f" by {box.annotator}" if box.annotator else ""
    checked = f", accepted by {box.reviewer}" if box.reviewer else ""
    return f"{how}{by}{checked}"
