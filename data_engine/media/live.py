"""Recording a live source into Matroska files, as it was sent: nothing is decoded, nothing encoded again.

Only the video is recorded.  A file begins at a key frame and its times at zero; Matroska, because such a file can be
read up to the byte at which it was cut off.  What is lost is counted: connections, the seconds between them, packets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from data_engine.errors import DamagedInputError, DataEngineError, ServiceError
from data_engine.media import streams
from data_engine.media.live_part import Part, time_of
from data_engine.media.streams import ConnectionLostError, LiveStream

if TYPE_CHECKING:
    from data_engine.media.address import LiveUrl

PART_S = 600.0
"""Seconds of stream after which the next key frame begins a new file."""
# Some cameras send a key frame once and then refresh the picture strip by strip.
_MOST_WAIT_S = 10.0
# Seconds by which a stream may be behind when the duration is over.
_MOST_BEHIND_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0


Ending = Literal["duration", "stream", "stopped", "lost"]


class PartFiles(Protocol):
    """Where recordings are written."""

    def begin(self) -> tuple[Path, datetime]:
        """A new file's path, and the present time, which it is named by."""
        ...

    def finish(self, path: Path) -> None:
        """The file is complete."""
        ...

    def discard(self, path: Path) -> None:
        """Nothing came of the file."""
        ...


@dataclass(slots=True)
class Recording:
    """What became of one source."""

    seconds: float = 0.0
    """Of video, in all parts."""
    parts: int = 0
    """Finished files."""
    drops: int = 0
    """Times that the connection was lost."""
    restarts: int = 0
    """Times that the stream's clock started again within a connection."""
    missing_s: float = 0.0
    """Seconds without a connection, between the first packet and the end."""
    lost_packets: int = 0
    """Packets that came and could not be kept: before the first key frame of a part, or without a time."""
    ended: Ending = "duration"
    """``stream``: the server said that there is no more; ``lost``: it broke off and did not come back."""
    failure: str = ""
    """With ``lost``, why."""


class Recorder:
    """Records one source.

    Args:
        address: the source.
        files: where parts are written.
        clock: seconds that pass, from any start.
        sleep: waits so many seconds, or less when ``stopped`` becomes true.
        stopped: whether to end now; asked whenever anything comes, and a silent source counts as lost soon.
        tell: given remarks for people.
        connect: opens the source.
        part_s: seconds of stream after which the next key frame begins a new file.
    """

    def __init__(
        self,
        address: LiveUrl,
        files: PartFiles,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        stopped: Callable[[], bool] = lambda: False,
        tell: Callable[[str], None] = lambda _: None,
        connect: Callable[[LiveUrl], LiveStream] = streams.connect,
        part_s: float = PART_S,
    ) -> None:
        self.done = Recording()
        """What was recorded so far."""
        self._address = address
        self._files = files
        self._clock = clock
        self._sleep = sleep
        self._stopped = stopped
        self._tell = tell
        self._connect = connect
        self._part_s = part_s
        self._wanted_s = self._until_s = 0.0
        self._seen_s: float | None = None
        """On the clock: when the last packet came."""
        self._lost_s: float | None = None
        """The same at the time when the source was lost, until it is back."""

    def record(self, duration_s: float) -> Recording:
        """Record for so many seconds from the first connection on, connecting again whenever the source is lost.

        Raises:
            ServiceError, UsageError, MissingInputError, DamagedInputError: at first contact; see
                :func:`data_engine.media.streams.connect`.  Or no picture came.
            OSError: a part could not be written; what was written of it stays.
        """
        self._wanted_s = duration_s
        pause_s = _FIRST_PAUSE_S
        while True:
            had_s = self.done.seconds
            why = self._attempt()
            if self._seen_s is None:
                if not why:
                    raise DamagedInputError(f"{self._address} sent no picture that could be kept")
                raise ServiceError(f"{self._address} sent no picture: {why}")
            if not why:
                return self.done
            if self.done.seconds > had_s:
                self.done.drops += 1
                self._lost_s = self._seen_s
                pause_s = _FIRST_PAUSE_S
                self._tell(f"{self._address}: lost after {self.done.seconds:.0f} s ({why}); connecting again")
            now_s = self._clock()
            if now_s >= self._until_s or self._stopped():
                self.done.missing_s += max(min(now_s, self._until_s) - (self._lost_s or now_s), 0.0)
                self.done.ended = "stopped" if self._stopped() else "lost"
                self.done.failure = why
                return self.done
            self._sleep(min(pause_s, self._until_s - now_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _attempt(self) -> str:
        """Connect once and record until the end, or until the source is lost: then, why."""
        began_s = self._clock()
        try:
            stream = self._connect(self._address)
        except DataEngineError as error:
            if self._seen_s is None:
                raise
            return error.message.removeprefix(f"{self._address} ")
        with stream:
            try:
                self.done.ended = self._follow(stream, began_s)
            except ConnectionLostError as error:
                return str(error)
            except ServiceError as error:
                if self._seen_s is None:
                    return error.message
                self.done.ended, self.done.failure = "lost", error.message
        return ""

    def _follow(self, stream: LiveStream, began_s: float) -> Ending:
        part: Part | None = None
        waits_since: Fraction | None = None
        if self._seen_s is None:
            self._until_s = began_s + self._wanted_s
        # Measured by the stream's own clock, for what comes first has waited in buffers.
        had_s, wanted_s = self.done.seconds, self._until_s - began_s
        # Also without a packet that could be kept it ends at some time.
        latest_s = self._clock() + wanted_s + _MOST_WAIT_S + _MOST_BEHIND_S

        def over() -> Ending | None:
            return "stopped" if self._stopped() else "duration" if self._clock() >= latest_s else None

        try:
            for packet in stream.packets(lambda: over() is not None):
                now_s = self._clock()
                ending = over()
                if ending is not None:
                    return ending
                time = time_of(packet)
                if time is None:
                    self.done.lost_packets += 1
                    continue
                if part is not None and part.seconds >= self._part_s and packet.is_keyframe:
                    self._finish(part)
                    part = None
                elif part is not None and part.jumped(time, now_s):
                    self.done.restarts += 1
                    self._finish(part)
                    part, waits_since = None, time
                if part is None:
                    waits_since = time if waits_since is None else waits_since
                    waited_s = abs(time - waits_since)
                    if not packet.is_keyframe and waited_s < _MOST_WAIT_S:
                        self.done.lost_packets += 1
                        continue
                    if self._lost_s is not None:
                        # What comes while it is found out what comes is kept: only waiting for a key frame loses.
                        self.done.missing_s += began_s - self._lost_s + float(waited_s)
                        self._lost_s = None
                    latest_s = min(latest_s, now_s + wanted_s + _MOST_BEHIND_S)
                    part = Part(*self._files.begin(), stream.video)
                if part.write(packet, time, now_s):
                    self._seen_s = now_s
                else:
                    self.done.lost_packets += 1
                if self.done.seconds + part.seconds - had_s >= wanted_s:
                    return "duration"
        finally:
            if part is not None:
                self._finish(part)
        return over() or "stream"

    def _finish(self, part: Part) -> None:
        part.close()
        if part.written:
            self._files.finish(part.path)
            self.done.parts += 1
            self.done.seconds += part.seconds
        else:
            self._files.discard(part.path)
