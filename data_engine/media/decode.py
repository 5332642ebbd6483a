"""Frames of a video file with their presentation times, and an account of everything that could not be read.

PyAV (FFmpeg's libraries) decodes.  A reader can say where it stands, and another one goes on from there as if nothing
had come between.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any

import av

from data_engine.errors import DamagedInputError
from data_engine.media.clock import Clock
from data_engine.media.container import open_video, packets, stated_duration, video_stream
from data_engine.media.frame import DecodedFrame
from data_engine.media.healing import Healing
from data_engine.media.keyframes import KeyframeDecoder
from data_engine.media.position import Landing, Position, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from data_engine.types import Region

__all__ = ["DecodedFrame", "Position", "VideoReader"]

# Containers that find a key frame by its time; in others a jump may end behind it, and so aims at an earlier time.
_INDEXED = ("mov", "matroska", "avi")
_AIM_EARLIER_S = 3


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
        crop: the part of the picture that counts, in pixels as displayed.  Frames that it does not fit into (of a
            stream that changed its size) are left whole.
        keyframes_only: hand out the key frames and decode nothing else; the frames are those that are key frames when
            all are decoded.  Damage between key frames is not looked for.  A raw stream without a container has no
            times without decoding all of it, so that is done.
        resume: go on behind this position of an earlier reader of the same file, of the same ``keyframes_only``.
            Decoding begins at a key frame shortly before it.  Where that does not give the same frames up to there as
            the first time, or cannot (raw streams, damage close by), it begins at the start of the file.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it cannot be read, is empty, is not a video, or has no video stream that can be decoded; at
            the end of the iteration, when not one frame could be decoded; at its start, when the position is none of
            this file.
        ValueError: the crop is no part of any picture, or the position is one of other frames.
    """

    def __init__(
        self,
        path: Path,
        *,
        key: str,
        threads: int = 1,
        crop: Region | None = None,
        keyframes_only: bool = False,
        resume: Position | None = None,
    ) -> None:
        if crop is not None and (min(crop[:2]) < 0 or min(crop[2:]) < 1):
            raise ValueError(f"crop must be (left, top, width, height) of a part of a picture: got {crop}")
        if resume is not None and resume.keyframes_only != keyframes_only:
            raise ValueError("a position among key frames is none among all frames, nor the other way round")
        self.key = key
        self._path = path
        self._threads = threads
        self._crop = crop
        self._fitting: tuple[tuple[int, int], Region | None] = ((0, 0), None)
        self._keyframes_only = keyframes_only
        self._resume = resume if resume is not None and resume.decoded else None
        self._open()
        self.codec: str = self._codec.name
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

    def _open(self) -> None:
        """Stand at the beginning of the file, with nothing counted."""
        self._container = open_video(self._path, self.key)
        try:
            self._stream = video_stream(self._container, self.key)
        except BaseException:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        self._codec = codec = self._stream.codec_context
        codec.thread_count = self._threads
        # Else the decoder drops what it does not trust, for instance before the first key frame, without a word.
        codec.flags |= int(av.codec.context.Flags.output_corrupt)
        # Without times in the container, only counting all pictures tells when a key frame is shown.
        skips = self._keyframes_only and self._stream.start_time is not None
        self._keyframes = KeyframeDecoder(self._stream) if skips else None
        # AVI has no presentation times: FFmpeg derives them from the order of decoding, late by the reordering delay.
        origin: int | None = None if self._container.format.name == "avi" else self._stream.start_time
        self._clock = Clock(
            Fraction(self._stream.time_base), origin, self._stream.average_rate or self._stream.guessed_rate
        )
        self._healing = Healing()
        self.decoded = 0
        """Frames handed out so far, those before the position that was resumed included."""
        self._owed = 0
        self._packet: tuple[int | None, int | None] = (None, None)
        self._last: DecodedFrame | None = None
        self._landings: tuple[Landing | None, Landing | None] = (None, None)
        self._finished = False

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
    def damaged(self) -> int:
        """Packets, or stretches of the file, that could not be read or decoded or gave a corrupt picture."""
        return self._healing.damaged

    @property
    def passed_over(self) -> int:
        """Frames not handed out because they may be built from a damaged one."""
        return self._healing.passed_over

    @property
    def damage(self) -> str | None:
        """What could not be read so far, for people; None when all is sound."""
        found = []
        end_s = self._clock.end_s
        if self._finished and self.duration_s is not None and self.duration_s - end_s > self._tolerance_s:
            found.append(f"ends after {float(end_s):.1f} s of {float(self.duration_s):.1f} s")
        if self.damaged:
            found.append(f"{self.damaged} damaged packet{'s' if self.damaged > 1 else ''}")
        if self.passed_over:
            found.append(f"{self.passed_over} frame{'s' if self.passed_over > 1 else ''} next to damage passed over")
        return ", ".join(found) or None

    def position(self) -> Position:
        """Where the reader stands: behind the frame that was handed out last."""
        if self._last is None:
            return self._resume or Position(0, 0, 0, keyframes_only=self._keyframes_only)
        landing = self._landings[0]
        if landing is not None and (landing.trouble != self._trouble or self._threads != 1):
            landing = None
        return Position(
            decoded=self.decoded,
            damaged=self.damaged,
            passed_over=self.passed_over,
            pts=self._last.pts,
            keyframes_only=self._keyframes_only,
            landing_pts=None if landing is None else landing.pts,
            landing_decoded=0 if landing is None else landing.decoded,
            origin=self._clock.origin,
            packet_dts=self._packet[0],
            packet_pos=self._packet[1],
            owed=self._owed,
            digest=digest_of(self._last),
        )

    @property
    def _trouble(self) -> tuple[int, int, int]:
        """How often something was not as it should be."""
        return self.damaged, self.passed_over, self._clock.corrections

    def __iter__(self) -> Iterator[DecodedFrame]:
        return self._frames() if self._resume is None else self._resumed(self._resume)

    def _resumed(self, position: Position) -> Iterator[DecodedFrame]:
        """The frames behind a position."""
        if position.landing_pts is not None:
            frames = self._frames(landing=position.landing_pts)
            if self._reached(position, frames):
                yield from frames
                return
            self._container.close()
            self._open()
        frames = self._frames()
        # The last of those that were handed out before.
        last = next(islice(frames, position.decoded - 1, None), None)
        if last is None or last.pts != position.pts:
            raise DamagedInputError(f"{self.key} is not what it was when its reading was interrupted")
        yield from frames

    def _reached(self, position: Position, frames: Iterator[DecodedFrame]) -> bool:
        """Decode from the position's key frame up to it; whether all is as it was the first time."""
        assert position.landing_pts is not None
        self.decoded, self._clock.origin = position.landing_decoded, position.origin
        self._healing.damaged, self._healing.passed_over = position.damaged, position.passed_over
        trouble = self._trouble
        indexed = self._container.format.name.startswith(_INDEXED)
        earlier = 0 if indexed else round(_AIM_EARLIER_S / self._stream.time_base)
        try:
            self._container.seek(position.landing_pts - earlier, stream=self._stream)
            # All of them are counted, so none may be missing.
            last = next(islice(frames, position.decoded - position.landing_decoded - 1, None), None)
        except (av.FFmpegError, DamagedInputError):
            return False
        self._owed = position.owed
        return (
            last is not None
            and last.pts == position.pts
            and self._trouble == trouble
            and self._packet == (position.packet_dts, position.packet_pos)
            and digest_of(last) == position.digest
        )

    def _frames(self, landing: int | None = None) -> Iterator[DecodedFrame]:
        """The frames that can be trusted, from the key frame at ``landing`` on where one is given."""
        healing, clock, base = self._healing, self._clock, Fraction(self._stream.time_base)
        for picture in self._pictures():
            if landing is not None:
                # Pictures that are shown before the key frame may need what comes before it in the file.
                if picture is None or picture.pts is None or picture.pts < landing:
                    continue
                if picture.pts > landing or not picture.key_frame:
                    return
                landing = None
            if picture is None:
                healing.lost()
                continue
            pts = clock.stamp(picture)
            if picture.is_corrupt:
                healing.lost()
            elif picture.key_frame or not self._keyframes_only:
                for frame in healing.trusted(DecodedFrame(pts, base, picture, self._crop and self._fit(picture))):
                    self._hand_out(frame)
                    yield frame
        for frame in healing.rest():
            self._hand_out(frame)
            yield frame
        self._finished = True
        if not self.decoded:
            if self.passed_over:
                raise DamagedInputError(f"{self.key} holds no frame that can be trusted: {self.damage}")
            raise DamagedInputError(f"{self.key} holds a video stream, but not one of its frames can be decoded")

    def _hand_out(self, frame: DecodedFrame) -> None:
        if frame.picture.key_frame and frame.picture.pts is not None:
            self._landings = (self._landings[1], Landing(frame.picture.pts, self.decoded, self._trouble))
        self._last = frame
        self.decoded += 1

    def _fit(self, picture: Any) -> Region | None:
        """The crop, where the picture is large enough for it."""
        size = (picture.width, picture.height)
        if self._fitting[0] != size:
            assert self._crop is not None
            left, top, width, height = self._crop
            whole = DecodedFrame(0, Fraction(1), picture).size_wh
            self._fitting = (size, self._crop if left + width <= whole[0] and top + height <= whole[1] else None)
        return self._fitting[1]

    def _pictures(self) -> Iterator[Any]:
        """Decoded ``av.VideoFrame``; None for a damaged packet."""
        keyframes = self._keyframes
        for packet in packets(self._container, self._stream):
            if packet is None or packet.is_corrupt:
                yield None
                continue
            if packet.size:
                self._packet = packet.dts, packet.pos
            if keyframes is not None:
                if keyframes.is_key(packet):
                    yield from keyframes.pictures(packet)
                else:
                    self._clock.passed(packet)
                continue
            # Packets before an edit list's start are decoded, not shown.
            self._owed += bool(packet.size and not packet.is_discard)
            try:
                pictures: Sequence[Any] = packet.decode()
            except av.FFmpegError:
                self._owed -= 1
                yield None
                continue
            self._owed -= len(pictures)
            yield from pictures
        # In sound files some packets carry no picture (hidden references, placeholders); beside damage they are part of
        # it, and a threaded decoder may have lost its last ones.
        if self.damaged or self._threads != 1:
            self._healing.damaged += max(0, self._owed)
