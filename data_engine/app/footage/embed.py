"""``embed``: describe frames, and read their stored descriptions back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.footage.pictures import existing, frames_in
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import embeddings, footage
from data_engine.lineage.database import Connection
from data_engine.runner import settings_of
from data_engine.types import Failed, Frame, Report, content_id
from data_engine.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.stages.embed import FrameVector

FOLDER = f"{STATE_FOLDER}/embeddings"
PART = 256
"""Frames in one column file: a run that was killed describes at most so many again."""


def embed(engine: Engine, *, input: Path | None = None) -> Report:
    """Describe every sampled frame, or the pictures of a folder, that is not described yet.

    Raises:
        MissingInputError: there is no frame.
    """
    frames, failed = _frames(engine, input)
    embedder = engine.embedder()
    made, unreadable = embed_missing(engine, frames)
    with engine.database.read() as connection:
        stored = embeddings.places(connection, embedder.name, [frame.id for frame in frames])
    return Report(
        title=f"{len(stored)} of {counted(len(frames), 'frame')} described, {made} of them now",
        data={
            "frames": len(frames),
            "described": len(stored),
            "described_now": made,
            "embedder": embedder.name,
            "dimension": embedder.dimension,
        },
        failures=(*failed, *unreadable),
        next="dataengine filter" if input is None else engine.typed("filter", input=engine.storage.key_of(input)),
    )


def _frames(engine: Engine, given: Path | None) -> tuple[list[Frame], list[Failed]]:
    if given is not None:
        return frames_in(engine, given, hint="run first: dataengine sample")
    with engine.database.read() as connection:
        frames, gone = existing(engine, footage.sampled_frames(connection))
    if gone:
        engine.notes.append(f"{counted(gone, 'sampled frame')} passed over: no longer on the disk")
    if not frames:
        raise MissingInputError("there is no sampled frame", hint="run first: dataengine sample")
    return sorted(frames, key=lambda frame: frame.key), []


def embed_missing(engine: Engine, frames: Sequence[Frame]) -> tuple[int, tuple[Failed, ...]]:
    """Describe the frames that the embedder has not described yet, and store its vectors.

    Returns:
        how many frames were described now, and those that could not be read.
    """
    import numpy as np

    from data_engine.executors.processes import usable_cpus
    from data_engine.formats.embeddings import pack
    from data_engine.stages import embed as stage

    embedder, settings = engine.embedder(), engine.settings.embed
    ids = [frame.id for frame in frames]
    todo = without_vectors(engine, embedder.name, frames)

    def record(connection: Connection, group: Sequence[FrameVector]) -> None:
        described = [frame.frame_id for frame in group]
        key = f"{FOLDER}/{embedder.name}/{content_id('part', embedder.name, *described)}.npz"
        engine.storage.write_bytes(key, pack(embedder.name, described, np.stack([frame.vector for frame in group])))
        embeddings.record(connection, embedder.name, described, key)

    # What a picture looks like depends on nothing else: not on how many are described at once.
    with engine.runner.run("embed", stage.VERSION, settings_of({"embedder": embedder.name}), inputs=ids) as run:
        if not todo:
            return 0, ()
        outcomes = stage.embed(
            todo,
            embedder,
            storage=engine.storage,
            batch=settings.batch,
            readers=settings.workers or usable_cpus(),
            progress=engine.progress,
        )
        summary = engine.runner.stream(
            run, outcomes, input_id=lambda described: described.frame_id, record=record, batch=PART
        )
    names = {frame.id: frame.key for frame in todo}
    return summary.done, tuple(Failed(names[failed.input_id], failed.reason) for failed in summary.failed)


def without_vectors(engine: Engine, name: str, frames: Sequence[Frame]) -> list[Frame]:
    """Those of the frames, each once, of which no vectors are stored under a name, or whose column file is gone."""
    with engine.database.read() as connection:
        stored = embeddings.places(connection, name, [frame.id for frame in frames])
    lost = {part for part in {part for part, _row in stored.values()} if not engine.storage.exists(part)}
    todo = {frame.id: frame for frame in frames if frame.id not in stored or stored[frame.id][0] in lost}
    return list(todo.values())


def stored_embeddings(engine: Engine, frame_ids: Sequence[str]) -> tuple[list[str], NDArray[np.float32]]:
    """The stored vectors of these frames by the configured embedder; frames that have none are left out.

    Memory is that of the returned array and of one column file.

    Returns:
        the ids of the described frames in the given order, and their vectors ``(n, dimension)`` of length 1.

    Raises:
        DamagedInputError: a column file is damaged; deleted, its frames are described anew.
    """
    import numpy as np

    embedder = engine.embedder()
    with engine.database.read() as connection:
        places = embeddings.places(connection, embedder.name, frame_ids)
    described = [frame_id for frame_id in dict.fromkeys(frame_ids) if frame_id in places]
    vectors = np.empty((len(described), embedder.dimension), np.float32)
    by_part: dict[str, list[tuple[int, int]]] = {}
    for number, frame_id in enumerate(described):
        part, row = places[frame_id]
        by_part.setdefault(part, []).append((number, row))
    for part, rows in by_part.items():
        names, columns = _unpacked(engine, part)
        for number, row in rows:
            if row >= len(names) or names[row] != described[number] or columns.shape[1] != embedder.dimension:
                raise DamagedInputError(f"{part} does not hold what lineage says", hint="delete it and run again")
        numbers, taken = np.array(rows, np.int64).T
        vectors[numbers] = columns[taken]
    # What float16 took of their length is given back.
    for start in range(0, len(vectors), PART):
        rows_of = vectors[start : start + PART]
        rows_of /= np.linalg.norm(rows_of, axis=1, keepdims=True)
    return described, vectors


def _unpacked(engine: Engine, part: str) -> tuple[tuple[str, ...], NDArray[np.float16]]:
    from data_engine.formats.embeddings import unpack

    try:
        stored = unpack(engine.storage.read_bytes(part), name=part)
    except DamagedInputError as error:
        raise DamagedInputError(error.message, hint="delete it and run again: its frames are described anew") from error
    return stored.frame_ids, stored.vectors
