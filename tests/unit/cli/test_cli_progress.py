"""Progress: plain lines now and then, a bar on a terminal, nothing when quiet."""

from __future__ import annotations

import io
import logging

from data_engine.cli.progress import BarProgress, LineProgress, SilentProgress, make_progress
from data_engine.ports import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_stream_decides():
    assert isinstance(make_progress(quiet=False, stream=io.StringIO()), LineProgress)
    assert isinstance(make_progress(quiet=False, stream=Terminal()), BarProgress)
    assert isinstance(make_progress(quiet=True, stream=Terminal()), SilentProgress)
    assert all(
        isinstance(kind, type) and isinstance(kind(io.StringIO()), Progress) for kind in (LineProgress, BarProgress)
    )
    assert isinstance(SilentProgress(), Progress)


def test_a_line_every_ten_seconds_and_one_at_the_end():
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.start("sample", 100, "frames")
    for _ in range(24):
        clock.now += 1
        progress.advance()
    progress.note("gate.mp4 ends after 3.2 s")
    clock.now = 100
    progress.advance(76)
    progress.finish()
    progress.finish()
    assert stream.getvalue().splitlines() == [
        "sample: 10/100 frames, 1/s, 1:30 left",
        "sample: 20/100 frames, 1/s, 1:20 left",
        "gate.mp4 ends after 3.2 s",
        "sample: 100/100 frames, 1/s, 0:00 left",
        "sample: 100/100 frames in 1:40",
    ]


def test_an_unknown_total_and_nothing_to_do():
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.start("nothing", 0, "frames")
    progress.start("read", None, "files")
    clock.now = 4000
    progress.advance(8000)
    progress.finish()
    assert stream.getvalue().splitlines() == ["read: 8000 files, 2/s", "read: 8000 files in 1:06:40"]


def test_a_bar_says_what_is_done_and_a_note_stays():
    stream = Terminal()
    progress = BarProgress(stream)
    progress.note("before")
    progress.start("predict", 4, "frames")
    progress.advance(4)
    progress.note("a remark")
    progress.finish()
    text = stream.getvalue()
    assert "before\n" in text
    assert "a remark\n" in text
    assert "4/4" in text
    assert "frames/s" in text


def test_quiet_notes_reach_the_log_only(caplog):
    progress = SilentProgress()
    with caplog.at_level(logging.INFO):
        progress.start("x", 1, "y")
        progress.note("a remark")
        progress.advance()
        progress.finish()
    assert [record.getMessage() for record in caplog.records] == ["a remark"]
