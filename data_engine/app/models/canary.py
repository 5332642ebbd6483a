"""The class canary: before a model is trusted, known pictures go through it and its class numbering is compared.

It is asked once under each set of library versions, about frames with accepted boxes; under new versions also about
what it answered before.  As long as the pictures don't settle it, each new dataset version is another try.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.models.model_classes import columns_now
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import canaries, datasets, footage
from data_engine.lineage.canaries import Canary
from data_engine.lineage.database import Connection
from data_engine.types import Detections, Frame, Model, content_id
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.metrics.numbering import Calls, KnownBoxes
    from data_engine.ports import Detector

log = logging.getLogger(__name__)
_PICTURES = 64
"""Pictures with accepted boxes, at most."""
_OF_A_CLASS = 24
"""Pictures with boxes of one class that are looked for: of 24 boxes a model may miscall 4 and the matter is settled."""
_TRIES = 8 * _OF_A_CLASS
"""Frames of a class that are looked for on the disk."""
_PREDICTED = 16
"""Frames that the model was asked about before, where nothing better is known."""
_AT_ONCE = 8
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
_TRAINERS = {"yolo": ("torch", "ultralytics"), "rfdetr": ("torch", "rfdetr")}
_LISTED = 3
"""Classes that an error tells about."""


def environment_of(path: Path, kind: str) -> str:
    """What decides the answers of a model file beside its bytes: this package's own reading of them, and libraries."""
    from importlib.metadata import PackageNotFoundError, version

    from data_engine.detectors.model_file import is_archive
    from data_engine.stages.predict import VERSION

    found = [f"predict {VERSION}"]
    for package in _TRAINERS.get(kind, ()) if is_archive(path) else _RUNTIMES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def probe(engine: Engine, path: Path, model: Model, opened: Callable[[], Detector]) -> Canary | None:
    """Compare a model's class numbering with the accepted boxes and, under other libraries, with its earlier answers.

    Nothing is asked where it was found right under these libraries, or where there is no dataset version newer than the
    last try.

    Args:
        path: the model's file.
        model: what it is, or will be, registered as.
        opened: opens the file, where anything is to be asked.

    Returns:
        what is to be recorded with the model (:func:`record`); None where nothing was asked.

    Raises:
        DamagedInputError: its classes are numbered otherwise than the registry says, or than they were before.
    """
    from data_engine.formats.predictions import pack
    from data_engine.metrics.numbering import calls, own_answer

    environment = environment_of(path, model.kind)
    with engine.database.read() as connection:
        version = datasets.latest(connection)
        before = canaries.of_model(connection, model.id)
    # By version, so that the record itself says which one it was held against.
    identity = content_id("canary", environment, "" if version is None else version.id)
    key = f"{_folder(model)}/{identity}.npz"
    here = next((canary for canary in before if canary.environment == environment), None)
    if here is not None and (here.verdict == "agrees" or here.key == key):
        return None
    known, frames = _known(engine, model) if version is not None else ({}, {})
    earlier, said_under = ({}, "") if here is not None else _earlier(engine, model, before)
    with engine.database.read() as connection:
        frames |= footage.frames_by_id(connection, earlier.keys() - frames.keys())
    seen = _asked(engine, model, opened, [frames[frame_id] for frame_id in sorted(frames)])
    classes = len(model.class_names)
    found = calls([(known[i], seen[i]) for i in known if i in seen], classes)
    again = calls([(own_answer(earlier[i]), seen[i]) for i in earlier if i in seen], classes)
    # First, for a model that was right until an upgrade is wrong by the accepted boxes too.
    if again.moved:
        raise _changed(engine, path, model, again, said_under, environment)
    if found.verdict == "shifted":
        raise _shifted(path, model, found)
    if known and found.verdict != "agrees":
        engine.notes.append(
            f"whether {path.name} numbers its classes as the registry does could not be told from "
            f"{counted(len(known), 'picture')}: too few of its boxes are sure"
        )
    log.info(
        "classes checked",
        extra={"model": model.id, "environment": environment, "verdict": found.verdict, "pictures": len(seen)},
    )
    engine.storage.write_bytes(key, pack(model.id, list(seen), list(seen.values())))
    if here is not None:
        engine.storage.delete(here.key)
    return Canary(environment, key, "agrees" if found.verdict == "agrees" else "unclear")


def record(engine: Engine, connection: Connection, model: Model, canary: Canary | None) -> None:
    """Record what :func:`probe` found of a model that is registered."""
    if canary is not None:
        canaries.record(connection, model.id, canary, checked_at=engine.now())


def check(engine: Engine, path: Path, model: Model, opened: Callable[[], Detector]) -> None:
    """:func:`probe` and :func:`record` for a model that is registered already."""
    if (found := probe(engine, path, model, opened)) is not None:
        with engine.database.write() as connection:
            record(engine, connection, model, found)


def _folder(model: Model) -> str:
    return f"{STATE_FOLDER}/canaries/{model.id}"


def _known(engine: Engine, model: Model) -> tuple[dict[str, KnownBoxes], dict[str, Frame]]:
    """Accepted boxes of the model's classes, and their frames: the rarest class's first, of each class alike."""
    import numpy as np

    from data_engine.metrics.numbering import KnownBoxes

    with engine.database.read() as connection:
        now = columns_now(connection, model)
        # Of classes that are one since it was trained nobody knows which of them a box was.
        columns = {name: now.place.index(now.names.index(name)) for name in now.single}
        holding: dict[str, list[str]] = {}
        for frame_id, name in canaries.labelled(connection):
            if name in columns and len(holding.setdefault(name, [])) < _TRIES:
                holding[name].append(frame_id)
        there = footage.frames_by_id(connection, {frame_id for ids in holding.values() for frame_id in ids})
        chosen = {i: there[i] for i in _chosen(list(holding.values()), lambda i: engine.storage.exists(there[i].key))}
        boxes = canaries.boxes_on(connection, chosen)
    known = {}
    for frame_id, rows in boxes.items():
        of_model = [(columns[name], xywh) for name, xywh in rows if name in columns]
        xywh = np.asarray([box for _column, box in of_model], np.float32).reshape(-1, 4)
        xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        known[frame_id] = KnownBoxes(xyxy, np.asarray([column for column, _box in of_model], np.intp))
    return known, chosen


def _chosen(holding: Sequence[Sequence[str]], is_there: Callable[[str], bool]) -> list[str]:
    """Frames that hold each class in turn, the class with the fewest first."""
    waiting = [iter(ids) for ids in sorted(holding, key=len)]
    chosen: dict[str, None] = {}
    for _round in range(_OF_A_CLASS):
        for ids in waiting:
            if len(chosen) >= _PICTURES:
                return list(chosen)
            # One that another class brought along counts for this one too.
            frame_id = next((i for i in ids if i in chosen or is_there(i)), None)
            if frame_id is not None:
                chosen[frame_id] = None
    return list(chosen)


def _earlier(engine: Engine, model: Model, before: Iterable[Canary]) -> tuple[Mapping[str, Detections], str]:
    """What the model said under other libraries, by frame id, and under which: of known pictures, else of any."""
    from data_engine.app.models.models import stored_predictions
    from data_engine.formats.predictions import unpack

    said_under = "before"
    for canary in before:
        said_under = f"under {canary.environment}"
        if engine.storage.exists(canary.key) and len(
            answers := unpack(engine.storage.read_bytes(canary.key), name=canary.key)
        ):
            return dict(answers), said_under
    with engine.database.read() as connection:
        asked = canaries.some_predicted(connection, model.id, _PREDICTED)
    try:
        return stored_predictions(engine, model, asked, as_trained=True), said_under
    except MissingInputError:
        # Somebody deleted them, so that the model is asked anew.
        return {}, ""


def _asked(
    engine: Engine, model: Model, opened: Callable[[], Detector], frames: Sequence[Frame]
) -> dict[str, Detections]:
    """What the model sees now, by frame id; pictures that are gone or damaged are passed over."""
    from data_engine.media.images import read_rgb

    if not frames:
        return {}
    detector = opened()
    if len(detector.class_names) != len(model.class_names):
        raise DamagedInputError(
            f"{model.key} answers with {len(detector.class_names)} classes, not {len(model.class_names)}"
        )
    found: dict[str, Detections] = {}
    engine.progress.start("checking classes", len(frames), "pictures")
    try:
        for start in range(0, len(frames), _AT_ONCE):
            group = frames[start : start + _AT_ONCE]
            pictures = {}
            for frame in group:
                try:
                    picture = read_rgb(engine.storage.path(frame.key), name=frame.key)
                except (MissingInputError, DamagedInputError):
                    continue
                if picture.shape[:2] == (frame.height, frame.width):
                    pictures[frame.id] = picture
            # Columns as they are: so will everything else that the model says be read.
            found.update(zip(pictures, detector.predict(list(pictures.values())) if pictures else (), strict=True))
            engine.progress.advance(len(group))
    finally:
        engine.progress.finish()
    return found


def _shifted(path: Path, model: Model, found: Calls) -> DamagedInputError:
    what = "its numbering is shifted by one" if found.step in (1, -1) else "its classes are numbered otherwise"
    real = _real_order(model.class_names, found)
    order = f", {','.join(real)}" if real else ""
    return DamagedInputError(
        f"{path.name} calls {_told(model.class_names, found, 'accepted boxes of')}: {what}",
        hint=f"name its classes in their real order{order} (in the file, or with --classes where it holds no names), "
        "or train one: dataengine retrain",
    )


def _changed(engine: Engine, path: Path, model: Model, again: Calls, before: str, now: str) -> DamagedInputError:
    folders = " and ".join(engine.shown(f"{STATE_FOLDER}/{part}/{model.id}") for part in ("predictions", "canaries"))
    return DamagedInputError(
        f"under {now} {path.name} calls {_told(model.class_names, again, 'boxes that it named')} {before}: "
        "an upgrade moved its classes",
        hint=f"go back to what was installed; if the new names are the right ones, delete {folders}: it is asked anew",
    )


def _told(names: Sequence[str], found: Calls, boxes: str) -> str:
    """``'helmet' 16 of 16 accepted boxes of person, …``."""
    told = [
        f"'{names[name]}' {found.table[true, name]} of {found.table[true].sum()} {boxes} {names[true]}"
        for true, name in found.moved.items()
    ]
    return ", ".join(told[:_LISTED]) + (f" and {len(told) - _LISTED} more" if len(told) > _LISTED else "")


def _real_order(names: Sequence[str], found: Calls) -> list[str] | None:
    """What the model's outputs are in their order, as far as the boxes tell; None where they leave it open."""
    if (step := found.step) is not None:
        return [names[(column - step) % len(names)] for column in range(len(names))]
    real = list(names)
    for true, name in found.mostly.items():
        real[name] = names[true]
    return real if sorted(real) == sorted(names) else None
