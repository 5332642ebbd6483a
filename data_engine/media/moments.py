"""Single frames from anywhere in a video, without reading or decoding the rest.

A file is entered at the key frame before the wanted time and decoded up to it.  Files that cannot be entered in the
middle (bare H.264 or HEVC) are read through once, but decoded only from the key frames that are needed.  How much is
decoded is bounded by the number of wanted frames, whatever the length of the video.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

import av

from data_engine.errors import DamagedInputError
from data_engine.media.container import open_video, packets, stated_duration, video_stream
from data_engine.media.decode import DecodedFrame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

# Frames decoded on the way to one wanted frame, on average; encoders put a key frame every 250 unless told otherwise.
_MOST_FRAMES = 600
# Without an index a key frame is supposed at least this often: as far it is cheaper to go on decoding than to jump.
_NEAR_S = 3
# MPEG transport streams have no index: a jump may land behind the wanted time and is repeated from so much earlier.
_STEPS_BACK_S = (0, 2, 8, 32)
_MOST_READ_ERRORS = 16


class MomentReader:
    """Reads the frames at chosen times of one video.

    Args:
        path: the file.
        key: what errors call the file.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it cannot be read, is not a video, or has no video stream that can be decoded.
    """

    def __init__(self, path: Path, *, key: str) -> None:
        self._path, self._key = path, key
        self._open()
        container, stream = self._container, self._stream
        self._base = Fraction(stream.time_base)
        self._rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        whole = Fraction(container.duration, av.time_base) if container.duration else None
        self._seekable = whole is not None
        self._left = _MOST_FRAMES
        self._pictures: Iterator[Any] = iter(())
        self._last: DecodedFrame | None = None
        self._origin = 0
        self._keys: list[int] = []
        try:
            duration = stated_duration(stream) or whole or self._scanned()
            if self._seekable:
                self._origin = self._first_pts()
        except BaseException:
            self.close()
            raise
        self.duration_s: Fraction = duration
        """Seconds that the video lasts, as its container says; else found by reading the packets."""

    def __enter__(self) -> MomentReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def at_fractions(self, fractions: Sequence[float | Fraction]) -> Iterator[DecodedFrame | None]:
        """The frames at those fractions (0..1) of the duration; see :meth:`at`."""
        return self.at([Fraction(fraction) * self.duration_s for fraction in fractions])

    def at(self, times_s: Sequence[Fraction]) -> Iterator[DecodedFrame | None]:
        """For each time, in seconds from the start and in rising order, the first frame at or after it.

        None where there is no such frame: behind the end of a truncated file, inside a damaged part without a key
        frame, or when reaching it would take decoding for too long.  A reader is asked once.
        """
        self._left = _MOST_FRAMES * len(times_s)
        yield from self._by_seeking(times_s) if self._seekable else self._by_counting(times_s)

    def _open(self) -> None:
        self._container = open_video(self._path, self._key)
        try:
            self._stream = video_stream(self._container, self._key)
        except BaseException:
            self._container.close()
            raise
        self._stream.codec_context.thread_count = 1

    def _first_pts(self) -> int:
        """Where the presentation times of the stream begin."""
        if self._container.format.name != "avi":
            return int(self._stream.start_time or 0)
        # AVI has no presentation times: FFmpeg derives them from the order of decoding, late by the reordering delay.
        first = next((picture for picture in self._decoded() if picture.pts is not None), None)
        return 0 if first is None else int(first.pts)

    def _by_seeking(self, times_s: Sequence[Fraction]) -> Iterator[DecodedFrame | None]:
        for time_s in times_s:
            if self._worth_a_jump(time_s):
                for back_s in _STEPS_BACK_S:
                    self._jump(time_s - back_s)
                    if self._last is not None and (self._last.time_s <= time_s or time_s <= back_s):
                        break
            while self._left > 0 and (self._last is None or self._last.time_s < time_s) and self._advance():
                pass
            found = self._last
            yield found if found is not None and found.time_s >= time_s else None

    def _worth_a_jump(self, time_s: Fraction) -> bool:
        """Whether a key frame lies between the frame that was decoded last and that time, as far as is known."""
        if self._last is None:
            return True
        if self._last.time_s >= time_s:
            return False
        index = self._stream.index_entries
        if len(index) < 2 or len(index) != self._stream.frames:
            return time_s - self._last.time_s > _NEAR_S
        place = index.search_timestamp(self._ticks(time_s), backward=True)
        return place >= 0 and int(index[place].timestamp) > self._last.pts + self._origin

    def _ticks(self, time_s: Fraction) -> int:
        return int(time_s / self._base) + self._origin

    def _jump(self, time_s: Fraction) -> None:
        """Go to the last key frame at or before that time, if the container finds it, and decode it."""
        self._last = None
        self._pictures = iter(())
        try:
            # Zero, not the first time: in MPEG-TS a jump to that lands behind the first key frame.
            ticks = max(self._ticks(time_s), 0) if time_s > 0 else 0
            self._container.seek(ticks, stream=self._stream, backward=True)
        except av.FFmpegError:
            return
        self._pictures = self._decoded()
        self._advance()

    def _advance(self) -> bool:
        """Decode the next sound frame; whether there was one."""
        for picture in self._pictures:
            self._left -= 1
            if picture.pts is not None:
                self._last = DecodedFrame(picture.pts - self._origin, self._base, picture)
                return True
            if self._left <= 0:
                break
        return False

    def _decoded(self) -> Iterator[Any]:
        """Pictures from here on, beginning with a key frame, also after damage."""
        whole = False
        errors = 0
        while errors < _MOST_READ_ERRORS and self._left >= 0:
            try:
                for packet in self._container.demux(self._stream):
                    errors = 0
                    if not whole:
                        # Until a key frame came the decoder may give nothing at all, to the end of the file.
                        self._left -= 1
                        if self._left < 0:
                            return
                    try:
                        pictures = packet.decode()
                    except av.FFmpegError:
                        whole = False
                        continue
                    for picture in pictures:
                        whole = not picture.is_corrupt and (whole or bool(picture.key_frame))
                        if whole:
                            yield picture
                return
            except av.FFmpegError:
                errors += 1
                whole = False

    def _scanned(self) -> Fraction:
        """The duration of a file that states none, by reading its packets; remembers where its key frames are."""
        count, last, step = 0, None, 0
        for packet in packets(self._container, self._stream):
            if packet is not None and packet.size:
                if packet.is_keyframe:
                    self._keys.append(count)
                count += 1
                step = step or packet.duration or 0
                if packet.pts is not None:
                    last = max(packet.pts + (packet.duration or 0), last or 0)
        self._container.close()
        self._open()
        if not count:
            raise DamagedInputError(f"{self._key} holds a video stream without a single picture")
        if last is not None and self._stream.start_time is not None:
            self._seekable = True
            return max(int(last - self._stream.start_time) * self._base, 1 / self._rate)
        if step:
            # A bare stream's stated rate is FFmpeg's guess; its packets may know better.
            self._rate = 1 / (step * self._base)
        return count / self._rate

    def _by_counting(self, times_s: Sequence[Fraction]) -> Iterator[DecodedFrame | None]:
        """Frames of a file without times, counted from the key frames that were found by reading it through."""
        if not self._keys:
            self._scanned()
        wanted = [ceil(time_s * self._rate) for time_s in times_s]
        starts = [self._keys[place - 1] if (place := bisect_right(self._keys, n)) else None for n in wanted]
        number = -1  # of the last packet read
        shown = -1  # of the last picture decoded
        stream = (packet for packet in packets(self._container, self._stream) if packet is not None)
        codec = self._stream.codec_context
        last: Any = None
        waiting: list[Any] = []
        for target, start in zip(wanted, starts, strict=True):
            if start is None:
                yield None
                continue
            if start > shown:
                # The decoder starts afresh at the key frame; what lies before it is only read.
                waiting.clear()
                last = None
                for packet in stream:
                    number += bool(packet.size)
                    if number >= start:
                        codec.flush_buffers()
                        shown = start - 1
                        waiting.extend(_pictures_of(packet))
                        break
            while shown < target and self._left > 0:
                if waiting:
                    last, shown = waiting.pop(0), shown + 1
                    self._left -= 1
                    continue
                packet = next(stream, None)
                if packet is None:
                    break
                number += bool(packet.size)
                waiting.extend(_pictures_of(packet))
            yield DecodedFrame(shown, 1 / self._rate, last) if last is not None and shown >= target else None


def _pictures_of(packet: Any) -> list[Any]:
    try:
        return [picture for picture in packet.decode() if not picture.is_corrupt]
    except av.FFmpegError:
        return []
