from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from data_engine.errors import DamagedInputError
from data_engine.ports import Prepared
from data_engine.stages.predict import PredictSettings, predict
from data_engine.storage.local import LocalStorage
from data_engine.types import Detections, Failed, Frame, FramePrediction


class Brightness:
    """A detector of one class whose score is the picture's mean brightness: enough to tell pictures apart."""

    kind = "yolo"
    class_names = ("bright",)
    device = "cpu"

    def __init__(self) -> None:
        self.groups: list[int] = []

    def prepare(self, image):
        return Prepared(image, image.shape[1], image.shape[0])

    def infer(self, prepared):
        self.groups.append(len(prepared))
        return [
            Detections(np.array([[0, 0, 1, 1]], np.float32), np.array([[each.pixels.mean() / 255]], np.float32))
            for each in prepared
        ]


class Steps:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def start(self, label, total, unit, *, done=0):
        self.told.append((label, total, unit))

    def advance(self, amount=1):
        self.told.append(amount)

    def note(self, text):
        self.told.append(text)

    def finish(self):
        self.told.append("finished")


class Counting(LocalStorage):
    """Counts the files that were asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def path(self, key: str) -> Path:
        self.asked.append(key)
        return super().path(key)


@pytest.fixture
def pictures(tmp_path) -> list[Frame]:
    """Twenty pictures, each brighter than the one before."""
    frames = []
    for number in range(20):
        name = f"bild {number:02} ü.png"
        picture = np.full((8, 12, 3), 10 * number, np.uint8)
        (tmp_path / name).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        frames.append(Frame(f"id{number}", name, name, 12, 8, "cam"))
    return frames


def run(frames, root, batch=4, detector=None, progress=None):
    detector = detector or Brightness()
    return predict(frames, detector, storage=LocalStorage(root), batch=batch, progress=progress or Steps())


def scores(outcomes) -> dict[str, float]:
    return {each.frame_id: round(float(each.detections.best[0]) * 255) for each in outcomes}


@pytest.mark.parametrize("batch", [1, 3, 4, 20, 50])
def test_one_outcome_a_frame_in_order(pictures, tmp_path, batch):
    detector = Brightness()
    outcomes = list(run(pictures, tmp_path, batch, detector))
    assert [outcome.frame_id for outcome in outcomes] == [frame.id for frame in pictures]
    assert list(scores(outcomes).values()) == [10 * number for number in range(20)]
    assert sum(detector.groups) == 20
    assert max(detector.groups) == min(batch, 20)


def test_frames_that_cannot_be_read(pictures, tmp_path):
    (tmp_path / pictures[2].key).write_text("no picture")
    (tmp_path / pictures[5].key).unlink()
    (tmp_path / pictures[6].key).write_bytes(b"")
    (tmp_path / pictures[7].key).write_bytes(cv2.imencode(".png", np.zeros((9, 12, 3), np.uint8))[1].tobytes())
    outcomes = list(run(pictures, tmp_path))
    assert len(outcomes) == 20
    failed = {number: outcome for number, outcome in enumerate(outcomes) if isinstance(outcome, Failed)}
    assert list(failed) == [2, 5, 6, 7]
    assert [each.input_id for each in failed.values()] == ["id2", "id5", "id6", "id7"]
    assert failed[7].reason == "bild 07 ü.png is 12 x 9, recorded as 12 x 8"
    for number in (2, 5, 6):
        assert "bild 0" in failed[number].reason
    rest = [each for each in outcomes if isinstance(each, FramePrediction)]
    assert scores(rest) == {f"id{number}": 10 * number for number in range(20) if number not in failed}


def test_a_batch_without_a_single_picture(pictures, tmp_path):
    for frame in pictures[4:8]:
        (tmp_path / frame.key).unlink()
    detector = Brightness()
    outcomes = list(run(pictures, tmp_path, 4, detector))
    assert [isinstance(each, Failed) for each in outcomes[4:8]] == [True] * 4
    assert detector.groups == [4] * 4


def test_no_frames(tmp_path):
    progress = Steps()
    assert list(run([], tmp_path, progress=progress)) == []
    assert progress.told == [("predict", 0, "frames"), "finished"]


def test_reads_ahead_one_batch_only(pictures, tmp_path):
    storage = Counting(tmp_path)
    outcomes = predict(pictures, Brightness(), storage=storage, batch=3, progress=Steps())
    for taken, _ in enumerate(outcomes, 1):
        begun = -(-taken // 3) * 3
        assert len(storage.asked) <= begun + 3
    assert sorted(storage.asked) == sorted(frame.key for frame in pictures)


def test_stopping_early_leaves_no_thread(pictures, tmp_path):
    progress = Steps()
    outcomes = run(pictures, tmp_path, progress=progress)
    next(outcomes)
    outcomes.close()
    assert progress.told == [("predict", 20, "frames"), 1, "finished"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_a_model_at_fault_ends_the_run(pictures, tmp_path):
    class Broken(Brightness):
        def infer(self, prepared):
            raise DamagedInputError("m.onnx answers with NaN")

    with pytest.raises(DamagedInputError, match="answers with NaN"):
        list(run(pictures, tmp_path, detector=Broken()))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_a_detector_that_loses_a_picture(pictures, tmp_path):
    class Losing(Brightness):
        def infer(self, prepared):
            return super().infer(prepared)[1:]

    with pytest.raises(RuntimeError, match="answered 3 of 4 pictures"):
        list(run(pictures, tmp_path, detector=Losing()))


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": 257}, {"speed": 1}])
def test_settings_out_of_bounds(wrong):
    with pytest.raises(ValidationError):
        PredictSettings(**wrong)
