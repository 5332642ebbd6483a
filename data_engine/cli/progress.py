"""How far long work is: a bar on a terminal, a plain line now and then elsewhere, always on stderr."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from data_engine.cli.output import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from tqdm import tqdm

    from data_engine.ports import Progress

LINE_EVERY_S = 10.0
"""Seconds between two plain lines."""

_logger = logging.getLogger(__name__)


def make_progress(*, quiet: bool, stream: TextIO | None = None) -> Progress:
    """The progress that suits where it is shown."""
    stream = sys.stderr if stream is None else stream
    if quiet:
        return SilentProgress()
    return BarProgress(stream) if stream.isatty() else LineProgress(stream)


class SilentProgress:
    """Shows nothing; remarks still reach the log."""

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Begin one piece of work."""

    def advance(self, amount: int = 1) -> None:
        """Count what was done."""

    def note(self, text: str) -> None:
        """A remark that stays."""
        _logger.info("%s", text)

    def finish(self) -> None:
        """End the piece of work."""


class BarProgress:
    """A bar with what is done, the rate and the time left."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: tqdm[Any] | None = None

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Show a new bar; one that still stands is ended first."""
        from tqdm import tqdm

        self.finish()
        self._bar = tqdm(total=total, desc=clean(label), unit=f" {unit}", file=self._stream, dynamic_ncols=True)

    def advance(self, amount: int = 1) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(amount)

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        _logger.info("%s", text)
        if self._bar is None:
            self._stream.write(clean(text) + "\n")
        else:
            self._bar.write(clean(text), file=self._stream)

    def finish(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class LineProgress:
    """Plain lines, for a log file or a pipe: one every ten seconds and one at the end."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._label = ""
        self._unit = ""
        self._total: int | None = None
        self._done = 0
        self._began = self._last = 0.0
        self._running = False

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Begin to count; what still runs is ended first."""
        self.finish()
        self._label, self._total, self._unit, self._done = label, total, unit, 0
        self._began = self._last = self._clock()
        self._running = True

    def advance(self, amount: int = 1) -> None:
        """Count, and write a line when the last one is old."""
        self._done += amount
        now = self._clock()
        if self._running and now - self._last >= LINE_EVERY_S:
            self._last = now
            rate = self._done / (now - self._began)
            left = ""
            if self._total is not None and rate > 0:
                left = f", {_duration(max(self._total - self._done, 0) / rate)} left"
            self._line(f"{self._counted()}, {rate:.3g}/s{left}")

    def note(self, text: str) -> None:
        """Write a line."""
        _logger.info("%s", text)
        self._line(text)

    def finish(self) -> None:
        """Write the last line, when there was anything to do."""
        if self._running and self._done:
            self._line(f"{self._counted()} in {_duration(self._clock() - self._began)}")
        self._running = False

    def _counted(self) -> str:
        done = str(self._done) if self._total is None else f"{self._done}/{self._total}"
        return f"{self._label}: {done} {self._unit}"

    def _line(self, text: str) -> None:
        self._stream.write(clean(text) + "\n")
        self._stream.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
