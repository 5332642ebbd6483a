"""Removing a source from the files of a workspace: every file is looked at, whoever wrote it.

What is removed already does no harm, so that a purge that was killed is run again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from data_engine.app.engine import DATABASE, Engine
from data_engine.app.live_files import PARTIAL
from data_engine.app.sample_scratch import FOLDER as SCRATCH
from data_engine.app.sample_scratch import locked
from data_engine.app.version_files import FOLDER as VERSIONS
from data_engine.errors import DamagedInputError
from data_engine.formats.pruning import Marks, pruned, pruned_lines, pruned_xml
from data_engine.lineage import purging
from data_engine.types import ID_LENGTH, Failed, content_id

_LEFT_ALONE = (".git",)
_LABELS = "labels"
_TEXT = frozenset([".txt", ".csv", ".tsv", ".md", ".mmd", ".mermaid", ".yaml", ".yml", ".log", ".tree", ""])
_PAGES = frozenset([".html", ".htm", ".svg"])
_MOST_TEXT = 512 << 20
"""Bytes from which on a file that is no JSON is not taken for text."""
_VERSION_FILE = "dataset_version.json"


@dataclass(slots=True)
class Swept:
    """What became of the files."""

    removed: Counter[str] = field(default_factory=Counter)
    """Files that are gone, by what they were."""
    rewritten: Counter[str] = field(default_factory=Counter)
    """Files that are there without the source, by what they are."""
    failures: list[Failed] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pictures:
    """How the pictures and videos of a source are known again, wherever they were moved or copied to."""

    keys: frozenset[str]
    sums: frozenset[str]
    sizes: frozenset[int]
    """In bytes, of the files with these sums."""
    videos: frozenset[str] = frozenset()
    """Ids: the beginnings of the files' sums."""
    video_sizes: frozenset[int] = frozenset()


def sweep(engine: Engine, marks: Marks, pictures: Pictures, gone: Collection[str]) -> Swept:
    """Remove the source from every file of the workspace but the dataset versions' own.

    Args:
        marks: what it is named by.
        pictures: its pictures.
        gone: ids of its frames.
    """
    swept = Swept()
    engine.progress.start("looking through the files", None, "files")
    for path in _files(engine):
        try:
            _look_at(engine, path, marks, pictures, gone, swept)
        except DamagedInputError as error:
            swept.failures.append(Failed(engine.shown(engine.storage.key_of(path)), error.message))
        engine.progress.advance()
    engine.progress.finish()
    return swept


def _files(engine: Engine) -> Iterator[Path]:
    own = engine.root / DATABASE
    if engine.database.dialect == "sqlite" and engine.database.url.database:
        own = Path(engine.database.url.database)
    database = {own.with_name(f"{own.name}{suffix}") for suffix in ("", "-wal", "-shm")}
    for folder, folders, names in os.walk(engine.root):
        folders[:] = sorted(name for name in folders if name not in _LEFT_ALONE)
        for name in sorted(names):
            path = Path(folder, name)
            if not path.is_symlink() and path not in database and path.suffix != ".lock":
                yield path


def _look_at(engine: Engine, path: Path, marks: Marks, pictures: Pictures, gone: Collection[str], swept: Swept) -> None:
    from data_engine.media.picture_names import is_image

    key, suffix = engine.storage.key_of(path), path.suffix.lower()
    if key.startswith(f"{VERSIONS}/") and suffix == ".json":
        return  # made of the rows, and made again
    if key.startswith(f"{DATABASE}."):
        _remove(engine, key, "copy of the database", swept)  # from before an upgrade
    elif _is_video(path, pictures):
        _remove(engine, key, "video", swept)
    elif is_image(path.name):
        if _is_one(path, key, marks, pictures):
            _remove(engine, key, "picture", swept)
    elif suffix in (".xml", ".npy") or (suffix == ".txt" and path.parent.name == _LABELS):
        if path.stem in marks.stems:
            _remove(engine, key, "label file", swept)
            return
        if suffix == ".xml":
            _rewrite(engine, key, path, lambda data: pruned_xml(data, marks), "list", swept)
    elif suffix == ".npz":
        _take_rows(engine, key, path, gone, swept)
    elif suffix == ".json":
        _rewrite(engine, key, path, lambda data: _pruned_json(data, marks, path.name), "JSON file", swept)
    elif suffix == ".jsonl":
        _mask(path, marks, swept)
    elif suffix in _PAGES or suffix == ".cache":
        if marks.mentioned_in(_text(path)):
            _remove(engine, key, "page" if suffix in _PAGES else "cache", swept)
    elif suffix in _TEXT and path.stat().st_size < _MOST_TEXT:
        _rewrite(engine, key, path, lambda data: _pruned_text(data, marks), "list", swept)
    elif suffix == ".zip":
        _look_into_archive(engine, key, path, marks, swept)


def _is_one(path: Path, key: str, marks: Marks, pictures: Pictures) -> bool:
    if key in pictures.keys or path.name in marks.names or path.stem in marks.stems:
        return True
    if path.stat().st_size not in pictures.sizes:
        return False
    from data_engine.media.images import sha256_of

    return sha256_of(path) in pictures.sums


def _is_video(path: Path, pictures: Pictures) -> bool:
    if path.stat().st_size not in pictures.video_sizes:
        return False
    from data_engine.media.images import sha256_of

    return sha256_of(path)[:ID_LENGTH] in pictures.videos


def _remove(engine: Engine, key: str, what: str, swept: Swept) -> None:
    engine.storage.delete(key)
    swept.removed[what] += 1
    # What a folder of training data holds is no version any more: convert makes it one again.
    path = engine.storage.path(key)
    remove_empty(engine, path)
    for folder in list(path.parents)[:3]:
        with contextlib.suppress(FileNotFoundError):
            (folder / _VERSION_FILE).unlink()
        if folder == engine.root:
            break


def drop_unfinished(engine: Engine, camera: str | None) -> None:
    """Remove what work that was cut off left of footage: what ``sample`` would go on from, and a camera's half-written
    recordings.  What somebody is working at now stays.
    """
    scratch = engine.root / SCRATCH
    for folder in sorted(scratch.iterdir()) if scratch.is_dir() else ():
        with locked(folder) as mine:
            if mine:
                shutil.rmtree(folder)
    if camera is not None:
        recordings = engine.root / PARTIAL
        folder = recordings / camera
        if folder.is_relative_to(recordings) and ".." not in folder.parts and folder != recordings:
            shutil.rmtree(folder, ignore_errors=True)


def remove_empty(engine: Engine, path: Path) -> None:
    """Remove the folders that a removed file leaves empty, below the workspace's own."""
    for folder in path.parents:
        if folder.parent == engine.root or not folder.is_relative_to(engine.root):
            break
        try:
            folder.rmdir()
        except OSError:
            break  # not empty, or gone


def _rewrite(engine: Engine, key: str, path: Path, prune: Callable[[bytes], bytes], what: str, swept: Swept) -> None:
    before = path.read_bytes()
    after = prune(before)
    if after == before:
        return
    if not after:
        _remove(engine, key, what, swept)
        return
    engine.storage.write_bytes(key, after)
    swept.rewritten[what] += 1


def _pruned_json(data: bytes, marks: Marks, name: str) -> bytes:
    if not marks.mentioned_in(_decoded(data)):
        return data
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise DamagedInputError(f"it names what was purged and cannot be read as JSON: {error}") from None
    left = pruned(found, marks)
    if left == found:
        return data
    if left is None:
        return b""
    if name == _VERSION_FILE:
        return b""
    written = msgspec.json.encode(left)
    # As it was written: in lines, where it was in lines.
    lines = data.count(b"\n")
    return msgspec.json.format(written, indent=1) + b"\n" if lines > 1 else written + data[-lines:] * lines


def _pruned_text(data: bytes, marks: Marks) -> bytes:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data
    return pruned_lines(text, marks).encode()


def _text(path: Path) -> str:
    return _decoded(path.read_bytes())


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _take_rows(engine: Engine, key: str, path: Path, gone: Collection[str], swept: Swept) -> None:
    """Write a column file without the rows of the frames; one that lineage does not read rows of goes as a whole."""
    from data_engine.formats.column_rows import frames_in, without_frames

    if not any(frame in gone for frame in frames_in(path)):
        return
    with engine.database.read() as connection:
        tables = [name for name in purging.column_files(connection, key) if name != "canaries"]
    if not tables:
        _remove(engine, key, "column file", swept)
        return
    left = without_frames(path.read_bytes(), gone, name=key)
    after = None
    if left.frame_ids:
        part = content_id("part", left.owner, *left.frame_ids)
        after = (PurePosixPath(key).parent / f"{part}.npz").as_posix()
        engine.storage.write_bytes(after, left.data)
    with engine.database.write() as connection:
        for table in tables:
            purging.move_rows(connection, table, key, after, left.frame_ids)
    engine.storage.delete(key)
    swept.rewritten["column file"] += 1


def _mask(path: Path, marks: Marks, swept: Swept) -> None:
    """Put as many ``x`` in the place of every name in a log: others may be writing to its end at this moment."""
    data = path.read_bytes()
    masked = bytearray(data)
    for word in marks.words_in(_decoded(data)):
        for spelled in {word.encode(), json.dumps(word)[1:-1].encode()}:
            at = data.find(spelled)
            while at >= 0:
                masked[at : at + len(spelled)] = b"x" * len(spelled)
                at = data.find(spelled, at + len(spelled))
    if masked != data:
        with path.open("r+b") as file:
            file.write(masked)
        swept.rewritten["log"] += 1


def _look_into_archive(engine: Engine, key: str, path: Path, marks: Marks, swept: Swept) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return
    if any(marks.is_one(name) or PurePosixPath(name).stem in marks.stems for name in names):
        swept.failures.append(Failed(engine.shown(key), "an archive that holds files of it, which is left as it is"))
