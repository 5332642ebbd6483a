"""What a choice rests on besides its settings: predictions, embeddings, what was accepted, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.models.models import (
    OpenedModel,
    predict_missing,
    register_model,
    registered_classes,
    stored_columns,
)
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import datasets, footage
from data_engine.types import Failed, Frame
from data_engine.words import listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.selection.costs import CostModel
    from data_engine.selection.hunting import Hunted
    from data_engine.selection.pool import FramePool
    from data_engine.stages.filter import Context
    from data_engine.stages.filter_places import Vectors


@dataclass(slots=True)
class Pooled:
    """The candidates, with everything that the choice looks at."""

    pool: FramePool
    context: Context
    notes: list[str] = field(default_factory=list)
    """For people."""
    failures: list[Failed] = field(default_factory=list)


def pooled(
    engine: Engine, frames: Sequence[Frame], opened: OpenedModel | None, *, second: Path | None = None
) -> Pooled:
    """Ask the models and the embedder what they have not been asked yet, and gather what is known.

    Raises:
        MissingInputError: no frame could be read; nothing is there of what is hunted.
        UsageError: a second model without a first, classes or examples that don't fit.
    """
    from data_engine.stages.filter import Context

    settings = engine.settings.filter
    if second is not None and opened is None:
        raise UsageError("--second-model compares with a first model", hint="name it, too: --model FILE")
    if opened is None:
        return _without_model(engine, frames)
    days = _days(engine, frames)
    pool, failures = _predicted(engine, opened, frames, days)
    other = None
    if second is not None:
        other, more = _predicted(engine, register_model(engine, second), frames, days)
        failures += more
    found = Pooled(pool, Context(), failures=failures)
    by_id = {frame.id: frame for frame in frames}
    calibration = _calibration(engine, opened, found) if settings.calibrate else 1.0
    found.context = Context(
        embeddings=_vectors_of(engine, [by_id[frame_id] for frame_id in pool.frame_ids], found),
        labelled=None,
        other=other,
        temperature=calibration,
        hunted=_hunted(engine, [by_id[frame_id] for frame_id in pool.frame_ids], opened, found.notes),
        costs=_costs(engine),
    )
    return found


def _without_model(engine: Engine, frames: Sequence[Frame]) -> Pooled:
    """The pool of the frames that can be described, with a vector each."""
    from data_engine.app.footage.embed import embed_missing, stored_embeddings
    from data_engine.selection.pool import FramePool
    from data_engine.stages.filter import Context

    _done, failed = embed_missing(engine, frames)
    ids, vectors = stored_embeddings(engine, [frame.id for frame in frames])
    if not ids:
        raise MissingInputError("no frame could be read", hint="run first: dataengine sample")
    there = set(ids)
    usable = [frame for frame in frames if frame.id in there]
    pool = FramePool.of(usable, days=_days(engine, usable))
    row = {frame_id: place for place, frame_id in enumerate(ids)}
    by_id = {frame.id: frame for frame in usable}
    notes: list[str] = []
    context = Context(
        embeddings=vectors[[row[frame_id] for frame_id in pool.frame_ids]],
        hunted=_hunted(engine, [by_id[frame_id] for frame_id in pool.frame_ids], None, notes),
        costs=_costs(engine),
        usual_boxes=usual_boxes(engine),
    )
    return Pooled(pool, context, notes, list(failed))


def _predicted(
    engine: Engine, opened: OpenedModel, frames: Sequence[Frame], days: dict[str, str]
) -> tuple[FramePool, list[Failed]]:
    import numpy as np

    from data_engine.selection.pool import FramePool

    _asked, failed = predict_missing(engine, opened, frames)
    ids, offsets, xyxy, scores = stored_columns(engine, opened.model, [frame.id for frame in frames])
    if not ids:
        raise MissingInputError("no frame could be read", hint="run first: dataengine sample")
    by_id = {frame.id: frame for frame in frames}
    seen = [by_id[frame_id] for frame_id in ids]
    pool = FramePool(
        frame_ids=tuple(ids),
        cameras=tuple(frame.camera for frame in seen),
        video_ids=tuple(frame.video_id for frame in seen),
        times_s=np.array([np.nan if frame.time_s is None else frame.time_s for frame in seen], np.float64),
        dhashes=np.array([frame.dhash or 0 for frame in seen], np.uint64),
        hashed=np.array([frame.dhash is not None for frame in seen], np.bool_),
        offsets=offsets,
        xyxy=xyxy,
        scores=scores,
        class_names=opened.class_names,
        days=tuple(days.get(frame_id, "") for frame_id in ids),
    )
    return pool, list(failed)


def _days(engine: Engine, frames: Sequence[Frame]) -> dict[str, str]:
    """The day each frame was filmed, by frame id, in its camera's own time; frames of unknown time are left out."""
    with engine.database.read() as connection:
        videos = footage.videos_by_id(connection, {frame.video_id for frame in frames if frame.video_id})
    begun = {
        video.id: datetime.fromisoformat(video.captured_at)
        for video in videos.values()
        if video.captured_at is not None
    }
    return {
        frame.id: (begun[frame.video_id] + timedelta(seconds=frame.time_s or 0.0)).date().isoformat()
        for frame in frames
        if frame.video_id in begun
    }


def _vectors_of(engine: Engine, frames: Sequence[Frame], found: Pooled) -> Vectors:
    """What embeds those frames of the pool that the choice asks about, and no others."""
    import numpy as np

    from data_engine.app.footage.embed import embed_missing, stored_embeddings

    def vectors(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        wanted = [frames[row] for row in rows.tolist()]
        found.failures.extend(embed_missing(engine, wanted)[1])
        ids, stored = stored_embeddings(engine, [frame.id for frame in wanted])
        place = {frame_id: number for number, frame_id in enumerate(ids)}
        # A frame that can't be read any more differs from nothing.
        rest = np.zeros((1, stored.shape[1]), np.float32)
        return np.concatenate([stored, rest])[[place.get(frame.id, len(ids)) for frame in wanted]]

    return vectors


def _calibration(engine: Engine, opened: OpenedModel, found: Pooled) -> float:
    from data_engine.app.selection.calibration import fit_calibration

    fitted = fit_calibration(engine, opened.model)
    # Before the first accepted job there is nothing to tell.
    if fitted.pairs:
        found.notes.append(fitted.told)
    return fitted.temperature


def _hunted(engine: Engine, frames: Sequence[Frame], opened: OpenedModel | None, notes: list[str]) -> Hunted | None:
    """How much the frames look like what the settings hunt, or what the model is blind to; None for nothing."""
    from data_engine.selection.balance import unseen

    settings = engine.settings.filter
    hunt = settings.hunt
    if opened is not None and settings.auto_hunt and settings.strategy == "hybrid" and not (settings.like or hunt):
        known = registered_classes(engine)
        by_name = opened.model.metrics.get("ap50_per_class") or {}
        measured = {known.now(name) if name in known else name: value for name, value in by_name.items()}
        hunt = unseen(measured, label_counts(engine), settings.targets)
        if hunt:
            notes.append(
                f"the model hardly finds {', '.join(hunt)}: frames that look like its accepted boxes are hunted"
            )
    if opened is not None and not settings.like:
        _tell_unshown(engine, notes)
    if not (settings.like or hunt):
        return None
    from data_engine.app.selection.hunting import examples_of, hunted

    return hunted(engine, frames, opened, examples_of(engine, settings.like, hunt))


def _tell_unshown(engine: Engine, notes: list[str]) -> None:
    """Tell of classes that nobody has labelled yet, where others are labelled: no model can find those."""
    counts = label_counts(engine)
    without = [name for name, count in counts.items() if not count]
    if without and any(counts.values()):
        notes.append(
            f"no box of {listed(without, 3)} is accepted yet, so no strategy can look for it: "
            "show what it looks like (--like picture.jpg:x,y,w,h)"
        )


def _costs(engine: Engine) -> CostModel:
    from data_engine.app.annotation.costs import cost_model

    return cost_model(engine)


def usual_boxes(engine: Engine) -> float:
    """The mean number of boxes of a labelled frame, or a guess before the first."""
    from data_engine.stages.filter_places import USUAL_BOXES

    with engine.database.read() as connection:
        version = datasets.latest(connection)
    return USUAL_BOXES if version is None or not version.frames else version.boxes / version.frames


def label_counts(engine: Engine) -> dict[str, int]:
    """Accepted labels of every class of the registry."""
    counts = dict.fromkeys(registered_classes(engine).names, 0)
    with engine.database.read() as connection:
        counts.update(datasets.label_counts(connection))
    return counts
