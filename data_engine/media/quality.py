"""Frames that are not worth a picker's look: black, frozen or blurred ones.

Each gate is made to err on the side of keeping: what is dropped for nothing is lost, what is kept for nothing is one
picture more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.media.picking import Look, State, exact
from data_engine.media.similarity import ignored_mask

if TYPE_CHECKING:
    from data_engine.types import Region

UInt8Array = NDArray[np.uint8]

FROZEN = "frozen"
"""The fault of a picture that shows nothing that was not seen before."""

_BRIGHT_SHARE = 0.001
# A usual sharpness follows what is seen by a factor of e in this time at most: fog is let through after a while.
_FOLLOW_S = 600.0
# A picture without any detail has sharpness 0, of which there is no logarithm.
_LEAST_SHARPNESS = 1e-3


class QualityGates:
    """Looks at one video's frames in order and says what is wrong with them.

    Black: fewer than one pixel in a thousand of the reduced luma reaches ``min_brightness``.  Videos mostly hold black
    as 16 (BT.601, BT.709), and averaging takes most noise off it.  A pair of headlights in the dark is more than a
    thousandth; so is a burnt-in clock over a covered lens, unless it is ignored.

    Frozen: the reduced luma has stayed the same, to the last bit, for ``frozen_after_s``, in looks closer together than
    that: two that are further apart say nothing about what happened in between.  A live sensor's noise ends
    that at the latest with the stream's next key frame; where it does not, nothing is lost, for pickers saw the same
    picture long enough.  A frozen picture that was compressed anew cannot be told from a quiet scene and stays.

    Blurred: the variance of the Laplacian (Pech-Pacheco, Cristóbal, Chamorro-Martínez and Fernández-Valdivia, "Diatom
    autofocusing in brightfield microscopy: a comparative study", ICPR 2000) of the reduced luma is below
    ``min_sharpness`` times its usual level.  That level follows what is seen, by a factor of e in ten minutes at most:
    so a slow change of light or weather is never called a blur, and a lasting one no longer than that takes.  Reducing
    takes noise off, which would pass for sharpness, and leaves blur visible from about half a percent of the picture's
    width: a circle of 0.5 % leaves two thirds of the sharpness, 0.8 % two fifths, 1.2 % a fifth.

    Args:
        min_brightness: luma (0..255) that a thousandth of the picture must reach; 0 keeps black frames.
        min_sharpness: share (0..1) of the usual sharpness; 0 keeps blurred frames and saves their computation.
        frozen_after_s: seconds without change; 0 keeps frozen frames.
        ignore: parts of the picture, in pixels of the saved frame, that do not count (a clock runs on when the picture
            is frozen).
    """

    def __init__(
        self,
        min_brightness: int = 20,
        min_sharpness: float = 0.0,
        frozen_after_s: float = 10.0,
        *,
        ignore: Sequence[Region] = (),
    ) -> None:
        self._min_brightness = min_brightness
        self._min_sharpness = min_sharpness
        self._frozen_after_s = exact(frozen_after_s)
        self._ignore = tuple(ignore)
        self._counted: UInt8Array | None = None
        self._counted_of: tuple[tuple[int, int], tuple[int, ...]] | None = None
        self._still = np.zeros((0, 0), np.uint8)
        self._still_since_s = self._still_looked_s = Fraction(0)
        self._usual: float | None = None
        self._looked_s = Fraction(0)

    def fault(self, look: Look) -> str | None:
        """``black``, ``frozen`` or ``blurred``, whichever comes first, or None; to be called once a look, in order."""
        luma = look.reduced
        mask = self._mask(look) if self._ignore else None
        if self._min_brightness and self._is_black(luma, mask):
            return "black"
        if self._frozen_after_s and self._is_frozen(luma, mask, look.time_s):
            return FROZEN
        if self._min_sharpness and self._is_blurred(luma, mask, look.time_s):
            return "blurred"
        return None

    def state(self) -> State:
        """Everything needed to go on exactly from here, under names that no picker uses."""
        return {
            "gates_still": self._still,
            "gates_still_since_s": np.asarray(str(self._still_since_s)),
            "gates_still_looked_s": np.asarray(str(self._still_looked_s)),
            "gates_usual": np.asarray(math.nan if self._usual is None else self._usual),
            "gates_looked_s": np.asarray(str(self._looked_s)),
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a state that gates made the same way handed out."""
        self._still = np.asarray(state["gates_still"], np.uint8)
        self._still_since_s = Fraction(str(state["gates_still_since_s"]))
        self._still_looked_s = Fraction(str(state["gates_still_looked_s"]))
        usual = float(state["gates_usual"])
        self._usual = None if math.isnan(usual) else usual
        self._looked_s = Fraction(str(state["gates_looked_s"]))

    def _is_black(self, luma: UInt8Array, mask: UInt8Array | None) -> bool:
        bright = cv2.compare(luma, self._min_brightness, cv2.CMP_GE)
        if mask is not None:
            bright = cv2.bitwise_and(bright, mask)
        total = luma.size if mask is None else cv2.countNonZero(mask)
        return bool(cv2.countNonZero(bright) < _BRIGHT_SHARE * total)

    def _is_frozen(self, luma: UInt8Array, mask: UInt8Array | None, time_s: Fraction) -> bool:
        if mask is not None:
            luma = np.asarray(cv2.bitwise_and(luma, mask), np.uint8)
        apart_s, self._still_looked_s = time_s - self._still_looked_s, time_s
        if apart_s >= self._frozen_after_s or not np.array_equal(luma, self._still):
            self._still, self._still_since_s = luma.copy(), time_s
        return time_s - self._still_since_s >= self._frozen_after_s

    def _is_blurred(self, luma: UInt8Array, mask: UInt8Array | None, time_s: Fraction) -> bool:
        _, deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S), mask=mask)
        sharpness = max(float(deviation[0, 0]) ** 2, _LEAST_SHARPNESS)
        usual = sharpness if self._usual is None else self._usual
        furthest = math.exp(min(float(time_s - self._looked_s) / _FOLLOW_S, 100.0))
        self._usual = min(max(sharpness, usual / furthest), usual * furthest)
        self._looked_s = time_s
        return sharpness < self._min_sharpness * usual

    def _mask(self, look: Look) -> UInt8Array:
        """255 where the reduced picture counts, 0 where it is ignored."""
        now = (look.frame.size_wh, look.reduced.shape)
        if self._counted is None or self._counted_of != now:
            ignored = ignored_mask(self._ignore, *now)
            self._counted, self._counted_of = np.where(ignored, 0, 255).astype(np.uint8), now
        return self._counted
