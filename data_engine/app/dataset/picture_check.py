"""Whether the pictures of versions are those that were recorded: each is hashed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from data_engine.app.engine import Engine
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import footage, soundness, tombstones
from data_engine.lineage.footage import KnownFile
from data_engine.types import Frame

_READERS = 4
"""Threads that hash pictures; hashing releases the interpreter's lock."""
_AT_ONCE = 1_000
"""Pictures whose hashes are looked up at once."""


def check_pictures(engine: Engine, number: int | None) -> Iterator[tuple[str, str | None]]:
    """Hash the pictures of the frames of version ``number``, or of all versions, but of those that were purged.

    Yields:
        the picture's key, and what is wrong with it; None where nothing is.
    """
    with engine.database.read() as connection:
        held = soundness.frame_ids(connection, number)
        lost = tombstones.gone(connection, held)
        found = footage.frames_by_id(connection, (frame for frame in held if frame not in lost))
    yield from _hashed(engine, sorted(found.values(), key=lambda frame: frame.key))


def _hashed(engine: Engine, frames: Sequence[Frame]) -> Iterator[tuple[str, str | None]]:
    engine.progress.start("hashing the pictures", len(frames), "pictures")
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="picture")
    try:
        for start in range(0, len(frames), _AT_ONCE):
            part = frames[start : start + _AT_ONCE]
            with engine.database.read() as connection:
                known = footage.files_by_key(connection, [frame.key for frame in part])
            expected = [_expected(frame, known.get(frame.key)) for frame in part]
            found = pool.map(partial(_wrong_with_picture, engine), part, expected)
            for frame, why in zip(part, found, strict=True):
                yield frame.key, why
                engine.progress.advance()
    finally:
        pool.shutdown(cancel_futures=True)
        engine.progress.finish()


def _expected(frame: Frame, file: KnownFile | None) -> str | None:
    """What the SHA-256 of a frame's picture begins with; None where that is not on record."""
    if file is not None and file.frame_id == frame.id:
        return file.sha256
    return frame.id if frame.video_id is None else None


def _wrong_with_picture(engine: Engine, frame: Frame, expected: str | None) -> str | None:
    from data_engine.media.images import sha256_of

    try:
        found = sha256_of(engine.storage.path(frame.key), name=frame.key)
    except (MissingInputError, DamagedInputError) as error:
        return error.message
    if expected is None:
        return "is a picture of which no SHA-256 is on record"
    return None if found.startswith(expected) else "is not the picture that was recorded: its SHA-256 is another"
