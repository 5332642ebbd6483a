"""Who gets the places: a number of frames, shared out among cameras."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from data_engine.types import content_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from data_engine.selection.diversity import Apart
    from data_engine.selection.pool import FramePool


def places(budget: int | None, candidates: int) -> int:
    """Frames to choose: ``budget``, or a tenth of the candidates and at least one; never more than there are."""
    wanted = max(candidates // 10, 1) if budget is None else budget
    return min(wanted, candidates)


def exploration_places(places: int, share: float) -> int:
    """How many of the places go to frames drawn at random: the share, rounded to the nearest, a half upwards."""
    return min(math.floor(places * share + 0.5), places)


def shuffled(pool: FramePool, seed: int) -> NDArray[np.int64]:
    """``(n,)`` all frames in a random order that depends on their ids and the seed only, not on who else is there."""
    keys = [content_id("shuffle", seed, frame_id) for frame_id in pool.frame_ids]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)


class Places:
    """Hands out places to frames that come in the order of their claim.

    Args:
        pool: the frames.
        apart: keeps look-alikes out; knows the frames chosen in earlier rounds.
        total: places in all.
        camera_share: the share of the places that one camera may take while others want some too; with few cameras it
            is at least an equal share.
    """

    def __init__(self, pool: FramePool, apart: Apart, total: int, camera_share: float) -> None:
        cameras = len(set(pool.cameras))
        self.total = total
        self._apart = apart
        self._camera_of = pool.camera_of.tolist()
        self._quota = total if cameras < 2 else max(math.ceil(total * camera_share), math.ceil(total / cameras))
        self._of_camera: Counter[int] = Counter()
        self._chosen: set[int] = set()

    @property
    def free(self) -> int:
        """Places left."""
        return self.total - len(self._chosen)

    def offer(self, frame: int, *, over_quota: bool = False, similar: bool = False) -> bool:
        """Give the frame a place if it may have one.

        Args:
            frame: row of the pool.
            over_quota: whether its camera may take more than its share.
            similar: whether it may look like a chosen frame (never closer in time than the gap).
        """
        if self.free < 1 or frame in self._chosen:
            return False
        camera = self._camera_of[frame]
        if not over_quota and self._of_camera[camera] >= self._quota:
            return False
        if not self._apart.far_in_time(frame) or not (similar or self._apart.looks_new(frame)):
            return False
        self._chosen.add(frame)
        self._of_camera[camera] += 1
        self._apart.add(frame)
        return True

    def fill(
        self, frames: Iterable[int], limit: int | None = None, *, over_quota: bool = False, similar: bool = False
    ) -> list[int]:
        """Offer frames in their order until ``limit`` of them (or all places) are taken; those that got a place."""
        limit = self.free if limit is None else min(limit, self.free)
        got: list[int] = []
        for frame in frames:
            if len(got) >= limit:
                break
            if self.offer(frame, over_quota=over_quota, similar=similar):
                got.append(frame)
        return got
