"""Bad input gets its exit code and one clear sentence, and what was done before is still there.

The commands run in this process, by the function that the program itself calls, except where it matters that a fresh
process does the same.  Standard error is compared line by line, progress left out.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bad_files
import pytest

from data_engine.cli.main import main

pytestmark = pytest.mark.required

ROOT = Path(__file__).resolve().parents[2]
DATABASE = ".dataengine/lineage.db"
_PROGRESS = re.compile(r".+: \d+/\d+ \w+ in \d+:\d\d")
_NOT_WORK = ("logs/", DATABASE, ".dataengine/mounts.json", "annotation/.lock")
"""What a command that fails may touch: its log, the database's file (its rows are compared), names of folders."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: list[str]

    @classmethod
    def of(cls, code: int, out: str, err: str) -> Ended:
        assert not re.search(r"error:|failed:|hint:|Traceback", out), out
        return cls(code, out, [line for line in err.splitlines() if not _PROGRESS.fullmatch(line)])


class Workspace:
    """A workspace, the commands called inside it, and everything that is in it."""

    def __init__(self, folder: Path, capture: Any = None) -> None:
        self.folder = folder
        self._capture = capture

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def run(self, *words: object) -> Ended:
        """Run a command in this process; what a library writes to the terminal by itself counts, too."""
        os.chdir(self.folder)
        code = main([str(word) for word in words])
        sys.stdout.flush()
        return Ended.of(code, *self._capture.readouterr())

    def fresh(self, *words: object, environ: dict[str, str] | None = None, **options: Any) -> Ended:
        """Run a command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "data_engine", *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        return Ended.of(done.returncode, done.stdout, done.stderr)

    def done(self, *words: object) -> Ended:
        ended = self.run(*words)
        assert ended.code == 0, ended.err
        return ended

    def refused(self, *words: object, code: int, err: Sequence[str]) -> None:
        """The command ends so, and afterwards there is what was there before."""
        before = self.content()
        ended = self.run(*words)
        assert (ended.code, ended.out, ended.err) == (code, "", list(err))
        assert self.content() == before

    def content(self) -> dict[str, object]:
        """Every file, and every row that tells of work done."""
        files: dict[str, object] = {
            key: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not (key := path.relative_to(self.folder).as_posix()).startswith(_NOT_WORK)
        }
        with open(self / DATABASE, "rb") as file:
            if file.read(6) != b"SQLite":
                return files
        connection = sqlite3.connect(self / DATABASE)
        try:
            names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
            # A run that was begun is recorded, however it ended.
            rows = {n: sorted(connection.execute(f'select * from "{n}"'), key=repr) for n in names if n != "runs"}
        finally:
            connection.close()
        return {**files, **rows}


STEPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "new": (("init", ".", "--classes", "a,b"),),
    "sampled": (("sample",),),
    "chosen": (("filter", "--model", "good.onnx", "--budget", "3"), ("preannotate", "--model", "good.onnx")),
    "uploaded": (("upload",),),
    "submitted": (("review", "submit", "1", "--by", "ann"),),
    "accepted": (("review", "accept", "1", "--by", "rev"),),
    "exported": (("export",),),
    "converted": (("convert",),),
}
"""The loop, by what has been done after each part of it."""


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("DATAENGINE_")]:
        monkeypatch.delenv(name)
    # Worker processes would import this module anew.
    monkeypatch.setenv("DATAENGINE_SAMPLE_WORKERS", "1")
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> Callable[[str, Any], Path]:
    """The workspace as it is after a part of the loop; walked only as far as somebody asked."""
    folder = tmp_path_factory.mktemp("walked")
    first = folder / "nothing"
    first.mkdir()
    bad_files.video(first / "videos_raw" / "good.mp4")
    bad_files.rfdetr(first / "good.onnx")

    def walk(until: str, capture: Any) -> Path:
        before = first
        for name, commands in STEPS.items():
            here = folder / name
            if not here.exists():
                shutil.copytree(before, here)
                for words in commands:
                    Workspace(here, capture).done(*words)
            if name == until:
                return here
            before = here
        raise KeyError(until)

    return walk


@pytest.fixture
def at(walked, tmp_path, capfd) -> Callable[[str], Workspace]:
    """A copy of the workspace after a part of the loop, to be spoilt."""

    def copied(until: str) -> Workspace:
        source = walked(until, capfd)
        return Workspace(Path(shutil.copytree(source, tmp_path / "ws")), capfd)

    return copied


# --- videos -----------------------------------------------------------------------------------------------------------

VIDEOS = {
    "text.mp4": (bad_files.text_file, "is not a video: its content is of no known video format"),
    "zero.mp4": (bad_files.empty_file, "is empty (0 bytes)"),
    "cut.mp4": (bad_files.recording_without_index, "is damaged: its index is missing, the recording was cut off"),
    "no_frames.avi": (bad_files.header_only, "holds a video stream, but not one of its frames can be decoded"),
    "no_frames.mkv": (bad_files.header_only, "holds a video stream, but not one of its frames can be decoded"),
    "zeros.avi": (bad_files.frames_overwritten, "holds a video stream, but not one of its frames can be decoded"),
    "sound.mp4": (bad_files.sound_only, "holds no video stream, only sound"),
}


@pytest.mark.parametrize("name", VIDEOS)
def test_a_bad_video_alone(at, name):
    make, message = VIDEOS[name]
    workspace = at("sampled")
    (workspace / "bad").mkdir()
    make(workspace / f"bad/{name}")
    workspace.refused("sample", "--input", f"bad/{name}", code=4, err=[f"error: bad/{name} {message}"])


@pytest.mark.parametrize("name", VIDEOS)
def test_a_bad_video_beside_a_good_one(at, name):
    make, message = VIDEOS[name]
    workspace = at("new")
    make(workspace / f"videos_raw/{name}")
    said = [f"failed: videos_raw/{name} {message}"]
    first = workspace.run("sample")
    assert (first.code, first.err) == (8, said)
    assert "videos sampled: 1\n" in first.out
    assert "frames kept: 5\n" in first.out
    content = workspace.content()
    # Again, as long as it lies there; what is done is not done again.
    again = workspace.run("sample")
    assert (again.code, again.err) == (8, said)
    assert "videos done before: 1\nframes decoded: 0\n" in again.out
    assert workspace.content() == content
    (workspace / f"videos_raw/{name}").unlink()
    content.pop(f"videos_raw/{name}")
    last = workspace.run("sample")
    assert (last.code, last.err) == (0, [])
    assert workspace.content() == content


@pytest.mark.parametrize(
    ("suffix", "damage"), [("mkv", "ends after 2.3 s of 5.0 s"), ("avi", "ends after 2.3 s of 5.0 s, 1 damaged packet")]
)
def test_a_video_that_was_cut_off_gives_the_frames_before_the_cut(at, suffix, damage):
    workspace = at("new")
    (workspace / "videos_raw/good.mp4").unlink()
    bad_files.cut_off(workspace / f"videos_raw/cut.{suffix}", 23)
    first = workspace.run("sample")
    assert first.code == 8
    assert first.err == [f"cut.{suffix}: {damage}", f"failed: videos_raw/cut.{suffix}: {damage}"]
    assert "frames decoded: 23\n" in first.out
    kept = sorted(path.name.split("_")[1] for path in (workspace / "frames_sampled").iterdir())
    assert kept == ["00000000", "00001000", "00002000"]
    content = workspace.content()
    again = workspace.run("sample")
    assert (again.code, again.err) == (8, [f"failed: videos_raw/cut.{suffix}: {damage}"])
    assert "frames decoded: 0\n" in again.out
    assert workspace.content() == content


def test_a_folder_with_nothing_but_bad_videos(at, tmp_path):
    """Outside the workspace, too, a file goes by its path."""
    workspace = at("sampled")
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("one.mp4", "two.mp4"):
        bad_files.text_file(outside / name)
    ended = workspace.run("sample", "--input", outside)
    no_video = "is not a video: its content is of no known video format"
    assert (ended.code, ended.err) == (8, [f"failed: {outside}/{name} {no_video}" for name in ("one.mp4", "two.mp4")])
    assert "next:" not in ended.out
    workspace.refused(
        "sample", "--input", outside / "one.mp4", code=4, err=[f"error: {outside / 'one.mp4'} {no_video}"]
    )


def test_two_videos_with_the_same_content(at):
    workspace = at("sampled")
    shutil.copy(workspace / "videos_raw/good.mp4", workspace / "videos_raw/same.mp4")
    ended = workspace.run("sample")
    assert (ended.code, ended.err) == (0, ["1 copy of another video left out"])
    assert len(list((workspace / "frames_sampled").iterdir())) == 5


def test_file_names_with_line_breaks(at):
    workspace = at("new")
    bad_files.video(workspace / "videos_raw/two\nlines.mp4", first_scene=50)
    bad_files.text_file(workspace / "videos_raw/no\nvideo.mp4")
    ended = workspace.run("sample")
    assert ended.code == 8
    assert ended.err == ["failed: videos_raw/no video.mp4 is not a video: its content is of no known video format"]
    assert len(list((workspace / "frames_sampled").glob("two_lines_*.jpg"))) == 5
    # A list of frames has a line a frame, so it can't name such a picture: the chosen copy is named otherwise.
    (workspace / "pictures").mkdir()
    for number in range(3):
        bad_files.picture(workspace / f"pictures/two\nlines\\{number}.png", 100 + number)
    workspace.done("filter", "--input", "pictures", "--budget", 3)
    lines = [line for line in (workspace / "hard_frames.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 3
    assert all(re.fullmatch(r"frames_hard_to_annotate/two_lines_\d_[0-9a-f]{8}\.png", line) for line in lines)
    assert all((workspace / line).is_file() for line in lines)
    assert workspace.done("upload").out.count("\nframes: 3\n") == 1


# --- what is not there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "err"),
    [
        ("sample --input nowhere", ["nowhere is not there", "put videos there, or name another --input"]),
        ("sample --input empty", ["there is no video in empty", "put videos there, or name another --input"]),
        ("filter --input nowhere", ["nowhere is not there", "run first: dataengine sample"]),
        ("filter --input empty", ["there is no picture in empty", "run first: dataengine sample"]),
        ("filter", ["there is no sampled frame", "run first: dataengine sample"]),
        (
            "preannotate",
            ["there is no model yet, so nothing can be proposed", "go on without proposals: dataengine upload"],
        ),
        ("preannotate --model good.onnx", ["hard_frames.txt is not there", "run first: dataengine filter"]),
        ("upload", ["hard_frames.txt is not there", "run first: dataengine filter"]),
        ("upload --frames nowhere", ["nowhere is not there", "run first: dataengine filter"]),
        ("upload --frames empty", ["there is no picture in empty", "run first: dataengine filter"]),
        ("review show 3", ["there is no job 3", "dataengine review list"]),
        ("review submit 3", ["there is no job 3", "dataengine review list"]),
        ("review accept 3", ["there is no job 3", "dataengine review list"]),
        ("review reject 3 --reason bad", ["there is no job 3", "dataengine review list"]),
        ("export", ["no task was uploaded yet", "run first: dataengine upload"]),
        ("export --task-id 7", ["task 7 was not uploaded from here", "see the numbers: dataengine review list"]),
        ("convert", ["master_dataset/train.json is not there", "run first: dataengine export"]),
        ("convert --input nowhere.json", ["nowhere.json is not there", "run first: dataengine export"]),
        ("retrain", ["final_labels/yolo is not there", "run first: dataengine convert"]),
        ("retrain --kind rfdetr", ["final_labels/rfdetr is not there", "run first: dataengine convert"]),
        ("retrain --data nowhere", ["nowhere is not there", "run first: dataengine convert"]),
        (
            "status -w empty",
            ["empty is not a workspace (it has no dataengine.toml)", "run first: dataengine init empty"],
        ),
        (
            "status -w nowhere",
            ["nowhere is not a workspace (it has no dataengine.toml)", "run first: dataengine init nowhere"],
        ),
    ],
)
def test_before_there_is_anything(at, words, err):
    workspace = at("new")
    (workspace / "empty").mkdir()
    workspace.refused(*words.split(), code=3, err=[f"error: {err[0]}", f"hint: {err[1]}"])


@pytest.mark.parametrize(
    ("until", "words", "err"),
    [
        (
            "uploaded",
            "export",
            ["error: none of 1 job was accepted yet", "hint: see what they wait for: dataengine review list"],
        ),
        (
            "exported",
            "retrain",
            ["error: final_labels/yolo is not there", "hint: run first: dataengine convert"],
        ),
        (
            "converted",
            "convert --images nowhere",
            ["error: nowhere is not there", "hint: name the folder of the pictures with --images"],
        ),
        (
            "converted",
            "retrain --weights nowhere.pt",
            [
                "error: nowhere.pt is not there, nor are yolo weights published under that name",
                "hint: name the weights to begin from with --weights",
            ],
        ),
        (
            "converted",
            "retrain --weights champion",
            ["error: no yolo model was trained here yet", "hint: train the first one without --weights champion"],
        ),
    ],
)
def test_before_its_turn(at, until, words, err):
    at(until).refused(*words.split(), code=3, err=err)


def test_a_folder_outside_that_vanished(at, tmp_path):
    workspace = at("sampled")
    outside = tmp_path / "outside"
    (outside / "frames").mkdir(parents=True)
    bad_files.video(outside / "gate.mp4", first_scene=200)
    for number in range(3):
        bad_files.picture(outside / f"frames/{number}.png", 300 + number)
    workspace.done("sample", "--input", outside)
    workspace.done("filter", "--input", outside / "frames", "--budget", 2)
    listed = Path(shutil.copy(workspace / "hard_frames.txt", tmp_path / "list.txt"))
    listed.write_text("outside/frames/0.png\noutside/frames/1.png\n")
    outside.rename(tmp_path / "elsewhere")
    no_video = "hint: put videos there, or name another --input"
    workspace.refused("sample", "--input", outside, code=3, err=[f"error: {outside} is not there", no_video])
    workspace.refused(
        "filter",
        "--input",
        outside / "frames",
        code=3,
        err=[f"error: {outside / 'frames'} is not there", "hint: run first: dataengine sample"],
    )
    ended = workspace.run("upload", "--frames", listed)
    assert ended.code == 8
    assert ended.err == [f"failed: outside/frames/{number}.png: the file is not there" for number in (0, 1)]
    # What was made of it is there still, and goes on.
    assert workspace.done("upload").out.count("\nframes: 2\n") == 1
    workspace.done("status")


# --- what may not be read ---------------------------------------------------------------------------------------------


def _obey_permissions() -> None:
    """Root reads everything, by two capabilities that a program started from here does not get."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        drop_from_bounding_set, read_and_search = 24, (1, 2)
        for capability in read_and_search:
            if libc.prctl(drop_from_bounding_set, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


@pytest.mark.parametrize(
    ("locked", "words", "code", "err"),
    [
        (
            "videos_raw/locked.mp4",
            "sample --input videos_raw/locked.mp4",
            4,
            ["error: videos_raw/locked.mp4 cannot be read: permission denied"],
        ),
        ("videos_raw/locked.mp4", "sample", 8, ["failed: videos_raw/locked.mp4 cannot be read: permission denied"]),
        ("videos_raw", "sample", 4, ["error: folder videos_raw cannot be read: permission denied"]),
        (
            "videos_raw",
            "sample --input videos_raw/good.mp4",
            4,
            ["error: videos_raw/good.mp4 cannot be read: permission denied"],
        ),
        (
            "frames_sampled",
            "filter --input frames_sampled",
            4,
            ["error: folder frames_sampled cannot be read: permission denied"],
        ),
        ("good.onnx", "filter --model good.onnx", 4, ["error: good.onnx cannot be read: permission denied"]),
        ("hard_frames.txt", "upload", 4, ["error: hard_frames.txt cannot be read: permission denied"]),
        (
            "preannotations/hard_frames_preanno.json",
            "upload",
            4,
            ["error: preannotations/hard_frames_preanno.json cannot be read: permission denied"],
        ),
        ("dataengine.toml", "status", 2, ["error: dataengine.toml cannot be read: permission denied"]),
        (DATABASE, "status", 4, [f"error: {{ws}}/{DATABASE} cannot be used: unable to open database file"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_may_not_be_read(at, locked, words, code, err):
    workspace = at("chosen")
    bad_files.video(workspace / "videos_raw/locked.mp4", first_scene=70)
    before, mode = workspace.content(), (workspace / locked).stat().st_mode
    (workspace / locked).chmod(0)
    try:
        ended = workspace.fresh(*words.split(), preexec_fn=_obey_permissions)
    finally:
        (workspace / locked).chmod(mode)
    assert (ended.code, ended.err) == (code, [line.format(ws=workspace.folder) for line in err])
    assert workspace.content() == before
    assert (code == 8) == bool(ended.out)


# --- models -----------------------------------------------------------------------------------------------------------


def _models(folder: Path) -> None:
    import numpy as np

    good = (folder / "good.onnx").read_bytes()
    (folder / "text.onnx").write_text("I am no model.\n" * 20)
    (folder / "cut.onnx").write_bytes(good[: len(good) // 2])
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "folder.onnx").mkdir()
    (folder / "archive.onnx").write_bytes(b"PK\x03\x04 and so on")
    (folder / "broken.pt").write_bytes(b"PK\x03\x04 and so on")
    (folder / "text.pt").write_text("I am no model.\n")
    bad_files.onnx(folder / "classifier.onnx", {"probabilities": np.zeros((1, 10), np.float32)}, {})
    bad_files.onnx(folder / "flat.onnx", {"output0": np.zeros((1, 10), np.float32)}, {"author": "Ultralytics"})
    bad_files.rfdetr(folder / "hats.onnx", ("person", "helmet", "no-helmet"))
    bad_files.rfdetr(folder / "nameless.onnx", noted=False)
    bad_files.rfdetr(folder / "nan.onnx", broken=True)


@pytest.mark.parametrize(
    ("words", "code", "err"),
    [
        ("text.onnx", 4, ["error: text.onnx is not an ONNX model"]),
        ("text.onnx --kind yolo", 4, ["error: text.onnx is not an ONNX model"]),
        ("cut.onnx", 4, ["error: cut.onnx is not an ONNX model"]),
        ("empty.onnx", 4, ["error: empty.onnx is empty, not a model"]),
        ("archive.onnx", 4, ["error: archive.onnx is not an ONNX model"]),
        ("folder.onnx", 4, ["error: folder.onnx cannot be read: is a directory"]),
        ("broken.pt", 4, ["error: broken.pt is damaged: it begins as an archive, but can't be read as one"]),
        ("text.pt", 4, ["error: text.pt is not a PyTorch checkpoint"]),
        (
            "nowhere.onnx",
            3,
            ["error: nowhere.onnx is not there", "hint: run first: dataengine retrain, or name another --model"],
        ),
        (
            "classifier.onnx",
            2,
            ["error: classifier.onnx does not say which kind of model it is", "hint: --kind rfdetr|yolo"],
        ),
        (
            "classifier.onnx --kind rfdetr",
            4,
            ["error: classifier.onnx is not an RF-DETR model: its outputs are probabilities, not dets and labels"],
        ),
        (
            "classifier.onnx --kind yolo",
            4,
            [
                "error: classifier.onnx is not a YOLO model: its outputs are probabilities [1, 10], "
                "not output0 of 3 axes"
            ],
        ),
        (
            "flat.onnx",
            4,
            ["error: flat.onnx is not a YOLO model: its outputs are output0 [1, 10], not output0 of 3 axes"],
        ),
        (
            "good.onnx --kind yolo",
            2,
            ["error: good.onnx is a rfdetr model, not yolo", "hint: leave --kind out, or give --kind rfdetr"],
        ),
        ("good.onnx --kind frcnn", 2, ["error: model kind 'frcnn' is unknown", "hint: --kind rfdetr|yolo"]),
        (
            "good.onnx --device tpu",
            2,
            [
                "error: device 'tpu' is unknown",
                "hint: choose auto, cpu, cuda, cuda:0 or tensorrt, or several: cuda:0,cuda:1",
            ],
        ),
        (
            "good.onnx --classes b,a",
            2,
            ["error: good.onnx names its classes a, b; given were b, a", "hint: leave --classes out"],
        ),
        (
            "hats.onnx",
            4,
            [
                "error: hats.onnx knows classes that the registry does not: person, helmet, no-helmet "
                "(registered: a, b)",
                "hint: add them to classes in dataengine.toml, or name the model's own with --classes",
            ],
        ),
        (
            "nameless.onnx",
            2,
            ["error: nameless.onnx does not name its classes", "hint: name them in their order: --classes a,b,c"],
        ),
        ("nameless.onnx --classes a,a", 2, ["error: nameless.onnx: class 'a' is named twice"]),
        (
            "nameless.onnx --classes a",
            2,
            [
                "error: nameless.onnx has labels of 3 slots (one is background), "
                "which does not fit its 1 class names (a)",
                "hint: name every class, in the order of the outputs: --classes a,b,c",
            ],
        ),
    ],
)
@pytest.mark.parametrize("command", ["filter", "preannotate"])
def test_a_model_that_is_none(at, command, words, code, err):
    workspace = at("chosen")
    _models(workspace.folder)
    workspace.refused(command, "--model", *words.split(), code=code, err=err)


def test_a_model_that_answers_with_nan(at):
    """That it is no good shows when it is asked, and nothing is chosen by it."""
    workspace = at("chosen")
    _models(workspace.folder)
    listed = (workspace / "hard_frames.txt").read_bytes()
    ended = workspace.run("filter", "--model", "nan.onnx")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == [
        "nan.onnx runs on CPUExecutionProvider",
        "error: nan.onnx answers with NaN or infinite numbers in dets",
    ]
    assert (workspace / "hard_frames.txt").read_bytes() == listed
    workspace.done("filter", "--model", "good.onnx")


def test_a_gpu_that_is_not_there_for_a_model(at):
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    workspace = at("sampled")
    words = ("filter", "--model", "good.onnx", "--device", "cuda:99")
    if "CUDAExecutionProvider" in offered:
        ended = workspace.run(*words)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err[-2].startswith("error: CUDA device 99 could not be started for good.onnx")
        return
    workspace.refused(
        *words,
        code=5,
        err=[
            f"error: this ONNX Runtime has no CUDA: it offers {', '.join(offered)}",
            "hint: pip uninstall onnxruntime, then pip install '.[gpu]' in your checkout of dataengine",
        ],
    )


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["yolo", "rfdetr"])
def test_a_gpu_that_is_not_there_for_training(at, kind):
    import torch

    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    there = ", ".join(["cpu", *gpus]) if gpus else "no GPU that torch can use"
    workspace = at("converted")
    for asked in ("cuda:99", "cuda:99,100"):
        workspace.refused(
            *("retrain", "--kind", kind, "--device", asked, "--epochs", 1),
            code=2,
            err=[f"error: device 'cuda:99' is not there: this machine has {there}", "hint: --device auto"],
        )


@pytest.mark.parametrize(
    ("words", "code", "err"),
    [
        ("--size gigantic", 2, ["error: size 'gigantic' is not one of tiny, n, s, m, l, x"]),
        ("--extra foo", 2, ["error: extra setting 'foo' is not name=value"]),
        ("--weights text.pt", 4, ["error: {ws}/text.pt is not a YOLO checkpoint that ultralytics wrote"]),
        ("--weights text.txt", 4, ["error: text.txt is not a checkpoint to learn from (.pt)"]),
    ],
)
def test_a_training_that_cannot_begin(at, words, code, err):
    workspace = at("converted")
    for name in ("text.pt", "text.txt"):
        (workspace / name).write_text("I am no checkpoint.\n")
    before = workspace.content()
    ended = workspace.run("retrain", "--epochs", 1, *words.split())
    assert (ended.code, ended.out, ended.err) == (code, "", [line.format(ws=workspace.folder) for line in err])
    after = workspace.content()
    assert {name: after.get(name) for name in before} == before


def test_training_data_that_was_damaged(at):
    workspace = at("converted")
    description = workspace / "final_labels/yolo/data.yaml"
    text = description.read_bytes()
    for changed in ("names: [", "names:\n  0: b\n  1: a\n"):
        description.write_text(changed)
        workspace.refused(
            *("retrain", "--epochs", 1),
            code=7,
            err=[
                "error: final_labels/yolo/data.yaml was changed since v1 was converted",
                "hint: run again: dataengine convert",
            ],
        )
        workspace.done("convert")
        assert description.read_bytes() == text
    label = next((workspace / "final_labels/yolo/train/labels").iterdir())
    label.unlink()
    label.write_text("0 nan 0.5 0.1 0.1\n")
    changed = [
        "error: final_labels/yolo/train/labels/{name} was changed since v1 was converted",
        "hint: run again: dataengine convert",
    ]
    workspace.refused("retrain", "--epochs", 1, code=7, err=[line.format(name=label.name) for line in changed])
    # What convert wrote, convert repairs.
    workspace.done("convert")
    assert "nan" not in label.read_text()
    picture = next((workspace / "final_labels/rfdetr/valid").glob("*.jpg"))
    picture.unlink()
    workspace.refused(
        *("retrain", "--kind", "rfdetr", "--epochs", 1),
        code=7,
        err=[
            f"error: final_labels/rfdetr/valid/{picture.name} was changed since v1 was converted",
            "hint: run again: dataengine convert",
        ],
    )


def test_weights_that_nobody_publishes_or_that_cannot_be_had(at, monkeypatch):
    workspace = at("converted")
    workspace.refused(
        *("retrain", "--epochs", 1, "--weights", "nowhere.pt"),
        code=3,
        err=[
            "error: nowhere.pt is not there, nor are yolo weights published under that name",
            "hint: name the weights to begin from with --weights",
        ],
    )
    # A proxy that refuses stands for a network that is not there, wherever this runs.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    for kind, name, file in (("yolo", "yolo11n.pt", "yolo11n.pt"), ("rfdetr", "rfdetr-nano", "rf-detr-nano.pth")):
        ended = workspace.run("retrain", "--kind", kind, "--epochs", 1, "--weights", name)
        assert (ended.code, ended.out) == (6, "")
        assert ended.err[-2].startswith(f"error: the published weights {file} could not be downloaded: ")
        assert ended.err[-1] == "hint: download the file where there is a network, and name it: --weights FILE"
        assert not any((workspace / "models/published").iterdir())


# --- COCO files -------------------------------------------------------------------------------------------------------

COCO = {
    "preannotations": ("chosen", "preannotations/hard_frames_preanno.json", "upload --preannotations bad.json"),
    "submission": ("uploaded", "annotation/tasks/1/jobs/1/annotations.json", "review submit 1 bad.json"),
    "dataset": ("exported", "master_dataset/train.json", "convert --input bad.json --output out/train"),
}


@pytest.mark.parametrize("kind", COCO)
def test_a_bad_coco_file(at, kind):
    until, good, words = COCO[kind]
    workspace = at(until)
    document = json.loads((workspace / good).read_bytes())
    tried = 0
    for name, data, message in bad_files.bad_coco(document):
        if name == "picture resized":
            if kind == "dataset":
                continue
            first = document["images"][0]
            message = (
                f": image {first['file_name']!r} is 99 x 120 pixels there, but the frame is 160 x 120: "
                "the boxes would not fit"
            )
        (workspace / "bad.json").write_bytes(data)
        workspace.refused(*words.split(), code=4, err=[f"error: bad.json{message}"])
        tried += 1
    assert tried >= 20
    (workspace / "bad.json").write_bytes((workspace / good).read_bytes())
    workspace.done(*words.split())


@pytest.mark.parametrize(
    ("kind", "err"),
    [
        (
            "preannotations",
            [
                "error: bad.json: image 'stranger.jpg' is not among the frames",
                "hint: name the frames it was made of",
            ],
        ),
        ("submission", ["error: bad.json: unknown image 'stranger.jpg': job 1 has no such frame"]),
    ],
)
def test_a_coco_file_of_other_pictures(at, kind, err):
    until, good, words = COCO[kind]
    workspace = at(until)
    document = json.loads((workspace / good).read_bytes())
    document["images"][0].pop("frame_id", None)
    document["images"][0]["file_name"] = "stranger.jpg"
    (workspace / "bad.json").write_text(json.dumps(document))
    workspace.refused(*words.split(), code=4, err=err)


def test_a_data_set_whose_pictures_are_not_there(at):
    """Labels are written, what is missing is counted."""
    workspace = at("exported")
    document = json.loads((workspace / "master_dataset/train.json").read_bytes())
    for key in ("frame_id", "key"):
        document["images"][0].pop(key)
    document["images"][0]["file_name"] = "stranger.jpg"
    (workspace / "train.json").write_text(json.dumps(document))
    ended = workspace.run("convert", "--input", "train.json", "--output", "out", "--format", "yolo")
    hint = "name the folder of the pictures with --images"
    assert (ended.code, ended.err) == (8, [hint, "failed: out/train: 1 picture not found (stranger.jpg)"])
    assert (workspace / "out/train/labels/stranger.txt").read_text().count("\n") == 4
    assert len(list((workspace / "out/train/images").iterdir())) == len(document["images"]) - 1


def test_a_data_set_of_no_side(at):
    workspace = at("exported")
    document = json.loads((workspace / "master_dataset/train.json").read_bytes())
    document["info"] = {}
    for image in document["images"]:
        del image["split"]
    (workspace / "all.json").write_text(json.dumps(document))
    workspace.refused(
        *("convert", "--input", "all.json", "--output", "out"),
        code=2,
        err=[
            "error: all.json does not say whether it is for training or validation",
            "hint: end --output with /train or /valid",
        ],
    )


def test_a_folder_of_somebody_else_is_left_alone(at):
    workspace = at("exported")
    (workspace / "out/train").mkdir(parents=True)
    (workspace / "out/train/precious.txt").write_text("mine")
    workspace.refused(
        *("convert", "--input", "master_dataset/train.json", "--output", "out/train", "--format", "yolo"),
        code=7,
        err=[
            "error: out/train holds 1 files that convert did not write, such as precious.txt",
            "hint: choose an empty folder with --output",
        ],
    )


# --- pictures and lists of them ---------------------------------------------------------------------------------------


def test_damaged_pictures_among_the_frames(at):
    workspace = at("new")
    (workspace / "pictures").mkdir()
    for number in range(6):
        bad_files.picture(workspace / f"pictures/{number}.png", number)
    good = (workspace / "pictures/0.png").read_bytes()
    (workspace / "pictures/cut.png").write_bytes(good[: len(good) // 2])
    (workspace / "pictures/text.png").write_text("no picture")
    (workspace / "pictures/zero.jpg").write_bytes(b"")
    said = [
        "failed: pictures/cut.png is not a picture that can be decoded: the file is truncated",
        "failed: pictures/text.png is not a picture that can be decoded: its format is unknown",
        "failed: pictures/zero.jpg is not a picture that can be decoded: its format is unknown",
    ]
    runs = "good.onnx runs on CPUExecutionProvider"
    for words, first in (
        (("filter", "--budget", 3, "--model", "good.onnx", "--input", "pictures"), [runs]),
        (("preannotate", "--model", "good.onnx", "--frames", "pictures"), []),
        (("upload", "--frames", "pictures"), []),
    ):
        ended = workspace.run(*words)
        assert (ended.code, ended.err) == (8, [*said, *first])
    assert ended.out.count("\nframes: 6\n") == 1


def test_a_sampled_frame_that_was_damaged_or_removed(at):
    workspace = at("sampled")
    first, second, *_ = sorted((workspace / "frames_sampled").iterdir())
    first.write_bytes(first.read_bytes()[:-500])
    second.unlink()
    ended = workspace.run("filter", "--model", "good.onnx", "--budget", 2)
    assert ended.code == 8
    assert ended.err == [
        f"failed: frames_sampled/{first.name} is not a picture that can be decoded: the file is truncated",
        "1 sampled frame passed over: no longer on the disk",
        "good.onnx runs on CPUExecutionProvider",
    ]
    assert ended.out.startswith("2 of 3 frames chosen")


def test_a_list_that_names_a_frame_that_is_gone(at):
    workspace = at("chosen")
    gone = next((workspace / "frames_hard_to_annotate").iterdir())
    gone.unlink()
    said = [f"failed: frames_hard_to_annotate/{gone.name}: the file is not there"]
    ended = workspace.run("preannotate", "--model", "good.onnx")
    assert (ended.code, ended.err) == (8, said)
    ended = workspace.run("upload")
    assert (ended.code, ended.err) == (8, said)
    assert ended.out.count("\nframes: 2\n") == 1


@pytest.mark.parametrize(
    ("data", "code", "err"),
    [
        (b"\x89PNG\r\n\x1a\n\xff", 4, ["error: hard_frames.txt is not a list of frames: byte 0 is not UTF-8 text"]),
        (b"a.jpg\0b.jpg\n", 4, ["error: hard_frames.txt is not a list of frames: it holds zero bytes"]),
        (b"# nothing but this\n", 3, ["error: hard_frames.txt lists no frame", "hint: run first: dataengine filter"]),
        (b"", 3, ["error: hard_frames.txt lists no frame", "hint: run first: dataengine filter"]),
    ],
)
@pytest.mark.parametrize("command", ["upload", "preannotate"])
def test_a_list_that_is_none(at, command, data, code, err):
    workspace = at("chosen")
    (workspace / "hard_frames.txt").write_bytes(data)
    model = ["--model", "good.onnx"] if command == "preannotate" else []
    workspace.refused(command, *model, code=code, err=err)


# --- reviews ----------------------------------------------------------------------------------------------------------

NOT_SUBMITTED = [
    "error: job 1 has not been submitted (stage annotation, state new)",
    "hint: dataengine review submit 1",
]


@pytest.mark.parametrize(
    ("until", "words", "code", "err"),
    [
        ("uploaded", ["accept", "1"], 7, NOT_SUBMITTED),
        ("uploaded", ["reject", "1", "--reason", "bad"], 7, NOT_SUBMITTED),
        ("uploaded", ["reject", "1"], 2, ["error: missing option '--reason'", "hint: dataengine review reject --help"]),
        (
            "submitted",
            ["reject", "1"],
            2,
            ["error: missing option '--reason'", "hint: dataengine review reject --help"],
        ),
        (
            "submitted",
            ["reject", "1", "--reason", " "],
            2,
            ["error: job 1 cannot be rejected without a reason", "hint: add --reason '...'"],
        ),
        (
            "submitted",
            ["reject", "1", "--reason", "bad", "--frame", "nowhere.jpg"],
            2,
            ["error: job 1 has no frame 'nowhere.jpg'", "hint: dataengine review show 1"],
        ),
        (
            "submitted",
            ["reject", "1", "--reason", "bad", "--box", "1,2,3,4"],
            2,
            ["error: a part of a picture needs the name of its frame"],
        ),
        ("submitted", ["accept", "9"], 3, ["error: there is no job 9", "hint: dataengine review list"]),
        (
            "submitted",
            ["accept", "x"],
            2,
            [
                "error: invalid value for 'JOB...': 'x' is not a valid integer range",
                "hint: dataengine review accept --help",
            ],
        ),
        (
            "submitted",
            ["show", "0"],
            2,
            ["error: invalid value for 'JOB': 0 is not in the range x>=1", "hint: dataengine review show --help"],
        ),
        (
            "uploaded",
            ["submit", "1", "nowhere.json"],
            3,
            ["error: nowhere.json is not there", "hint: name it: dataengine review submit 1 FILE"],
        ),
        (
            "accepted",
            ["submit", "1", "other.json"],
            7,
            [
                "error: job 1 has been accepted (stage acceptance, state completed): other boxes cannot be submitted",
                "hint: to open it again: dataengine review reject 1 --reason '...'",
            ],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "hint" not in str(value) else None,
)
def test_a_review_out_of_turn(at, until, words, code, err):
    workspace = at(until)
    document = json.loads((workspace / "annotation/tasks/1/jobs/1/annotations.json").read_bytes())
    document["annotations"].pop()
    (workspace / "other.json").write_text(json.dumps(document))
    workspace.refused("review", *words, code=code, err=err)


def test_of_several_jobs_the_good_ones_are_accepted(at):
    workspace = at("submitted")
    ended = workspace.run("review", "accept", 9, 1)
    assert (ended.code, ended.err) == (8, ["failed: job 9: there is no job 9"])
    assert ended.out.startswith("1 job accepted")
    workspace.done("export")


def test_a_job_whose_file_is_gone_or_damaged(at):
    workspace = at("uploaded")
    file = workspace / "annotation/tasks/1/jobs/1/annotations.json"
    good = file.read_bytes()
    file.write_text("broken{")
    relative = file.relative_to(workspace.folder)
    workspace.refused(
        "review", "submit", 1, code=4, err=[f"error: {relative} is not JSON: invalid character at byte 0"]
    )
    file.unlink()
    workspace.refused(
        "review",
        "submit",
        1,
        code=3,
        err=[f"error: {file} is not there", "hint: name it: dataengine review submit 1 FILE"],
    )
    (workspace / "mine.json").write_bytes(good)
    workspace.done("review", "submit", 1, "mine.json")


# --- options, settings, environment -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("sample --threshold 7", "--threshold 7.0: input should be less than or equal to 1", "sample"),
        ("sample --threshold nan", "--threshold nan: input should be a finite number", "sample"),
        (
            "sample --method magic",
            "invalid value for '--method': 'magic' is not one of 'scene-change', 'tiles', 'interval', "
            "'keyframes', 'content'",
            "sample",
        ),
        ("sample --interval 0", "--interval 0.0: input should be greater than 0", "sample"),
        ("sample --limit x", "invalid value for '--limit': 'x' is not a valid integer", "sample"),
        ("sample extra", "got unexpected extra argument (extra)", "sample"),
        ("filter --budget 0", "--budget 0: input should be greater than or equal to 1", "filter"),
        (
            "filter --bugdet 5",
            "no such option '--bugdet'. (Did you mean one of: '--budget', '--budget-boxes', '--quiet'?)",
            "filter",
        ),
        ("filter --confidence-threshold", "option '--confidence-threshold' requires an argument", "filter"),
        ("upload --job-size 0", "--job-size 0: input should be greater than or equal to 1", "upload"),
        (
            "retrain --device gpu",
            r"--device gpu: string should match pattern '^(auto|cpu|cuda(:\d+(,\d+)*)?)$'",
            "retrain",
        ),
        ("run --filter-budget 0", "--filter-budget 0: input should be greater than or equal to 1", "run"),
        ("export --task-id 0", "invalid value for '--task-id': 0 is not in the range x>=1", "export"),
        ("smaple", "there is no command 'smaple'; did you mean 'sample'?", ""),
    ],
)
def test_wrong_options(at, words, message, hint):
    help_of = f"hint: dataengine {hint} --help".replace("  ", " ")
    at("sampled").refused(*words.split(), code=2, err=[f"error: {message}", help_of])


@pytest.mark.parametrize("floor", ["0.4", "0.5"])
def test_a_floor_above_the_threshold(at, floor):
    at("sampled").refused(
        *("filter", "--floor", floor, "--confidence-threshold", "0.4"),
        code=2,
        err=[f"error: filter: floor ({floor}) must be lower than the confidence threshold (0.4)"],
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fliter]\nbudget = 5", "dataengine.toml: there is no section 'fliter'"),
        ("[filter]\nbugdet = 5", "dataengine.toml: there is no setting 'filter.bugdet'"),
        (
            '[filter]\nbudget = "many"',
            "dataengine.toml: filter.budget: Input should be a valid integer, unable to parse string as an integer "
            "(got 'many')",
        ),
        (
            "[filter]\nbudget = 0",
            "dataengine.toml: filter.budget: Input should be greater than or equal to 1 (got 0)",
        ),
        ("filter = 5", "dataengine.toml: filter must be a section, [filter]"),
        (
            "[filter\nbudget = 5",
            "dataengine.toml cannot be read: Expected ']' at the end of a table declaration (at line 1, column 8)",
        ),
        (
            b"\xff\xfe",
            "dataengine.toml cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (
            '[annotation]\nbackend = "cvta"',
            "dataengine.toml: annotation.backend: Input should be 'local' or 'cvat' (got 'cvta')",
        ),
        (
            '[workspace]\nclasses = ["a", "a"]',
            "dataengine.toml: workspace.classes: class 'a' is named twice (got ['a', 'a'])",
        ),
    ],
)
def test_wrong_settings(at, text, message):
    workspace = at("sampled")
    (workspace / "dataengine.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    workspace.refused("filter", code=2, err=[f"error: {message}"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATAENGINE_FILTER_BUGDET", "5", "DATAENGINE_FILTER_BUGDET: there is no setting 'filter.bugdet'"),
        (
            "DATAENGINE_FILTER_BUDGET",
            "many",
            "DATAENGINE_FILTER_BUDGET: filter.budget: Input should be a valid integer, unable to parse string as an "
            "integer (got 'many')",
        ),
        (
            "DATAENGINE_SAMPLE_THRESHOLD",
            "7",
            "DATAENGINE_SAMPLE_THRESHOLD: sample.threshold: Input should be less than or equal to 1 (got '7')",
        ),
    ],
)
def test_a_wrong_environment(at, monkeypatch, name, value, message):
    workspace = at("sampled")
    monkeypatch.setenv(name, value)
    workspace.refused("filter", code=2, err=[f"error: {message}"])


@pytest.mark.parametrize(
    ("words", "code", "err"),
    [
        (
            ["init", "new", "--classes", "a,a"],
            2,
            ["error: the command line: workspace.classes: class 'a' is named twice (got ('a', 'a'))"],
        ),
        (
            ["init", ".", "--classes", "x,y"],
            7,
            [
                "error: dataengine.toml names other classes: a, b",
                "hint: edit classes below [workspace] in dataengine.toml",
            ],
        ),
        (["init", "good.onnx"], 4, ["error: good.onnx cannot be made: file exists"]),
    ],
)
def test_a_workspace_that_cannot_be_made(at, words, code, err):
    workspace = at("sampled")
    workspace.refused(*words, code=code, err=err)
    assert not (workspace / "new").exists()


# --- the database and the tool's own files ----------------------------------------------------------------------------


def test_a_database_that_does_not_answer(at, monkeypatch):
    workspace = at("sampled")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    monkeypatch.setenv("DATAENGINE_DATABASE_URL", f"postgresql://me:s3cret@127.0.0.1:{port}/lineage")
    before = workspace.content()
    ended = workspace.run("status")
    assert (ended.code, ended.out, len(ended.err)) == (6, "", 1)
    assert ended.err[0].startswith(
        f"error: the lineage database postgresql+psycopg://me:***@127.0.0.1:{port}/lineage did not answer: "
        f'connection failed: connection to server at "127.0.0.1", port {port} failed: Connection refused'
    )
    assert "s3cret" not in ended.err[0]
    assert workspace.content() == before
    assert not any(b"s3cret" in log.read_bytes() for log in (workspace / "logs").iterdir())


WRITTEN = ", as in postgresql://user@host:5432/name; / ? # @ and : in a password are %2F %3F %23 %40 and %3A"


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("nonsense", "the database URL cannot be read", WRITTEN),
        ("postgresql://me:s3cret@host:s3cret/x", "the database URL cannot be read", WRITTEN),
        ("mysql://me:s3cret@host/lineage", "mysql is not SQLite or PostgreSQL", ""),
        (
            "postgresql+nope://me:s3cret@h/x",
            "the database URL names a driver that does not exist: postgresql+nope",
            WRITTEN,
        ),
        ("postgresql+pg8000://me:s3cret@h/x", "the database URL names a driver that is not installed: pg8000", WRITTEN),
        ("postgresql://me@h/x?port=s3cret", "the parameters of the database URL cannot be read: port", WRITTEN),
        ("sqlite:///x.db?timeout=s3cret", "the parameters of the database URL cannot be read: timeout", WRITTEN),
        (
            "postgresql://me:s3cret@127.0.0.1:1/x?foo=bar",
            'the database URL cannot be used: invalid connection option "foo"',
            WRITTEN,
        ),
    ],
)
def test_a_database_of_no_known_kind(at, monkeypatch, url, message, hint):
    workspace = at("sampled")
    monkeypatch.setenv("DATAENGINE_DATABASE_URL", url)
    workspace.refused("status", code=2, err=[f"error: {message}", f"hint: see [database] url{hint}"])


def test_a_database_on_a_host_that_nobody_knows(at, monkeypatch):
    workspace = at("sampled")
    monkeypatch.setenv("DATAENGINE_DATABASE_URL", "postgresql://me:s3cret@host.invalid/x")
    shown = "postgresql+psycopg://me:***@host.invalid/x"
    said = f"error: the lineage database {shown} is not found: there is no such host"
    workspace.refused("status", code=6, err=[said, "hint: see [database] url"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"This is no database.\n" * 500, "file is not a database"),
        (lambda data: data[:5000], "database disk image is malformed"),
        (lambda data: data[:8192] + b"\xaa" * (len(data) - 8192), "database disk image is malformed"),
    ],
    ids=["text", "truncated", "overwritten"],
)
@pytest.mark.parametrize("words", ["status", "filter", "db check", "db upgrade"])
def test_a_damaged_database(at, words, damage, message):
    workspace = at("sampled")
    database = workspace / DATABASE
    assert list(database.parent.glob("lineage.db-*")) == []
    damaged = damage(database.read_bytes())
    database.write_bytes(damaged)
    ended = workspace.run(*words.split())
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == [f"error: {database} is not a lineage database: {message}"]
    # Whoever can repair it finds it as it was.
    assert database.read_bytes() == damaged


@pytest.mark.parametrize(
    ("words", "err"),
    [
        *(
            (
                words,
                [
                    "error: the lineage database is at revision 9999, which this release does not know",
                    "hint: install the release that wrote it, or a newer one",
                ],
            )
            for words in ("status", "sample", "db upgrade")
        ),
        (
            "db check",
            [
                "error: the lineage database is at revision 9999, this release at 0008",
                "hint: dataengine db upgrade",
            ],
        ),
    ],
)
def test_a_database_of_a_newer_release(at, words, err):
    workspace = at("sampled")
    _change(workspace, "update alembic_version set version_num = '9999'")
    workspace.refused(*words.split(), code=7, err=err)


def test_a_database_that_lacks_a_table(at):
    workspace = at("uploaded")
    _change(workspace, "drop table job_frames", "drop table reviews", "drop table jobs")
    workspace.refused(
        "export",
        code=7,
        err=[
            f"error: the lineage database {workspace / DATABASE} lacks what this release expects: no such table: jobs",
            "hint: dataengine db check",
        ],
    )
    ended = workspace.run("db", "check")
    assert (ended.code, ended.out) == (7, "")
    assert ended.err == ["error: the lineage database differs from its revision: table jobs is missing"]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (
            "update alembic_version set version_num = '9999'",
            " is at revision 9999, this release at 0008; dataengine db upgrade",
        ),
        ("drop table job_frames", ": table job_frames is missing; dataengine db check"),
    ],
)
def test_the_doctor_looks_at_everything_else(at, statement, reason):
    workspace = at("sampled")
    _change(workspace, statement)
    ended = workspace.run("doctor")
    assert ended.code == 8
    assert ended.err == [f"failed: lineage: {workspace / DATABASE}{reason}"]
    assert "bad: 1\n" in ended.out


def _change(workspace: Workspace, *statements: str) -> None:
    with sqlite3.connect(workspace / DATABASE) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("text", ["{broken", "[]", ""])
def test_damaged_names_of_folders(at, text):
    workspace = at("sampled")
    (workspace / ".dataengine/mounts.json").write_text(text)
    workspace.refused(
        "status",
        code=4,
        err=["error: .dataengine/mounts.json is damaged: it should hold a JSON object of names and folders"],
    )


@pytest.mark.parametrize("text", ["{broken", "[]", '{"id": 3}'])
def test_a_damaged_note_of_the_version(at, text):
    """Nothing is trained on data of which nobody knows which version it is; convert repairs it."""
    workspace = at("converted")
    note = workspace / "final_labels/yolo/dataset_version.json"
    note.write_text(text)
    assert workspace.done("status").out.endswith("next: dataengine convert\n")
    before = workspace.content()
    ended = workspace.run("retrain", "--epochs", 1)
    assert (ended.code, ended.out, len(ended.err)) == (4, "", 2)
    assert ended.err[0].startswith("error: final_labels/yolo/dataset_version.json")
    assert ended.err[1] == "hint: run again: dataengine convert"
    assert workspace.content() == before
    workspace.done("convert")
    assert workspace.done("status").out.endswith("next: dataengine retrain\n")


def test_stored_predictions_that_are_damaged_or_gone(at):
    workspace = at("chosen")
    (part,) = (workspace / ".dataengine/predictions").rglob("*.npz")
    part.write_bytes(part.read_bytes()[:100])
    key = part.relative_to(workspace.folder)
    words = ("filter", "--model", "good.onnx", "--budget", 3)
    workspace.refused(
        *words,
        code=4,
        err=[
            f"error: {key} does not hold stored predictions: File is not a zip file",
            "hint: delete it and run again: the model is asked anew",
        ],
    )
    part.unlink()
    listed = (workspace / "hard_frames.txt").read_bytes()
    workspace.done(*words)
    assert (workspace / "hard_frames.txt").read_bytes() == listed


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("task.json", "annotation/tasks/1/task.json is not JSON: object keys must be strings at byte 1"),
        ("jobs/1/job.json", "annotation/tasks/1/jobs/1/job.json is not JSON: object keys must be strings at byte 1"),
    ],
)
def test_a_damaged_record_of_a_task(at, file, reason):
    workspace = at("accepted")
    (workspace / "annotation/tasks/1" / file).write_text("{broken")
    for command in (["review", "list"], ["status"], ["export"]):
        workspace.refused(*command, code=4, err=[f"error: {reason}"])


def test_annotation_tasks_that_are_gone(at):
    workspace = at("exported")
    (workspace / "annotation").rename(workspace / "elsewhere")
    lost = (
        "the annotation backend 'local' has lost task 1; what was exported of it stays in the dataset "
        "(bring it back there, or make it anew: dataengine upload --again 1)"
    )
    for command in (["review", "list"], ["status"], ["sync"]):
        ended = workspace.run(*command)
        assert (ended.code, ended.err) == (0, [lost])
    ended = workspace.run("export")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == [
        lost,
        "error: the annotation backend 'local' has lost every task that was uploaded",
        "hint: bring them back there, or make them anew: dataengine upload --again 1",
    ]
    workspace.done("convert")
    shutil.rmtree(workspace / "annotation", ignore_errors=True)
    (workspace / "elsewhere").rename(workspace / "annotation")
    workspace.done("review", "list")


def test_a_damaged_data_set_is_written_again(at):
    workspace = at("exported")
    file = workspace / "master_dataset/train.json"
    good = file.read_bytes()
    file.write_bytes(good[:100])
    workspace.refused(
        "convert",
        code=4,
        err=["error: master_dataset/train.json ends in the middle: it is a truncated piece of JSON, not a COCO file"],
    )
    file.unlink()
    workspace.done("export")
    assert file.read_bytes() == good


# --- a process of its own ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "err"),
    [
        (
            "sample --threshold 7",
            2,
            ["error: --threshold 7.0: input should be less than or equal to 1", "hint: dataengine sample --help"],
        ),
        (
            "sample --input nowhere",
            3,
            ["error: nowhere is not there", "hint: put videos there, or name another --input"],
        ),
        (
            "sample --input bad/text.mp4",
            4,
            ["error: bad/text.mp4 is not a video: its content is of no known video format"],
        ),
        ("filter --model text.onnx", 4, ["error: text.onnx is not an ONNX model"]),
        ("review accept 1", 7, NOT_SUBMITTED),
        (
            "sample --input bad --workers 2",
            8,
            [
                "b.avi: ends after 2.3 s of 5.0 s, 1 damaged packet",
                "failed: bad/text.mp4 is not a video: its content is of no known video format",
                "failed: bad/b.avi: ends after 2.3 s of 5.0 s, 1 damaged packet",
            ],
        ),
    ],
)
def test_a_fresh_process_says_the_same(at, words, code, err):
    workspace = at("uploaded")
    (workspace / "bad").mkdir()
    bad_files.text_file(workspace / "bad/text.mp4")
    bad_files.text_file(workspace / "text.onnx")
    bad_files.video(workspace / "bad/a.mp4", first_scene=90)
    bad_files.cut_off(workspace / "bad/b.avi", 23, first_scene=95)
    before = workspace.content()
    ended = workspace.fresh(*words.split())
    assert (ended.code, ended.err) == (code, err)
    after = workspace.content()
    if code == 8:
        assert ended.out.count("frames kept: 8\n") == 1
        assert {name: after[name] for name in before if isinstance(before[name], str)} == {
            name: value for name, value in before.items() if isinstance(value, str)
        }
    else:
        assert (ended.out, after) == ("", before)


def test_the_numbered_scripts_say_the_same(at):
    workspace = at("sampled")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/01_sample_frames.py"), "--input", "nowhere/", "--output", "frames/"],
        cwd=workspace.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "error: nowhere is not there\nhint: put videos there, or name another --input\n"


def test_an_error_for_a_program(at):
    workspace = at("sampled")
    bad_files.text_file(workspace / "text.mp4")
    ended = workspace.run("sample", "--input", "text.mp4", "--json")
    assert (ended.code, ended.out) == (4, "")
    assert json.loads(ended.err[0]) == {
        "error": "text.mp4 is not a video: its content is of no known video format",
        "hint": "",
        "code": 4,
    }
