"""Frames that differ: look-alikes kept apart, and the farthest-point choice for the first round."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool

_ROWS_AT_ONCE = 8192


def hamming(hashes: NDArray[np.uint64], one: np.uint64) -> NDArray[np.uint8]:
    """``(n,)`` differing bits between each hash and ``one``."""
    return np.asarray(np.bitwise_count(hashes ^ one), np.uint8)


class Apart:
    """Remembers chosen frames and says whether another one is too much like them.

    Two frames of one camera look alike when their difference hashes differ in at most ``tolerance`` bits; two frames of
    one video are too close when less than ``min_gap_s`` seconds lie between them.
    """

    def __init__(self, pool: FramePool, tolerance: int, min_gap_s: float) -> None:
        assert pool.hashed is not None
        self._dhashes, self._hashed = pool.dhashes, pool.hashed
        self._camera_of, self._video_of = pool.camera_of.tolist(), pool.video_of.tolist()
        self._times_s: list[float] = pool.times_s.tolist()
        self.tolerance, self.min_gap_s = tolerance, min_gap_s
        self._kept_hashes: dict[int, tuple[NDArray[np.uint64], int]] = {}
        self._kept_times: dict[int, list[float]] = {}

    def looks_new(self, frame: int) -> bool:
        """Whether no remembered frame of its camera looks like it."""
        kept, count = self._kept_hashes.get(self._camera_of[frame], (None, 0))
        if kept is None or not self._hashed[frame]:
            return True
        return bool((hamming(kept[:count], self._dhashes[frame]) > self.tolerance).all())

    def far_in_time(self, frame: int) -> bool:
        """Whether no remembered frame of its video is closer than the gap; true where the time is unknown."""
        time = self._times_s[frame]
        times = self._kept_times.get(self._video_of[frame])
        if times is None or time != time:
            return True
        place = bisect_left(times, time)
        return all(abs(other - time) >= self.min_gap_s for other in times[max(place - 1, 0) : place + 1])

    def add(self, frame: int) -> None:
        """Remember a frame."""
        if self._hashed[frame]:
            camera = self._camera_of[frame]
            kept, count = self._kept_hashes.get(camera, (np.empty(16, np.uint64), 0))
            if count == len(kept):
                kept = np.concatenate([kept, np.empty_like(kept)])
            kept[count] = self._dhashes[frame]
            self._kept_hashes[camera] = (kept, count + 1)
        time = self._times_s[frame]
        if self._video_of[frame] >= 0 and time == time:
            insort(self._kept_times.setdefault(self._video_of[frame], []), time)


class FarthestFirst:
    """k-center greedy: always the picture that is farthest from everything chosen or labelled.

    Twice the best possible covering radius at most (Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985); used for choosing what to label by Sener and Savarese, "Active learning for convolutional neural
    networks: a core-set approach", 2018.

    Args:
        vectors: ``(n, d)`` float32 of length 1.
        seeds: ``(k, d)`` what is chosen or labelled already.

    Raises:
        ValueError: shapes that disagree, or numbers that are not finite.
    """

    def __init__(self, vectors: NDArray[np.float32], seeds: NDArray[np.float32]) -> None:
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        seeds = np.asarray(seeds, np.float32)
        if self._vectors.ndim != 2 or seeds.ndim != 2 or (len(seeds) and seeds.shape[1] != self._vectors.shape[1]):
            raise ValueError(f"embeddings must be (n, d) and (k, d): got {self._vectors.shape} and {seeds.shape}")
        if not np.isfinite(self._vectors).all() or not np.isfinite(seeds).all():
            raise ValueError("embeddings hold NaN or infinite numbers")
        self._left = np.ones(len(self._vectors), np.bool_)
        # The largest cosine to anything chosen: on unit vectors the order of distances, at the price of one product.
        self._nearest = np.full(len(self._vectors), -np.inf, np.float32)
        for start in range(0, len(seeds), _ROWS_AT_ONCE):
            some = seeds[start : start + _ROWS_AT_ONCE].T
            for first in range(0, len(self._vectors), _ROWS_AT_ONCE):
                rows = slice(first, first + _ROWS_AT_ONCE)
                np.maximum(self._nearest[rows], (self._vectors[rows] @ some).max(axis=1), out=self._nearest[rows])

    def next(self) -> tuple[int, float] | None:
        """The farthest frame and its distance (0..2) to the nearest chosen; None when none is left.

        With nothing chosen yet it is the most typical one, nearest to the mean, at the largest distance.
        """
        if not self._left.any():
            return None
        if np.isneginf(self._nearest).all():
            typical = self._vectors @ self._vectors.mean(axis=0)
            return int(np.argmax(np.where(self._left, np.round(typical, 5), -np.inf))), 2.0
        # Rounded, so that the last bits of a product don't decide between equals: the first of them does.
        row = int(np.argmin(np.where(self._left, np.round(self._nearest, 5), np.inf)))
        return row, float(np.sqrt(max(2.0 - 2.0 * float(self._nearest[row]), 0.0)))

    def add(self, row: int) -> None:
        """Choose a frame."""
        self._left[row] = False
        np.maximum(self._nearest, self._vectors @ self._vectors[row], out=self._nearest)

    def drop(self, row: int) -> None:
        """Pass a frame over."""
        self._left[row] = False
