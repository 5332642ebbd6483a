"""What a model found and missed on a set of pictures, matched once and kept beside its predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.models import canary
from data_engine.app.models.model_classes import columns_of
from data_engine.app.models.models import OpenedModel, open_detector, predict_missing, stored_columns
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import evaluations, models
from data_engine.types import Detections, Frame, Model, content_id
from data_engine.words import counted, listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.metrics.coco import TrueBoxes
    from data_engine.metrics.matching import Matches
    from data_engine.types.evaluation import EvaluationSet

FOLDER = f"{STATE_FOLDER}/evaluations"
"""A folder a model, with a column file a set."""


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One model on one set."""

    opened: OpenedModel
    frames: tuple[Frame, ...]
    """Those of the set whose pictures could be read, in its order."""
    matches: Matches
    """By place among :attr:`frames` and among the model's classes of today."""
    key: str
    """Storage key of the column file."""
    environment: str
    """What decides the answers beside the model's bytes."""
    predicted: int
    """Pictures that the model was asked about now."""
    cached: bool
    """Whether the matching was read."""
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The model's classes, as they are called today."""
        return self.opened.class_names


def look(engine: Engine, model: Model, on: EvaluationSet) -> Looked:
    """Ask a model about what it was not asked about yet, and match its boxes with the true ones.

    Of a model whose file is gone what was matched before still counts.

    Raises:
        MissingInputError: the model's file or all pictures are gone, or the set holds no box of its classes.
        DamagedInputError: the model's file is damaged, or it numbers its classes otherwise than the registry.
    """
    opened = _opened(engine, model)
    if not engine.storage.exists(model.key):
        return _remembered(engine, opened, on)
    environment = _environment(opened)
    every = [frame.id for frame in on.frames]
    # Not of settings: whatever recall is wanted, nothing is matched again.
    identity = content_id("matches", model.id, on.digest, environment, *opened.class_names)
    key = f"{FOLDER}/{model.id}/{identity}.npz"
    notes = _unknown(opened, on)
    known = _read(engine, key, opened, every)
    if known is not None:
        return Looked(opened, on.frames, known, key, environment, 0, True, notes)
    canary.check(engine, opened.path, model, lambda: open_detector(engine, opened.path))
    predicted, failures = predict_missing(engine, opened, on.frames)
    frames, offsets, xyxy, scores = _stored(engine, opened, on.frames)
    if not frames:
        raise MissingInputError(f"no picture of {on.name} can be read: the first: {failures[0].reason}")
    matches = _matched(on, frames, opened.class_names, offsets, xyxy, scores)
    if len(frames) == len(every):
        # Of pictures that could not be read nobody knows for how long.
        _write(engine, key, opened, every, matches)
    else:
        lost = len(every) - len(frames)
        notes = (*notes, f"{counted(lost, 'picture')} of {on.name} cannot be read, left out: {failures[0].reason}")
    return Looked(opened, frames, matches, key, environment, predicted, False, notes)


def true_boxes(on: EvaluationSet, frames: Sequence[Frame], names: Sequence[str]) -> list[TrueBoxes]:
    """What there is to find of these classes, by frame; classes are places in ``names``."""
    import numpy as np

    from data_engine.metrics.coco import TrueBoxes

    places = {name: place for place, name in enumerate(names)}
    found = []
    for frame in frames:
        mine = [box for box in on.boxes.get(frame.id, ()) if box.label in places]
        xywh = np.array([box.xywh for box in mine], np.float64).reshape(-1, 4)
        found.append(
            TrueBoxes(
                np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]),
                np.array([places[box.label] for box in mine], np.intp),
                np.array([box.crowd for box in mine], np.bool_),
            )
        )
    return found


def seen_by(engine: Engine, opened: OpenedModel, frames: Sequence[Frame]) -> dict[str, Detections]:
    """What the model said about these frames, by frame id, in its classes of today."""
    ids, offsets, xyxy, scores = stored_columns(engine, opened.model, [frame.id for frame in frames])
    import numpy as np

    probabilities = scores.astype(np.float32)
    parts = [slice(int(offsets[row]), int(offsets[row + 1])) for row in range(len(ids))]
    return {frame_id: Detections(xyxy[mine], probabilities[mine]) for frame_id, mine in zip(ids, parts, strict=True)}


def _opened(engine: Engine, model: Model) -> OpenedModel:
    with engine.database.read() as connection:
        columns = columns_of(model, models.registry(connection))
    return OpenedModel(model, engine.storage.path(model.key), None if columns.as_trained else columns)


def _remembered(engine: Engine, opened: OpenedModel, on: EvaluationSet) -> Looked:
    every = [frame.id for frame in on.frames]
    with engine.database.read() as connection:
        rows = evaluations.of_model(connection, opened.model.id)
    for row in rows:
        if row.data_digest == on.digest and (known := _read(engine, row.key, opened, every)) is not None:
            return Looked(opened, on.frames, known, row.key, row.environment, 0, True, _unknown(opened, on))
    raise MissingInputError(
        f"the file of model {opened.model.id[:8]} is gone: {engine.shown(opened.model.key)}",
        hint="bring it back, or train another: dataengine retrain",
    )


def _environment(opened: OpenedModel) -> str:
    from importlib.metadata import version

    from data_engine.stages.evaluate import VERSION

    own = f"evaluate {VERSION}, pycocotools {version('pycocotools')}"
    return f"{canary.environment_of(opened.path, opened.model.kind)}, {own}"


def _unknown(opened: OpenedModel, on: EvaluationSet) -> tuple[str, ...]:
    """What is to be said of boxes that the model cannot find.

    Raises:
        MissingInputError: those are all.
    """
    counts = Counter(box.label for frame in on.frames for box in on.boxes.get(frame.id, ()) if not box.crowd)
    strange = {name: number for name, number in sorted(counts.items()) if name not in opened.class_names}
    if len(strange) == len(counts):
        raise MissingInputError(
            f"{on.name} holds no box of what {opened.path.name} knows: {listed(opened.class_names)}",
            hint="name another set: dataengine evaluate --on validation",
        )
    if not strange:
        return ()
    told = listed([f"{name} ({number})" for name, number in strange.items()])
    return (f"boxes of classes that {opened.path.name} does not have are left out: {told}",)


def _stored(
    engine: Engine, opened: OpenedModel, frames: Sequence[Frame]
) -> tuple[tuple[Frame, ...], NDArray[np.int64], NDArray[np.float32], NDArray[np.float16]]:
    """The frames that the model was asked about, in their order, with its boxes in the same."""
    import numpy as np

    ids, offsets, xyxy, scores = stored_columns(engine, opened.model, [frame.id for frame in frames])
    row_of = {frame_id: row for row, frame_id in enumerate(ids)}
    kept = tuple(frame for frame in frames if frame.id in row_of)
    rows = np.array([row_of[frame.id] for frame in kept], np.intp)
    sizes = np.diff(offsets)[rows]
    ends = np.cumsum(sizes)
    boxes = np.repeat(offsets[rows] - ends + sizes, sizes) + np.arange(int(ends[-1]) if len(ends) else 0)
    return kept, np.concatenate([[0], ends]).astype(np.int64), xyxy[boxes], scores[boxes]


def _matched(
    on: EvaluationSet,
    frames: Sequence[Frame],
    names: Sequence[str],
    offsets: NDArray[np.int64],
    xyxy: NDArray[np.float32],
    scores: NDArray[np.float16],
) -> Matches:
    from data_engine.metrics.matching import match

    return match(true_boxes(on, frames, names), offsets, xyxy, scores)


def _read(engine: Engine, key: str, opened: OpenedModel, frame_ids: Sequence[str]) -> Matches | None:
    """What was matched before; None where it is not there or not whole: it can be made again."""
    from data_engine.formats.matches import unpack
    from data_engine.metrics.matching import Matches

    if not engine.storage.exists(key):
        return None
    try:
        stored = unpack(engine.storage.read_bytes(key), name=key)
    except DamagedInputError:
        return None
    if list(stored.frame_ids) != list(frame_ids) or stored.class_names != opened.class_names:
        return None
    return Matches(len(frame_ids), len(opened.class_names), **stored.columns)


def _write(engine: Engine, key: str, opened: OpenedModel, frame_ids: Sequence[str], matches: Matches) -> None:
    from data_engine.formats.matches import COLUMNS, pack

    columns: Mapping[str, NDArray[np.generic]] = {
        field.name: getattr(matches, field.name) for field in fields(matches) if field.name in COLUMNS
    }
    engine.storage.write_bytes(key, pack(opened.model.id, frame_ids, opened.class_names, columns))
