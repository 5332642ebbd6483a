"""Progress: plain lines now and then, a bar on a terminal, nothing when quiet."""

from __future__ import annotations

import io
import logging

import pytest

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
        "sample: 10/100 frames, 1 frames/s, 1:30 left",
        "sample: 20/100 frames, 1 frames/s, 1:20 left",
        "gate.mp4 ends after 3.2 s",
        "sample: 100/100 frames, 1 frames/s, 0:00 left",
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
    assert stream.getvalue().splitlines() == ["read: 8,000 files, 2 files/s", "read: 8,000 files in 1:06:40"]


def test_what_was_done_before_took_none_of_this_run_s_time():
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.start("sampling", 1_000_000, "frames", done=900_000)
    clock.now = 10
    progress.advance(50_000)
    progress.finish()
    progress.start("sampling", 5, "frames", done=5)
    progress.finish()
    assert stream.getvalue().splitlines() == [
        "sampling: 950,000/1,000,000 frames, 5,000 frames/s, 0:10 left",
        "sampling: 950,000/1,000,000 frames in 0:10",
    ]


def test_a_total_that_was_passed_was_an_estimate():
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.start("sampling", 1000, "frames")
    for done in (1000, 1, 1):
        clock.now += 10
        progress.advance(done)
    progress.finish()
    assert stream.getvalue().splitlines() == [
        "sampling: 1,000/1,000 frames, 100 frames/s, 0:00 left",
        "sampling: 1,001 frames, 50 frames/s",
        "sampling: 1,002 frames, 33 frames/s",
        "sampling: 1,002 frames in 0:30",
    ]


@pytest.mark.parametrize(
    ("amount", "unit", "shown"),
    [
        (12_345_678, "frames", "1,234,568 frames/s"),
        (994, "frames", "99 frames/s"),
        (25, "frames", "2.5 frames/s"),
        (2, "videos", "12 videos/min"),
    ],
)
def test_rates_are_numbers_that_people_read(amount, unit, shown):
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.start("x", None, unit)
    clock.now = 10
    progress.advance(amount)
    assert stream.getvalue() == f"x: {amount:,} {unit}, {shown}\n"


def test_the_seconds_of_a_recording_have_no_rate():
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.start("recording", 60, "seconds")
    clock.now = 10
    progress.advance(10)
    assert stream.getvalue() == "recording: 10/60 seconds, 0:50 left\n"


def test_slow_work_is_told_by_the_hour():
    stream, clock = io.StringIO(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.start("train", 10, "epochs")
    clock.now = 1800
    progress.advance()
    assert stream.getvalue() == "train: 1/10 epochs, 2 epochs/h, 4:30:00 left\n"


def drawn(stream):
    """What a terminal showed, one drawing after the other."""
    return [line.strip() for line in stream.getvalue().replace("\r", "\n").splitlines() if line.strip()]


def test_a_bar_says_what_is_done_and_a_note_stays():
    stream, clock = Terminal(), Clock()
    progress = BarProgress(stream, clock=clock)
    progress.note("before")
    progress.start("predict", 4000, "frames")
    clock.now = 2
    progress.advance(1000)
    progress.note("a remark")
    clock.now = 8
    progress.advance(3000)
    progress.finish()
    lines = drawn(stream)
    assert lines[0] == "before"
    assert "a remark" in lines
    assert lines[1].startswith("predict:   0%|")
    assert lines[1].endswith("| 0/4,000 frames")
    assert any(line.endswith("| 1,000/4,000 frames, 500 frames/s, 0:06 left") for line in lines)
    assert lines[-1].startswith("predict: 100%|")
    assert lines[-1].endswith("| 4,000/4,000 frames in 0:08")


def test_a_bar_of_resumed_work_begins_where_it_was():
    stream, clock = Terminal(), Clock()
    progress = BarProgress(stream, clock=clock)
    progress.start("sampling", 1000, "frames", done=800)
    clock.now = 10
    progress.advance(100)
    progress.note("now")
    progress.finish()
    lines = drawn(stream)
    assert lines[0].startswith("sampling:  80%|")
    assert lines[0].endswith("| 800/1,000 frames")
    assert any(line.endswith("| 900/1,000 frames, 10 frames/s, 0:10 left") for line in lines)


def test_a_bar_without_a_total_or_with_one_that_was_passed_has_no_bar():
    for total in (None, 10):
        stream, clock = Terminal(), Clock()
        progress = BarProgress(stream, clock=clock)
        progress.start("sampling", total, "frames")
        clock.now = 10
        progress.advance(1200)
        progress.note("now")
        progress.finish()
        lines = drawn(stream)
        assert "sampling: 1,200 frames, 120 frames/s" in lines
        assert lines[-1] == "sampling: 1,200 frames in 0:10"


def test_quiet_notes_reach_the_log_only(caplog):
    progress = SilentProgress()
    with caplog.at_level(logging.INFO):
        progress.start("x", 1, "y")
        progress.note("a remark")
        progress.advance()
        progress.finish()
    assert [record.getMessage() for record in caplog.records] == ["a remark"]
