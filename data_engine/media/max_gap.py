"""A frame now and then beside those that a method picks, so that a quiet stretch of a video is not left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from data_engine.media.picking import Look, Pick, Picker, State, exact, packed, unpacked

_PATIENCE_S = 1
"""Seconds: for longer no picker holds one frame, but on restless footage one after another."""


class MaxGap:
    """A picker that also keeps a frame whenever nothing was kept for a while.

    While the other picker holds a frame that it may yet keep, none is kept besides, for a second at most.

    The other picker sees every frame that it wants, whatever is kept besides.  What it would keep too soon after such a
    frame is not kept; the first good frame that may be then stands for it.

    Args:
        picker: who decides otherwise; it does not learn of the frames that are kept besides.
        max_gap_s: seconds without a kept frame after which the next good frame is kept.
        min_gap_s: seconds after such a frame in which no other is kept.
    """

    def __init__(self, picker: Picker, max_gap_s: float, min_gap_s: float = 0.0) -> None:
        self._picker = picker
        self._max_gap_s = exact(max_gap_s)
        self._min_gap_s = exact(min_gap_s)
        self._kept_s: Fraction | None = None
        self._besides_s: Fraction | None = None
        self._owed: tuple[str, float] | None = None
        """Reason and weight of what was not kept because it came too soon."""

    def wants(self, time_s: Fraction) -> bool:
        """See :class:`Picker`."""
        return self._picker.wants(time_s) or self._waits_s(time_s) is not None

    def pick(self, look: Look) -> Sequence[Pick]:
        """See :class:`Picker`."""
        time_s = look.time_s
        picks = self._in_time(self._picker.pick(look)) if self._picker.wants(time_s) else ()
        waits_s = self._waits_s(time_s)
        if picks or waits_s is None or (self._picker.holds and waits_s < _PATIENCE_S):
            return picks
        # It stands for nothing that happened, unless one is owed: a budget takes it after everything else.
        reason, weight = self._owed or ("max-gap", 0.0)
        self._kept_s = self._besides_s = time_s
        self._owed = None
        return (Pick(look.frame, reason, weight=weight),)

    def _waits_s(self, time_s: Fraction) -> Fraction | None:
        """For how long a frame has been due; None while none is."""
        if self._kept_s is None:
            return None
        due_s = self._kept_s + self._max_gap_s
        if self._besides_s is not None:
            free_s = self._besides_s + self._min_gap_s
            due_s = free_s if self._owed else max(due_s, free_s)
        return time_s - due_s if time_s >= due_s else None

    def _in_time(self, picks: Sequence[Pick]) -> Sequence[Pick]:
        """Those of the other picker's frames that are not too near to, nor before, one that was kept besides."""
        good: list[Pick] = []
        for pick in picks:
            after_s = None if self._besides_s is None else pick.frame.time_s - self._besides_s
            if after_s is None or (after_s > 0 and after_s >= self._min_gap_s):
                good.append(pick)
            elif self._owed is None or pick.weight > self._owed[1]:
                self._owed = pick.reason, pick.weight
        if good:
            self._kept_s = max(pick.frame.time_s for pick in good)
            self._owed = None
        return tuple(good)

    @property
    def holds(self) -> bool:
        """See :class:`Picker`."""
        return self._picker.holds

    def pass_by(self, time_s: Fraction) -> None:
        """See :class:`Picker`; what is due is so again after as long."""
        if self._picker.wants(time_s):
            self._picker.pass_by(time_s)
        if self._waits_s(time_s) is not None:
            self._kept_s = time_s

    def finish(self) -> Sequence[Pick]:
        """See :class:`Picker`."""
        return self._in_time(self._picker.finish())

    def state(self) -> State | None:
        """See :class:`Picker`."""
        inner = self._picker.state()
        if inner is None:
            return None
        reason, weight = self._owed or ("", 0.0)
        return {
            **inner,
            "max_gap_kept_s": packed(self._kept_s),
            "max_gap_besides_s": packed(self._besides_s),
            "max_gap_owed": np.asarray(reason),
            "max_gap_weight": np.asarray(weight, np.float64),
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """See :class:`Picker`."""
        self._picker.restore(state)
        self._kept_s = unpacked(state["max_gap_kept_s"])
        self._besides_s = unpacked(state["max_gap_besides_s"])
        reason = str(state["max_gap_owed"])
        self._owed = (reason, float(np.asarray(state["max_gap_weight"], np.float64))) if reason else None
