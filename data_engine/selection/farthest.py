"""What is farthest from everything chosen, found without computing every distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float16] | NDArray[np.float32]

ROWS_AT_ONCE = 8192
_FRONT = 8192
"""Rows that are watched closely."""
_BATCH = 64
"""Rows that are brought up to date at a time."""
_CATCH_UP = 64
"""Chosen vectors after which all watched rows are brought up to date."""


def checked(vectors: FloatArray, seeds: FloatArray) -> None:
    """That ``(n, d)`` vectors and ``(k, d)`` seeds go together.

    Raises:
        ValueError: shapes that disagree, or numbers that are not finite.
    """
    if vectors.ndim != 2 or seeds.ndim != 2 or (len(seeds) and seeds.shape[1] != vectors.shape[1]):
        raise ValueError(f"embeddings must be (n, d) and (k, d): got {vectors.shape} and {seeds.shape}")
    for some in (vectors, seeds):
        for start in range(0, len(some), ROWS_AT_ONCE):
            if not np.isfinite(some[start : start + ROWS_AT_ONCE]).all():
                raise ValueError("embeddings hold NaN or infinite numbers")


class Frontier:
    """The row of greatest worth: its weight times the distance to the nearest chosen vector.

    Choosing more only ever lowers a row's worth, so one computed earlier is a bound ("lazy" greedy: Minoux,
    "Accelerated greedy algorithms for maximizing submodular set functions", 1978).  The rows of the highest bounds are
    watched; of these, those that may be next are brought up to date, many rows with many chosen vectors as one matrix
    product.  The result is that of computing everything.

    Cosines are rounded to 5 digits, so that the last bits of a product don't decide between equals: the first of them
    does.

    Args:
        vectors: ``(n, d)`` of length 1, float16 or float32.
        seeds: ``(k, d)`` chosen already.
        weights: ``(n,)`` at least 0; all 1 by default.
    """

    def __init__(self, vectors: FloatArray, seeds: FloatArray, weights: NDArray[np.float64] | None = None) -> None:
        checked(vectors, seeds)
        count = len(vectors)
        self._vectors = vectors
        self._weights = weights
        self._nearest = np.full(count, -1.0, np.float32)
        """The largest cosine to what has been looked at; -1, the farthest, before."""
        self._seen = np.zeros(count, np.int64)
        """How many of the chosen have been looked at."""
        self._chosen = np.empty((_BATCH, vectors.shape[1]), np.float32)
        self._count = 0
        for start in range(0, len(seeds), ROWS_AT_ONCE):
            some = seeds[start : start + ROWS_AT_ONCE].astype(np.float32).T
            for first in range(0, count, ROWS_AT_ONCE):
                rows = slice(first, first + ROWS_AT_ONCE)
                cosine = (self._vectors[rows].astype(np.float32) @ some).max(axis=1)
                np.maximum(self._nearest[rows], cosine, out=self._nearest[rows])
        self._worth = self._worth_of(np.arange(count))
        self._watch(np.zeros(0, np.int64), np.inf, -1)

    def best(self) -> int | None:
        """The row that is worth most, the first of equals; None when all are gone."""
        while True:
            place = int(np.argmax(self._front_worth)) if len(self._front) else -1
            worth = float(self._front_worth[place]) if place >= 0 else -np.inf
            row = int(self._front[place]) if place >= 0 else -1
            if worth == -np.inf or worth < self._level or (worth == self._level and row > self._last):
                if not self._renew():
                    return None
            elif self._seen[row] == self._count:
                return row
            else:
                self._refresh_best()

    def distance(self, row: int) -> float:
        """From the row that is :meth:`best` to the nearest chosen: 0..2."""
        return float(np.sqrt(max(2.0 - 2.0 * float(self._nearest[row]), 0.0)))

    def choose(self, row: int) -> None:
        """Move everything else away from this row, which is gone."""
        if self._count == len(self._chosen):
            self._chosen = np.concatenate([self._chosen, np.empty_like(self._chosen)])
        self._chosen[self._count] = self._vectors[row]
        self._count += 1
        self.drop(row)

    def drop(self, row: int) -> None:
        """Take the row out."""
        self._worth[row] = -np.inf
        place = int(np.searchsorted(self._front, row))
        if place < len(self._front) and self._front[place] == row:
            self._front_worth[place] = -np.inf

    def _worth_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        cosine = np.round(self._nearest[rows], 5).astype(np.float64)
        distance = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0))
        return distance if self._weights is None else distance * self._weights[rows]

    def _watch(self, front: NDArray[np.int64], level: float, last: int) -> None:
        """Watch these rows, in ascending order; of all others none comes before a row ``last`` worth ``level``."""
        self._front, self._level, self._last = front, level, last
        self._front_worth = self._worth[front]
        self._front_vectors = self._vectors[front].astype(np.float32)
        self._front_seen = self._count

    def _renew(self) -> bool:
        """Watch the rows of the highest bounds instead, and bring them up to date; whether there are any."""
        count = len(self._worth)
        most = min(_FRONT, count)
        if not most:
            return False
        level = float(np.partition(self._worth, count - most)[count - most])
        if np.isneginf(level):
            front, last = np.flatnonzero(np.isfinite(self._worth)), count
        else:
            above = np.flatnonzero(self._worth > level)
            equal = np.flatnonzero(self._worth == level)[: most - len(above)]
            front, last = np.sort(np.concatenate([above, equal])), int(equal[-1])
        if not len(front):
            return False
        self._watch(front, level, last)
        # Those that have missed about as much come together.
        order = np.argsort(self._seen[front], kind="stable")
        for start in range(0, len(order), 8 * _BATCH):
            places = order[start : start + 8 * _BATCH]
            self._refresh(places, int(self._seen[front[places[0]]]))
        return True

    def _refresh_best(self) -> None:
        """Bring those watched rows up to date that may be next."""
        if self._count - self._front_seen >= _CATCH_UP:
            self._refresh(np.flatnonzero(self._front_worth > -np.inf), self._front_seen)
            self._front_seen = self._count
            return
        places = np.arange(len(self._front))
        if len(places) > _BATCH:
            strongest = np.argpartition(self._front_worth, len(places) - _BATCH)[-_BATCH:]
            # Of equals there may be more than fit in.
            places = np.append(strongest, np.argmax(self._front_worth))
        seen = self._seen[self._front[places]]
        recent = seen == self._count - 1
        for some, since in ((places[recent], self._count - 1), (places[seen < self._count - 1], self._front_seen)):
            if len(some):
                self._refresh(some, since)

    def _refresh(self, places: NDArray[np.int64], seen: int) -> None:
        """Compare watched rows with what was chosen since ``seen``; the first ``seen`` they have been compared with."""
        rows = self._front[places]
        if seen < self._count:
            # A block at a time: there may be many of both.
            vectors = self._front_vectors[places]
            for start in range(seen, self._count, ROWS_AT_ONCE):
                some = self._chosen[start : min(start + ROWS_AT_ONCE, self._count)]
                cosine = (vectors @ some.T).max(axis=1)
                self._nearest[rows] = np.maximum(self._nearest[rows], cosine)
        self._seen[rows] = self._count
        worth = np.where(self._front_worth[places] > -np.inf, self._worth_of(rows), -np.inf)
        self._worth[rows] = worth
        self._front_worth[places] = worth
