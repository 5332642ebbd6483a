"""Models that are registered before they are used, and their stored predictions."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.asking import asked
from data_engine.app.asking import open_detector as open_detector
from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.models import canary
from data_engine.app.models.in_use import FOLDER as FOLDER
from data_engine.app.models.in_use import KINDS as KINDS
from data_engine.app.models.in_use import champion_key as champion_key
from data_engine.app.models.in_use import current_model as current_model
from data_engine.app.models.model_classes import Columns, columns_now, columns_of, unregistered
from data_engine.errors import DamagedInputError, UsageError
from data_engine.lineage import models
from data_engine.lineage.database import Connection
from data_engine.runner import settings_of
from data_engine.types import (
    ID_LENGTH,
    ClassRegistry,
    Detections,
    Failed,
    Frame,
    FramePrediction,
    Model,
    content_id,
)
from data_engine.words import listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.formats.predictions import Predictions

PREDICTIONS = f"{STATE_FOLDER}/predictions"
"""A folder a model, with its column files."""
PART = 64
"""Frames in one column file of predictions."""
_LOOKED_UP = 20_000
"""Frames whose predictions are looked up in lineage at once."""


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A registered model, ready to be asked."""

    model: Model
    path: Path
    columns: Columns | None = None
    """What its columns mean today; None where nothing has changed since it was trained."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """What :func:`stored_predictions` and :func:`stored_columns` have columns for."""
        return self.model.class_names if self.columns is None else self.columns.names


def register_model(engine: Engine, path: Path) -> OpenedModel:
    """Register a model file by its bytes and check its classes against the registry.

    A file that does not name its classes is another model under other names, so that names given by mistake can be
    given anew and nothing that was predicted under them is used again.  In a workspace that names no classes the first
    model brings them along, and so does whoever names those of a file.

    Raises:
        UsageError: the settings contradict the file, or nobody names its classes.
        DamagedInputError: the model knows a class that the registry does not, or numbers its classes otherwise.
    """
    from data_engine.media.images import sha256_of

    digest = sha256_of(path)
    settings = engine.settings.predict
    given = tuple(settings.classes or ())
    own, named = digest[:ID_LENGTH], content_id("model", digest, *given)
    classes = registered_classes(engine)
    with engine.database.read() as connection:
        by_file = models.by_id(connection, own)
        known = models.by_id(connection, named) if given else None
    if known is None and by_file is not None and given in ((), by_file.class_names):
        known = by_file
    if known is not None:
        _check_given(engine, path, known)
        _check_classes(path, known, classes)
        canary.check(engine, path, known, lambda: open_detector(engine, path))
        return _as_of_now(engine, known, path, classes)
    detector = open_detector(engine, path)
    nameless = bool(given) and not _names_itself(engine, path)
    known = Model(named if nameless else own, detector.kind, engine.storage.key_of(path), detector.class_names)
    growing = not classes or (nameless and not engine.settings.workspace.classes)
    if not growing:
        # Before anything is written: a refused model leaves nothing behind.
        _check_classes(path, known, classes)
    seen = canary.probe(engine, path, known, lambda: detector)
    with engine.database.write() as connection:
        if growing:
            classes = models.add_classes(connection, known.class_names, at=engine.now())
        _check_classes(path, known, classes)
        models.add_model(connection, known, run_id=None, weights_key=None, registered_at=engine.now())
        canary.record(engine, connection, known, seen)
    return _as_of_now(engine, known, path, classes)


def _as_of_now(engine: Engine, model: Model, path: Path, classes: ClassRegistry) -> OpenedModel:
    columns = columns_of(model, classes)
    engine.notes += [said for said in columns.sentences if said not in engine.notes]
    return OpenedModel(model, path, None if columns.as_trained else columns)


def registered_classes(engine: Engine) -> ClassRegistry:
    """The class registry, brought up to what the settings name."""
    with engine.database.read() as connection:
        classes = models.registry(connection)
    # The settings may still name one that was retired since: they only ever add.
    new = [name for name in engine.settings.workspace.classes if name not in classes and name not in classes.retired]
    if not new:
        return classes
    with engine.database.write() as connection:
        return models.add_classes(connection, new, at=engine.now())


def naming_classes(engine: Engine, names: str) -> str:
    """The command that names the classes of this workspace, as it is typed in the current folder."""
    where = engine.shown(".")
    return f"dataengine init --classes {names}" + ("" if where == "." else f" {shlex.quote(where)}")


def _check_given(engine: Engine, path: Path, model: Model) -> None:
    """Refuse a device or kind that opening its file would refuse: it may not have to be opened again."""
    from data_engine.detectors.device import listed_devices, parse_device
    from data_engine.detectors.loading import checked_kind
    from data_engine.detectors.loading import open_detector as opened

    given = engine.settings.predict
    checked_kind(path.name, model.kind, given.kind)
    for device in listed_devices(given.device):
        if parse_device(device).kind not in ("auto", "cpu"):
            opened(path, kind=given.kind, device=device, class_names=given.classes or None)


def _names_itself(engine: Engine, path: Path) -> bool:
    """Whether a model file, which opens with the names that were given, opens without them."""
    from data_engine.detectors.loading import open_detector as opened

    settings = engine.settings.predict
    try:
        opened(path, kind=settings.kind, device=settings.device)
    except UsageError:
        return False
    return True


def _check_classes(path: Path, model: Model, registered: ClassRegistry) -> None:
    strange = unregistered(model, registered)
    if strange:
        raise DamagedInputError(
            f"{path.name} knows classes that the registry does not: {listed(strange)} "
            f"(registered: {listed(registered.names) or 'none'})",
            hint="add them to classes in dataengine.toml, or name the model's own with --classes",
        )


def predict_missing(engine: Engine, opened: OpenedModel, frames: Sequence[Frame]) -> tuple[int, tuple[Failed, ...]]:
    """Ask the model about the frames that it has not been asked about yet, and store its answers.

    Returns:
        how many frames were asked about now, and those that could not be read.
    """
    from data_engine.formats.predictions import pack
    from data_engine.stages import predict as stage

    model = opened.model
    there: dict[str, bool] = {}
    known: set[str] = set()
    for part, _row, frame_id in _places(engine, model, [frame.id for frame in frames]):
        if part not in there:
            there[part] = engine.storage.exists(part)
        if there[part]:
            known.add(frame_id)
    todo = [frame for frame in frames if frame.id not in known]

    def record(connection: Connection, group: Sequence[FramePrediction]) -> None:
        ids = [prediction.frame_id for prediction in group]
        key = f"{PREDICTIONS}/{model.id}/{content_id('part', model.id, *ids)}.npz"
        engine.storage.write_bytes(key, pack(model.id, ids, [prediction.detections for prediction in group]))
        models.record_predictions(connection, model.id, ids, key)

    # What the model says depends on its bytes alone: how many pictures it is asked about at once is no part of it.
    with engine.runner.run(
        "predict", stage.VERSION, settings_of({"model": model.id}), inputs=[frame.id for frame in frames]
    ) as run:
        if not todo:
            return 0, ()
        outcomes = asked(engine, opened.path, todo)
        summary = engine.runner.stream(
            run, outcomes, input_id=lambda prediction: prediction.frame_id, record=record, batch=PART
        )
    names = {frame.id: frame.key for frame in todo}
    return summary.done, tuple(Failed(names[failed.input_id], failed.reason) for failed in summary.failed)


def _places(engine: Engine, model: Model, frame_ids: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Column file, row and frame id of what the model said about these frames."""
    # In pieces: a million answers at once would weigh more than the boxes.
    for start in range(0, len(frame_ids), _LOOKED_UP):
        piece = frame_ids[start : start + _LOOKED_UP]
        with engine.database.read() as connection:
            found = models.predicted(connection, model.id, piece)
        yield from ((*found[frame_id], frame_id) for frame_id in piece if frame_id in found)


def stored_predictions(
    engine: Engine, model: Model, frame_ids: Sequence[str], *, as_trained: bool = False
) -> Mapping[str, Detections]:
    """What the model said about these frames, by frame id; frames it was not asked about are left out.

    Its scores are in the columns that its classes have today
    (:func:`~data_engine.app.models.model_classes.columns_of`).

    Args:
        as_trained: in the columns that the model itself has instead.
    """
    with engine.database.read() as connection:
        places = models.predicted(connection, model.id, frame_ids)
        columns = columns_now(connection, model)
    by_part: dict[str, list[tuple[str, int]]] = {}
    for frame_id, (part, row) in places.items():
        by_part.setdefault(part, []).append((frame_id, row))
    found: dict[str, Detections] = {}
    for part, rows in by_part.items():
        stored = _unpacked(engine, part)
        for frame_id, row in rows:
            if row >= len(stored) or stored.frame_ids[row] != frame_id:
                raise DamagedInputError(f"{part} does not hold what lineage says", hint="delete it and run again")
            found[frame_id] = stored.of(frame_id) if as_trained else columns.detections(stored.of(frame_id))
    return found


def stored_columns(
    engine: Engine, model: Model, frame_ids: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.float32], NDArray[np.float16]]:
    """What the model said about many frames, as arrays: read file by file, with nothing made for a frame or a box.

    Returns:
        the ids of the frames that it was asked about, as they follow each other in the column files; ``(frames + 1,)``
        offsets, the frame ``i`` having the boxes ``offsets[i]:offsets[i + 1]``; ``(boxes, 4)`` corners in pixels; and
        ``(boxes, classes)`` probabilities, in the columns of today.

    Raises:
        DamagedInputError: a column file is damaged, or not the one that lineage knows.
    """
    import numpy as np

    places_in: dict[str, dict[int, str]] = {}
    for part, row, frame_id in _places(engine, model, frame_ids):
        places_in.setdefault(part, {})[row] = frame_id
    width = len(model.class_names)
    found: list[str] = []
    counts = [np.zeros(0, np.int64)]
    xyxy = [np.zeros((0, 4), np.float32)]
    scores = [np.zeros((0, width), np.float16)]
    for part, named in places_in.items():
        stored = _unpacked(engine, part)
        rows = sorted(named)
        ids = [named[row] for row in rows]
        if rows[-1] >= len(stored) or stored.scores.shape[1] != width or [stored.frame_ids[row] for row in rows] != ids:
            raise DamagedInputError(f"{part} does not hold what lineage says", hint="delete it and run again")
        taken = np.asarray(rows)
        starts, sizes = stored.offsets[taken], np.diff(stored.offsets)[taken]
        ends = np.cumsum(sizes)
        boxes = np.repeat(starts - ends + sizes, sizes) + np.arange(ends[-1])
        found += ids
        counts.append(sizes)
        xyxy.append(stored.xyxy[boxes])
        scores.append(stored.scores[boxes])
    with engine.database.read() as connection:
        columns = columns_now(connection, model)
    sized, corners, probabilities = np.concatenate(counts), np.concatenate(xyxy), np.concatenate(scores)
    if not columns.as_trained:
        kept, probabilities = columns.kept(probabilities)
        sized = np.bincount(np.repeat(np.arange(len(sized)), sized)[kept], minlength=len(sized))
        corners = corners[kept]
    offsets = np.concatenate([[0], np.cumsum(sized)]).astype(np.int64)
    return tuple(found), offsets, corners, probabilities


def _unpacked(engine: Engine, part: str) -> Predictions:
    from data_engine.formats.predictions import unpack

    try:
        return unpack(engine.storage.read_bytes(part), name=part)
    except DamagedInputError as error:
        raise DamagedInputError(error.message, hint="delete it and run again: the model is asked anew") from error
