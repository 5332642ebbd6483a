"""When the pictures of a video are shown, made of what its container says."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


class Clock:
    """Gives decoded pictures strictly increasing times from the start of their stream.

    Args:
        time_base: seconds per unit of time.
        origin: what the container calls the start of the stream; None where the first picture is the start.
        frame_rate: usual frames per second; None where it is not known.
    """

    def __init__(self, time_base: Fraction, origin: int | None, frame_rate: Fraction | None) -> None:
        self.corrections = 0
        """Pictures that came without a time, or with one that could not be."""
        self._time_base = time_base
        self.origin = origin
        """What the container calls the start of the stream; None until the first picture, where that is the start."""
        self._usual_step = max(1, round(1 / (frame_rate * time_base))) if frame_rate else 1
        self._previous: int | None = None
        self._end = 0

    @property
    def end_s(self) -> Fraction:
        """Seconds from the start of the stream at which the last picture's time is over."""
        return self._end * self._time_base

    def stamp(self, picture: Any) -> int:
        """The time of the next ``av.VideoFrame``, in units of the time base."""
        stated: int | None = picture.pts
        previous = self._previous
        if stated is None:
            pts = self._end
            self.corrections += 1
        else:
            if self.origin is None:
                self.origin = stated
            pts = stated - self.origin
        if previous is not None and pts <= previous:
            self.corrections += 1
            if self.origin is not None and (previous - pts) * self._time_base > 1:
                # The clock was set back: go on counting from here.
                self.origin -= self._end - pts
                pts = self._end
            else:
                pts = previous + 1
        self._previous = pts
        self._end = pts + (picture.duration or self._usual_step)
        return pts

    def passed(self, packet: Any) -> None:
        """An ``av.Packet`` that is not decoded goes by."""
        if packet.pts is not None and self.origin is not None:
            self._end = max(self._end, packet.pts - self.origin + (packet.duration or self._usual_step))
