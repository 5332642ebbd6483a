"""Retrain's settings, and the measuring of a detector on a labelled split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError

from data_engine.errors import DamagedInputError, UsageError
from data_engine.metrics.coco import TrueBoxes
from data_engine.metrics.splits import LabelledImage, LabelledSplit
from data_engine.settings import load
from data_engine.stages.retrain import RetrainSettings, evaluate_on, retrain
from data_engine.trainers.options import TrainOptions
from data_engine.types import Detections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COLOURS = {"person": (255, 0, 0), "helmet": (0, 255, 0)}
NAMES = tuple(COLOURS)


class Silent:
    def __init__(self) -> None:
        self.advanced = 0

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None:
        self.advanced += amount

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


class ColourDetector:
    """Finds the rectangle of each class by its colour; exact on drawn pictures."""

    kind = "yolo"
    device = "cpu"

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.class_names = class_names
        self.most = 0

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.most = max(self.most, len(images))
        return [self._seen(image) for image in images]

    def _seen(self, image: NDArray[np.uint8]) -> Detections:
        boxes, rows = [], []
        for column, name in enumerate(self.class_names):
            ys, xs = np.nonzero((image == COLOURS[name]).all(axis=2))
            if len(xs):
                boxes.append((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
                rows.append([0.9 if other == column else 0.0 for other in range(len(self.class_names))])
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(rows).reshape(-1, len(NAMES)))


def split_of(folder: Path, count: int = 3, missing: int = 0, names: tuple[str, ...] = NAMES) -> LabelledSplit:
    """Pictures with a person each, drawn; no helmet."""
    images = []
    for number in range(count):
        path = folder / f"Bild {number}.png"
        picture = Image.new("RGB", (64, 48))
        ImageDraw.Draw(picture).rectangle((5, 5, 24 + number, 30), fill=COLOURS["person"])
        picture.save(path)
        boxes = TrueBoxes.of([(5, 5, 25 + number, 31)], [names.index("person")])
        images.append(LabelledImage(path.name, path, (64, 48), boxes))
    return LabelledSplit(names, tuple(images), missing)


def test_the_defaults_are_the_trainers_own() -> None:
    assert TrainOptions.of(RetrainSettings().options()) == TrainOptions()


def test_extra_settings_are_read_as_json_else_as_text() -> None:
    settings = RetrainSettings(extra=("mosaic=0.5", "cos_lr=true", "optimizer=SGD", "freeze=[0, 1]", "name = a=b"))
    assert settings.options()["extra"] == {
        "mosaic": 0.5,
        "cos_lr": True,
        "optimizer": "SGD",
        "freeze": [0, 1],
        "name": " a=b",
    }


@pytest.mark.parametrize("text", ["mosaic", "=1", " =1"])
def test_an_extra_setting_without_a_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not name=value"):
        RetrainSettings(extra=(text,)).options()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "ssd"},
        {"epochs": 0},
        {"batch": 0},
        {"image_size": 100},
        {"image_size": 32},
        {"learning_rate": 0},
        {"device": "gpu"},
        {"device": "cuda:0,"},
        {"rare": "often"},
        {"augment": {"hflip": 1.5}},
        {"augment": {"blur": 0.5}},
        {"augment": "no JSON"},
        {"trackers": {"clearml": "on"}},
        {"threads": 0},
        {"seed": -1},
        {"colour": "red"},
    ],
)
def test_settings_out_of_bounds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RetrainSettings(**change)


def test_a_detector_with_its_classes_in_another_order_is_measured_by_name(tmp_path: Path) -> None:
    detector = ColourDetector(tuple(reversed(NAMES)))
    metrics = evaluate_on(split_of(tmp_path), detector, NAMES, Silent())
    assert metrics["ap_per_class"] == {"person": 1.0, "helmet": None}
    assert (metrics["map"], metrics["images"], metrics["boxes"]) == (1.0, 3, 3)


def test_a_class_without_a_true_box_and_lost_pictures_are_told(tmp_path: Path) -> None:
    metrics = evaluate_on(split_of(tmp_path, missing=2), ColourDetector(NAMES), NAMES, Silent())
    assert metrics["notes"] == [
        "no validation picture has a box of helmet: no average precision for it",
        "2 labelled validation pictures are not in the folder and were left out",
    ]


def test_without_validation_pictures_there_is_no_number_but_a_note() -> None:
    metrics = evaluate_on(LabelledSplit(NAMES, ()), None, NAMES, Silent())
    assert (metrics["map"], metrics["map50"], metrics["images"]) == (None, None, 0)
    assert metrics["notes"] == ["there are no validation pictures: the model was not measured"]


def test_pictures_are_handed_over_a_few_at_a_time(tmp_path: Path) -> None:
    detector, progress = ColourDetector(NAMES), Silent()
    assert evaluate_on(split_of(tmp_path, count=35), detector, NAMES, progress)["images"] == 35
    assert (detector.most, progress.advanced) == (16, 35)


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    others = split_of(tmp_path, names=("person", "no-helmet"))
    with pytest.raises(DamagedInputError, match="the exported model names the classes helmet, person"):
        evaluate_on(others, ColourDetector(("helmet", "person")), ("person", "no-helmet"), Silent())
    with pytest.raises(DamagedInputError, match="the validation pictures have the classes person, helmet"):
        evaluate_on(split_of(tmp_path), ColourDetector(NAMES), ("person",), Silent())


def test_a_trainer_of_another_kind_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    from data_engine.trainers.yolo import YoloTrainer

    with pytest.raises(ValueError, match="a trainer of yolo was handed in to train rfdetr"):
        retrain(
            tmp_path,
            tmp_path,
            RetrainSettings(kind="rfdetr"),
            trainer=YoloTrainer(),
            open_detector=lambda path, names: ColourDetector(names),
            progress=Silent(),
        )


def test_what_the_model_does_not_depend_on_makes_no_other_training() -> None:
    def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
        return RetrainSettings(**first).fingerprint() == RetrainSettings(**second).fingerprint()

    assert same({"weights": "a.pt"}, {"weights": "b.pt"})
    assert same({"device": "cpu", "workers": 0}, {"device": "cpu", "workers": 8})
    assert same({"checkpoint_seconds": 0, "trackers": {"wandb": "project"}, "promote": False}, {})
    assert same({"rare_share": 0.2}, {"rare_share": 0.3})
    assert not same({"rare": "repeat", "rare_share": 0.2}, {"rare": "repeat", "rare_share": 0.3})
    assert not same({"augment": {"hflip": 0.0}}, {})
    assert not same({"device": "cuda", "workers": 0}, {"device": "cuda", "workers": 8})
    assert not same({"threads": 1}, {"threads": 2})


def test_sections_of_retrain_reach_the_trainer_as_what_was_given(tmp_path: Path) -> None:
    file = tmp_path / "dataengine.toml"
    file.write_text('[retrain.augment]\nhflip = 0\nhue = 0.1\n[retrain.trackers]\nmlflow = "runs"\n')
    options = load(file, {}).retrain.options()
    assert (options["augment"], options["trackers"]) == ({"hflip": 0.0, "hue": 0.1}, {"mlflow": "runs"})
    assert "promote" not in options
    given = load(
        None, {"DATAENGINE_RETRAIN_AUGMENT": '{"rotate": 10}', "DATAENGINE_RETRAIN_DEVICE": "cuda:0,1"}
    ).retrain
    assert (given.augment.chosen(), given.device) == ({"rotate": 10.0}, "cuda:0,1")
    with pytest.raises(UsageError, match=r"retrain\.augment\.hflip"):
        load(None, {}, {"retrain": {"augment": {"hflip": 2}}})
