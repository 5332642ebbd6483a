"""Videos that look like copies of one another: encoded again, rescaled, in other containers, with borders.

A pair is called a copy when all of these agree: the durations, the times of capture where both are known, the
appearance of corresponding frames (by hash or by vector), and what moved in them.  The last is what tells two
recordings of one static camera apart, whose frames all look alike.  Where nothing moves at any of the moments, nothing
says that one is a copy of the other (two empty hours look the same), so it is not called one.
What it cannot tell apart: recordings of unknown time in which nothing moves but light that changes alike in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_engine.selection.appearance import Appearance, BoolArray, Hashes, IntArray, Vectors, alike_pairs

if TYPE_CHECKING:
    from data_engine.media.signatures import Signature

FloatArray = NDArray[np.float32]
_Number = TypeVar("_Number", bound=np.generic)

CAPTURE_S = 5.0
"""Seconds by which known times of capture may differ."""
MOVED = 4.0
"""Steps of brightness (of 255, mean of a cell) from which a difference to the median of the frames is movement."""
AGREEMENT = 0.5
"""Correlation of what moved, over all frames, from which it is the same movement."""
FRAME_AGREEMENT = 0.3
"""The same for each single frame in which something moved."""
MOST_MISSING = 0.7
"""How far anything in such a frame may stand out of what is near its place in the other video's, as a share of what
stands out most.  Measured on a clip of a static camera cut into parts: up to 0.55 for copies, even with two frames of
ten a second missing at one end; from 0.9 for different parts."""

_PAIRS_AT_ONCE = 4096
_ZONE_STEP_S, _WIDEST_ZONE_S = 900, 14 * 3600
_SAME_SIZE = 0.95


@dataclass(frozen=True, slots=True)
class Candidate:
    """A video to compare."""

    video_id: str
    signature: Signature
    pixels: int
    """Width times height, of the picture inside the borders."""
    size_bytes: int
    captured_at: str | None
    """ISO 8601, with or without an offset; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A video that looks like a copy of another one."""

    video_id: str
    original_id: str
    """The better one: never itself called a duplicate."""
    distance: float
    """Mean differing bits of corresponding frames, or one minus their mean cosine."""


def by_hash(candidates: Sequence[Candidate], threshold: float) -> list[Duplicate]:
    """Copies by perceptual hashes: at most ``threshold`` bits of a frame differ, on average.

    Of copies, the original is the one with the most pixels, then the longest, then the largest file, then the smallest
    id; 5 % of the pixels and a tenth of a second count as nothing, for borders and ends are known no better.  A copy of
    a copy that does not look like the original itself is left alone.

    Args:
        candidates: all videos, in any order, each once; their signatures are of one size and number of frames.
        threshold: bits.

    Returns:
        the copies by video id; the same for every order of the candidates.

    Raises:
        ValueError: signatures without hashes, or that can't be compared with one another.
    """
    rows = []
    for candidate in candidates:
        if candidate.signature.hashes is None:
            raise ValueError(f"the signature of {candidate.video_id} holds no hashes")
        rows.append(candidate.signature.hashes)
    return _duplicates(candidates, Hashes(_stacked(rows)), threshold) if rows else []


def by_vector(candidates: Sequence[Candidate], threshold: float) -> list[Duplicate]:
    """Copies by embeddings: the mean cosine of corresponding frames is at least ``threshold``; see :func:`by_hash`.

    Raises:
        ValueError: signatures without vectors, or that can't be compared with one another.
    """
    rows = []
    for candidate in candidates:
        if candidate.signature.vectors is None:
            raise ValueError(f"the signature of {candidate.video_id} holds no vectors")
        rows.append(candidate.signature.vectors)
    return _duplicates(candidates, Vectors(_stacked(rows)), 1.0 - threshold) if rows else []


def _stacked(rows: Sequence[NDArray[_Number]]) -> NDArray[_Number]:
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise ValueError(f"signatures made with different parameters can't be compared: {sorted(shapes)}")
    return np.stack(rows)


def _duplicates(candidates: Sequence[Candidate], appearance: Appearance, limit: float) -> list[Duplicate]:
    """Compare all pairs, then give each video its best original."""
    signatures = [candidate.signature for candidate in candidates]
    durations = np.array([signature.duration_s for signature in signatures])
    order = np.array(sorted(range(len(candidates)), key=lambda place: (durations[place], candidates[place].video_id)))
    appearance = appearance.ordered(order)
    candidates = [candidates[place] for place in order]
    present = np.stack([signatures[place].present for place in order])
    moved = _Moved(
        np.stack([signatures[place].motion for place in order]),
        np.stack([signatures[place].strength for place in order]),
        present,
    )
    times = _Times([candidate.captured_at for candidate in candidates])
    found: list[tuple[int, int, float]] = []
    for a, b, distances in alike_pairs(appearance, durations[order], present, limit):
        agree = times.agree(a, b)
        a, b, distances = a[agree], b[agree], distances[agree]
        agree = moved.agree(a, b)
        found.extend(zip(a[agree].tolist(), b[agree].tolist(), distances[agree].tolist(), strict=True))
    return _assigned(candidates, found)


class _Times:
    """Times of capture; those without a zone are some clock's on a wall."""

    def __init__(self, stated: Sequence[str | None]) -> None:
        self._seconds = np.zeros(len(stated))
        self._known = np.zeros(len(stated), np.bool_)
        self._zoned = np.zeros(len(stated), np.bool_)
        for place, text in enumerate(stated):
            if text is None:
                continue
            try:
                time = datetime.fromisoformat(text)
            except ValueError:
                continue
            self._known[place], self._zoned[place] = True, time.tzinfo is not None
            self._seconds[place] = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

    def agree(self, a: IntArray, b: IntArray) -> BoolArray:
        """``(k,)`` whether two videos may begin at one moment, as far as is known.

        A time with a zone and one without may differ by an offset that a zone can have: a multiple of a quarter of an
        hour.
        """
        apart = np.abs(self._seconds[a] - self._seconds[b])
        rest = np.abs((apart + _ZONE_STEP_S / 2) % _ZONE_STEP_S - _ZONE_STEP_S / 2)
        by_zone = (apart <= _WIDEST_ZONE_S + CAPTURE_S) & (rest <= CAPTURE_S)
        same = np.where(self._zoned[a] == self._zoned[b], apart <= CAPTURE_S, by_zone)
        return np.asarray(same | ~(self._known[a] & self._known[b]))


class _Moved:
    """What moved in each frame."""

    def __init__(self, motion: NDArray[np.int8], strength: FloatArray, present: BoolArray) -> None:
        self._motion, self._present = motion, present
        self._peaks = strength
        self._moves = (strength >= MOVED) & present
        squares = np.array([np.einsum("nk,nk->n", one, one, dtype=np.float32) for one in motion])
        self._lengths = np.sqrt(squares.reshape(strength.shape))

    def agree(self, a: IntArray, b: IntArray) -> BoolArray:
        """``(k,)`` whether something moves in two videos, and the same in all frames in which anything does."""
        agreed = np.zeros(len(a), np.bool_)
        for start in range(0, len(a), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            kept = start + self._correlated(a[some], b[some])
            agreed[kept[self._covered(a[kept], b[kept])]] = True
        return agreed

    def _moving(self, a: IntArray, b: IntArray, frame: int) -> BoolArray:
        both = self._present[a, frame] & self._present[b, frame]
        return np.asarray(both & (self._moves[a, frame] | self._moves[b, frame]))

    def _correlated(self, a: IntArray, b: IntArray) -> IntArray:
        """Which pairs' movement correlates, over all frames and in each."""
        left = np.arange(len(a))
        # What moved in all frames is one vector: the product and the two squared lengths add up, frame by frame.
        product, of_a, of_b = np.zeros(len(a)), np.zeros(len(a)), np.zeros(len(a))
        moving = np.zeros(len(a), np.bool_)
        for frame in range(self._motion.shape[1]):
            x, y = a[left], b[left]
            # Products of small whole numbers are exact in single precision.
            cross = np.einsum(
                "pk,pk->p", self._motion[x, frame].astype(np.float32), self._motion[y, frame].astype(np.float32)
            )
            norm_x, norm_y = self._lengths[x, frame], self._lengths[y, frame]
            unit_x, unit_y = self._peaks[x, frame], self._peaks[y, frame]
            both = self._present[x, frame] & self._present[y, frame]
            product[left] += np.where(both, cross * unit_x * unit_y, 0)
            of_a[left] += np.where(both, (norm_x * unit_x) ** 2, 0)
            of_b[left] += np.where(both, (norm_y * unit_y) ** 2, 0)
            moves = self._moving(x, y, frame)
            moving[left] |= moves
            # Most pairs of a static camera's recordings end here, after a frame or two.
            left = left[~moves | (cross >= FRAME_AGREEMENT * norm_x * norm_y)]
        return left[moving[left] & (product[left] >= AGREEMENT * np.sqrt(of_a[left] * of_b[left]))]

    def _covered(self, a: IntArray, b: IntArray) -> BoolArray:
        """Whether nothing that stands out in one video is missing from the other.

        Correlation overlooks a person who is the only difference beside the shadow of a house that falls alike every
        day.
        """
        covered = np.ones(len(a), np.bool_)
        for frame in range(self._motion.shape[1]):
            x, y = self._pictures(a, frame), self._pictures(b, frame)
            missing = np.maximum(_missing(x, y), _missing(y, x))
            peaks = np.maximum(self._peaks[a, frame], self._peaks[b, frame])
            covered &= ~self._moving(a, b, frame) | (missing <= MOST_MISSING * peaks)
        return covered

    def _pictures(self, videos: IntArray, frame: int) -> FloatArray:
        """``(k, 24, 24)`` what moved, in steps of brightness."""
        moved = self._motion[videos, frame].astype(np.float32) * (self._peaks[videos, frame] / 127)[:, None]
        side = round(moved.shape[1] ** 0.5)
        return np.asarray(moved.reshape(-1, side, side), np.float32)


def _missing(a: FloatArray, b: FloatArray) -> FloatArray:
    """``(k,)`` how far the pictures ``a`` stand out of anything in ``b`` at most a cell away, at the worst place."""
    out = [sign * a - _dilated(np.maximum(sign * b, 0)) for sign in (1, -1)]
    return np.asarray(np.maximum(*out).max(axis=(1, 2), initial=0), np.float32)


def _dilated(pictures: FloatArray) -> FloatArray:
    """Each cell the largest of the 3 x 3 around it; pictures are not negative."""
    wide = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    rows = np.maximum(np.maximum(wide[:, :-2], wide[:, 1:-1]), wide[:, 2:])
    return np.maximum(np.maximum(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])


def _steps(sizes: set[int]) -> dict[int, int]:
    """Numbers of pixels by rank, the most first; those that differ by a few lines share one."""
    ranks: dict[int, int] = {}
    largest, rank = 0, -1
    for size in sorted(sizes, reverse=True):
        if rank < 0 or size < largest * _SAME_SIZE:
            largest, rank = size, rank + 1
        ranks[size] = rank
    return ranks


def _assigned(candidates: Sequence[Candidate], pairs: Sequence[tuple[int, int, float]]) -> list[Duplicate]:
    """Each video's original: the best one that it looks like and that is no duplicate itself."""
    places = {place for a, b, _ in pairs for place in (a, b)}
    step = _steps({candidates[place].pixels for place in places})
    involved = sorted(
        places,
        key=lambda place: (
            step[candidates[place].pixels],
            -round(candidates[place].signature.duration_s, 1),
            -candidates[place].size_bytes,
            candidates[place].video_id,
        ),
    )
    rank = {place: number for number, place in enumerate(involved)}
    better: dict[int, list[tuple[int, float]]] = {}
    for a, b, distance in pairs:
        worse, other = (a, b) if rank[a] > rank[b] else (b, a)
        better.setdefault(worse, []).append((other, distance))
    duplicates: dict[int, Duplicate] = {}
    for place in involved:
        originals = [(rank[other], other, far) for other, far in better.get(place, ()) if other not in duplicates]
        if originals:
            _, other, far = min(originals)
            duplicates[place] = Duplicate(candidates[place].video_id, candidates[other].video_id, far)
    return sorted(duplicates.values(), key=lambda duplicate: duplicate.video_id)
