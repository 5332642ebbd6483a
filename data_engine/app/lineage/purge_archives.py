"""Looking into archives for what is purged: they are named, and left as they are."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from data_engine.app.lineage.purge_known import Pictures
from data_engine.formats.pruning import Marks
from data_engine.types import ID_LENGTH

_ZIP = b"PK\x03\x04"
_TAR, _TAR_AT = b"ustar", 257
_PACKED: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_MOST_TEXT = 64 << 20
"""Bytes of one file up to which its text is looked through."""
_PIECE = 1 << 20
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with these bytes (262 at least) is an archive, or packed."""
    packed = any(head.startswith(magic) for magic, _opened in _PACKED)
    return head.startswith(_ZIP) or head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR or packed


def holds(path: Path, marks: Marks, pictures: Pictures) -> bool | None:
    """Whether an archive has a file that is a picture or video of it, is called like one, or names it in its text.

    Returns:
        None where it cannot be read to its end.
    """
    try:
        return any(_is_of_it(name, size, file, marks, pictures) for name, size, file in _members(path))
    except (*_DAMAGED, ValueError):
        return None


def _members(path: Path) -> Iterator[tuple[str, int | None, IO[bytes]]]:
    """The files of an archive: name, size where it is known, and what reads it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    with archive.open(entry) as file:
                        yield entry.filename, entry.file_size, file
    elif _is_tar(path):
        with tarfile.open(path, "r:*") as packed:
            for member in packed:
                found = packed.extractfile(member) if member.isfile() else None
                if found is not None:
                    yield member.name, member.size, found
    else:
        with path.open("rb") as raw:
            head = raw.read(8)
        opened = next(opened for magic, opened in _PACKED if head.startswith(magic))
        with opened(path) as file:
            yield path.stem, None, file


def _is_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:*"):
            return True
    except _DAMAGED:
        return False


def _is_of_it(name: str, size: int | None, file: IO[bytes], marks: Marks, pictures: Pictures) -> bool:
    if marks.is_one(name) or PurePosixPath(name).stem in marks.stems:
        return True
    if size is None or size in pictures.sizes or size in pictures.video_sizes:
        # Of one packed file the size is only known when it is read.
        sha, head = hashlib.sha256(), bytearray()
        while piece := file.read(_PIECE):
            sha.update(piece)
            head += piece[: max(0, _MOST_TEXT - len(head))]
        found = sha.hexdigest()
        known = found in pictures.sums or found[:ID_LENGTH] in pictures.videos
        return known or mentions(bytes(head), marks)
    return size <= _MOST_TEXT and mentions(file.read(), marks)


def mentions(data: bytes, marks: Marks) -> bool:
    """Whether bytes, whatever they are, name something of it in plain letters."""
    # Letters that are no UTF-8 are those of other parts of the file.
    return marks.mentioned_in(data.decode("utf-8", "replace"))
