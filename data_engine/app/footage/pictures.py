"""Picture files -> frames: what is met for the first time is registered by its content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeVar

from data_engine.app.engine import Engine, present
from data_engine.app.footage.cameras import camera_of
from data_engine.app.lineage.purged import was_purged
from data_engine.errors import DamagedInputError, DataEngineError, MissingInputError, StorageFullError
from data_engine.lineage import footage, tombstones
from data_engine.lineage.footage import KnownFile
from data_engine.types import ID_LENGTH, Failed, Frame

R = TypeVar("R")

_COMMIT_EVERY = 200
_READERS = 4


def frames_in(engine: Engine, path: Path, *, hint: str) -> tuple[list[Frame], list[Failed]]:
    """The frames of a folder of pictures, of a list like ``hard_frames.txt``, or of one picture.

    Returns:
        the frames in the order of the list (or of the folder's names), and the files that could not be used.

    Raises:
        MissingInputError: there is no such path, or no picture in it; ``hint`` says what to run first.
    """
    from data_engine.formats.hardframes import read_hard_frames
    from data_engine.media.picture_names import is_image

    if not present(path):
        raise MissingInputError(f"{path} is not there", hint=hint)
    storage = engine.storage
    if path.is_dir():
        keys = [key for key in storage.list(storage.key_of(path)) if is_image(key)]
        if not keys:
            raise MissingInputError(f"there is no picture in {path}", hint=hint)
        return register(engine, keys, below=storage.key_of(path))
    if is_image(path.name):
        return register(engine, [storage.key_of(path)], below=storage.key_of(path.parent))
    entries = read_hard_frames(storage.read_bytes(storage.key_of(path)), name=str(path))
    if not entries:
        raise MissingInputError(f"{path} lists no frame", hint=hint)
    # A list is written beside the folder that it names; one that a person wrote may mean the current folder.
    keys = []
    unusable: list[Failed] = []
    for entry in entries:
        try:
            keys.append(storage.key_of(_listed(entry, path.parent)))
        except DataEngineError as error:
            unusable.append(Failed(entry, error.message))
    frames, failed = register(engine, keys, below=storage.key_of(path.parent))
    return frames, unusable + failed


def _listed(entry: str, folder: Path) -> Path:
    """The picture that a list in ``folder`` names."""
    place = next(filter(present, (folder / entry, Path(entry))), None)
    if place is None:
        raise MissingInputError("the file is not there")
    if not place.is_file():
        raise DamagedInputError("it is a folder" if place.is_dir() else "it is not a file")
    return place


def register(engine: Engine, keys: Sequence[str], *, below: str) -> tuple[list[Frame], list[Failed]]:
    """The frames that these files hold, in order; a file read before and unchanged is not read again.

    Args:
        below: the folder that was given; a picture's camera is the folders below it, else that folder's name.
    """
    storage, database = engine.storage, engine.database
    with database.read() as connection:
        known = footage.files_by_key(connection, keys)
    frame_of: dict[str, str] = {}
    failures: list[Failed] = []
    unread: list[str] = []
    stamps: dict[str, str] = {}
    for key in keys:
        try:
            stamps[key] = storage.stamp(key)
        except MissingInputError:
            failures.append(Failed(key, "the file is not there"))
            continue
        except DamagedInputError as error:
            failures.append(Failed(key, error.message))
            continue
        file = known.get(key)
        if file is not None and file.stamp == stamps[key] and file.frame_id is not None:
            frame_of[key] = file.frame_id
        else:
            unread.append(key)
    if unread:
        frame_of.update(_read(engine, unread, stamps, below, failures))
    with database.read() as connection:
        frames = footage.frames_by_id(connection, set(frame_of.values()))
    found: dict[str, Frame] = {}
    moved: dict[str, str] = {}
    for key in keys:
        if key not in frame_of:
            continue
        frame = frames[frame_of[key]]
        if frame.key != key and not storage.exists(frame.key):
            moved[frame.id] = key
        # The same picture twice in a folder is one frame.
        found.setdefault(frame.id, frame)
    if moved:
        with database.write() as connection:
            footage.move_frames(connection, moved)
        with database.read() as connection:
            found.update(footage.frames_by_id(connection, moved))
    return list(found.values()), failures


def _read(
    engine: Engine, keys: Sequence[str], stamps: dict[str, str], below: str, failures: list[Failed]
) -> dict[str, str]:
    database = engine.database
    engine.progress.start("reading pictures", len(keys), "pictures")
    frame_of: dict[str, str] = {}
    # Hashing and decoding leave the interpreter's lock.
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="picture")
    try:
        for start in range(0, len(keys), _COMMIT_EVERY):
            part = keys[start : start + _COMMIT_EVERY]
            sums = _usable(zip(part, pool.map(lambda key: _sum(engine, key), part), strict=True), failures)
            with database.read() as connection:
                known = footage.files_by_hash(connection, set(sums.values()))
                for key, sha256 in list(sums.items()):
                    if (stone := tombstones.of(connection, sha256[:ID_LENGTH])) is not None:
                        failures.append(Failed(key, was_purged("picture", stone)))
                        del sums[key]
            read = {key: file.frame_id for key in sums if (file := known.get(sums[key])) and file.frame_id is not None}
            unknown = [(key, sums[key]) for key in sums if key not in read]
            made = pool.map(lambda one: _frame(engine, one[0], one[1], below), unknown)
            found = _usable(zip((key for key, _sha256 in unknown), made, strict=True), failures)
            read.update((key, frame.id) for key, frame in found.items())
            # The same bytes under two names are one frame, the first's.
            frames: dict[str, Frame] = {}
            for frame in found.values():
                frames.setdefault(frame.id, frame)
            with database.write() as connection:
                footage.add_frames(connection, list(frames.values()))
                footage.add_files(
                    connection, [KnownFile(key, stamps[key], sums[key], frame_id=read[key]) for key in read]
                )
            frame_of.update(read)
            engine.progress.advance(len(part))
    finally:
        pool.shutdown(cancel_futures=True)
    engine.progress.finish()
    return frame_of


def _usable(found: Iterable[tuple[str, R | Failed]], failures: list[Failed]) -> dict[str, R]:
    """What was found, by its key; the failures go to ``failures``."""
    usable: dict[str, R] = {}
    for key, what in found:
        if isinstance(what, Failed):
            failures.append(what)
        else:
            usable[key] = what
    return usable


def _sum(engine: Engine, key: str) -> str | Failed:
    from data_engine.media.images import sha256_of

    try:
        return sha256_of(engine.storage.path(key), name=key)
    except (MissingInputError, DamagedInputError) as error:
        return Failed(key, error.message)


def _frame(engine: Engine, key: str, sha256: str, below: str) -> Frame | Failed:
    try:
        return lone_frame(engine, key, sha256, below)
    except StorageFullError:
        raise
    except DataEngineError as error:
        return Failed(key, error.message)


def lone_frame(engine: Engine, key: str, sha256: str, below: str) -> Frame:
    """A frame for a picture that came without its video; its id is its bytes'.

    Raises:
        DamagedInputError: the file is not a picture that can be decoded.
    """
    from data_engine.media.hashing import dhash_of_file
    from data_engine.media.images import size_of

    path = engine.storage.path(key)
    width, height = size_of(path, name=key)
    if width < 1 or height < 1:
        raise DamagedInputError(f"{key} is an empty picture")
    pure = PurePosixPath(key)
    below = below if pure.is_relative_to(below) else "."
    lies_in_it = pure.parent == PurePosixPath(below)
    camera = (PurePosixPath(below).name or "pictures") if lies_in_it else camera_of(key, below)
    return Frame(
        id=sha256[:ID_LENGTH],
        name=pure.name,
        key=key,
        width=width,
        height=height,
        camera=camera,
        dhash=dhash_of_file(path),
    )


def existing(engine: Engine, frames: Iterable[Frame]) -> tuple[list[Frame], int]:
    """The frames whose picture is still there, and how many are not."""
    kept: list[Frame] = []
    gone = 0
    for frame in frames:
        if engine.storage.exists(frame.key):
            kept.append(frame)
        else:
            gone += 1
    return kept, gone
