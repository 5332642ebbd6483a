"""Removing a source from the files of a workspace: every file is looked at, whoever wrote it.

What this program makes anew, or can take the source out of, is cleaned; what it cannot is named.  What is removed
already does no harm, so that a purge that was killed is run again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from data_engine.app.dataset.dataset_certificate import certificate_key
from data_engine.app.dataset.version_files import FOLDER as VERSIONS
from data_engine.app.engine import DATABASE, STATE_FOLDER, Engine
from data_engine.app.footage.live_files import PARTIAL
from data_engine.app.footage.renditions import FOLDER as RENDITIONS
from data_engine.app.footage.sample_scratch import FOLDER as SCRATCH
from data_engine.app.footage.sample_scratch import locked
from data_engine.app.footage.similar import FOLDER as SEARCH
from data_engine.app.lineage import purge_archives, purge_rewriting
from data_engine.app.lineage.purge_known import Pictures
from data_engine.errors import DamagedInputError
from data_engine.formats.pruning import Marks
from data_engine.lineage import database_copies, datasets, purge_sources
from data_engine.storage.local import TEMPORARY_PREFIX
from data_engine.types import Failed

_LEFT_ALONE = (".git",)
_LOGS = "logs/"
_PAGES = frozenset([".html", ".htm", ".svg"])
_COPIES = frozenset([".bak", ".orig", ".old", ".backup", ".save", ".copy"])
"""What editors and people put behind the name of a file that they keep."""
_WEIGHTS = frozenset([".onnx", ".pt", ".pth", ".ckpt", ".engine"])
"""Made of what was purged, perhaps: models are named, and their files name nothing."""
_MOST_TEXT = 512 << 20
"""Bytes from which on a file that is no JSON is not taken for text."""
_MOST_UNKNOWN = 64 << 20
"""Bytes up to which a file of a kind that nobody knows is looked into."""
_HEAD = 512
_SHORT = re.compile(r"_([0-9a-f]{8})$")
_VERSION_FILE = "dataset_version.json"


@dataclass(slots=True)
class Swept:
    """What became of the files."""

    removed: Counter[str] = field(default_factory=Counter)
    """Files that are gone, by what they were."""
    rewritten: Counter[str] = field(default_factory=Counter)
    """Files that are there without the source, by what they are."""
    failures: list[Failed] = field(default_factory=list)
    """Files that hold something of it and are left as they are."""
    alike: list[str] = field(default_factory=list)
    """Pictures nobody knows that look like one of its frames, left as they are."""
    closed: list[str] = field(default_factory=list)
    """Files that could not be looked into: damaged or locked archives, and what is too large."""


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for, and what is known of the workspace."""

    engine: Engine
    marks: Marks
    pictures: Pictures
    gone: Collection[str]
    """Ids of its frames."""
    made_again: frozenset[str]
    """Keys of the versions' own files."""
    keys: Collection[str]
    """Of the pictures on record."""
    names: Collection[str]
    """Of the frames on record."""
    shorts: Collection[str]
    """The beginnings of ids of the frames on record, by which their copies are called."""


def sweep(engine: Engine, marks: Marks, pictures: Pictures, gone: Collection[str]) -> Swept:
    """Remove the source from every file of the workspace but the dataset versions' own.

    Args:
        engine: the workspace.
        marks: what it is named by.
        pictures: its pictures.
        gone: ids of its frames.
    """
    swept = Swept()
    with engine.database.read() as connection:
        keys, names = purge_sources.known_names(connection)
        known = datasets.versions(connection)
        shorts = purge_sources.short_ids(connection)
    own = {version.key for version in known} | {certificate_key(version.number) for version in known}
    own |= {f"{VERSIONS}/{side}.json" for side in ("train", "valid", "golden")}
    search = _Search(engine, marks, pictures, gone, frozenset(own), keys, names, shorts)
    engine.progress.start("looking through the files", None, "files")
    for path in _files(engine):
        try:
            # It may have gone with another one, or with who works here.
            if path.exists():
                _look_at(search, path, swept)
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


def _look_at(search: _Search, path: Path, swept: Swept) -> None:
    from data_engine.media.picture_names import is_image
    from data_engine.media.probe import is_video

    engine, marks, pictures = search.engine, search.marks, search.pictures
    key, plain = engine.storage.key_of(path), _plain_name(path.name)
    suffix, stem = plain.suffix.lower(), plain.stem
    if key in search.made_again:
        return  # made of the rows, and made again
    if key.startswith(f"{SEARCH}/"):
        _remove(engine, key, "matrix of vectors", swept)
        return
    if key.startswith(f"{RENDITIONS}/"):
        if stem in search.gone or path.name.startswith(TEMPORARY_PREFIX):
            _remove(engine, key, "copy for pages", swept)
        return
    if database_copies.is_sqlite(path) or key.startswith(f"{DATABASE}."):
        _look_into_database(search, path, key, swept)
    elif pictures.is_video(path):
        _remove(engine, key, "video", swept)
    elif pictures.is_one(path) or (is_image(plain.name) and (key in pictures.keys or plain.name in marks.names)):
        _remove(engine, key, "picture", swept)
    elif {stem, PurePosixPath(stem).stem} & marks.stems:
        _remove(engine, key, "picture" if is_image(plain.name) else "label file", swept)
    elif is_image(plain.name):
        if not _is_known(search, key, plain) and pictures.looks_like(path):
            swept.alike.append(engine.shown(key))
    elif suffix in (".npy", *_WEIGHTS) or is_video(plain.name):
        return
    elif suffix == ".npz":
        purge_rewriting.take_rows(engine, key, path, search.gone, swept.rewritten, swept.removed)
    else:
        _look_into_text(search, path, key, suffix, swept)


def _look_into_text(search: _Search, path: Path, key: str, suffix: str, swept: Swept) -> None:
    engine, marks = search.engine, search.marks
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if purge_archives.is_archive(head):
        holds = purge_archives.holds(path, marks, search.pictures)
        if holds is None:
            swept.closed.append(engine.shown(key))
        elif holds:
            swept.failures.append(Failed(engine.shown(key), "an archive that holds files of it, left as it is"))
        return
    log = key.startswith(_LOGS)
    pruned = purge_rewriting.pruner(suffix, log, marks)
    most = _MOST_UNKNOWN if pruned is None and suffix not in _PAGES else _MOST_TEXT
    if suffix != ".json" and path.stat().st_size >= most:
        swept.closed.append(engine.shown(key))
        return
    before = path.read_bytes()
    if not purge_archives.mentions(before, marks):
        return
    after = before if pruned is None else pruned(before)
    if suffix in _PAGES or suffix == ".cache":
        _remove(engine, key, "page" if suffix in _PAGES else "cache", swept)
    elif not after or path.name == _VERSION_FILE:
        _remove(engine, key, "list" if suffix != ".json" else "JSON file", swept)
    elif purge_archives.mentions(after, marks):
        swept.failures.append(Failed(engine.shown(key), "names it, and is no file of this program: left as it is"))
    elif log and suffix == ".jsonl":
        purge_rewriting.write_over(path, after)
        swept.rewritten["log"] += 1
    else:
        engine.storage.write_bytes(key, after)
        swept.rewritten["list" if suffix != ".json" else "JSON file"] += 1


def _plain_name(name: str) -> PurePosixPath:
    """A file's name without what editors and people put behind it."""
    plain = PurePosixPath(name)
    while plain.suffix.lower() in _COPIES or plain.name.endswith("~"):
        shorter = plain.name.removesuffix("~").removesuffix(plain.suffix if not plain.name.endswith("~") else "")
        if not shorter:
            break
        plain = PurePosixPath(shorter)
    return plain


def _is_known(search: _Search, key: str, plain: PurePosixPath) -> bool:
    """Whether a picture is that of a frame on record, by its place or by what its copies are called."""
    short = _SHORT.search(plain.stem)
    return key in search.keys or plain.name in search.names or (short is not None and short[1] in search.shorts)


def _look_into_database(search: _Search, path: Path, key: str, swept: Swept) -> None:
    engine = search.engine
    holds = database_copies.holds(path, search.marks.ids) if database_copies.is_sqlite(path) else True
    if not holds and path.stat().st_size < _MOST_TEXT and purge_archives.mentions(path.read_bytes(), search.marks):
        # Of what was deleted in it the pages may be there.
        holds, named = holds is not None, holds is None
    else:
        named = False
    if holds and path.parent.name == STATE_FOLDER and path.name == PurePosixPath(DATABASE).name:
        swept.failures.append(Failed(engine.shown(key), "the database of another workspace holds it, left as it is"))
    elif holds:
        for suffix in ("", "-wal", "-shm", "-journal"):
            beside = path.with_name(f"{path.name}{suffix}")
            if beside.exists():
                _remove(engine, engine.storage.key_of(beside), "copy of the database", swept)
    elif named:
        swept.failures.append(Failed(engine.shown(key), "a database that names it, left as it is"))


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
