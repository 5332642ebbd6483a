"""The files of a dataset version: what people and tools read of what lineage knows."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from data_engine.app.collector import seldom_collected
from data_engine.app.dataset.dataset_certificate import write_certificate
from data_engine.app.dataset.version_writing import Compared, Outline, Sheet, outline, write_from_before, write_whole
from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.errors import MissingInputError
from data_engine.lineage import datasets, split_sources, version_rows
from data_engine.lineage.database import Connection
from data_engine.lineage.split_sources import Ever
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.stages.export import version_id
from data_engine.stages.version_coco import VersionFrame
from data_engine.types import DatasetVersion, Split, content_id

FOLDER = "master_dataset"
SIDES: tuple[Split, ...] = ("train", "valid")
"""Those that every version has files of; see :func:`sides_written`."""
STAMPS = f"{STATE_FOLDER}/version_files.json"
"""Which files of the newest version are known to lie as they were written; made anew where it is not there."""
_LAYOUT = 1
"""Raised when the same version gives other bytes than before: then no file is taken over from an older one."""


class _Stamps(msgspec.Struct):
    """What is known of the files that were written last."""

    layout: int
    version: str
    numbers: str
    """Content id of the numbers of the version's frames."""
    stamps: dict[str, str]
    """What the storage said of each file, by key."""


def sides_written(connection: Connection, number: int) -> tuple[Split, ...]:
    """The sides that version ``number`` has files of: the golden one where anything is golden in it."""
    return (*SIDES, "golden") if split_sources.has_golden(connection, number) else SIDES


def is_written(engine: Engine, version: DatasetVersion) -> bool:
    """Whether the version's files were all written: its own is the last of them."""
    return engine.storage.exists(version.key)


def add_version(
    engine: Engine,
    connection: Connection,
    parent: DatasetVersion | None,
    contents: Mapping[str, tuple[str, Split]],
    run_id: str,
) -> DatasetVersion:
    """Record the version after ``parent``, the first where there is none, whose rows are there; its files come later.

    Args:
        engine: the workspace.
        connection: of the transaction that wrote its rows.
        parent: the newest version.
        contents: frame id -> (content id of its boxes, side of the split), of all that it holds.
        run_id: of the command that makes it.
    """
    number = 1 if parent is None else parent.number + 1
    version = DatasetVersion(
        id=version_id(contents, None if parent is None else parent.id),
        number=number,
        parent_id=None if parent is None else parent.id,
        frames=len(contents),
        boxes=datasets.count_boxes(connection, number),
        key=f"{FOLDER}/master_dataset_v{number}.json",
    )
    # What lies there is a copy that some --output put there: it must not pass for this version's.
    engine.storage.delete(version.key)
    datasets.add_version(connection, version, run_id=run_id, created_at=engine.now())
    return version


def finish_files(engine: Engine) -> DatasetVersion | None:
    """Write the files of the newest version where what made it was killed after its record.

    Returns:
        the version; None where its files were there.
    """
    if _unwritten(engine) is None:
        return None
    # What makes it may not have been killed, and be at work on them.
    with alone_with_versions(engine.database):
        if (newest := _unwritten(engine)) is not None:
            write_version(engine, newest, newest.key)
            engine.notes.append(f"{newest.label} was recorded without its files, which are written now")
        return newest


def _unwritten(engine: Engine) -> DatasetVersion | None:
    with engine.database.read() as connection:
        newest = datasets.latest(connection)
    return None if newest is None or is_written(engine, newest) else newest


@seldom_collected()
def write_version(engine: Engine, version: DatasetVersion, target: str, ever: Ever | None = None) -> dict[str, int]:
    """Write the version's files.  Its own is written once, for a version never changes; the sides' files are the newest
    version's.  A kill between a record and its files may have left older versions without theirs: they get them too.

    Args:
        engine: the workspace.
        version: which.
        target: where it is written as well, unless that is its own place.
        ever: all frames that the versions before it held, where they were just read.

    Returns:
        frames on each side of the split.
    """
    with engine.database.read() as connection:
        known = {found.number: found for found in datasets.versions(connection) if found.number <= version.number}
    before = known.get(version.number - 1)
    for number, older in sorted(known.items()):
        if number < version.number and not is_written(engine, older):
            write_certificate(engine, older)
            with engine.database.read() as connection, engine.storage.writing(older.key) as path:
                write_whole(connection, outline(connection, older), [Sheet(path)])
    _write_newest(engine, version, before, partial(write_certificate, engine, version, ever=ever))
    if target != version.key:
        _copy(engine, version.key, target)
        beside = PurePosixPath(target).parent.as_posix()
        if beside != FOLDER:
            with engine.database.read() as connection:
                sides = sides_written(connection, version.number)
            for side in sides:
                _copy(engine, f"{FOLDER}/{side}.json", f"{beside}/{side}.json")
    with engine.database.read() as connection:
        return datasets.side_counts(connection, version.number)


def _write_newest(
    engine: Engine, version: DatasetVersion, before: DatasetVersion | None, certify: Callable[[], None]
) -> None:
    """Write what lacks of the files of the newest version; its certificate is there before its own file is."""
    with engine.database.read() as connection:
        sides = sides_written(connection, version.number)
    keys: dict[str, Split | None] = {version.key: None, **{f"{FOLDER}/{side}.json": side for side in sides}}
    noted = _noted(engine)
    sound = _sound(engine, noted) if noted is not None and noted.version == version.id else {}
    lacking = [key for key in keys if key not in sound and not (key == version.key and is_written(engine, version))]
    # Written before its note was: who was killed in between left a file that is sound, unless somebody changed it.
    unsure = version.key not in lacking and version.key not in sound and (noted is None or noted.version != version.id)
    if not lacking and not unsure:
        certify()
        return
    with engine.database.read() as connection:
        held = outline(connection, version)
        there = {} if before is None else _before(engine, noted, version, before, held)
        # The version's own file, the first one here, is the last one to appear.
        with contextlib.ExitStack() as stack:
            sheets = [
                Sheet(stack.enter_context(engine.storage.writing(key)), keys[key], engine.storage.path(there[key]))
                if key in there
                else Sheet(stack.enter_context(engine.storage.writing(key)), keys[key])
                for key in lacking
            ]
            own = Compared(engine.storage.path(version.key)) if unsure else None
            if own is not None:
                sheets.append(Sheet(own))
            if all(sheet.before is not None for sheet in sheets):
                write_from_before(connection, held, sheets)
            else:
                write_whole(connection, held, sheets)
            if own is not None and own.same:
                sound[version.key] = engine.storage.stamp(version.key)
            with _synced([sheet.path for sheet in sheets if isinstance(sheet.path, Path)]):
                certify()
    stamps = {**sound, **{key: engine.storage.stamp(key) for key in lacking}}
    note = _Stamps(_LAYOUT, version.id, _numbered(held.numbers.order), stamps)
    engine.storage.write_bytes(STAMPS, msgspec.json.encode(note, order="sorted"))


@contextlib.contextmanager
def _synced(paths: Sequence[Path]) -> Iterator[None]:
    """Bring files to the disk while something else is done; what goes wrong is raised at the end."""
    with ThreadPoolExecutor(max(len(paths), 1)) as pool:
        done = [pool.submit(_sync, path) for path in paths]
        yield
        for one in done:
            one.result()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _before(
    engine: Engine, noted: _Stamps | None, version: DatasetVersion, before: DatasetVersion, held: Outline
) -> dict[str, str]:
    """Keys of the files of the version before that can be built on, by keys of this one's."""
    if noted is None or noted.version != before.id or version.parent_id != before.id:
        return {}
    if noted.numbers != _numbered(held.numbers.up_to(before.number)):
        return {}
    sound = _sound(engine, noted)
    return {version.key if key == before.key else key: key for key in sound}


def _noted(engine: Engine) -> _Stamps | None:
    try:
        noted = msgspec.json.decode(engine.storage.read_bytes(STAMPS), type=_Stamps)
    except (MissingInputError, msgspec.MsgspecError):
        return None
    return noted if noted.layout == _LAYOUT else None


def _sound(engine: Engine, noted: _Stamps) -> dict[str, str]:
    """The stamps of the files that lie as they were written."""
    found = {}
    for key, stamp in noted.stamps.items():
        with contextlib.suppress(MissingInputError):
            if engine.storage.stamp(key) == stamp:
                found[key] = stamp
    return found


def _numbered(order: tuple[str, ...]) -> str:
    return content_id("numbers", "".join(order))


def _copy(engine: Engine, key: str, target: str) -> None:
    with engine.storage.writing(target) as path:
        shutil.copyfile(engine.storage.path(key), path)


def version_frames(engine: Engine, number: int) -> list[VersionFrame]:
    """The frames of a version with their boxes, all in memory, in the order of its file's images."""
    from data_engine.stages.version_coco import in_order

    with engine.database.read() as connection:
        known = version_rows.numbers(connection, number)
        rows = version_rows.frame_rows(connection, number, known)
        boxes = datasets.boxes_of(connection, number)
    return in_order(VersionFrame(r.frame, r.split, boxes.get(r.frame.id, ()), r.video_name, r.number) for r in rows)
