"""A Matroska file of packets as they were sent, and what can be saved of one that was cut off."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

# A cluster goes to the disk when it is a second old: so much a kill loses of the file that is being written.
_OPTIONS = {"cluster_time_limit": "1000", "flush_packets": "1"}
# Seconds by which times may step back, or forward beyond what really passed, and still be of one clock.
_STEP_BACK_S = 1
_STEP_AHEAD_S = 10


def time_of(packet: Any) -> Fraction | None:
    """Seconds by which packets follow one another."""
    stamp = packet.pts if packet.dts is None else packet.dts
    return None if stamp is None else stamp * Fraction(packet.time_base)


class Part:
    """A file that is being written."""

    def __init__(self, path: Path, started: datetime, template: Any) -> None:
        self.path = path
        self.written = 0
        """Packets."""
        self._container = av.open(os.fspath(path), "w", format="matroska", options=dict(_OPTIONS))
        self._container.metadata["creation_time"] = started.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._stream = self._container.add_stream_from_template(template)
        self._first: Fraction | None = None
        self._last = Fraction(0)
        self._last_s = 0.0
        self._step: Fraction | None = None

    @property
    def seconds(self) -> float:
        """How long the video is so far, its last frame counted as long as the shortest."""
        return 0.0 if self._first is None else float(self._last - self._first + (self._step or 0))

    def jumped(self, time: Fraction, now_s: float) -> bool:
        """Whether the stream's clock started again."""
        step = time - self._last
        return step < -_STEP_BACK_S or step > _STEP_AHEAD_S + (now_s - self._last_s)

    def write(self, packet: Any, time: Fraction, now_s: float) -> bool:
        """Write a packet; False when its times fit nowhere."""
        if self._first is None:
            self._first = self._last = time
        shift = round(self._first / packet.time_base)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        packet.stream = self._stream
        try:
            self._container.mux_one(packet)
        except av.FFmpegError as error:
            if error.errno != errno.EINVAL and not isinstance(error, av.error.InvalidDataError):
                raise OSError(error.errno, error.strerror) from None
            return False
        self.written += 1
        if time > self._last:
            step, self._last = time - self._last, time
            self._step = step if self._step is None else min(step, self._step)
        self._last_s = now_s
        return True

    def close(self) -> None:
        try:
            self._container.close()
        except av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from None


def mend(partial: Path, target: Path) -> float | None:
    """Write what can be read of a part that was cut off as a complete file.

    Returns:
        its seconds of video; None when there is none, and then no file is written.

    Raises:
        OSError: it could not be written.
    """
    try:
        source = av.open(os.fspath(partial), format="matroska", options={"protocol_whitelist": "file"})
    except av.FFmpegError:
        return None
    with source:
        started = source.metadata.get("creation_time", "").replace("Z", "+00:00")
        if not started or not source.streams.video:
            return None
        part: Part | None = None
        try:
            for packet in source.demux(source.streams.video[0]):
                time = time_of(packet)
                if packet.size and not packet.is_corrupt and time is not None:
                    part = part or Part(target, datetime.fromisoformat(started), packet.stream)
                    part.write(packet, time, 0.0)
        except av.FFmpegError:
            # The end of what can be read.
            pass
        if part is None:
            return None
        part.close()
        return part.seconds
