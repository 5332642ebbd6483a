"""Why a frame that came close got no place, told from who did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.diversity import hamming
from data_engine.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool

MOST = 50
"""Refused frames that are told of."""


class Refusals:
    """Compares frames that were not chosen with those that were.

    Args:
        pool: all frames.
        chosen: rows that were chosen now, the most wanted first.
        taken: rows that were chosen in earlier rounds.
        tolerance: bits of the difference hash up to which two frames of one camera look alike.
        min_gap_s: least seconds between two chosen frames of one video.
    """

    def __init__(
        self, pool: FramePool, chosen: Sequence[int], taken: NDArray[np.int64], tolerance: int, min_gap_s: float
    ) -> None:
        self._pool = pool
        self._rows = np.concatenate([np.asarray(chosen, np.int64), np.asarray(taken, np.int64)])
        self._places = len(chosen)
        self._tolerance, self._min_gap_s = tolerance, min_gap_s

    def reason(self, frame: int, names: Sequence[str], *, full: bool) -> str:
        """What kept the frame out, for people.

        Args:
            frame: a row that was not chosen.
            names: what every row of the pool is called.
            full: whether all places, or all that may be spent, were given away.
        """
        pool = self._pool
        assert pool.hashed is not None
        same_video = self._rows[pool.video_of[self._rows] == pool.video_of[frame]]
        if pool.video_of[frame] >= 0 and len(same_video):
            apart = np.abs(pool.times_s[same_video] - pool.times_s[frame])
            if (nearest := np.where(np.isnan(apart), np.inf, apart)).min() < self._min_gap_s:
                return f"{nearest.min():.2g} s from {names[int(same_video[nearest.argmin()])]}"
        alike = self._rows[(pool.camera_of[self._rows] == pool.camera_of[frame]) & pool.hashed[self._rows]]
        if pool.hashed[frame] and len(alike):
            bits = hamming(pool.dhashes[alike], pool.dhashes[frame])
            if bits.min() <= self._tolerance:
                return f"looks like {names[int(alike[bits.argmin()])]}"
        if full:
            return f"{counted(self._places, 'frame')} came before it"
        return "its camera or its day has its share, or it costs more than what is left"
