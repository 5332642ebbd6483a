"""A trainer's output folder, and libraries that talk."""

from __future__ import annotations

import errno
import json
import logging
import signal
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from data_engine.errors import StorageFullError
from data_engine.metrics.splits import LabelledSplit
from data_engine.trainers.options import TrainOptions
from data_engine.trainers.quiet import talking_to
from data_engine.trainers.workdir import WorkDir, link
from data_engine.types import TrainedModel

if TYPE_CHECKING:
    from pathlib import Path

TRAINED = TrainedModel("yolo", "model.pt", "model.onnx", ("person", "Schutzhelm"), {}, 3)


def work_in(output: Path, **options: int) -> WorkDir:
    empty = LabelledSplit(("person",), ())
    return WorkDir.of(output, "yolo", "1", (empty, empty), TrainOptions(**options), None)


def filled(work: WorkDir) -> WorkDir:
    work.begin()
    sources = {name: work.scratch / f"from {name}" for name in ("model.pt", "model.onnx")}
    for name, source in sources.items():
        source.write_text(name)
    work.finish(TRAINED, sources)
    return work


def test_a_finished_folder_gives_its_model_back_for_the_same_request_only(tmp_path: Path) -> None:
    assert work_in(tmp_path).finished() is None
    filled(work_in(tmp_path))
    assert work_in(tmp_path).finished() == TRAINED
    assert work_in(tmp_path, seed=1).finished() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.pt", "result.json"]


@pytest.mark.parametrize("damage", ["changed", "gone", "cut"])
def test_a_folder_that_was_changed_afterwards_is_not_finished(damage: str, tmp_path: Path) -> None:
    work = filled(work_in(tmp_path))
    if damage == "changed":
        (tmp_path / "model.onnx").write_text("something else")
    elif damage == "gone":
        (tmp_path / "model.pt").unlink()
    else:
        text = (tmp_path / "result.json").read_text("utf-8")
        (tmp_path / "result.json").write_text(text[: len(text) // 2], "utf-8")
    assert work.finished() is None


def test_beginning_takes_the_mark_of_completeness_away_and_keeps_what_the_same_training_left(tmp_path: Path) -> None:
    work = filled(work_in(tmp_path))
    (tmp_path / "a person's notes.txt").write_text("stay")
    work.begin()
    (work.scratch / "state.pt").write_text("of a killed training")
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    work.begin()
    assert not (tmp_path / "result.json").exists()
    assert (work.scratch / "state.pt").read_text() == "of a killed training"
    assert (tmp_path / "metrics.jsonl").exists()

    # Another training in the same place begins with nothing.
    other = work_in(tmp_path, seed=1)
    other.begin()
    assert not (other.scratch / "state.pt").exists()
    assert not (tmp_path / "metrics.jsonl").exists()
    assert (tmp_path / "a person's notes.txt").read_text() == "stay"


def test_what_lay_in_the_scratch_folder_of_an_unknown_training_goes(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    work.scratch.mkdir()
    (work.scratch / "state.pt").write_text("whose?")
    work.begin()
    assert not (work.scratch / "state.pt").exists()


def test_the_library_s_settings_are_kept_without_the_folder_where_they_were(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    work.begin()
    work.write_arguments({"lr0": 0.01, "data": str(tmp_path.resolve() / ".training/data.yaml"), "project": tmp_path})
    kept = json.loads((tmp_path / "arguments.json").read_text("utf-8"))
    assert kept == {"data": ".training/data.yaml", "lr0": 0.01, "project": str(tmp_path)}


def test_the_result_names_the_classes_as_text(tmp_path: Path) -> None:
    filled(work_in(tmp_path))
    record = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert (record["class_names"], record["epochs"]) == (["person", "Schutzhelm"], 3)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFullError, match="the disk is full: the training in"), work_in(tmp_path).translated():
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"), work_in(tmp_path).translated():
        raise RuntimeError("a bug")


def test_a_linked_folder_shows_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.jpg").write_text("a")
    link(tmp_path / "pictures", tmp_path / "deep/er/images")
    assert (tmp_path / "deep/er/images/a.jpg").read_text() == "a"
    link(tmp_path / "pictures/a.jpg", tmp_path / "one.jpg")
    assert (tmp_path / "one.jpg").read_text() == "a"


def test_what_a_library_says_goes_to_the_file_and_everything_is_put_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("a.talking.library")
    handler = logging.StreamHandler(sys.stdout)
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    with talking_to(tmp_path / "log", "a.talking.library"):
        print("printed")
        print("\r 10 %", end="")
        logger.info("logged")
        warnings.warn("warned", stacklevel=1)
    assert (tmp_path / "log").read_text().splitlines() == ["printed", "logged", "UserWarning: warned"]
    assert capfd.readouterr() == ("", "")
    assert (logger.handlers, logger.propagate, logger.level) == ([handler], True, logging.ERROR)
    logger.removeHandler(handler)


def leave_deaf() -> None:
    """What Lightning does when it is interrupted."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(1)


def test_an_interrupt_that_a_library_turned_into_an_exit_is_an_interrupt_again(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), talking_to(tmp_path / "log"):
        leave_deaf()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(SystemExit), talking_to(tmp_path / "log"):
        sys.exit(3)


def test_processes_that_load_pictures_for_a_gpu_are_no_part_of_a_training_on_a_cpu(tmp_path: Path) -> None:
    empty = LabelledSplit(("person",), ())

    def request(device: str, workers: int) -> str:
        return WorkDir.of(
            tmp_path, "yolo", "1", (empty, empty), TrainOptions(device=device, workers=workers), None
        ).request

    assert request("cpu", 0) == request("cpu", 4)
    assert request("cuda", 0) != request("cuda", 4)
