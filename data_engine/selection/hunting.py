"""Hunting a class by example: which crops of which frames look like the few that somebody pointed at.

It does not ask whether a model has learned the class: it needs the vectors of crops, and typical crops to compare with.
An example is a linear classifier of its own against everything typical, by linear discriminant analysis with the mean
and covariance of the crops (Hariharan, Malik and Ramanan, "Discriminative decorrelation for clustering and
classification", 2012): vectors are whitened, so that what all crops share counts for nothing, and compared by their
cosine.  The examples of one kind are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

MOST_EXAMPLES = 64
"""Accepted boxes that are examples; more do not make them clearer."""
_RANK = 96
"""Directions in which crops differ most; in all others they are taken to differ evenly."""
_RIDGE = 0.1
"""Added to every variance, as a share of the largest: few crops say little about the smaller ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What is hunted, as vectors.

    Raises:
        ValueError: lengths that disagree, or no example.
    """

    names: tuple[str, ...]
    """One an example, for people: ``no-helmet in gate_000012000_ab12cd.jpg``."""
    kinds: tuple[str, ...]
    """One an example: those of one kind show the same thing."""
    vectors: FloatArray
    """``(views, d)`` of length 1."""
    example: NDArray[np.int64]
    """``(views,)`` which example each is a view of."""

    def __post_init__(self) -> None:
        views = len(self.vectors)
        if not views or len(self.names) != len(self.kinds) or self.example.shape != (views,):
            raise ValueError(
                f"{len(self.names)} names and {len(self.kinds)} kinds of examples, "
                f"{views} views of {self.example.shape} of them"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Hunted:
    """How much each of ``n`` frames looks like what is hunted, by its best crop."""

    frame_ids: tuple[str, ...]
    value: NDArray[np.float64]
    """``(n,)``: the share of the frames that look no more like it; 0 for a frame that looks no more like it than a
    typical crop does, or has no crop."""
    box: FloatArray
    """``(n, 4)`` corners of the best crop in pixels; NaN without one."""
    example: NDArray[np.int64]
    """``(n,)`` the example that it looks most like; -1 without a crop."""
    names: tuple[str, ...]
    """Names of the examples."""

    def reason(self, frame: int) -> str:
        """Why a frame may hold what is hunted, for people: ``like: no-helmet in gate.jpg at 412,96``."""
        if self.example[frame] < 0:
            return "like: nothing that is hunted"
        x1, y1, x2, y2 = self.box[frame].tolist()
        return f"like: {self.names[self.example[frame]]} at {round((x1 + x2) / 2)},{round((y1 + y2) / 2)}"


class Typical:
    """Mean and covariance of typical crops, gathered a piece at a time.

    Args:
        dimension: of the vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._sum = np.zeros(dimension)
        self._products = np.zeros((dimension, dimension))

    def add(self, vectors: FloatArray) -> None:
        """Take in the vectors ``(m, d)`` of some crops."""
        self._count += len(vectors)
        self._sum += vectors.sum(axis=0, dtype=np.float64)
        self._products += vectors.T @ vectors

    @property
    def count(self) -> int:
        """Crops so far."""
        return self._count

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``(d,)`` and ``(d, d)``; of a single crop, or none, all directions differ evenly."""
        mean = self._sum / max(self._count, 1)
        covariance = self._products / max(self._count, 1) - np.outer(mean, mean)
        return (mean, covariance) if self._count > 1 else (mean, np.eye(len(mean)))


class Hunter:
    """Tells how much crops look like examples, above the typical crop.

    The covariance is that of the directions in which crops differ most, and one variance for all the others
    (probabilistic principal components; Tipping and Bishop, 1999).

    Args:
        typical: what crops are like.
        examples: what is hunted.
    """

    def __init__(self, typical: Typical, examples: Examples) -> None:
        mean, covariance = typical.moments()
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum(values[::-1], 0.0)
        rank = min(_RANK, len(values) - 1)
        rest = float(values[rank:].mean())
        ridge = max(_RIDGE * float(values[0]), 1e-9)
        # The whitening is a scale of everything, and other scales along a few directions.
        self._scale = 1.0 / np.sqrt(rest + ridge)
        self._mean = mean.astype(np.float32)
        self._directions = np.asarray(vectors[:, ::-1][:, :rank], np.float32)
        self._factors = (1.0 / np.sqrt(values[:rank] + ridge)).astype(np.float32)
        white = self._whitened(examples.vectors)
        self._example = examples.example
        self._views = white
        kinds = list(dict.fromkeys(examples.kinds))
        kind_of = np.array([kinds.index(kind) for kind in examples.kinds])[examples.example]
        self._kinds = _unit(np.stack([white[kind_of == kind].mean(axis=0) for kind in range(len(kinds))]))

    def _whitened(self, vectors: FloatArray) -> FloatArray:
        """``(m, d)`` unit vectors: what differs from the typical crop, all directions alike."""
        away = vectors - self._mean
        along = away @ self._directions
        away *= np.float32(self._scale)
        away += (along * (self._factors - np.float32(self._scale))) @ self._directions.T
        return _unit(away)

    def likeness(self, vectors: FloatArray) -> FloatArray:
        """``(m,)`` in -1..1: how much each crop ``(m, d)`` looks like the kind of examples that it looks most like."""
        if not len(vectors):
            return np.zeros(0, np.float32)
        return np.asarray((self._whitened(vectors) @ self._kinds.T).max(axis=1), np.float32)

    def nearest(self, vectors: FloatArray) -> NDArray[np.int64]:
        """``(m,)`` the example that each crop ``(m, d)`` looks most like."""
        return np.asarray(self._example[(self._whitened(vectors) @ self._views.T).argmax(axis=1)], np.int64)

    def best_of_frames(
        self, vectors: FloatArray, xyxy: FloatArray, offsets: NDArray[np.int64]
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        """Of each frame's best crop: likeness ``(n,)``, box ``(n, 4)`` and the example it looks most like ``(n,)``.

        NaN and -1 for a frame without a crop.

        Args:
            vectors: ``(m, d)`` of the crops.
            xyxy: ``(m, 4)`` their corners.
            offsets: ``(n + 1,)`` frame ``i`` owns the rows ``offsets[i]`` to ``offsets[i + 1]``.
        """
        alike = self.likeness(vectors)
        best = best_crops(alike, offsets)
        there = best >= 0
        likeness = np.full(len(best), np.nan, np.float32)
        box = np.full((len(best), 4), np.nan, np.float32)
        example = np.full(len(best), -1, np.int64)
        if there.any():
            likeness[there], box[there] = alike[best[there]], xyxy[best[there]]
            example[there] = self.nearest(vectors[best[there]])
        return likeness, box, example


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def best_crops(likeness: FloatArray, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(n,)`` the row of each frame's best crop, the first of equals; -1 for a frame without one.

    Args:
        likeness: ``(m,)`` of the crops.
        offsets: ``(n + 1,)`` frame ``i`` owns the rows ``offsets[i]`` to ``offsets[i + 1]``.
    """
    best = np.full(len(offsets) - 1, -1, np.int64)
    frame = np.repeat(np.arange(len(best)), np.diff(offsets))
    order = np.lexsort((np.arange(len(likeness)), -likeness, frame))
    first = np.ones(len(order), np.bool_)
    first[1:] = frame[order][1:] != frame[order][:-1]
    best[frame[order][first]] = order[first]
    return best


def ranked(likeness: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(n,)`` in 0..1: the share of frames that look no more like it; 0 for a likeness of 0 or less, or NaN."""
    rounded = np.round(np.nan_to_num(likeness.astype(np.float64), nan=-1.0), 6)
    shares = np.searchsorted(np.sort(rounded), rounded, side="right") / max(len(rounded), 1)
    return np.where(rounded > 0, shares, 0.0)
