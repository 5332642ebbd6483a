"""Accepted boxes on disk between the job that they are read from and the transaction that takes them in.

Of two jobs that hold a frame, which one counts is known when all are read; a million boxes are not kept in memory for
that.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from data_engine.stages.export import Merged
from data_engine.types import BoxRow


@dataclass(frozen=True, slots=True)
class Spooled:
    """The boxes of a frame, as a job gives them."""

    job_id: str
    content: str
    """As of :class:`~data_engine.stages.export.Merged`."""
    categories: tuple[int, ...]
    """Ids of the classes on the frame, ascending."""
    at: int
    size: int
    """Bytes of the spool."""


class Spool:
    """A file without a name, gone with its process.

    Args:
        folder: on whose disk it lies.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it ends with the object
        self._size = 0
        self._shared: dict[tuple[int, ...], tuple[int, ...]] = {}

    def put(self, job_id: str, merged: Merged) -> Spooled:
        """Keep the boxes of a frame."""
        data = _encode(merged.boxes)
        self._file.seek(self._size)
        self._file.write(data)
        categories = tuple(sorted({box.category_id for box in merged.boxes}))
        categories = self._shared.setdefault(categories, categories)
        kept = Spooled(job_id, merged.content, categories, self._size, len(data))
        self._size += len(data)
        return kept

    def get(self, kept: Spooled, *, since: int, acceptance: str | None) -> list[BoxRow]:
        """The boxes as rows of the version that takes them in, by the acceptance that they stand by."""
        return [BoxRow._make(row) for row in self.rows(kept, since=since, acceptance=acceptance)]

    def rows(self, kept: Spooled, *, since: int, acceptance: str | None) -> list[tuple[Any, ...]]:
        """As :meth:`get`, as plain tuples."""
        self._file.seek(kept.at)
        told: list[tuple[Any, ...]] = _decode(self._file.read(kept.size))
        end = acceptance, since
        return [row[:-2] + end for row in told]

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode
