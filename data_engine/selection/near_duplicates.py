"""Frames of one camera that look like one that is kept already, by their difference hashes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FIRST_ROOM = 64


class NearDuplicates:
    """Remembers the hashes of kept frames by camera and tells which new ones are close to none of them.

    A frame that is turned away is not remembered: of a slow drift one frame is kept each time it has come far enough.
    Every hash is compared with all that its camera has, so the answer depends on the order of the frames alone.

    Args:
        tolerance: bits of 64 in which hashes may differ and still count as the same; 0 for equal ones only.

    Raises:
        ValueError: the tolerance is not from 0 to 64.
    """

    def __init__(self, tolerance: int) -> None:
        if not 0 <= tolerance <= 64:
            raise ValueError(f"the tolerance must be from 0 to 64 bits: got {tolerance}")
        self._tolerance = tolerance
        self._hashes: dict[str, NDArray[np.uint64]] = {}
        self._counts: dict[str, int] = {}

    def add(self, camera: str, dhash: int) -> bool:
        """Whether the frame is new to its camera; then, and only then, it is remembered.

        Args:
            camera: whose frame it is.
            dhash: its unsigned 64-bit difference hash.
        """
        room = self._hashes.get(camera)
        count = self._counts.get(camera, 0)
        value = np.uint64(dhash)
        if room is None:
            room = self._hashes[camera] = np.empty(_FIRST_ROOM, np.uint64)
        elif (np.bitwise_count(room[:count] ^ value) <= self._tolerance).any():
            return False
        if count == len(room):
            room = self._hashes[camera] = np.resize(room, 2 * count)
        room[count] = value
        self._counts[camera] = count + 1
        return True
