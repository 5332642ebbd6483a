"""Pairs of videos whose corresponding frames look alike, found among all pairs of similar length.

All pairs are compared, a tile of their matrix at a time: 64-bit words at a few nanoseconds a pair, which is less than
keeping buckets costs at 100,000 videos, and does not depend on how alike the videos are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

DURATION_S = 0.5
"""Seconds by which the durations of copies may differ, or ..."""
DURATION_SHARE = 0.01
"""... this share of the longer one: encoders add or lose a few frames at the ends."""

_ROWS, _COLUMNS = 256, 4096
_PAIRS_AT_ONCE = 4096
# What single precision may get wrong before pairs are measured exactly.
_SLACK = 1e-3


class Appearance(Protocol):
    """Distances of corresponding frames, never negative."""

    def tile(self, rows: slice, columns: slice, frame: int) -> NDArray[np.number]:
        """``(rows, columns)`` of all pairs."""
        ...

    def pairs(self, a: IntArray, b: IntArray, frame: int) -> NDArray[np.number]:
        """``(k,)`` of the pairs ``(a[i], b[i])``, exactly and the same in any company."""
        ...

    def ordered(self, order: IntArray) -> Appearance:
        """The same videos in another order."""
        ...


class Hashes:
    """Differing bits of hashes ``(videos, frames, words)``, 64 bits a word."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self._hashes = hashes

    def tile(self, rows: slice, columns: slice, frame: int) -> NDArray[np.number]:
        a, b = self._hashes[rows, frame], self._hashes[columns, frame]
        # Two frames of one word fit a byte.
        total = np.zeros((len(a), len(b)), np.uint8 if a.shape[1] == 1 else np.uint16)
        for word in range(a.shape[1]):
            total += np.bitwise_count(a[:, word, None] ^ b[None, :, word])
        return total

    def pairs(self, a: IntArray, b: IntArray, frame: int) -> NDArray[np.number]:
        differing = np.bitwise_count(self._hashes[a, frame] ^ self._hashes[b, frame])
        return np.asarray(differing.sum(axis=1, dtype=np.int64))

    def ordered(self, order: IntArray) -> Hashes:
        return Hashes(np.ascontiguousarray(self._hashes[order]))


class Vectors:
    """One minus the cosine of vectors ``(videos, frames, d)`` of about length 1."""

    def __init__(self, vectors: NDArray[np.float16]) -> None:
        self._vectors = vectors

    def tile(self, rows: slice, columns: slice, frame: int) -> NDArray[np.number]:
        a = self._vectors[rows, frame].astype(np.float32)
        b = self._vectors[columns, frame].astype(np.float32)
        return np.asarray(np.maximum(1.0 - a @ b.T - _SLACK, 0.0))

    def pairs(self, a: IntArray, b: IntArray, frame: int) -> NDArray[np.number]:
        parts = []
        for start in range(0, len(a), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            x = self._vectors[a[some], frame].astype(np.float64)
            y = self._vectors[b[some], frame].astype(np.float64)
            # Half precision leaves lengths a little off 1.
            lengths = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
            parts.append(1.0 - (x * y).sum(axis=1) / np.maximum(lengths, 1e-12))
        return np.maximum(np.concatenate(parts), 0.0) if parts else np.zeros(0)

    def ordered(self, order: IntArray) -> Vectors:
        return Vectors(np.ascontiguousarray(self._vectors[order]))


def alike_pairs(
    appearance: Appearance, durations: NDArray[np.float64], present: BoolArray, limit: float
) -> Iterator[tuple[IntArray, IntArray, NDArray[np.float64]]]:
    """Pairs ``(a, b)``, a < b, of similar duration and appearance, and their mean distances; durations are sorted.

    A pair needs half of the frames in common.  Distances only add up, so two frames, of all pairs, leave few for the
    others.
    """
    count, frames = present.shape
    longest = np.maximum(durations + DURATION_S, durations / (1 - DURATION_SHARE))
    ends = np.searchsorted(durations, longest, side="right")
    whole = bool(present.all())
    first = list(range(min(2, frames)))
    for row in range(0, count, _ROWS):
        rows = slice(row, min(row + _ROWS, count))
        for column in range(row, int(ends[rows.stop - 1]), _COLUMNS):
            columns = slice(column, min(column + _COLUMNS, int(ends[rows.stop - 1])))
            total: NDArray[np.number] | None = None
            for frame in first:
                tile = appearance.tile(rows, columns, frame)
                if not whole:
                    tile *= present[rows, frame, None] & present[None, columns, frame]
                total = tile if total is None else total + tile
            assert total is not None
            a, b = np.nonzero(total <= limit * frames + _SLACK)
            a, b = a + rows.start, b + columns.start
            near = (b > a) & (b < ends[a])
            yield _measured(appearance, present, a[near], b[near], limit)


def _measured(
    appearance: Appearance, present: BoolArray, a: IntArray, b: IntArray, limit: float
) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """The pairs whose mean distance over the frames that both have is within the limit."""
    frames = present.shape[1]
    total = np.zeros(len(a))
    common = np.zeros(len(a), np.int64)
    for frame in range(frames):
        both = present[a, frame] & present[b, frame]
        total += np.where(both, appearance.pairs(a, b, frame), 0.0)
        common += both
        left = total <= limit * frames + _SLACK
        a, b, total, common = a[left], b[left], total[left], common[left]
    # Rounded, so that the last bits of a sum decide nothing.
    mean = np.round(total / np.maximum(common, 1), 6)
    alike = (2 * common >= frames) & (mean <= round(limit, 6))
    return a[alike], b[alike], mean[alike]
