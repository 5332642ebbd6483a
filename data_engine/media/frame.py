"""One decoded frame: its time, and its pixels as brightness or as colour.

The luma plane is handed out as it lies in the decoded frame, because comparing frames needs no colour; a full RGB
picture is made only for the frames that are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.media.deinterlace import deinterlaced
from data_engine.types import Region

UInt8Array = NDArray[np.uint8]

_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def _luma_bits() -> dict[str, int]:
    """Pixel formats whose first plane is luma alone, with the bits of a sample that hold it, the highest ones last.

    8 bits take one byte a sample, all others two, the low byte first; formats such as P010 use the upper bits of the
    two bytes and count as 16.
    """
    samplings = {
        "yuv": ("410p", "411p", "420p", "422p", "440p", "444p"),
        "yuvj": ("411p", "420p", "422p", "440p", "444p"),
        "yuva": ("420p", "422p", "444p"),
        "nv": ("12", "16", "21", "24", "42"),
        "gray": ("",),
    }
    bits = {f"{name}{sampling}": 8 for name, many in samplings.items() for sampling in many}
    for depth in (9, 10, 12, 14, 16):
        for name in ("yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuva420p", "yuva422p", "yuva444p", "gray"):
            bits[f"{name}{depth}le"] = depth
    bits.update({f"p{sampling}{depth}le": 16 for sampling in (0, 2, 4) for depth in (10, 12, 16)})
    return bits


_LUMA_BITS = _luma_bits()


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One decoded frame.  Pixels are turned as the video's rotation metadata says; pixel aspect is left alone."""

    pts: int
    """Presentation time from the start of the video stream, in units of ``time_base``."""
    time_base: Fraction
    """Seconds per unit of ``pts``."""
    picture: Any
    """The whole ``av.VideoFrame``, before rotation."""
    crop: Region | None = None
    """The part that counts, in pixels as displayed, inside the picture; None for all of it."""

    @property
    def time_s(self) -> Fraction:
        """Presentation time in seconds from the start of the stream, exactly."""
        return self.pts * self.time_base

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels, as displayed, of the cropped picture."""
        if self.crop is not None:
            return self.crop[2:]
        width, height = self.picture.width, self.picture.height
        return (height, width) if self._turn in (90, 270) else (width, height)

    def luma(self) -> UInt8Array:
        """``(height, width)`` uint8 brightness of the cropped picture.

        The decoded plane itself where the pixel format has an 8-bit one (so 16..235 in most videos), a view that
        must not be written to; of samples of more bits the upper 8.  Other formats are converted to gray by swscale.
        """
        picture = self.picture
        bits = _LUMA_BITS.get(picture.format.name, 0)
        if not bits or picture.planes[0].line_size < picture.width * (1 if bits == 8 else 2):
            picture, bits = picture.reformat(format="gray"), 8
        plane = picture.planes[0]
        rows = np.frombuffer(plane, np.uint8, plane.line_size * picture.height).reshape(picture.height, -1)
        if bits == 8:
            return self._turned(self._cropped(rows[:, : picture.width]))
        samples = self._cropped(rows.view("<u2")[:, : picture.width])
        return self._turned((samples >> (bits - 8)).astype(np.uint8))

    def rgb(self) -> UInt8Array:
        """``(height, width, 3)`` uint8 RGB of the cropped picture, full range; interlaced pictures are deinterlaced."""
        picture = deinterlaced(self.picture) if self.picture.interlaced_frame else self.picture
        return np.ascontiguousarray(self._turned(self._cropped(picture.to_ndarray(format="rgb24"))))

    @property
    def _turn(self) -> int:
        """Degrees counterclockwise by which the decoded picture is turned for display: 0, 90, 180 or 270."""
        return int(round(self.picture.rotation / 90) * 90 % 360)

    def _cropped(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The part of the decoded, not yet turned pixels that is inside the crop."""
        if self.crop is None:
            return pixels
        left, top, width, height = self.crop
        rows, columns = pixels.shape[:2]
        turn = self._turn
        if turn == 90:
            left, top, width, height = columns - top - height, left, height, width
        elif turn == 180:
            left, top = columns - left - width, rows - top - height
        elif turn == 270:
            left, top, width, height = top, rows - left - width, height, width
        return pixels[top : top + height, left : left + width]

    def _turned(self, pixels: UInt8Array) -> UInt8Array:
        turn = self._turn
        if not turn:
            return pixels
        return np.asarray(cv2.rotate(np.ascontiguousarray(pixels), _TURNS[turn]), np.uint8)
