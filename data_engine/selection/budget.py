"""Who gets the places: a number of frames, shared out among cameras."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from data_engine.types import ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from data_engine.selection.costs import Allowance
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
    """``(n,)`` all frames in a random order that depends on their ids and the seed only, not on who else is there.

    It is the order of ``content_id("shuffle", seed, frame_id)``, hashed on from what all ids have in common.
    """
    begun = hashlib.sha256(_framed("shuffle") + _framed(str(seed)))
    digests = bytearray()
    for frame_id in pool.frame_ids:
        digest = begun.copy()
        digest.update(_framed(frame_id))
        digests += digest.digest()[: ID_LENGTH // 2]
    words = np.frombuffer(digests, ">u8").reshape(-1, ID_LENGTH // 16)
    return np.lexsort(words.T[::-1])


def _framed(part: str) -> bytes:
    """As :func:`~data_engine.types.content_id` hashes it."""
    data = part.encode("utf-8", "surrogateescape")
    return len(data).to_bytes(8, "big") + data


class Places:
    """Hands out places to frames that come in the order of their claim.

    Args:
        pool: the frames.
        apart: keeps look-alikes out; knows the frames chosen in earlier rounds.
        total: places in all.
        camera_share: the share of the places that one camera may take while others want some too; with few cameras it
            is at least an equal share.
        day_share: the same of one day; frames of unknown days have no quota.
        allowance: what may be spent besides places; a frame that it does not admit gets none.
        boxes: ``(n,)`` boxes expected in each frame, for the allowance.
        usual: places that the allowance is expected to be enough for, of which shares are taken; ``total`` by default.
    """

    def __init__(
        self,
        pool: FramePool,
        apart: Apart,
        total: int,
        camera_share: float,
        *,
        day_share: float = 1.0,
        allowance: Allowance | None = None,
        boxes: NDArray[np.float64] | None = None,
        usual: int | None = None,
    ) -> None:
        self.total = total
        self.usual = total if usual is None else min(usual, total)
        self._apart = apart
        self._cameras = _Quota(pool.camera_of, self.usual, camera_share)
        self._days = _Quota(pool.day_of, self.usual, day_share)
        self._allowance = allowance
        self._boxes: list[float] = [] if boxes is None else boxes.tolist()
        self._chosen: set[int] = set()

    @property
    def free(self) -> int:
        """Places left."""
        return self.total - len(self._chosen)

    def offer(self, frame: int, *, over_quota: bool = False, similar: bool = False) -> bool:
        """Give the frame a place if it may have one.

        Args:
            frame: row of the pool.
            over_quota: whether its camera and its day may take more than their share.
            similar: whether it may look like a chosen frame (never closer in time than the gap).
        """
        if self.free < 1 or frame in self._chosen:
            return False
        if not over_quota and (self._cameras.full(frame) or self._days.full(frame)):
            return False
        cost = self._boxes[frame] if self._boxes else 0.0
        if self._allowance is not None and not self._allowance.admits(cost):
            return False
        if not self._apart.far_in_time(frame) or not (similar or self._apart.looks_new(frame)):
            return False
        self._chosen.add(frame)
        self._cameras.count(frame)
        self._days.count(frame)
        if self._allowance is not None:
            self._allowance.spend(cost)
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


class _Quota:
    """How many places each group (camera, day) has taken, and how many it may take.

    Args:
        group_of: ``(n,)`` the group of every frame; -1 for none, which has no quota.
        total: places in all.
        share: that one group may take; at least an equal share.
    """

    def __init__(self, group_of: NDArray[np.int64], total: int, share: float) -> None:
        self._group_of: list[int] = group_of.tolist()
        groups = len(set(self._group_of) - {-1})
        self._most = total if groups < 2 else max(math.ceil(total * share), math.ceil(total / groups))
        self._taken: Counter[int] = Counter()

    def full(self, frame: int) -> bool:
        group = self._group_of[frame]
        return group >= 0 and self._taken[group] >= self._most

    def count(self, frame: int) -> None:
        self._taken[self._group_of[frame]] += 1
