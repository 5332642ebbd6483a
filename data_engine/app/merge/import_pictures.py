"""The pictures of an import: copied into the workspace by their content, and registered as frames."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from data_engine.app.engine import Engine
from data_engine.errors import DamagedInputError
from data_engine.lineage import footage, tombstones
from data_engine.lineage.footage import KnownFile
from data_engine.stages.import_plan import Labelled, OneEach
from data_engine.stages.import_source import Source
from data_engine.types import ID_LENGTH, Failed, Frame

FOLDER = "imported"
_BATCH, _BATCH_BYTES = 200, 64 << 20
"""Pictures, and bytes of them, that are in memory at once and committed together."""
_MOST_BYTES = 1 << 30
"""Of one picture."""
_HEAD = 1 << 16
"""Bytes of a picture that hold its header, nearly always."""
_WORKERS = 4


def key_of(frame_id: str, name: str) -> str:
    """Where the picture of that content lies."""
    return f"{FOLDER}/{frame_id[:2]}/{frame_id}{PurePosixPath(name).suffix.lower()}"


def size_of(source: Source, path: str) -> tuple[int, int]:
    """Width and height of a picture of the source in pixels, as people see it.

    Raises:
        DamagedInputError: it is none, or too large to be one.
    """
    from data_engine.media.images import size_of_bytes

    name, size = f"{source.name}: {path}", source.size(path)
    if size > _MOST_BYTES:
        raise DamagedInputError(f"{name} has {size} bytes, more than the {_MOST_BYTES} that a picture may have")
    try:
        return _checked(size_of_bytes(source.head(path, _HEAD), name=name), name)
    except DamagedInputError:
        if size <= _HEAD:
            raise
        return _checked(size_of_bytes(b"".join(source.pieces(path)), name=name), name)


def _checked(size: tuple[int, int], name: str) -> tuple[int, int]:
    if min(size) < 1:
        raise DamagedInputError(f"{name} is an empty picture")
    return size


@dataclass(slots=True)
class Taken:
    """What was read, frame by frame."""

    found: OneEach = field(default_factory=OneEach)
    frames: dict[str, Frame] = field(default_factory=dict)
    failures: list[Failed] = field(default_factory=list)


def take(
    engine: Engine, source: Source, pictures: Sequence[Labelled], *, write: bool
) -> Iterator[list[tuple[Labelled, Frame | Failed]]]:
    """The frame of each picture, some hundred at a time and in order.

    A picture whose bytes are known is the frame that it is known as.  What is new is copied and registered, batch by
    batch, so that after a kill nothing is copied twice.

    Args:
        write: copy and register; else only say what it would be.
    """
    engine.progress.start("copying pictures" if write else "comparing pictures", len(pictures), "pictures")
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="import") as pool:
        for batch in _batches(source, pictures):
            found = list(pool.map(lambda one: _read(source, one), batch))
            sums = {one.sha256 for one in found if isinstance(one, _Read)}
            with engine.database.read() as connection:
                files = footage.files_by_hash(connection, sums)
                known = {file.sha256: file.frame_id for file in files.values() if file.frame_id is not None}
                by_id = footage.frames_by_id(connection, {*known.values(), *(sha[:ID_LENGTH] for sha in sums)})
                purged = tombstones.gone(connection, {sha[:ID_LENGTH] for sha in sums})
            found = [_unless_purged(one, purged) for one in found]
            told = {sha: by_id.get(known.get(sha, sha[:ID_LENGTH])) for sha in sums}
            there = [None if isinstance(one, Failed) else told[one.sha256] for one in found]
            made = list(pool.map(_frame, found, there))
            if write:
                _keep(engine, pool, found, made, by_id)
            yield list(zip(batch, made, strict=True))
            engine.progress.advance(len(batch))
    engine.progress.finish()


def take_all(engine: Engine, source: Source, pictures: Sequence[Labelled], *, write: bool) -> Taken:
    """The frames of all pictures; see :func:`take`."""
    taken = Taken()
    for batch in take(engine, source, pictures, write=write):
        for picture, frame in batch:
            if isinstance(frame, Failed):
                taken.failures.append(frame)
            else:
                taken.frames[frame.id] = frame
                taken.found.add(frame.id, picture)
    taken.failures += taken.found.failures
    return taken


class _Read:
    """A picture in memory."""

    __slots__ = ("data", "picture", "sha256")

    def __init__(self, picture: Labelled, data: bytes) -> None:
        from hashlib import sha256

        self.picture, self.data = picture, data
        self.sha256 = sha256(data).hexdigest()


def _unless_purged(read: _Read | Failed, purged: Collection[str]) -> _Read | Failed:
    if isinstance(read, Failed) or read.sha256[:ID_LENGTH] not in purged:
        return read
    return Failed(read.picture.path, "it was purged from this workspace and does not come back")


def _batches(source: Source, pictures: Sequence[Labelled]) -> Iterator[list[Labelled]]:
    batch: list[Labelled] = []
    size = 0
    for picture in pictures:
        batch.append(picture)
        size += source.size(picture.path)
        if len(batch) == _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read(source: Source, picture: Labelled) -> _Read | Failed:
    try:
        return _Read(picture, b"".join(source.pieces(picture.path)))
    except DamagedInputError as error:
        return Failed(picture.path, error.message)


def _frame(read: _Read | Failed, known: Frame | None) -> Frame | Failed:
    from data_engine.media.hashing import dhash_of_bytes

    if isinstance(read, Failed):
        return read
    if known is not None:
        return known
    picture, identity = read.picture, read.sha256[:ID_LENGTH]
    try:
        return Frame(
            id=identity,
            name=picture.name,
            key=key_of(identity, picture.name),
            width=picture.width,
            height=picture.height,
            camera=picture.camera,
            dhash=dhash_of_bytes(read.data, name=picture.path),
        )
    except DamagedInputError as error:
        return Failed(picture.path, error.message)


def _keep(
    engine: Engine,
    pool: ThreadPoolExecutor,
    found: Sequence[_Read | Failed],
    made: Sequence[Frame | Failed],
    known: Collection[str],
) -> None:
    """Copy what is not there yet, then record it.

    Args:
        known: ids of the frames that are registered.
    """
    storage = engine.storage
    new: dict[str, tuple[str, _Read]] = {}
    for read, frame in zip(found, made, strict=True):
        if isinstance(read, Failed) or isinstance(frame, Failed):
            continue
        # One that is registered, and whose picture is gone, is read from here again.
        if frame.id not in known or not storage.exists(frame.key):
            new.setdefault(frame.id, (key_of(frame.id, read.picture.name), read))
    # What a killed import copied is there: its name is its content's.
    missing = [(key, read.data) for key, read in new.values() if not storage.exists(key)]
    list(pool.map(lambda one: storage.write_bytes(*one), missing))
    with engine.database.write() as connection:
        footage.add_frames(connection, [frame for frame in made if isinstance(frame, Frame) and frame.id in new])
        footage.move_frames(connection, {identity: key for identity, (key, _read) in new.items()})
        rows = [KnownFile(key, storage.stamp(key), read.sha256, frame_id=i) for i, (key, read) in new.items()]
        footage.add_files(connection, rows)
