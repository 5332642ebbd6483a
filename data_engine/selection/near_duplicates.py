"""Frames of one camera that look like one that is kept already, by their difference hashes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_FIRST_ROOM = 64
_MOST_PARTS = 5
"""Shorter parts than 12 bits are shared by too many hashes to be of use."""
_FEW = 64
"""Hashes that are compared one by one; of more, all are at once."""


def hamming(hashes: NDArray[np.uint64], one: np.uint64) -> NDArray[np.uint8]:
    """``(n,)`` differing bits between each hash and ``one``."""
    return np.asarray(np.bitwise_count(hashes ^ one), np.uint8)


class Hashes:
    """A growing set of 64-bit hashes that is asked whether it has one within ``tolerance`` bits of another.

    Of two hashes that differ in at most ``t`` bits, cut into ``t + 1`` parts, at least one part is the same (the
    pigeonhole principle): only hashes that share a part are compared.  The answer is that of comparing all.

    Raises:
        ValueError: the tolerance is not from 0 to 64.
    """

    def __init__(self, tolerance: int) -> None:
        if not 0 <= tolerance <= 64:
            raise ValueError(f"the tolerance must be from 0 to 64 bits: got {tolerance}")
        self._tolerance = tolerance
        parts = tolerance + 1
        edges = [64 * part // parts for part in range(parts + 1)] if parts <= _MOST_PARTS else []
        self._parts = [(low, (1 << (high - low)) - 1) for low, high in pairwise(edges)]
        self._sharing: list[dict[int, list[int]]] = [{} for _ in self._parts]
        self._all = np.empty(_FIRST_ROOM, np.uint64)
        self._count = 0

    def has_near(self, dhash: int) -> bool:
        """Whether one of them differs from ``dhash`` in at most ``tolerance`` bits."""
        if not self._parts:
            return self._any_near(dhash)
        for (low, mask), sharing in zip(self._parts, self._sharing, strict=True):
            found = sharing.get((dhash >> low) & mask)
            if found is None:
                continue
            if len(found) > _FEW:
                return self._any_near(dhash)
            for other in found:
                if (other ^ dhash).bit_count() <= self._tolerance:
                    return True
        return False

    def _any_near(self, dhash: int) -> bool:
        return bool((hamming(self._all[: self._count], np.uint64(dhash)) <= self._tolerance).any())

    def add(self, dhash: int) -> None:
        """Take one in."""
        if self._count == len(self._all):
            self._all = np.resize(self._all, 2 * self._count)
        self._all[self._count] = dhash
        self._count += 1
        for (low, mask), sharing in zip(self._parts, self._sharing, strict=True):
            sharing.setdefault((dhash >> low) & mask, []).append(dhash)


class NearDuplicates:
    """Remembers the hashes of kept frames by camera and tells which new ones are close to none of them.

    A frame that is turned away is not remembered: of a slow drift one frame is kept each time it has come far enough.
    The answer depends on the order of the frames alone.

    Args:
        tolerance: bits of 64 in which hashes may differ and still count as the same; 0 for equal ones only.

    Raises:
        ValueError: the tolerance is not from 0 to 64.
    """

    def __init__(self, tolerance: int) -> None:
        Hashes(tolerance)
        self._tolerance = tolerance
        self._of_camera: dict[str, Hashes] = {}

    def add(self, camera: str, dhash: int) -> bool:
        """Whether the frame is new to its camera; then, and only then, it is remembered.

        Args:
            camera: whose frame it is.
            dhash: its unsigned 64-bit difference hash.
        """
        kept = self._of_camera.setdefault(camera, Hashes(self._tolerance))
        if kept.has_near(dhash):
            return False
        kept.add(dhash)
        return True
