"""Sampling long videos survives whatever cuts it off: nothing lost, nothing twice, and little decoded again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from command_server import Commands, Ended
from loop_state import State, leftovers, state_of
from test_killed import begins, kill, nobody_left, same, started, wait_for, well

SIZE = (160, 120)
FPS = 1
KILLS = 2
"""How often each case is killed, in steps of different kinds."""
SCRATCH = ".dataengine/sampling"
SAMPLE = ("sample", "--workers", "1", "--json")
CASES: dict[str, tuple[str, ...]] = {
    "tiles": ("--method", "tiles"),
    "share": ("--budget", "2%"),
    "budget": ("--budget", "14", "--max-gap", "20"),
    "per-video": ("--per-video-limit", "4", "--names", "sequential"),
    "tolerance": ("--tolerance", "6", "--method", "interval", "--interval", "3"),
    "budget-tolerance": ("--budget", "20", "--tolerance", "6", "--names", "sequential"),
    "limit": ("--limit", "30", "--names", "sequential", "--method", "interval", "--interval", "7"),
    "limit-tolerance": ("--limit", "30", "--tolerance", "6"),
    "keyframes": ("--method", "keyframes", "--min-gap", "7"),
    "content": (
        "--method",
        "content",
    ),
    "no-crop": ("--no-crop", "--interval", "9", "--method", "interval", "--output", "elsewhere"),
}
VIDEOS = {"a/1.mp4": (130, 0), "a/2.mkv": (70, 1), "b/3.avi": (70, 2), "b/4.ts": (70, 2), "b/harmed.mp4": (130, 3)}
"""Seconds of the videos, in which a checkpoint is written every minute, and what they look like."""


def picture(number: int, seed: int, border: int = 0) -> np.ndarray:
    """Coarse random blocks, others every eight seconds, before which something small moves."""
    rng = np.random.default_rng([seed, number // (8 * FPS)])
    shown = rng.integers(40, 200, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    at = 3 * number % 130
    shown[50:75, at : at + 20] = 255 - shown[50:75, at : at + 20]
    if border:
        shown[:border] = shown[-border:] = 0
    return shown


def write(path: Path, seconds: int, seed: int, border: int = 0, codec: str = "libx264") -> Path:
    """A video; those that can have B-frames do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4" if path.suffix == ".avi" else codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size, stream.max_b_frames = *SIZE, "yuv420p", 10, 2
        if path.suffix == ".avi":
            stream.max_b_frames = 0
        for number in range(seconds * FPS):
            shown = av.VideoFrame.from_ndarray(picture(number, seed, border), format="rgb24")
            container.mux(stream.encode(shown))
        container.mux(stream.encode())
    return path


def write_sequence(folder: Path, pictures: int) -> None:
    """Numbered pictures, 25 a second; most of them are the same."""
    import cv2

    folder.mkdir(parents=True)
    files = [cv2.imencode(".jpg", picture(number, 9)[::2, ::2])[1].tobytes() for number in range(0, 80, 8)]
    for number in range(pictures):
        (folder / f"shot_{number:05}.jpg").write_bytes(files[number // 12 % len(files)])


class Samples:
    """Workspaces with videos, and what an undisturbed run leaves in them."""

    def __init__(self, folder: Path, commands: Commands) -> None:
        self._folder = folder
        self._commands = commands
        self._undisturbed: dict[tuple[str, ...], tuple[State, Ended]] = {}
        self._empty = folder / "empty"
        videos = self._empty / "videos_raw"
        for name, (seconds, seed) in VIDEOS.items():
            write(videos / name, seconds, seed, border=0 if seed else 16)
        harmed = videos / "b/harmed.mp4"
        data = bytearray(harmed.read_bytes())
        for place in (len(data) // 3, len(data) // 2):
            data[place : place + 300] = bytes(300)
        harmed.write_bytes(data)
        write_sequence(videos / "c" / "shots", 120)
        well(commands.run(self._empty, "init", ".", "--classes", "person"))

    def workspace(self, target: Path) -> Path:
        if target.exists():
            shutil.rmtree(target)
        return Path(shutil.copytree(self._empty, target))

    def undisturbed(self, words: tuple[str, ...]) -> tuple[State, Ended]:
        if words not in self._undisturbed:
            workspace = self.workspace(self._folder / str(len(self._undisturbed)))
            ended = self._commands.run(workspace, *words)
            assert json.loads(ended.out)["frames_kept"] > 5, ended
            assert not leftovers(workspace)
            assert not (workspace / SCRATCH).exists()
            self._undisturbed[words] = state_of(workspace), ended
            shutil.rmtree(workspace)
        return self._undisturbed[words]


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands() as running:
        yield running


@pytest.fixture(scope="module")
def samples(tmp_path_factory, commands) -> Samples:
    return Samples(tmp_path_factory.mktemp("samples"), commands)


def told_the_same(expected: Ended, found: Ended, told: str) -> None:
    """The reports agree, in as far as videos were not on record before the second run."""
    assert found.code == expected.code, f"{told}: {found.err}"
    one, other = json.loads(expected.out), json.loads(found.out)
    assert other["failures"] == one["failures"], told
    for name in ("videos", "frames_in_all"):
        assert other[name] == one[name], told
    if not other["videos_done_before"]:
        assert other == one, told


def with_one_worker(state: State) -> State:
    """The state with another number of workers on record, which is all that may differ."""
    return {**state, "table runs": [row.replace('\\"workers\\": 2', '\\"workers\\": 1') for row in state["table runs"]]}


def steps_to_kill(steps: tuple[str, ...], draw: random.Random) -> list[int]:
    """Numbers, from 1, of one step of each of some kinds."""
    kinds: dict[str, list[int]] = {}
    for number, step in enumerate(steps, 1):
        kinds.setdefault(re.sub(r"[0-9a-f_]{8,}|\d+|/[abc](?=/)", "", step), []).append(number)
    drawn = [draw.choice(numbers) for numbers in kinds.values()]
    return sorted(draw.sample(drawn, min(len(drawn), KILLS)))


@pytest.mark.required
@pytest.mark.parametrize("case", CASES)
def test_killed_before_steps_of_each_kind(samples, commands, tmp_path, case):
    """SIGKILL, mostly twice: the files, the records and the report of an undisturbed run, and no scratch."""
    words = (*SAMPLE, *CASES[case])
    expected, report = samples.undisturbed(words)
    draw = random.Random(case)
    drawn = steps_to_kill(report.steps, draw)
    for step in drawn:
        workspace = samples.workspace(tmp_path / "ws")
        assert commands.run(workspace, *words, fault="SIGKILL", step=step).code == -signal.SIGKILL
        again = draw.randint(1, len(report.steps))
        commands.run(workspace, *words, fault="SIGKILL", step=again)
        ended = commands.run(workspace, *words)
        told = f"killed before step {step}, {report.steps[step - 1]}, and then before {again}"
        told_the_same(report, ended, told)
        same(expected, state_of(workspace), told)


# --- what was decoded is not decoded again ---------------------------------------------------------------------------


@pytest.mark.required
@pytest.mark.parametrize("case", ["h264.mp4", "h264.mkv", "hevc.mp4", "hevc.mkv"])
def test_it_goes_on_near_the_end(commands, tmp_path, case):
    """The first half of the video is overwritten after the kill: whoever decoded it again would find it damaged."""
    workspace = tmp_path / "ws"
    codec, _, suffix = case.partition(".")
    video = write(workspace / f"videos_raw/long.{suffix}", 200, 1, codec="libx265" if codec == "hevc" else "libx264")
    well(commands.run(workspace, "init", ".", "--classes", "person"))
    whole = Path(shutil.copytree(workspace, tmp_path / "whole"))
    report = well(commands.run(whole, *SAMPLE, "--method", "tiles"))
    words = (*SAMPLE, "--method", "tiles")
    assert commands.run(workspace, *words, fault="SIGKILL", step="result.json").code == -signal.SIGKILL
    stat = video.stat()
    data = bytearray(video.read_bytes())
    data[len(data) // 10 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 10)
    video.write_bytes(data)
    os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert commands.run(workspace, *words).out == report.out
    same(state_of(whole / "frames_sampled"), state_of(workspace / "frames_sampled"))


# --- another run comes between ---------------------------------------------------------------------------------------


@pytest.mark.required
def test_a_budget_over_other_videos_comes_between(samples, commands, tmp_path):
    """What fell behind other videos is looked for again, also after two runs that were both killed."""
    words = (*SAMPLE, *CASES["budget"])
    expected, report = samples.undisturbed((*words, "--input", "videos_raw/b"))
    steps = samples.undisturbed(words)[1].steps
    fell_out = next(number for number, step in enumerate(steps, 1) if "rename frames_sampled" in step)
    workspace = samples.workspace(tmp_path / "ws")
    assert commands.run(workspace, *words, fault="SIGKILL", step=fell_out).code == -signal.SIGKILL
    one = (*words, "--input", "videos_raw/a/1.mp4")
    assert commands.run(workspace, *one, fault="SIGKILL", step="os.rename").code == -signal.SIGKILL
    assert commands.run(workspace, *words, "--input", "videos_raw/b").out == report.out
    assert state_of(workspace / "frames_sampled") == {
        name.replace("file frames_sampled/", "file "): content
        for name, content in expected.items()
        if re.match("file frames_sampled/.", name)
    }


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


@pytest.mark.required
def test_interrupted_with_two_workers(samples, tmp_path):
    """As a terminal sends it, to the whole group, once both have something to go on from."""
    words = ("sample", "--workers", "2", *CASES["tiles"])
    expected, report = samples.undisturbed((*SAMPLE, *CASES["tiles"]))
    workspace = samples.workspace(tmp_path / "ws")
    with started(workspace, *words) as process:
        wait_for(lambda: list((workspace / SCRATCH).rglob("checkpoint.npz")))
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
        told = process.stderr.read()
    assert told.splitlines()[-1] == "interrupted; run the same command again to go on"
    assert "Traceback" not in told
    nobody_left(workspace)
    assert leftovers(workspace) == []
    assert list((workspace / SCRATCH).rglob("checkpoint.npz"))
    with started(workspace, *words) as process:
        assert process.wait(60) == report.code
    same(expected, with_one_worker(state_of(workspace)))


@pytest.mark.required
@pytest.mark.parametrize("case", ["tiles", "budget"])
def test_workers_killed_with_their_parent_or_after_it(samples, tmp_path, case):
    """The group, then the parent alone, killed at random times until one run finishes."""
    words = ("sample", "--workers", "2", *CASES[case])
    expected, report = samples.undisturbed((*SAMPLE, *CASES[case]))
    workspace = samples.workspace(tmp_path / "ws")
    draw = random.Random(case)
    for attempt in range(3):
        with started(workspace, *words) as process:
            begins(workspace, "sample", attempt + 1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0.0, 2.0))
            kill(process, group=attempt % 2 == 0)
            nobody_left(workspace)
    with started(workspace, *words) as process:
        assert process.wait(60) == report.code
    same(expected, with_one_worker(state_of(workspace)))


# --- a full disk -----------------------------------------------------------------------------------------------------


@pytest.mark.required
@pytest.mark.parametrize("case", ["tiles", "budget", "per-video"])
def test_a_file_that_may_not_grow(samples, commands, tmp_path, case):
    words = (*SAMPLE, *CASES[case])
    expected, report = samples.undisturbed(words)
    for limit in (1, 5 << 10, 20 << 10):
        workspace = samples.workspace(tmp_path / "ws")
        ended = commands.run(workspace, *words, file_limit=limit)
        assert ended.code == 1, ended
        told = json.loads(ended.err.splitlines()[-1])
        assert told["error"].startswith("the disk is full: "), told
        assert told["hint"] == "free some space and run the same command again"
        assert leftovers(workspace) == []
        assert commands.run(workspace, *words).code == report.code
        same(expected, state_of(workspace), f"no file beyond {limit} bytes")


# --- two at once -----------------------------------------------------------------------------------------------------


@pytest.mark.required
@pytest.mark.parametrize("case", ["tiles", "budget-tolerance", "limit"])
def test_the_same_twice_at_once(samples, commands, tmp_path, case):
    words = (*SAMPLE, *CASES[case])
    expected, report = samples.undisturbed(words)
    workspace = samples.workspace(tmp_path / "ws")
    for ended in commands.together(workspace, words, words):
        assert ended.code == report.code, ended
    same(expected, state_of(workspace))


@pytest.mark.required
def test_two_settings_at_once(samples, commands, tmp_path):
    """As one after the other."""
    both = (*SAMPLE, *CASES["tiles"]), (*SAMPLE, *CASES["share"])
    expected = samples.workspace(tmp_path / "expected")
    codes = [commands.run(expected, *words).code for words in both]
    workspace = samples.workspace(tmp_path / "ws")
    assert [ended.code for ended in commands.together(workspace, *both)] == codes
    same(state_of(expected), state_of(workspace))


@pytest.mark.required
def test_two_at_once_killed(samples, commands, tmp_path):
    """What either of them kept to go on from is gone once one has ended."""
    words = (*SAMPLE, *CASES["tiles"])
    expected, report = samples.undisturbed(words)
    workspace = samples.workspace(tmp_path / "ws")
    with started(workspace, *words) as one, started(workspace, *words) as other:
        wait_for(lambda: len(list((workspace / SCRATCH).glob("*/lock"))) == 2)
        kill(one)
        kill(other)
    assert commands.run(workspace, *words).code == report.code
    same(expected, state_of(workspace))
