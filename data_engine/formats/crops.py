"""Stored crops: boxes of many frames and what each looks like, as a compressed column file of some kilobytes a frame.

A file is a NumPy ``.npz`` with the members

=================  ====================================================================================
``meta.json``      format number, name of what made the vectors, frame ids
``offsets.npy``    ``(frames + 1,)`` int64: frame ``i`` owns the rows ``offsets[i]`` to ``offsets[i + 1]``
``xyxy.npy``       ``(n, 4)`` float32, corners in pixels of the full frame
``vectors.npy``    ``(n, dimension)`` int8: a vector of length 1, its largest number stretched to 127
=================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from data_engine.errors import DamagedInputError
from data_engine.formats.columns import packed, rows_fit, unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
_MOST = 127
_COLUMNS = {"offsets": ("<i8", 1), "xyxy": ("<f4", 2), "vectors": ("|i1", 2)}


class _Meta(msgspec.Struct):
    format: int
    name: str
    frame_ids: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Boxes of many frames with their vectors."""

    name: str
    """Of what made the vectors, and how the boxes were found."""
    frame_ids: tuple[str, ...]
    offsets: NDArray[np.int64]
    """``(frames + 1,)``: frame ``i`` owns the rows ``offsets[i]`` to ``offsets[i + 1]``."""
    xyxy: NDArray[np.float32]
    """``(n, 4)``, corners in pixels of the full frame; read-only."""
    stretched: NDArray[np.int8]
    """``(n, dimension)``; read-only."""

    def vectors(self) -> NDArray[np.float32]:
        """``(n, dimension)``, each of length 1."""
        vectors = self.stretched.astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def pack(
    name: str,
    frame_ids: Sequence[str],
    boxes: Sequence[NDArray[np.float32]],
    vectors: Sequence[NDArray[np.float32]],
) -> bytes:
    """The crops of these frames as bytes; a vector's numbers lose a 254th of its largest one at most.

    Args:
        name: of what made the vectors, and how the boxes were found.
        frame_ids: the frames.
        boxes: ``(k, 4)`` xyxy, one array a frame.
        vectors: ``(k, dimension)`` of length 1, one array a frame.

    Raises:
        ValueError: lengths or shapes that disagree, a frame id twice, a vector of zeros or one that is not finite.
    """
    if not len(set(frame_ids)) == len(frame_ids) == len(boxes) == len(vectors):
        raise ValueError(
            f"{len(frame_ids)} frame ids, which must differ, for the boxes of {len(boxes)} and the vectors of "
            f"{len(vectors)} frames"
        )
    if any(len(box) != len(vector) for box, vector in zip(boxes, vectors, strict=True)):
        raise ValueError("a frame has another number of vectors than of boxes")
    offsets = np.cumsum([0, *(len(box) for box in boxes)], dtype=np.int64)
    xyxy = np.concatenate([np.zeros((0, 4), np.float32), *boxes])
    width = vectors[0].shape[1] if vectors else 0
    all_vectors = np.concatenate([np.zeros((0, width), np.float32), *vectors])
    largest = np.abs(all_vectors).max(axis=1, keepdims=True, initial=0.0)
    if not np.isfinite(xyxy).all() or not (np.isfinite(largest) & (largest > 0)).all():
        raise ValueError("a vector is nothing but zeros, or a number is not finite")
    stretched = np.rint(all_vectors / largest * _MOST).astype(np.int8)
    columns = {"offsets": offsets, "xyxy": xyxy.astype(np.float32), "vectors": stretched}
    return packed(_Meta(FORMAT, name, list(frame_ids)), columns)


def unpack(data: bytes, *, name: str = "crops") -> Crops:
    """Read what :func:`pack` wrote, and check it.

    Raises:
        DamagedInputError: truncated or changed bytes, another kind of file, columns that do not fit together.
    """
    meta, columns = unpacked(data, _Meta, _COLUMNS, name=name, what="stored crops")
    if meta.format != FORMAT:
        raise DamagedInputError(f"{name} has the format {meta.format}; this version reads {FORMAT}")
    offsets, xyxy, stretched = columns["offsets"], columns["xyxy"], columns["vectors"]
    fits = (
        rows_fit(meta.frame_ids, offsets, xyxy, stretched)
        and xyxy.shape[1] == 4
        and np.isfinite(xyxy).all()
        and (np.abs(stretched.astype(np.int16)).max(axis=1, initial=0) == _MOST).all()
    )
    if not fits:
        raise DamagedInputError(f"{name}: its columns do not fit together")
    return Crops(meta.name, tuple(meta.frame_ids), offsets, xyxy, stretched)
