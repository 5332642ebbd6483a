"""Is a model fit for use by itself?  What it was trained on, how it numbers its classes, its export and its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.models import canary
from data_engine.app.models.in_use import SHORT
from data_engine.errors import DamagedInputError, DataEngineError, UsageError
from data_engine.lineage import champions, held_out, models, seen_by, tombstones
from data_engine.lineage.database import Connection
from data_engine.ports import Detector
from data_engine.types import Frame, Model
from data_engine.words import counted, listed

_PICTURES = 16
"""Pictures that both the export and the weights are asked about."""


@dataclass(slots=True)
class Fitness:
    """What was found out about a model by itself."""

    reasons: list[str] = field(default_factory=list)
    """What speaks against its use."""
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)


def fitness(engine: Engine, model: Model, frames: Sequence[Frame]) -> Fitness:
    """Look at a model whose file is there.

    Args:
        frames: those that it is to be judged on, or any.
    """
    found = Fitness()
    with engine.database.read() as connection:
        found.reasons += purged_with(connection, model.id)
        _exposed(connection, model, frames, found)
    try:
        numbered_rightly(engine, model)
    except DamagedInputError as error:
        found.reasons.append(error.message)
        # What calls things by wrong names is asked nothing more.
        return found
    _as_its_weights(engine, model, frames, found)
    return found


def numbered_rightly(engine: Engine, model: Model) -> None:
    """The class canary of a registered model.

    Raises:
        DamagedInputError: it numbers its classes otherwise than the registry, or its file is no model.
    """
    canary.check(engine, engine.storage.path(model.key), model, lambda: opened(engine, model, model.key))


def purged_with(connection: Connection, model_id: str) -> list[str]:
    """The purges of footage that a model, or one that it was begun from, was trained on, as reasons."""
    line = models.with_ancestors(connection, model_id)
    said = []
    for stone in tombstones.known(connection):
        marked = [one for one in line if one in stone.detail.get("models", ())]
        if marked:
            through = "" if marked[0] == model_id else f" (through {marked[0][:SHORT]}, which it was begun from)"
            said.append(f"it was trained on {stone.kind} {stone.target}, purged on {stone.at[:10]}{through}")
    return said


def _exposed(connection: Connection, model: Model, frames: Iterable[Frame], found: Fitness) -> None:
    """Frames that a model is judged on must not be those that it has learned from."""
    learned, known = seen_by.learned_from(connection, model.id)
    if not known:
        found.notes.append(f"nobody knows what {model.id[:SHORT]} was trained on: it may know the pictures by heart")
        return
    golden = learned.intersection(held_out.golden(connection))
    judged = learned.intersection(frame.id for frame in frames)
    if golden:
        found.reasons.append(f"it was trained on {counted(len(golden), 'golden frame')}")
    elif judged:
        found.reasons.append(f"it was trained on {counted(len(judged), 'frame')} that it would be judged on")


def _as_its_weights(engine: Engine, model: Model, frames: Sequence[Frame], found: Fitness) -> None:
    """Hold the exported file against the weights that it was made of, on the same pictures."""
    with engine.database.read() as connection:
        weights = models.weights_of(connection, model.id)
        before = champions.decisions(connection, model.id)
    if weights is None:
        found.notes.append("there are no weights beside the file that it could be held against")
        return
    environment = canary.environment_of(engine.storage.path(model.key), model.kind)
    for row in reversed(before):
        earlier: Mapping[str, Any] = row.detail.get("export") or {}
        if earlier.get("same") and earlier.get("environment") == environment and earlier.get("pictures"):
            found.numbers["export"] = dict(earlier)
            return
    if not frames:
        found.notes.append("there is no picture on which its export could be held against its weights")
        return
    if not engine.storage.exists(weights):
        found.reasons.append(f"its weights are gone ({engine.shown(weights)}): the export can't be held against them")
        return
    try:
        found.numbers["export"] = compared = _compared(engine, model, weights, frames) | {"environment": environment}
    except DataEngineError as error:
        found.reasons.append(f"the export can't be held against its weights: {error}")
        return
    if not compared["same"]:
        found.reasons.append(
            f"its export answers otherwise than the weights it was made of: {compared['lost']} of "
            f"{counted(compared['boxes'], 'box')} on {counted(compared['pictures'], 'picture')} have no counterpart"
        )
    elif not compared["boxes"]:
        found.notes.append("neither its export nor its weights find anything, so they were not told apart")


def _compared(engine: Engine, model: Model, weights: str, frames: Sequence[Frame]) -> dict[str, Any]:
    from data_engine.media.images import read_rgb
    from data_engine.metrics.sameness import sameness

    step = max(1, len(frames) // _PICTURES)
    chosen = frames[::step][:_PICTURES]
    pictures = [read_rgb(engine.storage.path(frame.key), name=frame.key) for frame in chosen]
    engine.progress.start("checking the export", 2 * len(pictures), "pictures")
    answers = []
    try:
        for key in (model.key, weights):
            detector = opened(engine, model, key)
            if detector.class_names != model.class_names:
                raise DamagedInputError(f"{key} names other classes: {listed(detector.class_names)}")
            answers.append(detector.predict(pictures))
            engine.progress.advance(len(pictures))
    finally:
        engine.progress.finish()
    found = sameness(zip(*answers, strict=True))
    return {
        "same": found.same,
        "pictures": found.pictures,
        "boxes": found.boxes,
        "lost": found.lost,
        "largest_score_difference": round(found.score, 8),
        "smallest_overlap": round(found.place, 6),
    }


def opened(engine: Engine, model: Model, key: str) -> Detector:
    """One of the files of a model, on the CPU: what other hardware rounds away is no fault of an export's."""
    from data_engine.detectors.loading import open_detector

    path = engine.storage.path(key)
    try:
        return open_detector(path, kind=model.kind, device="cpu")
    except UsageError:
        # It does not name its classes: they are those that it was registered under.
        return open_detector(path, kind=model.kind, device="cpu", class_names=model.class_names)
