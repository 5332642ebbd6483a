"""Frames that differ: look-alikes kept apart, and the farthest-point choice."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.farthest import ROWS_AT_ONCE, Frontier
from data_engine.selection.near_duplicates import Hashes, hamming

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.selection.farthest import FloatArray
    from data_engine.selection.pool import FramePool

__all__ = ["Apart", "FarthestFirst", "hamming", "weighted_farthest"]


class Apart:
    """Remembers chosen frames and says whether another one is too much like them.

    Two frames of one camera look alike when their difference hashes differ in at most ``tolerance`` bits, or, where
    embeddings are given, when the cosine of these is at least ``likeness``; two frames of one video are too close when
    less than ``min_gap_s`` seconds lie between them.

    Args:
        pool: the frames.
        tolerance: bits, 0 to 64.
        min_gap_s: seconds.
        vectors: ``(n, d)`` of length 1, in the order of the pool's frames.
        likeness: cosine from which vectors are alike; None leaves them out.
    """

    def __init__(
        self,
        pool: FramePool,
        tolerance: int,
        min_gap_s: float,
        *,
        vectors: FloatArray | None = None,
        likeness: float | None = None,
    ) -> None:
        assert pool.hashed is not None
        self._dhashes: list[int] = pool.dhashes.tolist()
        self._hashed: list[bool] = pool.hashed.tolist()
        self._camera_of, self._video_of = pool.camera_of.tolist(), pool.video_of.tolist()
        self._times_s: list[float] = pool.times_s.tolist()
        self.tolerance, self.min_gap_s = tolerance, min_gap_s
        self._vectors = None if likeness is None else vectors
        self._likeness = 1.0 if likeness is None else likeness
        self._kept_hashes: dict[int, Hashes] = {}
        self._kept_vectors: dict[int, Rows] = {}
        self._kept_times: dict[int, list[float]] = {}

    def looks_new(self, frame: int) -> bool:
        """Whether no remembered frame of its camera looks like it."""
        camera = self._camera_of[frame]
        hashes = self._kept_hashes.get(camera)
        if hashes is not None and self._hashed[frame] and hashes.has_near(self._dhashes[frame]):
            return False
        if self._vectors is None or camera not in self._kept_vectors:
            return True
        vector = self._vectors[frame].astype(np.float32)
        return bool((self._kept_vectors[camera].values @ vector).max() < self._likeness)

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
        camera = self._camera_of[frame]
        if self._hashed[frame]:
            self._kept_hashes.setdefault(camera, Hashes(self.tolerance)).add(self._dhashes[frame])
        if self._vectors is not None:
            self._kept_vectors.setdefault(camera, Rows(self._vectors.shape[1])).add(self._vectors[frame])
        time = self._times_s[frame]
        if self._video_of[frame] >= 0 and time == time:
            insort(self._kept_times.setdefault(self._video_of[frame], []), time)


class FarthestFirst:
    """k-center greedy: always the picture that is farthest from everything chosen or labelled.

    Twice the best possible covering radius at most (Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985); used for choosing what to label by Sener and Savarese, "Active learning for convolutional neural
    networks: a core-set approach", 2018.

    Args:
        vectors: ``(n, d)`` of length 1, float16 or float32.
        seeds: ``(k, d)`` what is chosen or labelled already.

    Raises:
        ValueError: shapes that disagree, or numbers that are not finite.
    """

    def __init__(self, vectors: FloatArray, seeds: FloatArray) -> None:
        self._frontier = Frontier(vectors, seeds)
        self._vectors = vectors
        self._left = np.ones(len(vectors), np.bool_)
        self._any_chosen = len(seeds) > 0
        self._typical: NDArray[np.float32] | None = None

    def next(self) -> tuple[int, float] | None:
        """The farthest frame and its distance (0..2) to the nearest chosen; None when none is left.

        With nothing chosen yet it is the most typical one, nearest to the mean, at the largest distance.
        """
        if not self._any_chosen:
            if not self._left.any():
                return None
            if self._typical is None:
                self._typical = np.round(_likeness_to_mean(self._vectors), 5)
            return int(np.argmax(np.where(self._left, self._typical, -np.inf))), 2.0
        row = self._frontier.best()
        return None if row is None else (row, self._frontier.distance(row))

    def add(self, row: int) -> None:
        """Choose a frame."""
        self._left[row] = False
        self._any_chosen = True
        self._frontier.choose(row)

    def drop(self, row: int) -> None:
        """Pass a frame over."""
        self._left[row] = False
        self._frontier.drop(row)


def weighted_farthest(
    vectors: FloatArray, weights: NDArray[np.float64], seeds: FloatArray, count: int
) -> NDArray[np.int64]:
    """``(min(count, n),)`` rows in the order of being chosen: always the greatest weight times distance.

    The distance (0..2) is that to the nearest row chosen before or seed, 2 where there is none.  With equal weights
    that is k-center greedy, with equal vectors the order of the weights (of equal rows the first).

    Args:
        vectors: ``(n, d)`` of length 1, float16 or float32.
        weights: ``(n,)`` what each row is worth on its own, at least 0.
        seeds: ``(k, d)`` chosen or labelled already.
        count: rows to choose.

    Raises:
        ValueError: shapes that disagree, numbers that are not finite, a weight below 0.
    """
    weights = np.asarray(weights, np.float64)
    if weights.shape != (len(vectors),) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"weights must be ({len(vectors)},), finite and at least 0: got {weights.shape}")
    frontier = Frontier(vectors, seeds, weights)
    chosen: list[int] = []
    while len(chosen) < count and (row := frontier.best()) is not None:
        frontier.choose(row)
        chosen.append(row)
    return np.array(chosen, np.int64)


class Rows:
    """A matrix that grows by rows.

    Args:
        width: of a row.
    """

    def __init__(self, width: int) -> None:
        self._room = np.empty((16, width), np.float32)
        self._count = 0

    @property
    def values(self) -> NDArray[np.float32]:
        """``(count, width)``."""
        return self._room[: self._count]

    def add(self, row: FloatArray) -> None:
        if self._count == len(self._room):
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room[self._count] = row
        self._count += 1


def _likeness_to_mean(vectors: FloatArray) -> NDArray[np.float32]:
    """``(n,)`` product of each vector with the mean of all."""
    blocks = [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(vectors), ROWS_AT_ONCE)]
    sums = [vectors[rows].astype(np.float32).sum(axis=0, dtype=np.float64) for rows in blocks]
    mean = (np.sum(sums, axis=0) / len(vectors)).astype(np.float32)
    return np.concatenate([vectors[rows].astype(np.float32) @ mean for rows in blocks])
