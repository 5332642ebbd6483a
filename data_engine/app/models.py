"""Which model is used, and its stored predictions."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import STATE_FOLDER, Engine, present
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import models
from data_engine.lineage.database import Connection
from data_engine.runner import settings_of
from data_engine.types import ID_LENGTH, ClassRegistry, Detections, Failed, Frame, FramePrediction, Model, content_id

if TYPE_CHECKING:
    from data_engine.formats.predictions import Predictions
    from data_engine.ports import Detector
    from data_engine.stages.predict import PredictSettings

FOLDER = "models"
KINDS = ("rfdetr", "yolo")
PART = 64
"""Frames in one column file of predictions."""


def champion_key(kind: str) -> str:
    """Where the model in use of a kind lies."""
    return f"{FOLDER}/{kind}_best.onnx"


def current_model(engine: Engine, given: Path | None) -> Path | None:
    """The model file to use: the one that was named, else the champion of the kind that was trained last; None before
    the first.

    Champions that nothing was trained for here come in the order of the settings' kind first.

    Raises:
        MissingInputError: the named file is not there.
    """
    if given is not None:
        if not present(given):
            raise MissingInputError(
                f"{given} is not there", hint="run first: dataengine retrain, or name another --model"
            )
        return given
    first = engine.settings.retrain.kind
    there = [
        kind
        for kind in (first, *(kind for kind in KINDS if kind != first))
        if engine.storage.exists(champion_key(kind))
    ]
    if not there:
        return None
    with engine.database.read() as connection:
        newest = models.kind_trained_last(connection)
    return engine.storage.path(champion_key(newest if newest in there else there[0]))


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A registered model, ready to be asked."""

    model: Model
    path: Path


def register_model(engine: Engine, path: Path) -> OpenedModel:
    """Register a model file by its bytes and check its classes against the registry.

    A file that does not name its classes is another model under other names, so that names given by mistake can be
    given anew and nothing that was predicted under them is used again.  In a workspace that names no classes the first
    model brings them along, and so does whoever names those of a file.

    Raises:
        UsageError: the settings contradict the file, or nobody names its classes.
        DamagedInputError: the model knows a class that the registry does not.
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
        _check_given(path, known, settings)
        _check_classes(path, known, classes.names)
        return OpenedModel(known, path)
    detector = open_detector(engine, path)
    nameless = bool(given) and not _names_itself(engine, path)
    known = Model(named if nameless else own, detector.kind, engine.storage.key_of(path), detector.class_names)
    with engine.database.write() as connection:
        if not classes or (nameless and not engine.settings.workspace.classes):
            classes = models.add_classes(connection, known.class_names)
        _check_classes(path, known, classes.names)
        models.add_model(connection, known, run_id=None, weights_key=None, registered_at=engine.now())
    return OpenedModel(known, path)


def registered_classes(engine: Engine) -> ClassRegistry:
    """The class registry, brought up to what the settings name."""
    with engine.database.read() as connection:
        classes = models.registry(connection)
    if all(name in classes for name in engine.settings.workspace.classes):
        return classes
    with engine.database.write() as connection:
        return models.add_classes(connection, engine.settings.workspace.classes)


def naming_classes(engine: Engine, names: str) -> str:
    """The command that names the classes of this workspace, as it is typed in the current folder."""
    where = engine.shown(".")
    return f"dataengine init --classes {names}" + ("" if where == "." else f" {shlex.quote(where)}")


def _check_given(path: Path, model: Model, given: PredictSettings) -> None:
    """Refuse a device or kind that opening its file would refuse: it may not have to be opened again."""
    from data_engine.detectors.device import parse_device
    from data_engine.detectors.loading import checked_kind

    parse_device(given.device)
    checked_kind(path.name, model.kind, given.kind)


def _names_itself(engine: Engine, path: Path) -> bool:
    """Whether a model file, which opens with the names that were given, opens without them."""
    from data_engine.detectors.loading import open_detector as opened

    settings = engine.settings.predict
    try:
        opened(path, kind=settings.kind, device=settings.device)
    except UsageError:
        return False
    return True


def _check_classes(path: Path, model: Model, registered: Sequence[str]) -> None:
    strange = [name for name in model.class_names if name not in registered]
    if strange:
        raise DamagedInputError(
            f"{path.name} knows classes that the registry does not: {', '.join(strange)} "
            f"(registered: {', '.join(registered) or 'none'})",
            hint="add them to classes in dataengine.toml, or name the model's own with --classes",
        )


def open_detector(engine: Engine, path: Path) -> Detector:
    """The detector of a model file, as the settings say."""
    from data_engine.detectors.loading import open_detector as opened

    settings = engine.settings.predict
    return opened(path, kind=settings.kind, device=settings.device, class_names=settings.classes or None)


def predict_missing(engine: Engine, opened: OpenedModel, frames: Sequence[Frame]) -> tuple[int, tuple[Failed, ...]]:
    """Ask the model about the frames that it has not been asked about yet, and store its answers.

    Returns:
        how many frames were asked about now, and those that could not be read.
    """
    from data_engine.formats.predictions import pack
    from data_engine.stages import predict as stage

    model = opened.model
    with engine.database.read() as connection:
        stored = models.predicted(connection, model.id, [frame.id for frame in frames])
    parts = {part for part, _row in stored.values()}
    lost = {part for part in parts if not engine.storage.exists(part)}
    todo = [frame for frame in frames if frame.id not in stored or stored[frame.id][0] in lost]
    settings = engine.settings.predict

    def record(connection: Connection, group: Sequence[FramePrediction]) -> None:
        ids = [prediction.frame_id for prediction in group]
        key = f"{STATE_FOLDER}/predictions/{model.id}/{content_id('part', model.id, *ids)}.npz"
        engine.storage.write_bytes(key, pack(model.id, ids, [prediction.detections for prediction in group]))
        models.record_predictions(connection, model.id, ids, key)

    # What the model says depends on its bytes alone: how many pictures it is asked about at once is no part of it.
    with engine.runner.run(
        "predict", stage.VERSION, settings_of({"model": model.id}), inputs=[frame.id for frame in frames]
    ) as run:
        if not todo:
            return 0, ()
        detector = open_detector(engine, opened.path)
        engine.notes.append(f"{opened.path.name} runs on {detector.device}")
        outcomes: Iterator[FramePrediction | Failed] = stage.predict(
            todo, detector, storage=engine.storage, batch=settings.batch, progress=engine.progress
        )
        summary = engine.runner.stream(
            run, outcomes, input_id=lambda prediction: prediction.frame_id, record=record, batch=PART
        )
    names = {frame.id: frame.key for frame in todo}
    return summary.done, tuple(Failed(names[failed.input_id], failed.reason) for failed in summary.failed)


def stored_predictions(engine: Engine, model: Model, frame_ids: Sequence[str]) -> Mapping[str, Detections]:
    """What the model said about these frames, by frame id; frames it was not asked about are left out."""
    with engine.database.read() as connection:
        places = models.predicted(connection, model.id, frame_ids)
    by_part: dict[str, list[tuple[str, int]]] = {}
    for frame_id, (part, row) in places.items():
        by_part.setdefault(part, []).append((frame_id, row))
    found: dict[str, Detections] = {}
    for part, rows in by_part.items():
        stored = _unpacked(engine, part)
        for frame_id, row in rows:
            if row >= len(stored) or stored.frame_ids[row] != frame_id:
                raise DamagedInputError(f"{part} does not hold what lineage says", hint="delete it and run again")
            found[frame_id] = stored.of(frame_id)
    return found


def _unpacked(engine: Engine, part: str) -> Predictions:
    from data_engine.formats.predictions import unpack

    try:
        return unpack(engine.storage.read_bytes(part), name=part)
    except DamagedInputError as error:
        raise DamagedInputError(error.message, hint="delete it and run again: the model is asked anew") from error
