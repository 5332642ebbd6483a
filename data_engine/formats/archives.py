"""Zip archives from outside: checked whole before one byte of them is unpacked."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from data_engine.errors import DamagedInputError
from data_engine.formats.coco_records import safe_file_name

MOST_ENTRIES = 5_000_000
MOST_BYTES = 1 << 40
"""Of all entries together, unpacked: 1 TiB."""
RATIO, SMALL = 200, 64 << 20
"""An entry of more than 64 MiB that is more than 200 times its packed size: annotations shrink to a twentieth, pictures
hardly, and deflate's own limit is 1032."""

_PIECE = 1 << 18
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
"""What ``zipfile`` raises on damaged, encrypted or unknown bytes."""
_ENCRYPTED = 0x1


class Archive:
    """The files of a zip archive by their plain names; folders are no entries.

    Args:
        file: the archive, seekable; it stays open as long as this is used.
        name: what to call it in a message.

    Raises:
        DamagedInputError: not a zip archive; an entry that climbs out of the folder, is absolute, a link or a device,
            is encrypted, lies over another one, is named like another one, or grows without measure.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self.name = name
        try:
            self._zip = zipfile.ZipFile(file)
            size = file.seek(0, 2)
        except _DAMAGED:
            raise DamagedInputError(f"{name} is not a zip archive, or it is damaged") from None
        entries = self._zip.infolist()
        if len(entries) > MOST_ENTRIES:
            raise DamagedInputError(f"{name} holds {len(entries)} entries, more than {MOST_ENTRIES}")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        folders: set[str] = set()
        for entry in entries:
            self._add(entry, folders)
        self._refuse_growth(entries, size)
        if clash := next((path for path in self._entries if path in folders), None):
            raise DamagedInputError(f"{name}: {clash!r} is both a file and a folder")

    def _add(self, entry: zipfile.ZipInfo, folders: set[str]) -> None:
        path, name = entry.filename, self.name
        if not safe_file_name(path.rstrip("/") or "/"):
            raise DamagedInputError(f"{name}: the entry {path!r} climbs out of its folder")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind == stat.S_IFLNK:
            raise DamagedInputError(f"{name}: the entry {path!r} is a link")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DamagedInputError(f"{name}: the entry {path!r} is neither a file nor a folder")
        if entry.flag_bits & _ENCRYPTED:
            raise DamagedInputError(f"{name} is encrypted")
        plain = PurePosixPath(path)
        folders.update(str(parent) for parent in plain.parents)
        if entry.is_dir():
            folders.add(str(plain))
        elif self._entries.setdefault(str(plain), entry) is not entry:
            raise DamagedInputError(f"{name}: two entries have the name {str(plain)!r}")

    def _refuse_growth(self, entries: list[zipfile.ZipInfo], size: int) -> None:
        for entry in entries:
            if entry.file_size > SMALL and entry.file_size > RATIO * max(entry.compress_size, 1):
                grown = f"{entry.compress_size} bytes to {entry.file_size}"
                raise DamagedInputError(f"{self.name}: the entry {entry.filename!r} would grow from {grown}")
        if (total := sum(entry.file_size for entry in entries)) > MOST_BYTES:
            raise DamagedInputError(f"{self.name} would unpack to {total} bytes, more than {MOST_BYTES}")
        if sum(entry.compress_size for entry in entries) > size:
            raise DamagedInputError(f"{self.name}: its entries lie over one another")

    @property
    def names(self) -> tuple[str, ...]:
        """The files, sorted; relative and safe."""
        return tuple(sorted(self._entries))

    def size(self, path: str) -> int:
        """Bytes of a file, unpacked; KeyError when it is not there."""
        return self._entries[path].file_size

    def pieces(self, path: str, size: int = _PIECE) -> Iterator[bytes]:
        """The bytes of a file in order; KeyError when it is not there.

        Raises:
            DamagedInputError: its bytes are damaged, or not as many as the archive says.
        """
        entry = self._entries[path]
        left = entry.file_size
        with self._opened(path, entry) as file:
            while piece := self._read(file, size, path):
                left -= len(piece)
                yield piece
        if left:
            raise DamagedInputError(f"{self.name}: the entry {path!r} is not as long as the archive says")

    def read(self, path: str) -> bytes:
        """A whole file; errors as :meth:`pieces`."""
        return b"".join(self.pieces(path))

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file; errors as :meth:`pieces`."""
        with self._opened(path, self._entries[path]) as file:
            return self._read(file, size, path)

    def _opened(self, path: str, entry: zipfile.ZipInfo) -> IO[bytes]:
        try:
            return self._zip.open(entry)
        except _DAMAGED:
            raise self._damaged(path) from None

    def _read(self, file: IO[bytes], size: int, path: str) -> bytes:
        try:
            return file.read(size)
        except _DAMAGED:
            raise self._damaged(path) from None

    def _damaged(self, path: str) -> DamagedInputError:
        return DamagedInputError(f"{self.name}: the entry {path!r} is damaged")
