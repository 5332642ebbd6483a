"""``filter``: frames -> the hard ones among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.models import (
    OpenedModel,
    current_model,
    predict_missing,
    register_model,
    registered_classes,
    stored_predictions,
)
from data_engine.app.pictures import existing, frames_in
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import choices, datasets, footage, labelling
from data_engine.lineage.footage import KnownFile
from data_engine.stages.export import dataset_name
from data_engine.types import Failed, Frame, Report, Selection
from data_engine.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool

LIST = "hard_frames.txt"
FOLDER = "frames_hard_to_annotate"


def filter_frames(
    engine: Engine, *, input: Path | None = None, model: Path | None = None, output: Path | None = None
) -> Report:
    """Choose the frames that people should annotate next.

    Frames that are in an annotation task already are never chosen again, nor what looks like them.

    Raises:
        MissingInputError: no frame, or the named model is not there.
        UsageError: ``output`` is a folder, or the name of the reasons' file.
    """
    from data_engine.stages import filter as stage

    settings = engine.settings.filter
    target = _target(engine, output)
    frames, failures = _candidates(engine, input)
    backend = engine.settings.annotation.backend
    with engine.database.read() as connection:
        taken = labelling.frames_in_tasks(connection, backend)
    path = current_model(engine, model)
    opened = None if path is None else register_model(engine, path)
    labels = _label_counts(engine)
    if opened is None:
        pool, vectors, unreadable = _described(engine, frames)
        chosen = stage.choose_first(pool, vectors, None, settings, taken=taken)
    else:
        pool, unreadable = _predicted(engine, opened, frames)
        chosen = stage.choose(pool, label_counts=labels, settings=settings, model_id=opened.model.id, taken=taken)
    by_id = {frame.id: frame for frame in frames}
    wanted = stage.wanted_of(pool, settings, taken)
    free = len(pool) - len(taken & set(pool.frame_ids))
    with engine.runner.run(
        "filter", stage.VERSION, settings, inputs=[chosen.id], scope=[target, chosen.model_id or ""]
    ) as run:
        written, gone = _write(engine, target, chosen, by_id, stage.header_lines(chosen, free, wanted))
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
            "frames": len(pool),
            "in_tasks_already": len(pool) - free,
            "chosen": len(chosen.frames),
            **{f"chosen_{why.replace(' ', '_')}": count for why, count in stage.why_counts(chosen).items()},
            "list": engine.shown(target),
            "reasons": engine.shown(_reasons_key(target)),
            "pictures": engine.shown(folder_of(target)),
        },
        notes=() if opened else _remarks(only_hard=settings.only_hard),
        failures=(*failures, *unreadable),
        next=engine.typed(
            "preannotate" if opened else "upload",
            frames=None if target == LIST else target,
            model=None if model is None or _is_in_use(engine, model) else engine.storage.key_of(model),
        ),
    )


def _target(engine: Engine, output: Path | None) -> str:
    key = engine.key_of(output, LIST)
    if engine.storage.path(key).is_dir():
        raise UsageError(f"--output {output or key} is a folder", hint=f"name a file in it, as {LIST}")
    if PurePosixPath(key).suffix.lower() == ".csv":
        raise UsageError(
            f"--output {output}: the list cannot be a .csv file, for the reasons are written there",
            hint="end its name with .txt",
        )
    return key


def _is_in_use(engine: Engine, model: Path) -> bool:
    path = current_model(engine, None)
    return path is not None and engine.storage.key_of(path) == engine.storage.key_of(model)


def _remarks(*, only_hard: bool) -> tuple[str, ...]:
    note = "there is no model yet: frames were chosen to differ from one another"
    return (note, "--only-hard has no effect without a model") if only_hard else (note,)


def folder_of(list_key: str) -> str:
    """The folder of chosen pictures beside a list."""
    return (PurePosixPath(list_key).parent / FOLDER).as_posix()


def _reasons_key(list_key: str) -> str:
    return PurePosixPath(list_key).with_suffix(".csv").as_posix()


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


def _label_counts(engine: Engine) -> dict[str, int]:
    counts = dict.fromkeys(registered_classes(engine).names, 0)
    with engine.database.read() as connection:
        counts.update(datasets.label_counts(connection))
    return counts


def _predicted(engine: Engine, opened: OpenedModel, frames: Sequence[Frame]) -> tuple[FramePool, tuple[Failed, ...]]:
    from data_engine.selection.pool import FramePool

    _asked, failed = predict_missing(engine, opened, frames)
    seen = stored_predictions(engine, opened.model, [frame.id for frame in frames])
    usable = [frame for frame in frames if frame.id in seen]
    if not usable:
        raise MissingInputError("no frame could be read", hint="run first: dataengine sample")
    return FramePool.of(usable, seen, opened.model.class_names), failed


def _described(engine: Engine, frames: Sequence[Frame]) -> tuple[FramePool, NDArray[np.float32], tuple[Failed, ...]]:
    """The pool and its frames' descriptors, in the pool's order."""
    import numpy as np

    from data_engine.media.images import read_rgb
    from data_engine.selection.pool import FramePool

    embedder = engine.embedder()
    vectors: dict[str, NDArray[np.float32]] = {}
    failed: list[Failed] = []
    engine.progress.start("describing frames", len(frames), "frames")
    for frame in frames:
        try:
            picture = read_rgb(engine.storage.path(frame.key), name=frame.key)
        except (MissingInputError, DamagedInputError) as error:
            failed.append(Failed(frame.key, error.message))
        else:
            vectors[frame.id] = embedder.embed([picture])[0]
        engine.progress.advance()
    engine.progress.finish()
    pool = FramePool.of([frame for frame in frames if frame.id in vectors])
    if not len(pool):
        raise MissingInputError("no frame could be read", hint="run first: dataengine sample")
    return pool, np.stack([vectors[frame_id] for frame_id in pool.frame_ids]), tuple(failed)


def _write(
    engine: Engine, target: str, chosen: Selection, frames: Mapping[str, Frame], header: Sequence[str]
) -> tuple[list[KnownFile], list[str]]:
    """Write the list, the reasons and the folder of pictures; pictures of an earlier choice leave the folder.

    Returns:
        the pictures, to be recorded, and the keys of those that left, to be forgotten.
    """
    from data_engine.formats.hardframes import write_hard_frames
    from data_engine.stages.filter import reasons_csv

    storage = engine.storage
    folder = folder_of(target)
    keys = {f"{folder}/{dataset_name(frames[row.frame_id])}": frames[row.frame_id] for row in chosen.frames}
    with engine.database.write() as connection:
        before = footage.files_below(connection, folder)
        owners = footage.frames_by_id(connection, {file.frame_id for file in before.values() if file.frame_id})
        sources = footage.files_by_key(connection, [frame.key for frame in keys.values()])
        planned = {key: replace(sources[f.key], key=key, frame_id=f.id) for key, f in keys.items() if f.key in sources}
        # Before the first is made, so that what a killed run left is known to the next, whatever that one chooses.
        footage.add_files(connection, list(planned.values()))
    for key, frame in keys.items():
        storage.link(frame.key, key)
    # Only a second name of a picture goes; one that somebody put there, that another list names, or that is the last
    # copy of another, stays.
    needed = keys.keys() | _named_by_others(engine, target)
    stale = [
        key
        for key, file in before.items()
        if key not in needed and (owner := owners.get(file.frame_id or "")) and owner.key != key
        if storage.exists(owner.key)
    ]
    for key in stale:
        if storage.exists(key) and storage.stamp(key) == before[key].stamp:
            storage.delete(key)
    lines = [f"{FOLDER}/{PurePosixPath(key).name}" for key in keys]
    text = write_hard_frames(lines, [line.removeprefix("# ") for line in header])
    named = {frame.id: replace(frame, name=PurePosixPath(key).name) for key, frame in keys.items()}
    storage.write_bytes(_reasons_key(target), reasons_csv(chosen, named).encode())
    # The list comes last: it is what the next step reads.
    storage.write_bytes(target, text.encode())
    return [replace(file, stamp=storage.stamp(key)) for key, file in planned.items()], stale


def _named_by_others(engine: Engine, target: str) -> set[str]:
    """Keys of the pictures that other lists beside this one name: they share its folder of pictures."""
    from data_engine.formats.hardframes import read_hard_frames

    here = PurePosixPath(target).parent
    own = engine.storage.path(target)
    named: set[str] = set()
    for file in sorted(own.parent.glob("*.txt")):
        if file.name == own.name or not file.is_file():
            continue
        try:
            lines = read_hard_frames(engine.storage.read_bytes((here / file.name).as_posix()), name=file.name)
        except DamagedInputError:
            # Not a list, or not one that may be read.
            continue
        named |= {(here / line).as_posix() for line in lines if line.startswith(f"{FOLDER}/")}
    return named
