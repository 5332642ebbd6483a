"""``filter``: frames -> the hard ones among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.footage.pictures import existing, frames_in
from data_engine.app.models.models import current_model, register_model
from data_engine.app.selection.filter_context import label_counts, pooled
from data_engine.app.selection.filter_files import FOLDER, LIST, folder_of, reasons_key, write_choice
from data_engine.app.selection.gallery import write_explanations
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import choices, footage, uploads
from data_engine.types import Failed, Frame, Report, Selection
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.stages.filter import Context, FilterSettings

__all__ = ["FOLDER", "LIST", "filter_frames", "folder_of"]

_BESIDE = {".csv": "reasons are", ".json": "details are", ".html": "gallery is"}
"""What is written beside the list, by its suffix."""


def filter_frames(
    engine: Engine,
    *,
    input: Path | None = None,
    model: Path | None = None,
    second_model: Path | None = None,
    output: Path | None = None,
) -> Report:
    """Choose the frames that people should annotate next.

    Frames that are in an annotation task already are never chosen again, nor what looks like them.

    Raises:
        MissingInputError: no frame, or the named model is not there, or nothing of what is hunted.
        UsageError: ``output`` is a folder, or the name of the reasons' file; a setting names no class.
    """
    import numpy as np

    from data_engine.stages import filter as stage

    settings = engine.settings.filter
    if settings.strategy == "disagreement" and second_model is None:
        raise UsageError("--strategy disagreement compares two models", hint="name the other: --second-model FILE")
    target = _target(engine, output)
    frames, failures = _candidates(engine, input)
    with engine.database.read() as connection:
        # Wherever they are annotated: nobody shall look at a frame twice because the team moved to a server.
        taken = uploads.frames_in_tasks(connection)
    path = current_model(engine, model)
    opened = None if path is None else register_model(engine, path)
    # After the model: in a workspace that names no classes, it brings them along.
    labels = label_counts(engine)
    _check_targets(settings, labels)
    found = pooled(engine, frames, opened, second=second_model)
    pool, context = found.pool, found.context
    if opened is None:
        vectors = context.vectors(np.arange(len(pool)))
        chosen = stage.choose_first(
            pool, vectors, None, settings, embedder=engine.embedder().name, taken=taken, context=context
        )
    else:
        chosen = stage.choose(
            pool, label_counts=labels, settings=settings, model_id=opened.model.id, taken=taken, context=context
        )
    by_id = {frame.id: frame for frame in frames}
    wanted = stage.wanted_of(pool, settings, taken)
    free = len(pool) - len(taken & set(pool.frame_ids))
    with engine.runner.run(
        "filter", stage.VERSION, settings, inputs=[chosen.id], scope=[target, chosen.model_id or ""]
    ) as run:
        header = stage.header_lines(chosen, free, wanted)
        costs = _expected(chosen, settings, context)
        explained = write_explanations(
            engine,
            chosen,
            by_id,
            opened,
            target,
            settings,
            (stage.summary(chosen, free, wanted), header[0]),
            spent=[
                (name.replace("expected_", "").replace("_", " "), f"about {value:g}") for name, value in costs.items()
            ],
        )
        written, gone = write_choice(engine, target, chosen, by_id, header)
        with engine.database.write() as connection:
            before = choices.latest(connection)
            number = choices.record(connection, chosen, run_id=run.id, pool_size=len(pool))
            footage.add_files(connection, written)
            footage.forget_files(connection, gone)
            engine.runner.finish_input(connection, run, [chosen.id])
    return Report(
        title=stage.summary(chosen, free, wanted)
        + (", as before" if before is not None and before.id == chosen.id else ""),
        data={
            "selection": number,
            "model": None if opened is None else opened.path.name,
            "strategy": settings.strategy if opened else stage.used_without_model(settings),
            "frames": len(pool),
            "in_tasks_already": len(pool) - free,
            "chosen": len(chosen.frames),
            **{f"chosen_{why.replace(' ', '_')}": count for why, count in stage.why_counts(chosen).items()},
            **costs,
            "list": engine.shown(target),
            "reasons": engine.shown(reasons_key(target)),
            "details": engine.shown(explained[0]),
            "gallery": engine.shown(explained[1]),
            "pictures": engine.shown(folder_of(target)),
        },
        notes=(
            *found.notes,
            *_remarks(settings, context, model=opened is not None),
            *_short(chosen, wanted, free, settings, costs),
        ),
        failures=(*failures, *found.failures),
        next=""
        if not chosen.frames
        else engine.typed(
            "preannotate" if opened else "upload",
            frames=None if target == LIST else target,
            model=None if model is None or _is_in_use(engine, model) else engine.storage.key_of(model),
        ),
    )


def _target(engine: Engine, output: Path | None) -> str:
    key = engine.key_of(output, LIST)
    if engine.storage.path(key).is_dir():
        raise UsageError(f"--output {output or key} is a folder", hint=f"name a file in it, as {LIST}")
    suffix = PurePosixPath(key).suffix.lower()
    if suffix in _BESIDE:
        raise UsageError(
            f"--output {output}: the list cannot be a {suffix} file, for the {_BESIDE[suffix]} written there",
            hint="end its name with .txt",
        )
    return key


def _is_in_use(engine: Engine, model: Path) -> bool:
    path = current_model(engine, None)
    return path is not None and engine.storage.key_of(path) == engine.storage.key_of(model)


def _remarks(settings: FilterSettings, context: Context, *, model: bool) -> tuple[str, ...]:
    """What minutes rest on, and what the settings can't do without a model."""
    from data_engine.stages.filter import costs_of

    minutes = (costs_of(settings, context).told,) if settings.budget_minutes is not None else ()
    if model:
        return minutes
    how = "by chance" if settings.strategy == "random" else "to differ from one another"
    note = f"there is no model yet: frames were chosen {how}"
    idle = ["--only-hard"] if settings.only_hard else []
    if settings.strategy not in ("hybrid", "diversity", "random"):
        idle.append(f"--strategy {settings.strategy}")
    return (*minutes, note, *(f"{option} has no effect without a model" for option in idle))


def _short(
    chosen: Selection, wanted: int | None, free: int, settings: FilterSettings, costs: Mapping[str, float]
) -> tuple[str, ...]:
    """Why there are not more frames, where another number was wanted or none was chosen."""
    count = len(chosen.frames)
    if count == min(free, free if wanted is None else wanted):
        return ()
    limits = {
        "boxes": (settings.budget_boxes, costs["expected_boxes"]),
        "minutes": (settings.budget_minutes, costs["expected_minutes"]),
    }
    # What is left would not pay for another frame like these; of none it is known that nothing was cheap enough.
    spent = [
        what for what, (most, used) in limits.items() if most is not None and (not count or used + used / count > most)
    ]
    if spent:
        left = "is spent" if count else "is too small for any frame"
        return (f"the budget of {' and '.join(spent)} {left}",)
    return ("the other frames look like chosen ones, are too close to them in time, or are not hard enough",)


def _check_targets(settings: FilterSettings, labels: Mapping[str, int]) -> None:
    unknown = [name for name in settings.targets if name not in labels]
    if unknown:
        raise UsageError(
            f"--target names a class that is not registered: {unknown[0]}",
            hint=f"registered are: {', '.join(labels) or 'none'}",
        )


def _expected(chosen: Selection, settings: FilterSettings, context: Context) -> dict[str, float]:
    """What labelling the chosen frames is expected to take."""
    from data_engine.stages.filter import costs_of

    boxes = [row.parts.get("boxes", context.usual_boxes) for row in chosen.frames]
    costs = costs_of(settings, context)
    return {
        "expected_boxes": round(sum(boxes)),
        "expected_minutes": round(sum(float(costs.minutes(count)) for count in boxes), 1),
    }


def _candidates(engine: Engine, given: Path | None) -> tuple[list[Frame], list[Failed]]:
    if given is not None:
        return frames_in(engine, given, hint="run first: dataengine sample")
    with engine.database.read() as connection:
        frames = footage.sampled_frames(connection)
    frames, gone = existing(engine, frames)
    if gone:
        engine.notes.append(f"{counted(gone, 'sampled frame')} passed over: no longer on the disk")
    if not frames:
        raise MissingInputError("there is no sampled frame", hint="run first: dataengine sample")
    return sorted(frames, key=lambda frame: frame.key), []
