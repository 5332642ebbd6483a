"""A folder of pictures and labels that belongs to the convert stage, kept in step with what it last wrote.

The hidden file ``.converted.json`` lists what the stage wrote, so that a picture which left the split is removed and
a file of somebody else is never overwritten or deleted.  It is written before the first file: a conversion that was
killed can be run again.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
from typing import TYPE_CHECKING

import msgspec

from data_engine.errors import ConflictError, MissingInputError
from data_engine.formats import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from data_engine.ports import Storage

OWN_LIST = ".converted.json"
_TEXTS = (".txt", ".json", ".yaml", ".xml")
_CACHES = (".cache", ".npy")
"""What Ultralytics leaves in its data folders."""


class _Own(msgspec.Struct):
    files: list[str]
    marks: dict[str, str] = {}
    """What tells whether a file is still as it was written: the SHA-256 of a text, the storage's stamp of a picture (of
    an earlier release its size)."""


class TrainingFolder:
    """One split's folder.  Paths are relative to it.

    Raises:
        DamagedInputError: its list of files is damaged.
    """

    def __init__(self, storage: Storage, key: str) -> None:
        self.key = key
        self._storage = storage
        self._changed = False
        self._there: frozenset[str] = frozenset()
        self._texts: dict[str, str] = {}
        self._own = self._listed()

    def _listed(self) -> frozenset[str]:
        return frozenset(self._read_list().files)

    def _read_list(self) -> _Own:
        key = self.key_of(OWN_LIST)
        if not self._storage.exists(key):
            return _Own([])
        return strict_json.decode(self._storage.read_bytes(key), _Own, name=key, what="a list of files")

    def differing(self, same: Callable[[str], bool]) -> str | None:
        """The first file, by name, that is not as the stage finished it: changed, gone, or added by somebody else.

        None where all are, and for a folder of an earlier release or of somebody else, of which nothing is known.

        Args:
            same: whether a picture of the same size and another time holds what it should, by its path.
        """
        own = self._read_list()
        if not own.marks:
            return None
        start = len(self.key) + 1
        there = {path[start:] for path in self._storage.list(self.key)} - {OWN_LIST}
        for path in sorted(there.union(own.marks)):
            if path.endswith(_CACHES):
                continue
            if path not in there or not self._as_marked(path, own.marks.get(path), same):
                return path
        return None

    def _as_marked(self, path: str, mark: str | None, same: Callable[[str], bool]) -> bool:
        if mark is None or mark == (found := self._mark(path)):
            return mark is not None
        if path.endswith(_TEXTS):
            return False
        # As stamped, a picture's mark begins with its size; an earlier release's is nothing else.
        size = found.partition("-")[0]
        return mark == size or (mark.partition("-")[0] == size and same(path))

    def _mark(self, path: str) -> str:
        if path.endswith(_TEXTS):
            return hashlib.sha256(self.read(path)).hexdigest()
        return self._storage.stamp(self.key_of(path))

    def key_of(self, path: str) -> str:
        """The storage key of a path in the folder."""
        return f"{self.key}/{path}"

    @property
    def used(self) -> bool:
        """Whether the stage ever wrote here, be it a split without a picture."""
        return self._storage.exists(self.key_of(OWN_LIST))

    def begin(self, planned: Iterable[str]) -> None:
        """Claim the files that will be written.

        Raises:
            ConflictError: the folder holds files that this stage did not write.
        """
        start = len(self.key) + 1
        found = [key[start:] for key in self._storage.list(self.key)]
        # Read after the folder: another conversion of this moment claims each of its files before it writes it.
        before = self._read_list()
        self._own = frozenset(before.files)
        foreign = [path for path in found if path not in self._own and not path.endswith(_CACHES)]
        if foreign:
            raise ConflictError(
                f"{self.key} holds {len(foreign)} files that convert did not write, such as {foreign[0]}",
                hint="choose an empty folder with --output",
            )
        self._there = frozenset(found)
        self._caches = [path for path in found if path.endswith(".cache")]
        # What was known of the files stays until they are finished: changed meanwhile, they are not as it says.
        self._record(self._own.union(planned), before.marks)

    def place(self, source: str | None, path: str, *, copy: bool) -> bool:
        """Link or copy a picture into the folder, where it does not lie there already; False when it is missing.

        One that its EXIF orientation turns is written as an upright copy: not every trainer's loader turns it, and the
        boxes are those of the picture as people see it.
        A picture that an earlier run placed stays when its source is gone: it may be the last copy.
        """
        from data_engine.media.images import is_upright, upright_copy

        storage, target = self._storage, self.key_of(path)
        there = storage.exists(target)
        if source is None or not storage.exists(source):
            return there
        if source != target and not is_upright(storage.path(source)):
            self.write(path, upright_copy(storage.path(source)))
            return True
        if there and storage.size(target) == storage.size(source):
            original, placed = storage.path(source), storage.path(target)
            if os.path.samefile(original, placed):
                if source == target or not copy:
                    return True
            elif filecmp.cmp(original, placed, shallow=False):
                return True
        self._changed = True
        try:
            if copy:
                with storage.writing(target) as temporary:
                    shutil.copyfile(storage.path(source), temporary)
            else:
                storage.link(source, target)
        except (MissingInputError, FileNotFoundError):
            return False  # it went away this moment
        return True

    def write(self, path: str, data: bytes) -> None:
        """Write a file, unless it holds just that."""
        self._changed |= write_if_changed(self._storage, self.key_of(path), data)
        self._remember(path, data)

    def write_all(self, files: Iterable[tuple[str, bytes]]) -> None:
        """As :meth:`write`, of many small files; after :meth:`begin`, which tells what lies there."""

        def changed() -> Iterator[tuple[str, bytes]]:
            for path, data in files:
                self._remember(path, data)
                key = self.key_of(path)
                if path not in self._there or not _is_just(self._storage, key, data):
                    self._changed = True
                    yield key, data

        self._storage.write_many(changed())

    def _remember(self, path: str, data: bytes) -> None:
        """Keep the mark of what is written, so that it need not be read again for it."""
        if path.endswith(_TEXTS):
            self._texts[path] = hashlib.sha256(data).hexdigest()

    def read(self, path: str) -> bytes:
        """A file of the folder."""
        return self._storage.read_bytes(self.key_of(path))

    def finish(self, files: Iterable[str]) -> int:
        """Remove what earlier runs wrote and ``files`` no longer name; how many there were."""
        kept = frozenset(files)
        stale = [path for path in sorted(self._own - kept) if self._storage.exists(self.key_of(path))]
        # Older Ultralytics trust their cache when only the sizes of the files add up to the same.
        for path in (*stale, *(self._caches if stale or self._changed else ())):
            self._storage.delete(self.key_of(path))
        there = [path for path in sorted(kept) if self._storage.exists(self.key_of(path))]
        self._record(kept, {path: self._texts.get(path) or self._mark(path) for path in there})
        return len(stale)

    def _record(self, files: frozenset[str], marks: dict[str, str]) -> None:
        self._own = files
        write_if_changed(self._storage, self.key_of(OWN_LIST), msgspec.json.encode(_Own(sorted(files), marks)))


def write_if_changed(storage: Storage, key: str, data: bytes) -> bool:
    """Write a file, unless it holds just that; whether it was written."""
    if _is_just(storage, key, data):
        return False
    storage.write_bytes(key, data)
    return True


def _is_just(storage: Storage, key: str, data: bytes) -> bool:
    return storage.exists(key) and storage.size(key) == len(data) and storage.read_bytes(key) == data
