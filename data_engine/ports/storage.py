"""Files by key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable


@runtime_checkable
class Storage(Protocol):
    """Files by key.  A key is relative, ``/``-separated and never climbs (``..`` raises DamagedInputError)."""

    def open(self, key: str) -> BinaryIO:
        """Open for reading; MissingInputError when it is not there."""
        ...

    def read_bytes(self, key: str) -> bytes:
        """The whole file; MissingInputError when it is not there."""
        ...

    def write_bytes(self, key: str, data: bytes) -> None:
        """Write atomically: the full file appears, or nothing.  StorageFullError when the disk is full."""
        ...

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Write many small files, keys with their content, each as :meth:`write_bytes` does.

        All are on the disk when it returns; before that the power may fail and leave a file with nothing in it.
        """
        ...

    def writing(self, key: str) -> AbstractContextManager[Path]:
        """A temporary local path with the key's suffix; it becomes the key atomically when the block ends well."""
        ...

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int:
        """Bytes; MissingInputError when it is not there."""
        ...

    def stamp(self, key: str) -> str:
        """Changes whenever the file may have (size and time, or an entity tag); MissingInputError without the file."""
        ...

    def delete(self, key: str) -> None:
        """Remove one file; quietly when it is not there."""
        ...

    def list(self, prefix: str, *, unreadable: Callable[[str], None] | None = None) -> Iterator[str]:
        """Keys of the files below a folder, sorted, hidden and temporary ones left out.

        A folder below it that cannot be read raises DamagedInputError, or is passed over and its key told to
        ``unreadable``, where that is given.
        """
        ...

    def link(self, source_key: str, target_key: str) -> None:
        """Make the file appear under a second key: a hard link where the disk allows, else a copy; atomic."""
        ...

    def path(self, key: str) -> Path:
        """A local path with the file's content (a cached copy where the storage is remote)."""
        ...

    def key_of(self, path: Path) -> str:
        """The key of a local path."""
        ...
