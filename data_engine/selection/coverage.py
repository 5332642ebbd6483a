"""Which frames of a video to keep when there is room for few: those closest in time to everything that happened.

A choice S of the candidates is worth ``sum_j w_j * max_{i in S} k(|t_i - t_j|)`` (facility location): every candidate
j, by its weight w_j, wants a kept frame i near it in time. Adding the frame that adds most, again and again, is within
1 - 1/e of the best choice of every size (Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing
submodular set functions I", Mathematical Programming 14, 1978), and what frames add never rises. So candidates can be
ranked once for all budgets, and the ranks of several videos merged by what each frame adds.

The closeness k(d) is the mean of exp(-d / s) over scales s from seconds to hours: it falls about evenly with the
logarithm of d. Frames a second apart, a minute apart and an hour apart are told apart alike, so every burst of
activity gets a frame before one gets a second. It is convex, hence a candidate of weight 0 never adds more than its
weighted neighbours, and comes after all of them.

On a line of time only the kept frames next to a candidate matter to it: a kept frame parts the candidates before it
from those behind it for good. So the greedy order is that of a tree, each frame the best of its stretch, read by what
frames add. The stretches of one level of the tree are worked out together, and exp(-d / s) lets the sum over any
stretch be had from two running sums: no pair of candidates is ever compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

SCALES_S = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)
"""Seconds at which closeness in time is measured."""
# What frames add is rounded to about this share of the largest weight, so that equal cases stay equal to the last bit.
_GRAIN = 1e-9


def rank(
    times_s: ArrayLike, weights: ArrayLike, *, scales_s: Sequence[float] = SCALES_S
) -> tuple[IndexArray, FloatArray]:
    """All candidates of one video, those first that are worth most beside the ones before them.

    Of candidates that add the same, those come first that part a longer stretch, then the earlier.  Candidates of
    weight 0 add nothing, nor do those whose weight is a billionth of the largest: they come last, among themselves in
    the order they would have with equal weights.

    Args:
        times_s: ``(n,)`` seconds, in any order.
        weights: ``(n,)``, at least 0: how much happened that the frame stands for.
        scales_s: seconds at which closeness is measured, above 0.

    Returns:
        ``(n,)`` positions in ``times_s``, and ``(n,)`` what each adds, in units of the weights, never rising.

    Raises:
        ValueError: lengths that differ, a time or weight that is not finite, a weight below 0, no scale above 0.
    """
    times, wanted = np.asarray(times_s, np.float64), np.asarray(weights, np.float64)
    if times.ndim != 1 or times.shape != wanted.shape:
        raise ValueError(f"times and weights must be two rows of one length: got {times.shape} and {wanted.shape}")
    if not (np.isfinite(times).all() and np.isfinite(wanted).all() and (wanted >= 0).all()):
        raise ValueError("times and weights must be finite, and weights at least 0")
    scales = np.asarray(scales_s, np.float64)
    if not len(scales) or not (scales > 0).all():
        raise ValueError(f"scales must be above 0: got {tuple(scales_s)}")
    # Of several at one time the heaviest is first; the order in which they were given decides nothing else.
    by_time = np.lexsort((-wanted, times))
    times, wanted = times[by_time], wanted[by_time]
    gains, levels = _tree(times, wanted, np.zeros(len(times), np.bool_), scales)
    active = gains > 0
    others, other_levels = _tree(times, np.where(active, 0.0, 1.0), active, scales)
    order = np.lexsort((np.where(active, levels, other_levels), -np.where(active, gains, others), ~active))
    return by_time[order], gains[order]


def choose(gains: Sequence[ArrayLike], budget: int) -> list[int]:
    """How many frames of each video's order to keep, ``budget`` in all: those that add most over all videos.

    Of frames that add the same, those come first that stand earlier in their video's order, then those of the earlier
    video.

    Args:
        gains: what each frame of an order adds, of :func:`rank`, by video.
        budget: frames in all; everything is kept when there are no more than that.

    Raises:
        ValueError: gains that rise.
    """
    rows = [np.asarray(row, np.float64) for row in gains]
    if any((np.diff(row) > 0).any() for row in rows):
        raise ValueError("gains must not rise: they are those of rank()")
    if not rows:
        return []
    videos = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    positions = np.concatenate([np.arange(len(row)) for row in rows])
    best = np.lexsort((videos, positions, -np.concatenate(rows)))[: max(0, budget)]
    return [int(count) for count in np.bincount(videos[best], minlength=len(rows))]


def _tree(
    times: FloatArray, weights: FloatArray, chosen: NDArray[np.bool_], scales: FloatArray
) -> tuple[FloatArray, NDArray[np.intp]]:
    """What each candidate adds when it is chosen (0: nothing ever), and the level of the tree where.

    Args:
        times: ``(n,)`` seconds, ascending.
        weights: ``(n,)``.
        chosen: ``(n,)``, those that are chosen already; what they added is given as 0.
        scales: seconds.
    """
    gains, levels = np.zeros(len(times)), np.zeros(len(times), np.intp)
    line = _Line(times, weights, scales)
    # A power of two, so that rounding to multiples of it loses nothing else.
    grain = np.exp2(np.floor(np.log2(max(float(weights.max(initial=0.0)) * _GRAIN, np.finfo(np.float64).tiny))))
    # What is chosen already sets no bound to what the next may add, nor does the end of the line, in the last place.
    bounds = np.full(len(times) + 1, np.inf)
    left = np.flatnonzero(~chosen)
    chosen = chosen.copy()
    level = 0
    while len(left):
        before, after = _neighbours(chosen)
        before, after = before[left], after[left]
        added = np.round(line.added(left, before, after) / grain) * grain
        # Rounding apart, nothing adds more than those did that bound its stretch: the tree may rely on it.
        added = np.minimum(np.maximum(added, 0.0), np.minimum(bounds[before], bounds[after]))
        starts = np.flatnonzero(np.diff(before, prepend=-2))
        best = np.repeat(np.maximum.reduceat(added, starts), np.diff(np.append(starts, len(left))))
        hits = np.flatnonzero(added == best)
        _, first = np.unique(before[hits], return_index=True)
        picked = left[hits[first]]
        gains[picked] = bounds[picked] = added[hits[first]]
        levels[picked] = level
        chosen[picked] = True
        # Where the best of a stretch adds nothing, nothing in it ever will.
        left = left[~chosen[left] & (best > 0)]
        level += 1
    return gains, levels


def _neighbours(chosen: NDArray[np.bool_]) -> tuple[IndexArray, IndexArray]:
    """For each place the chosen one last before it and first after it (itself, if chosen); -1 where there is none."""
    places = np.arange(len(chosen))
    before = np.maximum.accumulate(np.where(chosen, places, -1))
    after = np.minimum.accumulate(np.where(chosen, places, len(chosen))[::-1])[::-1]
    return before, np.where(after == len(chosen), -1, after)


class _Line:
    """Weighted sums of the closeness over stretches of candidates, from running sums; all times ascend."""

    def __init__(self, times: FloatArray, weights: FloatArray, scales: FloatArray) -> None:
        self._times, self._scales = times, scales
        # behind[i, s] = sum over j <= i of w_j exp(-(t_i - t_j) / s), ahead[i, s] the same over j >= i; a row of zeros
        # stands at the outer end: behind[-1] and ahead[n].
        count = len(times)
        decays = np.exp(-np.diff(times)[:, None] / scales)
        self._behind = np.zeros((count + 1, len(scales)))
        self._ahead = np.zeros((count + 1, len(scales)))
        total = np.zeros(len(scales))
        for place in range(count):
            total = weights[place] + (total * decays[place - 1] if place else total)
            self._behind[place] = total
        total = np.zeros(len(scales))
        for place in reversed(range(count)):
            total = weights[place] + (total * decays[place] if place < count - 1 else total)
            self._ahead[place] = total

    def added(self, places: IndexArray, before: IndexArray, after: IndexArray) -> FloatArray:
        """What candidates add to the chosen neighbours ``before`` and ``after`` them; -1 stands for none.

        A candidate serves those that are nearer to it than to a neighbour: from ``low`` to ``high``.  Until now the
        ones below ``middle`` were served by the neighbour before, the others by the one after.
        """
        times, count = self._times, len(self._times)
        here = times[places]
        earlier = np.where(before < 0, -np.inf, times[before])
        later = np.where(after < 0, np.inf, times[after])
        low = np.minimum(np.searchsorted(times, (earlier + here) / 2, "right"), places)
        high = np.maximum(np.searchsorted(times, (here + later) / 2, "left"), places + 1)
        # Without any neighbour there is no middle, and none is needed.
        centre = (np.where(after < 0, 0.0, earlier) + later) / 2
        middle = np.clip(np.searchsorted(times, centre, "left"), low, high)
        served = self._until(here, low, places + 1) + self._since(here, places + 1, high)
        served -= np.where(before < 0, 0.0, self._since(np.where(before < 0, times[low], earlier), low, middle))
        last = times[np.minimum(high, count) - 1]
        served -= np.where(after < 0, 0.0, self._until(np.where(after < 0, last, later), middle, high))
        return served

    def _until(self, origin: FloatArray, start: IndexArray, stop: IndexArray) -> FloatArray:
        """The sum of w_j k(origin - t_j) over start <= j < stop, all of them at or before ``origin``."""
        times, scales = self._times, self._scales
        last = np.maximum(stop - 1, 0)
        inner = self._behind[stop - 1] - self._behind[start - 1] * self._decay(times[last] - times[start - 1])
        return np.where(stop > start, (inner * self._decay(origin - times[last])).sum(1) / len(scales), 0.0)

    def _since(self, origin: FloatArray, start: IndexArray, stop: IndexArray) -> FloatArray:
        """The sum of w_j k(t_j - origin) over start <= j < stop, all of them at or after ``origin``."""
        times, scales = self._times, self._scales
        first = np.minimum(start, len(times) - 1)
        end = np.minimum(stop, len(times) - 1)
        inner = self._ahead[start] - self._ahead[stop] * self._decay(times[end] - times[first])
        return np.where(stop > start, (inner * self._decay(times[first] - origin)).sum(1) / len(scales), 0.0)

    def _decay(self, distance_s: FloatArray) -> FloatArray:
        # Where a stretch is empty or has no end the distance means nothing: it is multiplied by zero or not used.
        return np.exp(-np.maximum(distance_s, 0.0)[:, None] / self._scales)
