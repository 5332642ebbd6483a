"""Videos, their frames, and what sampling makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

Region = tuple[int, int, int, int]
"""Left, top, width and height of a part of a picture, in whole pixels."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video file, or a folder of numbered pictures that are one, known by its bytes."""

    id: str
    """First 32 hexadecimal digits of the SHA-256 of the file; of a folder of pictures a content id of its files."""
    key: str
    """Storage key of the file or of the folder."""
    name: str
    """File name without its suffix; the first part of its frames' names."""
    camera: str
    """The camera that filmed it: as a path pattern or a sidecar says, else the folders below the input folder without
    dates, else the file's name."""
    size_bytes: int
    width: int
    """Pixels, as displayed (after rotation)."""
    height: int
    codec: str
    frame_rate: Fraction | None
    """Average frames per second; None where the container does not say."""
    duration_s: float | None
    """Seconds, from the container; None where it does not say."""
    pixel_format: str | None = None
    """FFmpeg's name (``yuv420p``, ``yuv420p10le``)."""
    variable_rate: bool | None = None
    """Whether frames follow each other at changing intervals; None where that is not known."""
    audio: bool | None = None
    """Whether there is sound; None where that is not known."""
    rotation: int = 0
    """Degrees counterclockwise by which the stored picture is turned for display: 0, 90, 180 or 270."""
    interlaced: bool | None = None
    """Whether the first frames are made of two fields; None where that is not known."""
    captured_at: str | None = None
    """When the recording began, ISO 8601, with an offset where one is known; None where nothing says it."""
    venue: str | None = None
    """The place, from a path pattern or a sidecar."""
    event: str | None = None
    """The occasion, from a path pattern or a sidecar."""
    crop: Region | None = None
    """The picture inside black borders, in pixels as displayed; None when there are none."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture that was saved to storage: sampled from a video, or found alone in a folder."""

    id: str
    """``content_id("frame", video_id, pts, time base)``, and the crop where there is one: boxes on a cropped picture
    have other coordinates.  A lone picture's is its bytes' SHA-256, shortened."""
    name: str
    """File name, unique across videos: ``<video>_<time in ms>_<short id>.jpg``."""
    key: str
    """Storage key of the file."""
    width: int
    height: int
    camera: str
    video_id: str | None = None
    pts: int | None = None
    """Presentation time in units of ``time_base``; None for a lone picture."""
    time_base: Fraction | None = None
    """Seconds per unit of ``pts``."""
    dhash: int | None = None
    """64-bit difference hash of the picture (unsigned); pictures that differ in few bits look alike."""
    crop: Region | None = None
    """The part of the video's picture that was saved; None for all of it.  Boxes are in pixels of the saved picture."""

    @property
    def time_s(self) -> float | None:
        """Presentation time in seconds from the beginning of the video; None for a lone picture."""
        if self.pts is None or self.time_base is None:
            return None
        return self.pts * self.time_base.numerator / self.time_base.denominator


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A frame that sampling kept, with the reason."""

    frame: Frame
    sha256: str
    """Of the written file."""
    similarity: float | None
    """Structural similarity to the frame kept before it (-1..1); None for the first and for other methods."""
    weight: float = 1.0
    """How much happened that this frame stands for, at least 0; comparable only inside its method."""
    reason: str = ""
    """Why it was kept: ``first``, ``changed``, ``interval``, ``keyframe``, ``cut``, ``max-gap``."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What sampling made of one video."""

    video: Video
    frames: tuple[SampledFrame, ...]
    decoded: int
    """Frames that were decoded."""
    passed: Mapping[str, int] = field(default_factory=dict)
    """Frames that were not kept for a reason of their own, by the reason: ``black``, ``blurred``, ``frozen``,
    ``near-duplicate``, ``over the limit``."""
    damage: str | None = None
    """What could not be read, for people (``ends after 3.2 s of 10.0 s``); None for a sound video."""
