"""Where a reader stands in a video, so that another one can go on from there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.media.frame import DecodedFrame

if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class Landing:
    """A key frame from which decoding can begin again."""

    pts: int
    """Its presentation time, as the container writes it."""
    decoded: int
    """Frames handed out before it."""
    trouble: tuple[int, int, int]
    """Damaged packets, frames passed over, and times corrected before it."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a video just behind a frame that was handed out, with what was counted up to there.

    All of it are numbers and text, so that it can be written down as JSON and read back.
    """

    decoded: int
    """Frames handed out so far; 0 at the beginning of the video."""
    damaged: int
    passed_over: int
    pts: int | None = None
    """Presentation time of the last one, in units of the stream's time base from its start; None at the beginning."""
    keyframes_only: bool = False
    landing_pts: int | None = None
    """A key frame before the last one, from which decoding can begin again; None where there was trouble since."""
    landing_decoded: int = 0
    """Frames handed out before that one."""
    origin: int | None = None
    """What the container writes for the start of the stream."""
    packet_dts: int | None = None
    """Decoding time of the last packet that had been decoded, as the container writes it."""
    packet_pos: int | None = None
    """Where that packet lies in the file, in bytes: times come twice where a clock was set back."""
    owed: int = 0
    """Packets decoded so far that had not given a picture."""
    digest: str = ""
    """Of the last frame's luma, to be sure that decoding from elsewhere gives the same picture."""

    def as_json(self) -> dict[str, int | str | bool | None]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Position:
        """The position whose fields these are.

        Raises:
            ValueError: they are not those of a position.
        """
        try:
            return cls(**fields)
        except TypeError:
            raise ValueError(f"these are not the fields of a position: {', '.join(map(str, fields))}") from None


def digest_of(frame: DecodedFrame) -> str:
    """16 hexadecimal digits of the SHA-256 of a frame's whole luma, whatever its crop."""
    whole = DecodedFrame(frame.pts, frame.time_base, frame.picture)
    return hashlib.sha256(np.ascontiguousarray(whole.luma()).data).hexdigest()[:16]
