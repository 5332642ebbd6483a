"""``simulate`` from a labelled file to its report, with models that are really trained, if only for a moment."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_engine import registry
from data_engine.app.engine import Engine, open_engine
from data_engine.app.init import init
from data_engine.app.selection.simulate import simulate
from data_engine.app.selection.simulate_arms import _sweep
from data_engine.app.selection.simulate_data import from_coco
from data_engine.cli.progress import SilentProgress
from data_engine.errors import MissingInputError, UsageError
from data_engine.types import Report

SETTINGS = {
    "simulate": {"strategies": ("diversity",), "rounds": 2, "initial": 6, "step": 4, "seeds": 1, "passes": 6},
    "retrain": {"size": "tiny", "image_size": 64, "batch": 2, "device": "cpu"},
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen pictures to choose from and six to measure on; one in three has a small green thing."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number in range(24):
        picture = rng.integers(90, 130, (64, 96, 3), np.uint8)
        things = [
            (1, 10, 10, 24, 30, (200, 40, 40)),
            *([(2, 60, 30, 14, 14, (40, 200, 40))] if number % 3 == 0 else []),
        ]
        for category, x, y, w, h, colour in things:
            x, y = x + int(rng.integers(0, 12)), y + int(rng.integers(0, 12))
            picture[y : y + h, x : x + w] = colour
            boxes.append({"id": len(boxes) + 1, "image_id": number + 1, "category_id": category, "bbox": [x, y, w, h]})
        cv2.imwrite(str(folder / f"images/{number:02}.png"), picture[:, :, ::-1])
        split = "train" if number < 18 else "val"
        images.append({"id": number + 1, "file_name": f"{number:02}.png", "width": 96, "height": 64, "split": split})
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]
    (folder / "instances.json").write_text(
        json.dumps({"images": images, "annotations": boxes, "categories": categories}), "utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ws")
    init(folder, classes=("red", "green"), progress=SilentProgress())
    return folder


def opened(workspace: Path, **simulated: object) -> Engine:
    overrides = {**SETTINGS, "simulate": {**SETTINGS["simulate"], **simulated}}
    return open_engine(workspace, workspace=workspace, overrides=overrides, progress=SilentProgress(), environ={})


@pytest.fixture(scope="module")
def played(workspace: Path, labelled: Path) -> Iterator[Report]:
    with opened(workspace) as engine:
        yield simulate(engine, coco=labelled / "instances.json", images=labelled / "images", output=workspace / "p.csv")


def test_the_report_compares_with_random(played: Report) -> None:
    assert played.data["recommended"] == "random", "one seed shows nothing"
    assert (played.data["pool"], played.data["test"], played.data["rarest_class"]) == (18, 6, "green")
    assert [row["strategy"] for row in played.rows] == ["random", "diversity"]


def test_every_model_is_a_line_of_the_file(played: Report, workspace: Path) -> None:
    rows = list(csv.DictReader((workspace / "p.csv").open(newline="")))
    assert [(row["strategy"], row["round"], row["frames"]) for row in rows] == [
        ("random", "0", "6"), ("random", "1", "10"), ("diversity", "0", "6"), ("diversity", "1", "10"),
    ]  # fmt: skip
    assert rows[0]["boxes"] == rows[2]["boxes"]


def test_nothing_is_trained_twice_and_nothing_is_left_over(
    played: Report, workspace: Path, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = registry.load

    def no_trainer(port: str, name: str) -> object:
        assert port != "trainer", "it would be trained again"
        return real(port, name)

    monkeypatch.setattr(registry, "load", no_trainer)
    with opened(workspace) as engine:
        again = simulate(engine, coco=labelled / "instances.json", images=labelled / "images")
    assert again.rows == played.rows
    kept = [path.name for path in (workspace / ".dataengine/simulations").iterdir()]
    assert len(kept) == 3
    assert all(name.endswith(".npz") for name in kept)


def test_what_can_not_be_replayed(workspace: Path, labelled: Path, tmp_path: Path) -> None:
    file, images = labelled / "instances.json", labelled / "images"
    with opened(workspace) as engine:
        with pytest.raises(MissingInputError, match="nothing was accepted yet"):
            simulate(engine)
        with pytest.raises(UsageError, match="--images are the pictures of a labelled file"):
            simulate(engine, images=images)
        with pytest.raises(MissingInputError):
            simulate(engine, coco=tmp_path / "none.json")
        with pytest.raises(MissingInputError):
            simulate(engine, coco=file, images=tmp_path)
    with opened(workspace, initial=15) as engine, pytest.raises(UsageError, match="18 pictures to choose from"):
        simulate(engine, coco=file, images=images)
    data = json.loads(file.read_text("utf-8"))
    (tmp_path / "empty.json").write_text(json.dumps({**data, "annotations": []}), "utf-8")
    with opened(workspace) as engine, pytest.raises(UsageError, match="no picture to choose from has a box"):
        simulate(engine, coco=tmp_path / "empty.json", images=images)


def test_pictures_are_found_in_the_folder_beside_the_file(labelled, tmp_path):
    with open_engine(tmp_path, progress=SilentProgress(), environ={}) as engine:
        found = from_coco(engine, labelled / "instances.json", None)
    assert len(found.pool) == 18
    assert len(found.test) == 6


def test_what_a_killed_training_left_is_swept_and_a_living_one_is_not(tmp_path):
    dead, living = tmp_path / "training-999999999-abc", tmp_path / f"training-{os.getpid()}-abc"
    for folder in (dead, living):
        folder.mkdir()
    _sweep(tmp_path)
    assert not dead.exists()
    assert living.exists()
