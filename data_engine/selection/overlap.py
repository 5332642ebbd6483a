"""Overlap of boxes, for millions of pairs in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PAIRS_AT_ONCE = 1 << 20


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(k,)`` intersection over union of the boxes ``a[i]`` and ``b[i]``, both ``(k, 4)`` xyxy; 0 for empty boxes."""
    left_top = np.maximum(a[:, :2], b[:, :2])
    right_bottom = np.minimum(a[:, 2:], b[:, 2:])
    inner = np.prod(np.maximum(right_bottom - left_top, 0), axis=1)
    outer = _area(a) + _area(b) - inner
    return np.asarray(np.divide(inner, outer, out=np.zeros_like(inner), where=outer > 0), np.float32)


def _area(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return np.asarray(size[:, 0] * size[:, 1], np.float32)


def pairs(
    first: NDArray[np.int64], last: NDArray[np.int64], at_once: int = PAIRS_AT_ONCE
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Every ``(i, j)`` with ``first[i] <= j < last[i]``, as two arrays, in pieces of about ``at_once`` pairs.

    All pairs of one ``i`` are in the same piece.
    """
    counts = np.maximum(last - first, 0)
    ends = np.cumsum(counts)
    done = 0
    while done < len(counts):
        before = int(ends[done - 1]) if done else 0
        stop = max(int(np.searchsorted(ends, before + at_once, side="right")), done + 1)
        piece = counts[done:stop]
        left = np.repeat(np.arange(done, stop), piece)
        right = (
            np.arange(int(piece.sum()))
            - np.repeat(np.cumsum(piece) - piece, piece)
            + np.repeat(first[done:stop], piece)
        )
        if len(left):
            yield left, right
        done = stop


def echoes(
    group: NDArray[np.int64], score: NDArray[np.float32], xyxy: NDArray[np.float32], overlap: float
) -> NDArray[np.bool_]:
    """``(k,)`` whether a better box of the same group overlaps the box by at least ``overlap``.

    Detectors without suppression (RF-DETR) see one thing several times, weaker each time; such an echo is no doubt
    about a second thing.  Of equal scores the earlier one is the better.
    """
    order = np.lexsort((-score, group))
    group, xyxy = group[order], xyxy[order]
    echo = np.zeros(len(group), np.bool_)
    better = np.arange(len(group))
    # Groups are contiguous: who has no partner ``step`` places on has none further on either.
    for step in range(1, len(group)):
        better = better[better + step < len(group)]
        better = better[group[better] == group[better + step]]
        if not len(better):
            break
        for start in range(0, len(better), PAIRS_AT_ONCE):
            piece = better[start : start + PAIRS_AT_ONCE]
            echo[piece + step] |= iou(xyxy[piece], xyxy[piece + step]) >= overlap
    result = np.empty_like(echo)
    result[order] = echo
    return result
