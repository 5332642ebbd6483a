"""Whatever happens in the middle of a command, the same command again ends where an undisturbed one ends."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from command_server import Commands, Ended
from loop_state import State, differences, leftovers, state_of

from data_engine.app.engine import open_engine
from data_engine.cli.progress import make_progress
from data_engine.demo.footage import CLASSES, Footage, make_footage
from data_engine.demo.people import work
from data_engine.types import Frame

MODEL = "models/shared.onnx"
SETTINGS = """
[sample]
method = "interval"
interval = 1.0
workers = 1
[filter]
budget = 4
[upload]
job_size = 2
[export]
valid_fraction = 0.5
block = 2.0
guard = 0.0
[retrain]
kind = "yolo"
size = "tiny"
image_size = 96
epochs = 2
batch = 4
"""
PEOPLE = ("people",)
"""Not a command: all open jobs are annotated and accepted."""
LOOP: tuple[tuple[str, ...], ...] = (
    ("init", ".", "--classes", ",".join(CLASSES)),
    ("sample",),
    ("filter",),
    ("upload",),
    ("review", "submit", "1", "--by", "ann"),
    ("review", "reject", "1", "--reason", "a box is missing", "--by", "rev"),
    ("review", "submit", "1", "--by", "ann"),
    ("review", "accept", "1", "--by", "rev"),
    PEOPLE,
    ("export",),
    ("convert",),
    ("filter", "--model", MODEL),
    ("preannotate", "--model", MODEL),
    ("upload", "--job-size", "1", "--task-size", "2", "--assignee", "ann", "--assignee", "bob"),
    PEOPLE,
    ("export", "--output", "elsewhere/dataset.json"),
    ("convert",),
)
"""Two rounds."""
INIT, SAMPLE, ROUND_0, EXPORT, CONVERT, FILTER, UPLOAD, EXPORT_2, CONVERT_2 = 0, 1, 2, 9, 10, 11, 13, 15, 16


def cases(*numbers: int) -> pytest.MarkDecorator:
    """Run a test with these commands of the loop."""
    named = [pytest.param(number, id=f"{number}-{'-'.join(LOOP[number][:2])}") for number in numbers]
    return pytest.mark.parametrize("number", named)


class Loop:
    """The loop, walked without disturbance as far as somebody asked; a copy of the workspace after each command."""

    def __init__(self, folder: Path, commands: Commands, model: Path) -> None:
        self._folder = folder
        self._commands = commands
        self._states: list[State] = []
        empty = self._before(0)
        make_footage(empty / "videos_raw", seed=3, cameras=2, seconds=8, fps=Fraction(1), size=(192, 144))
        (empty / "models").mkdir()
        shutil.copyfile(model, empty / MODEL)

    def _before(self, number: int) -> Path:
        return self._folder / f"before {number}"

    def before(self, number: int, target: Path) -> Path:
        """A copy of the workspace as it is before the command of that number."""
        self.after(number - 1)
        if target.exists():
            shutil.rmtree(target)
        return Path(shutil.copytree(self._before(number), target))

    def after(self, number: int) -> State:
        """What the command of that number leaves when nothing disturbs it."""
        while len(self._states) <= number:
            here = len(self._states)
            if LOOP[here][:2] == ("review", "submit"):
                annotate(self._before(here))
            workspace = Path(shutil.copytree(self._before(here), self._before(here + 1), dirs_exist_ok=True))
            if LOOP[here] == PEOPLE:
                people(workspace)
            else:
                well(self._commands.run(workspace, *LOOP[here]))
            assert not leftovers(workspace)
            self._states.append(state_of(workspace))
            if here == INIT:
                with (workspace / "dataengine.toml").open("a", encoding="utf-8") as file:
                    file.write(SETTINGS)
        return self._states[number] if number >= 0 else {}


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands() as running:
        yield running


@pytest.fixture(scope="module")
def loop(tmp_path_factory, commands, shared) -> Loop:
    return Loop(tmp_path_factory.mktemp("loop") / "Schleife (ü)", commands, shared / "models" / "rfdetr_tiny.onnx")


def well(ended: Ended) -> Ended:
    assert ended.code == 0, f"{ended.code}: {ended.err}"
    return ended


def same(expected: State, found: State, told: str = "") -> None:
    """Refuse another state, saying how it differs."""
    different = differences(expected, found)
    if different:
        pytest.fail("\n".join([told, *different]), pytrace=False)


def people(workspace: Path) -> None:
    """The ground truth plays annotators and reviewer."""
    with open_engine(workspace, workspace=workspace, progress=make_progress(quiet=True), environ={}) as engine:
        seen = Footage.load(workspace / "videos_raw")

        def truth(frame: Frame):
            clip = next(clip for clip in seen.clips if frame.name.startswith(clip.name))
            return seen.boxes_at(clip.name, frame.time_s)

        work(engine, truth, annotator="ann", reviewer="rev")


def annotate(workspace: Path) -> None:
    """Draw one more box on every picture of the first job, as an annotator would in its file."""
    file = workspace / "annotation/tasks/1/jobs/1/annotations.json"
    document = json.loads(file.read_text("utf-8"))
    drawn = document["annotations"]
    for image in document["images"]:
        size = 10 + 5 * len(drawn)
        drawn.append({"id": len(drawn) + 1, "image_id": image["id"], "category_id": 1, "bbox": [5, 5, size, size]})
    file.write_text(json.dumps(document), "utf-8")


# --- SIGKILL --------------------------------------------------------------------------------------------------------


@pytest.mark.required
@cases(*(number for number, words in enumerate(LOOP) if words != PEOPLE))
def test_killed_before_any_step(loop, commands, tmp_path, number):
    """SIGKILL before every single change that a command makes, and now and then once more on the way back."""
    words, expected = LOOP[number], loop.after(number)
    taken = well(commands.run(loop.before(number, tmp_path / "ws"), *words)).steps
    assert len(taken) > 3
    draw = random.Random(number)
    for step, what in enumerate(taken, 1):
        workspace = loop.before(number, tmp_path / "ws")
        assert commands.run(workspace, *words, fault="SIGKILL", step=step).code == -signal.SIGKILL
        if draw.random() < 0.2:
            commands.run(workspace, *words, fault="SIGKILL", step=draw.randint(1, len(taken)))
        well(commands.run(workspace, *words))
        same(expected, state_of(workspace), f"killed before step {step}: {what}")


@pytest.mark.required
def test_another_choice_after_a_killed_one(loop, commands, tmp_path):
    """The folder of chosen pictures belongs to one choice, also when the one before it was cut off."""
    smaller = (*LOOP[FILTER], "--budget", "2")
    workspace = loop.before(FILTER, tmp_path / "ws")
    well(commands.run(workspace, *smaller))
    expected = _files(workspace)
    taken = commands.run(loop.before(FILTER, tmp_path / "ws"), *LOOP[FILTER]).steps
    first = next(number for number, step in enumerate(taken) if "hard" in step)
    for step in range(first + 1, len(taken) + 1, 2):
        workspace = loop.before(FILTER, tmp_path / "ws")
        assert commands.run(workspace, *LOOP[FILTER], fault="SIGKILL", step=step).code == -signal.SIGKILL
        well(commands.run(workspace, *smaller))
        same(expected, _files(workspace), f"killed before step {step}: {taken[step - 1]}")


def _files(workspace: Path) -> State:
    return {name: content for name, content in state_of(workspace).items() if name.startswith("file ")}


@pytest.mark.required
def test_a_killed_walk(loop, commands, tmp_path):
    """``run`` from videos to tasks."""
    workspace = loop.before(SAMPLE, tmp_path / "ws")
    taken = well(commands.run(workspace, "run")).steps
    expected = _ended(state_of(workspace))
    for step in sorted(random.Random(1).sample(range(1, len(taken) + 1), 16)):
        workspace = loop.before(SAMPLE, tmp_path / "ws")
        assert commands.run(workspace, "run", fault="SIGKILL", step=step).code == -signal.SIGKILL
        well(commands.run(workspace, "run"))
        same(expected, _ended(state_of(workspace)), f"killed before step {step}: {taken[step - 1]}")


def _ended(state: State) -> State:
    """A state in which every run has ended: a walk does not come back to one that lacked nothing but that word."""
    return {**state, "table runs": [row.replace('"running"', '"done"') for row in state["table runs"]]}


@dataclass(frozen=True)
class Trained:
    state: State
    model: Path
    """The folder of the training."""


@pytest.fixture(scope="module")
def trainer() -> Iterator[Commands]:
    pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    with Commands(trains=True) as running:
        yield running


@pytest.fixture(scope="module")
def trained(loop, trainer, tmp_path_factory) -> Trained:
    """What ``run`` does from accepted jobs over a training to new tasks."""
    workspace = loop.before(EXPORT, tmp_path_factory.mktemp("trained") / "ws")
    well(trainer.run(workspace, "run"))
    (result,) = workspace.glob("models/yolo/*/result.json")
    return Trained(state_of(workspace), result.parent)


@pytest.mark.required
def test_a_killed_walk_over_a_training(loop, commands, trained, tmp_path):
    """``run`` again, killed on the way; the training itself, which takes long, is there already as it would be."""

    def prepared() -> Path:
        workspace = loop.before(EXPORT, tmp_path / "ws")
        shutil.copytree(trained.model, workspace / "models" / "yolo" / trained.model.name)
        return workspace

    workspace = prepared()
    steps = dict(enumerate(well(commands.run(workspace, "run")).steps, 1))
    same(trained.state, state_of(workspace))
    # Most of the commits, after which a walk goes on elsewhere, and some of the rest.
    draw = random.Random(2)
    drawn = set(draw.sample([number for number, step in steps.items() if step == "commit"], 14))
    drawn |= {number for number, step in steps.items() if "yolo_best" in step} | set(draw.sample(sorted(steps), 3))
    for number in sorted(drawn):
        workspace = prepared()
        assert commands.run(workspace, "run", fault="SIGKILL", step=number).code == -signal.SIGKILL
        well(commands.run(workspace, "run"))
        same(trained.state, _ended(state_of(workspace)), f"killed before step {number}: {steps[number]}")


@pytest.mark.required
def test_a_killed_training(loop, trainer, tmp_path):
    """``retrain``, killed at a random time, then before its result is complete, then left alone."""
    workspace = loop.before(CONVERT + 1, tmp_path / "ws")
    expected, seconds = undisturbed(loop.before(CONVERT + 1, tmp_path / "reference"), "retrain")
    with started(workspace, "retrain") as process:
        begins(workspace, "retrain", 1)
        time.sleep(random.Random(3).uniform(0.0, seconds))
        kill(process)
    assert trainer.run(workspace, "retrain", fault="SIGKILL", step="result.json").code == -signal.SIGKILL
    well(trainer.run(workspace, "retrain"))
    same(expected, state_of(workspace))


@pytest.mark.required
def test_workers_killed_with_their_parent_or_after_it(loop, tmp_path):
    """``sample`` with worker processes: the group, then the parent alone, killed at random times until one finishes."""
    words = (*LOOP[SAMPLE], "--workers", "2")
    expected, seconds = undisturbed(loop.before(SAMPLE, tmp_path / "reference"), *words)
    workspace = loop.before(SAMPLE, tmp_path / "ws")
    draw = random.Random(4)
    for attempt in range(5):
        with started(workspace, *words) as process:
            begins(workspace, "sample", attempt + 1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0.0, seconds))
            if process.poll() is not None:
                break
            kill(process, group=attempt % 2 == 0)
            nobody_left(workspace)
    with started(workspace, *words) as process:
        assert process.wait(60) == 0
    same(expected, state_of(workspace))


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


@pytest.mark.required
@cases(SAMPLE, ROUND_0, FILTER)
def test_interrupted_before_any_step(loop, commands, tmp_path, number):
    """Ctrl-C: code 130, one line that says how to go on, no temporary file, and the next run ends as it should."""
    words, expected = LOOP[number], loop.after(number)
    taken = commands.run(loop.before(number, tmp_path / "ws"), *words).steps
    for step, what in list(enumerate(taken, 1))[:: 1 + len(taken) // 12]:
        workspace = loop.before(number, tmp_path / "ws")
        ended = commands.run(workspace, *words, fault="SIGINT", step=step)
        assert ended.code == 130, f"interrupted before step {step}: {what}: {ended}"
        assert ended.err.splitlines()[-1] == "interrupted; run the same command again to go on"
        assert "Traceback" not in ended.err
        assert leftovers(workspace) == []
        well(commands.run(workspace, *words))
        same(expected, state_of(workspace), f"interrupted before step {step}: {what}")


@pytest.mark.required
@pytest.mark.parametrize(
    ("number", "options"), [(SAMPLE, ("--workers", "2")), (FILTER, ())], ids=["sample-with-workers", "filter"]
)
def test_interrupted_at_a_random_time(loop, tmp_path, number, options):
    """Ctrl-C as a terminal sends it: to the whole group."""
    words = (*LOOP[number], *options)
    expected, seconds = undisturbed(loop.before(number, tmp_path / "reference"), *words)
    workspace = loop.before(number, tmp_path / "ws")
    before = begun(workspace, words[0])
    with started(workspace, *words) as process:
        begins(workspace, words[0], before + 1)
        time.sleep(random.Random(number).uniform(0.0, seconds / 2))
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
        told = process.stderr.read()
    assert told.splitlines()[-1] == "interrupted; run the same command again to go on"
    assert "Traceback" not in told
    nobody_left(workspace)
    assert leftovers(workspace) == []
    with started(workspace, *words) as process:
        assert process.wait(60) == 0
    same(expected, state_of(workspace))


# --- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Callable[[int], Path]]:
    """Makes a disk of so many bytes."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        folder = tmp_path / f"disk {len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@cases(SAMPLE, FILTER, UPLOAD, EXPORT_2, CONVERT_2)
def test_a_full_disk(loop, commands, small_disk, number):
    """With a little more room each time, until there is enough: always a clear error, and never anything lost."""
    words, expected = LOOP[number], loop.after(number)
    disk = small_disk(32 << 20)
    filler = disk / "filler"
    failed = 0
    for free in range(0, 2 << 20, 28 << 10):
        workspace = loop.before(number, disk / "ws")
        filler.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - free))
        ended = commands.run(workspace, *words)
        if ended.code == 0:
            break
        failed += 1
        full(ended)
        assert leftovers(workspace) == []
        filler.unlink()
        well(commands.run(workspace, *words))
        same(expected, state_of(workspace), f"{free} bytes were free")
    assert ended.code == 0
    assert failed > 1
    same(expected, state_of(workspace))


@pytest.mark.required
@cases(SAMPLE, FILTER, EXPORT)
def test_a_file_that_may_not_grow(loop, commands, tmp_path, number):
    """The same where nothing can be mounted: no file may grow beyond a limit, the database no more than pictures."""
    words, expected = LOOP[number], loop.after(number)
    for limit in (1, 2 << 10, 8 << 10, 32 << 10, 100 << 10):
        workspace = loop.before(number, tmp_path / "ws")
        ended = commands.run(workspace, *words, file_limit=limit)
        if ended.code != 0:
            full(ended)
        assert leftovers(workspace) == []
        well(commands.run(workspace, *words))
        same(expected, state_of(workspace), f"no file beyond {limit} bytes")


def full(ended: Ended) -> None:
    assert ended.code == 1, ended.err
    *_, message, hint = ended.err.splitlines()
    assert message.startswith("error: the disk is full: "), ended.err
    assert hint == "hint: free some space and run the same command again"
    assert "Traceback" not in ended.err


# --- two at once ----------------------------------------------------------------------------------------------------


@pytest.mark.required
@cases(*(number for number, words in enumerate(LOOP) if words[0] not in ("people", "review")))
def test_two_at_once(loop, commands, tmp_path, number):
    """The same command twice at the same moment."""
    words, expected = LOOP[number], loop.after(number)
    for _time in range(3):
        workspace = loop.before(number, tmp_path / "ws")
        for ended in commands.together(workspace, words, words):
            well(ended)
        same(expected, state_of(workspace))


# --- processes ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(workspace: Path, *words: str) -> Iterator[subprocess.Popen]:
    """The real command in a process group of its own."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-m", "data_engine", *words],
        cwd=workspace,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def kill(process: subprocess.Popen, *, group: bool = True) -> None:
    """Kill it, or its whole group; a run that was quicker than the killer has ended by itself and nobody is left."""
    if group:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def undisturbed(workspace: Path, *words: str) -> tuple[State, float]:
    """What the real command leaves, and the seconds it takes once Python has started."""
    before = begun(workspace, words[0])
    with started(workspace, *words) as process:
        begins(workspace, words[0], before + 1)
        began = time.monotonic()
        assert process.wait(120) == 0
    return state_of(workspace), time.monotonic() - began


def begun(workspace: Path, command: str) -> int:
    """How often a command began here, by its log."""
    return sum(
        file.read_text("utf-8").count('"message": "started"') for file in workspace.glob(f"logs/{command}-*.jsonl")
    )


def begins(workspace: Path, command: str, time_: int) -> None:
    wait_for(lambda: begun(workspace, command) >= time_)


def nobody_left(workspace: Path) -> None:
    """No process works in the folder any more."""

    def found() -> list[str]:
        here = []
        for entry in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if entry.readlink() == workspace.resolve():
                    here.append(entry.parent.name)
        return here

    wait_for(lambda: not found())


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)
