"""How far a command is, told by a file that is gone when it ends, and known for dead when it was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_engine.app.pages.running import EVERY_S, FOLDER, TellingProgress, running
from data_engine.stages.base import Silent

_PROGRAM = """
import sys
from pathlib import Path
from data_engine.app.pages.running import TellingProgress
from data_engine.stages.base import Silent
progress = TellingProgress(Silent(), "sample")
progress.attach(Path(sys.argv[1]))
progress.start("sampling", 10, "videos", done=3)
print("told", flush=True)
sys.stdin.read()
"""


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / FOLDER).parent.mkdir()
    return tmp_path


def test_it_tells_what_is_done_once_a_second_at_most_and_nothing_at_its_end(root):
    clock = Clock()
    with TellingProgress(Silent(), "sample", clock=clock) as progress:
        progress.attach(root)
        assert running(root) == []
        progress.start("reading pictures", 100, "pictures", done=20)
        clock.s += EVERY_S / 2
        progress.advance(10)
        (seen,) = running(root)
        assert (seen.work.command, seen.work.label, seen.work.done, seen.alive) == (
            "sample",
            "reading pictures",
            20,
            True,
        )
        clock.s += EVERY_S / 2
        progress.advance(10)
        (seen,) = running(root)
        assert (seen.work.done, seen.share, seen.work.rate, seen.left_s) == (40, 0.4, 20.0, 3.0)
        progress.start("writing", None, "files")
        (seen,) = running(root)
        assert (seen.work.label, seen.share, seen.left_s) == ("writing", None, None)
    assert not (root / FOLDER).exists()


def test_it_is_gone_as_well_when_the_command_fails(root):
    def interrupted() -> None:
        with TellingProgress(Silent(), "sample") as progress:
            progress.attach(root)
            progress.start("sampling", 1, "videos")
            assert len(running(root)) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert running(root) == []


def test_a_killed_command_is_told_from_a_live_one_and_forgotten_by_the_next(root):
    child = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "told\n"
    (seen,) = running(root)
    assert (seen.alive, seen.work.process, seen.work.done) == (True, child.pid, 3)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (seen,) = running(root)
    assert not seen.alive
    half = root / FOLDER / f"{seen.work.host}-{child.pid}.tmp"
    half.write_text('{"comm')
    with TellingProgress(Silent(), "filter") as other:
        other.attach(root)
        assert len(running(root)) == 1
        assert not half.exists()
    with TellingProgress(Silent(), "sample") as again:
        again.attach(root)
        assert running(root) == []


def test_a_later_process_of_the_same_number_is_another(root):
    with TellingProgress(Silent(), "sample") as progress:
        progress.attach(root)
        progress.start("sampling", 1, "videos")
        (path,) = (root / FOLDER).glob("*.json")
        told = path.read_text().replace('"begun":"', '"begun":"1')
        path.write_text(told)
        (seen,) = running(root)
        assert not seen.alive


@pytest.mark.parametrize("text", ["", "{", '{"command": 3}', "[]"])
def test_what_is_no_such_file_is_passed_over(root, text):
    (root / FOLDER).mkdir()
    (root / FOLDER / "strange.json").write_text(text)
    assert running(root) == []


def test_a_folder_without_a_state_is_left_alone(tmp_path):
    with TellingProgress(Silent(), "doctor") as progress:
        progress.attach(tmp_path)
        progress.start("looking", 1, "things")
        progress.advance()
    assert list(tmp_path.iterdir()) == []
