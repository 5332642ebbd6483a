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


def make_progress(*, quiet: bool, stream: TextIO | None = None, redact: Callable[[str], str] = str) -> Progress:
    """The progress that suits where it is shown; remarks go through ``redact``."""
    stream = sys.stderr if stream is None else stream
    if quiet:
        return SilentProgress()
    return (BarProgress if stream.isatty() else LineProgress)(stream, redact=redact)


class SilentProgress:
    """Shows nothing; remarks still reach the log."""

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        """Begin one piece of work."""

    def advance(self, amount: int = 1) -> None:
        """Count what was done."""

    def note(self, text: str) -> None:
        """A remark that stays."""
        _logger.info("%s", text)

    def finish(self) -> None:
        """End the piece of work."""


class _Count:
    """What is done of one piece of work, since when, and how people read it.

    The rate and the time left are those of this run: what was done before it took none of its time.  A total that was
    passed was an estimate, and is forgotten.
    """

    def __init__(self, total: int | None, unit: str, done: int, now_s: float) -> None:
        self.done = done
        self._before = done
        self._total = total
        self._unit = unit
        self._began_s = now_s

    @property
    def total(self) -> int | None:
        return None if self._total is None or self.done > self._total else self._total

    @property
    def moved(self) -> bool:
        """Whether anything was done in this run."""
        return self.done > self._before

    def so_far(self) -> str:
        """``12,300/100,000 frames``."""
        return f"{self.done:,} {self._unit}" if self.total is None else f"{self.done:,}/{self.total:,} {self._unit}"

    def pace(self, now_s: float) -> str:
        """``, 240 frames/s, 6:05 left``; empty before anything was done."""
        took_s = now_s - self._began_s
        if not self.moved or took_s <= 0:
            return ""
        rate = (self.done - self._before) / took_s
        # Of a recording that lasts 60 seconds nobody asks how many seconds pass in a second.
        shown = "" if self._unit == "seconds" else f", {_rate(rate, self._unit)}"
        return shown if self.total is None else f"{shown}, {_duration((self.total - self.done) / rate)} left"

    def took(self, now_s: float) -> str:
        """``100,000 frames in 6:57``."""
        return f"{self.so_far()} in {_duration(now_s - self._began_s)}"


class BarProgress:
    """A bar with what is done, the rate and the time left."""

    def __init__(
        self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic, redact: Callable[[str], str] = str
    ) -> None:
        self._stream = stream
        self._redact = redact
        self._clock = clock
        self._bar: tqdm[Any] | None = None

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        """Show a new bar; one that still stands is ended first."""
        self.finish()
        self._bar = _bar(clean(label), _Count(total, unit, done, self._clock()), self._clock, self._stream)

    def advance(self, amount: int = 1) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(amount)

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        _logger.info("%s", text)
        if self._bar is None:
            self._stream.write(clean(self._redact(text)) + "\n")
        else:
            self._bar.write(clean(self._redact(text)), file=self._stream)

    def finish(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _bar(label: str, count: _Count, clock: Callable[[], float], stream: TextIO) -> tqdm[Any]:
    """A bar whose words are those of the plain lines."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        ended = False

        @property
        def format_dict(self) -> dict[str, Any]:
            # Worked out for each time that the bar is drawn, which is ten times a second at most.
            count.done = int(self.n)
            now_s = clock()
            words = count.took(now_s) if self.ended and count.moved else count.so_far() + count.pace(now_s)
            shape = "{percentage:3.0f}%|{bar}| " if count.total else ""
            return {
                **super().format_dict,
                "total": count.total,
                "words": words,
                "bar_format": f"{{desc}}: {shape}{{words}}",
            }

        def close(self) -> None:
            self.ended = True
            super().close()

    return Bar(desc=label, total=count.total, initial=count.done, file=stream, dynamic_ncols=True)


class LineProgress:
    """Plain lines, for a log file or a pipe: one every ten seconds and one at the end."""

    def __init__(
        self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic, redact: Callable[[str], str] = str
    ) -> None:
        self._stream = stream
        self._redact = redact
        self._clock = clock
        self._label = ""
        self._count: _Count | None = None
        self._last_s = 0.0

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        """Begin to count; what still runs is ended first."""
        self.finish()
        self._last_s = self._clock()
        self._label, self._count = label, _Count(total, unit, done, self._last_s)

    def advance(self, amount: int = 1) -> None:
        """Count, and write a line when the last one is old."""
        if self._count is None:
            return
        self._count.done += amount
        now_s = self._clock()
        if now_s - self._last_s >= LINE_EVERY_S:
            self._last_s = now_s
            self._line(f"{self._label}: {self._count.so_far()}{self._count.pace(now_s)}")

    def note(self, text: str) -> None:
        """Write a line."""
        _logger.info("%s", text)
        self._line(self._redact(text))

    def finish(self) -> None:
        """Write the last line, when there was anything to do."""
        if self._count is not None and self._count.moved:
            self._line(f"{self._label}: {self._count.took(self._clock())}")
        self._count = None

    def _line(self, text: str) -> None:
        self._stream.write(clean(text) + "\n")
        self._stream.flush()


def _rate(rate: float, unit: str) -> str:
    """``1,240 frames/s``, ``3.5 videos/min``: in the time in which at least one is done."""
    many, every = next(
        ((rate * seconds, name) for seconds, name in ((1, "s"), (60, "min")) if rate * seconds >= 1), (rate * 3600, "h")
    )
    return f"{f'{many:,.0f}' if many >= 100 else f'{many:.2g}'} {unit}/{every}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
