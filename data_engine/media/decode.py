"""Frames of a video file with their presentation times, and an account of everything that could not be read.

PyAV (FFmpeg's libraries) decodes.  The luma plane is handed out as it lies in the decoded frame, because comparing
frames needs no colour; a full RGB picture is made only for the frames that are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.errors import DamagedInputError
from data_engine.media.container import open_video, packets, stated_duration, video_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

UInt8Array = NDArray[np.uint8]

# Pixel formats whose first plane is 8-bit luma, one byte a pixel.
_LUMA_FIRST = frozenset(
    f"{name}{sampling}"
    for name, samplings in {
        "yuv": ("410p", "411p", "420p", "422p", "440p", "444p"),
        "yuvj": ("411p", "420p", "422p", "440p", "444p"),
        "yuva": ("420p", "422p", "444p"),
        "nv": ("12", "16", "21", "24", "42"),
        "gray": ("",),
    }.items()
    for sampling in samplings
)
_B_PICTURE = av.video.frame.PictureType.B
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

# After damage, frames are trusted again from the next key frame on, or after this many: some cameras refresh the
# picture strip by strip and never send a second key frame.
_HEALING_FRAMES = 300
# Longest run of B pictures held back; encoders' defaults are 2 to 4.
_MOST_HELD = 8


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One decoded frame.  Pixels are turned as the video's rotation metadata says; pixel aspect is left alone."""

    pts: int
    """Presentation time from the start of the video stream, in units of ``time_base``."""
    time_base: Fraction
    """Seconds per unit of ``pts``."""
    picture: Any
    """The ``av.VideoFrame``, before rotation."""

    @property
    def time_s(self) -> Fraction:
        """Presentation time in seconds from the start of the stream, exactly."""
        return self.pts * self.time_base

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels, as displayed."""
        width, height = self.picture.width, self.picture.height
        return (height, width) if self._turn in (90, 270) else (width, height)

    def luma(self) -> UInt8Array:
        """``(height, width)`` uint8 brightness.

        The decoded plane itself where the pixel format has an 8-bit one (so 16..235 in most videos), a view that
        must not be written to; other formats are converted to gray by swscale.
        """
        picture = self.picture
        if picture.format.name not in _LUMA_FIRST or picture.planes[0].line_size < picture.width:
            picture = picture.reformat(format="gray")
        plane = picture.planes[0]
        rows = np.frombuffer(plane, np.uint8, plane.line_size * picture.height)
        return self._turned(rows.reshape(picture.height, plane.line_size)[:, : picture.width])

    def rgb(self) -> UInt8Array:
        """``(height, width, 3)`` uint8 RGB, full range."""
        return self._turned(self.picture.to_ndarray(format="rgb24"))

    @property
    def _turn(self) -> int:
        """Degrees counterclockwise by which the decoded picture is turned for display: 0, 90, 180 or 270."""
        return int(round(self.picture.rotation / 90) * 90 % 360)

    def _turned(self, pixels: UInt8Array) -> UInt8Array:
        turn = self._turn
        if not turn:
            return pixels
        return np.asarray(cv2.rotate(np.ascontiguousarray(pixels), _TURNS[turn]), np.uint8)


class VideoReader:
    """Iterates once over the frames of a video, in order of presentation; memory does not grow with its length.

    A packet that cannot be decoded, or whose picture the decoder marks as corrupt, is passed over and counted in
    ``damaged``; the frames that may be built from it (up to the next key frame) are passed over and counted in
    ``passed_over``, for they show smears that no camera saw.

    Args:
        path: the file.
        key: what errors call the file.
        threads: most decoding threads; 0 lets FFmpeg choose by the number of cores.  With one, every run gives the
            same frames.  With more, a sound file still does, but FFmpeg can overlook a corrupt picture of a damaged
            one, depending on which thread was first.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it cannot be read, is empty, is not a video, or has no video stream that can be decoded; at
            the end of the iteration, when not one frame could be decoded.
    """

    def __init__(self, path: Path, *, key: str, threads: int = 1) -> None:
        self.key = key
        self.decoded = 0
        """Frames handed out so far."""
        self.damaged = 0
        """Packets, or stretches of the file, that could not be read or decoded or gave a corrupt picture."""
        self.passed_over = 0
        """Frames not handed out because they may be built from a damaged one."""
        self._end_s = Fraction(0)
        self._finished = False
        self._container = open_video(path, key)
        try:
            self._stream = video_stream(self._container, key)
        except BaseException:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        codec = self._stream.codec_context
        codec.thread_count = threads
        # Else the decoder drops what it does not trust, for instance before the first key frame, without a word.
        codec.flags |= int(av.codec.context.Flags.output_corrupt)
        self._threads = threads
        self.codec: str = codec.name
        self.frame_rate: Fraction | None = self._stream.average_rate or self._stream.guessed_rate or None
        """Average frames per second; None where the container does not say."""
        stated = stated_duration(self._stream)
        whole = Fraction(self._container.duration, av.time_base) if self._container.duration else None
        self.duration_s: Fraction | None = stated or whole
        """Seconds that the container says the video lasts; None where it does not say."""
        # How much earlier the last frame may end: the whole file may be longer by its sound.
        self._tolerance_s = Fraction(1, 4) + (2 / self.frame_rate if self.frame_rate else 0)
        if not stated and self._container.streams.audio:
            self._tolerance_s += 1

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was counted stays."""
        self._container.close()

    @property
    def damage(self) -> str | None:
        """What could not be read so far, for people; None when all is sound."""
        found = []
        if self._finished and self.duration_s is not None and self.duration_s - self._end_s > self._tolerance_s:
            found.append(f"ends after {float(self._end_s):.1f} s of {float(self.duration_s):.1f} s")
        if self.damaged:
            found.append(f"{self.damaged} damaged packet{'s' if self.damaged > 1 else ''}")
        if self.passed_over:
            found.append(f"{self.passed_over} frame{'s' if self.passed_over > 1 else ''} next to damage passed over")
        return ", ".join(found) or None

    def __iter__(self) -> Iterator[DecodedFrame]:
        # B pictures wait for the picture that ends their run: they may be built from it although they are shown first.
        held: list[DecodedFrame] = []
        healing = 0
        for frame in self._timed():
            if frame is None or frame.picture.is_corrupt:
                self.damaged += 1
                self.passed_over += len(held)
                held.clear()
                healing = _HEALING_FRAMES
            elif healing and not frame.picture.key_frame:
                self.passed_over += 1
                healing -= 1
            else:
                healing = 0
                held.append(frame)
                if frame.picture.pict_type != _B_PICTURE or len(held) > _MOST_HELD:
                    yield from self._counted(held)
                    held.clear()
        yield from self._counted(held)
        self._finished = True
        if not self.decoded:
            raise DamagedInputError(f"{self.key} holds a video stream, but not one of its frames can be decoded")

    def _counted(self, frames: list[DecodedFrame]) -> Iterator[DecodedFrame]:
        for frame in frames:
            self.decoded += 1
            yield frame

    def _timed(self) -> Iterator[DecodedFrame | None]:
        """Decoded pictures with strictly increasing times from the start of the stream; None for a damaged packet."""
        base = Fraction(self._stream.time_base)
        # AVI has no presentation times: FFmpeg derives them from the order of decoding, late by the reordering delay.
        origin: int | None = None if self._container.format.name == "avi" else self._stream.start_time
        usual_step = max(1, round(1 / (self.frame_rate * base))) if self.frame_rate else 1
        previous: int | None = None
        expected = 0
        for picture in self._pictures():
            if picture is None:
                yield None
                continue
            pts = expected
            if picture.pts is not None:
                if origin is None:
                    origin = picture.pts
                pts = picture.pts - origin
            if previous is not None and pts <= previous:
                if origin is not None and (previous - pts) * base > 1:
                    # The clock was set back: go on counting from here.
                    origin -= expected - pts
                    pts = expected
                else:
                    pts = previous + 1
            previous, expected = pts, pts + (picture.duration or usual_step)
            self._end_s = expected * base
            yield DecodedFrame(pts, base, picture)

    def _pictures(self) -> Iterator[Any]:
        """Decoded ``av.VideoFrame``; None for a damaged packet."""
        owed = 0
        for packet in packets(self._container, self._stream):
            if packet is None or packet.is_corrupt:
                yield None
                continue
            # Packets before an edit list's start are decoded, not shown.
            owed += bool(packet.size and not packet.is_discard)
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                owed -= 1
                yield None
                continue
            owed -= len(pictures)
            yield from pictures
        # In sound files some packets carry no picture (hidden references, placeholders); beside damage they are part of
        # it, and a threaded decoder may have lost its last ones.
        if self.damaged or self._threads != 1:
            self.damaged += max(0, owed)
