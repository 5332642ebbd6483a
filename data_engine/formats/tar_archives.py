"""Tar archives from outside: checked whole before one byte is unpacked, as in :mod:`data_engine.formats.archives`.

A compressed one has no places to go to: it is unpacked into an uncompressed one first.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from threading import Lock
from typing import Any, BinaryIO

from data_engine.errors import DamagedInputError
from data_engine.formats.archives import MOST_BYTES, MOST_ENTRIES, RATIO, SMALL
from data_engine.formats.coco_records import safe_file_name

_PIECE = 1 << 18
_DAMAGED = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
"""What ``tarfile`` and the decompressors raise on damaged or unknown bytes."""
_PACKED: Mapping[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
"""How a compressed file begins."""


def unpacked(file: BinaryIO, into: BinaryIO, *, name: str) -> BinaryIO:
    """The archive without its compression: ``file`` itself, or ``into`` after it was filled.

    Raises:
        DamagedInputError: it is damaged, or grows without measure.
    """
    begins = file.read(8)
    size = file.seek(0, 2)
    file.seek(0)
    decompress = next((opened for magic, opened in _PACKED.items() if begins.startswith(magic)), None)
    if decompress is None:
        return file
    grown = 0
    try:
        with decompress(file) as plain:
            while piece := plain.read(_PIECE):
                grown += len(piece)
                if grown > MOST_BYTES or (grown > SMALL and grown > RATIO * size):
                    raise DamagedInputError(f"{name} would grow from {size} bytes to more than {grown}")
                into.write(piece)
    except _DAMAGED as error:
        if _is_full(error):
            raise
        raise DamagedInputError(f"{name} is not a tar archive, or it is damaged") from None
    return into


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno is not None


class TarArchive:
    """The files of an uncompressed tar archive by their plain names; folders are no entries.

    Args:
        file: the archive, seekable; it stays open as long as this is used.
        name: what to call it in a message.

    Raises:
        DamagedInputError: not a tar archive; an entry that climbs out of the folder, is absolute, a link or a device,
            or is named like another one.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        self.name = name
        self._file = file
        self._lock = Lock()
        self._places: dict[str, tuple[int, int]] = {}
        folders: set[str] = set()
        size = file.seek(0, 2)
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                for entry in archive:
                    self._add(entry, folders, size)
        except _DAMAGED as error:
            if _is_full(error):
                raise
            raise DamagedInputError(f"{name} is not a tar archive, or it is damaged") from None
        if clash := next((path for path in self._places if path in folders), None):
            raise DamagedInputError(f"{name}: {clash!r} is both a file and a folder")

    def _add(self, entry: tarfile.TarInfo, folders: set[str], size: int) -> None:
        path, name = entry.name, self.name
        if entry.isdir() and PurePosixPath(path) == PurePosixPath():
            return  # "./", as tar writes the folder that it packs
        if not safe_file_name(path):
            raise DamagedInputError(f"{name}: the entry {path!r} climbs out of its folder")
        if entry.issym() or entry.islnk():
            raise DamagedInputError(f"{name}: the entry {path!r} is a link")
        if not (entry.isreg() or entry.isdir()) or entry.issparse():
            raise DamagedInputError(f"{name}: the entry {path!r} is neither a file nor a folder")
        plain = PurePosixPath(path)
        folders.update(str(parent) for parent in plain.parents)
        if entry.isdir():
            folders.add(str(plain))
            return
        if entry.offset_data + entry.size > size:
            raise DamagedInputError(f"{name} ends in the middle of the entry {path!r}")
        if str(plain) in self._places:
            raise DamagedInputError(f"{name}: two entries have the name {str(plain)!r}")
        if len(self._places) == MOST_ENTRIES:
            raise DamagedInputError(f"{name} holds more than {MOST_ENTRIES} entries")
        self._places[str(plain)] = entry.offset_data, entry.size

    @property
    def names(self) -> tuple[str, ...]:
        """The files, sorted; relative and safe."""
        return tuple(sorted(self._places))

    def size(self, path: str) -> int:
        """Bytes of a file; KeyError when it is not there."""
        return self._places[path][1]

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file; KeyError when it is not there."""
        start, length = self._places[path]
        return self._at(start, min(size, length))

    def pieces(self, path: str, size: int = _PIECE) -> Iterator[bytes]:
        """The bytes of a file in order; KeyError when it is not there."""
        start, length = self._places[path]
        for at in range(0, length, size):
            yield self._at(start + at, min(size, length - at))

    def _at(self, start: int, size: int) -> bytes:
        # Pictures are read by several threads, and a file has one place only.
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)
