"""Stored embeddings: the vectors of many frames, as a compressed column file of about a kilobyte a frame.

A file is a NumPy ``.npz`` with the members

=================  ====================================================================================
``meta.json``      format number, name of the embedder, frame ids
``vectors.npy``    ``(frames, dimension)`` float16, each row of length 1
=================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from data_engine.errors import DamagedInputError
from data_engine.formats.columns import packed, unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
_ROUNDING = 0.005
"""By how much a vector's length may differ from 1, once its numbers are float16."""


class _Meta(msgspec.Struct):
    format: int
    embedder: str
    frame_ids: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """The vectors of one embedder on many frames."""

    embedder: str
    frame_ids: tuple[str, ...]
    vectors: NDArray[np.float16]
    """``(frames, dimension)``; read-only."""


def pack(embedder: str, frame_ids: Sequence[str], vectors: NDArray[np.floating]) -> bytes:
    """The vectors ``(frames, dimension)`` of these frames, as bytes; they lose what float16 loses.

    Raises:
        ValueError: as many frames as vectors are asked for, a frame id twice, a vector that is not of length 1.
    """
    if vectors.ndim != 2 or len(vectors) != len(frame_ids) or len(set(frame_ids)) != len(frame_ids):
        raise ValueError(f"{len(frame_ids)} frame ids, which must differ, for vectors of the shape {vectors.shape}")
    rounded = vectors.astype(np.float16)
    if not _of_length_one(rounded):
        raise ValueError("a vector is not of length 1")
    return packed(_Meta(FORMAT, embedder, list(frame_ids)), {"vectors": rounded})


def unpack(data: bytes, *, name: str = "embeddings") -> Embeddings:
    """Read what :func:`pack` wrote, and check it.

    Raises:
        DamagedInputError: truncated or changed bytes, another kind of file, columns that do not fit together.
    """
    meta, columns = unpacked(data, _Meta, {"vectors": ("<f2", 2)}, name=name, what="stored embeddings")
    if meta.format != FORMAT:
        raise DamagedInputError(f"{name} has the format {meta.format}; this version reads {FORMAT}")
    vectors = columns["vectors"]
    if len(vectors) != len(meta.frame_ids) or len(set(meta.frame_ids)) != len(vectors) or not _of_length_one(vectors):
        raise DamagedInputError(f"{name}: its columns do not fit together")
    return Embeddings(meta.embedder, tuple(meta.frame_ids), vectors)


def _of_length_one(vectors: NDArray[np.floating]) -> bool:
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    # NaN is near nothing.
    return bool((np.abs(lengths - 1) <= _ROUNDING).all())
