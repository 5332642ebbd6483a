"""Training folders read back: boxes in pixels, what is missing counted, what is damaged named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.metrics.splits import read_split, read_training

if TYPE_CHECKING:
    from pathlib import Path


def picture(path: Path, width: int = 40, height: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    folder = tmp_path / "Größe mit Platz"
    picture(folder / "train/images/b.png")
    picture(folder / "train/images/a.png")
    (folder / "train/labels").mkdir()
    (folder / "train/labels/a.txt").write_text("1 0.5 0.5 0.5 0.5\n\n0 0.95 0.5 0.100001 1\n")
    (folder / "data.yaml").write_text('names:\n  0: "person"\n  1: "no"\n')
    return folder


@pytest.fixture
def rfdetr(tmp_path: Path) -> Path:
    folder = tmp_path / "rfdetr"
    picture(folder / "train/a.png")
    write_coco(folder)
    return folder


def write_coco(folder: Path, **changes: Any) -> None:
    content = {
        "images": [
            {"id": 7, "file_name": "b.png", "width": 40, "height": 20},
            {"id": 3, "file_name": "a.png", "width": 40, "height": 20},
        ],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 9, "bbox": [10, 5, 20, 10], "iscrowd": 0},
            {"id": 2, "image_id": 3, "category_id": 4, "bbox": [0, 0, 5, 5], "iscrowd": 1},
            {"id": 3, "image_id": 7, "category_id": 4, "bbox": [0, 0, 5, 5], "iscrowd": 0},
        ],
        "categories": [{"id": 9, "name": "no"}, {"id": 4, "name": "person"}],
    }
    (folder / "train/_annotations.coco.json").write_text(json.dumps({**content, **changes}))


def test_yolo_labels_become_pixels_and_a_picture_without_labels_is_background(yolo: Path) -> None:
    split = read_training("yolo", yolo)
    assert split.class_names == ("person", "no")
    assert [image.name for image in split.images] == ["a.png", "b.png"]
    assert (split.boxes, split.missing) == (2, 0)
    boxes = split.images[0].boxes
    # The second box was rounded outwards: it ends at the edge of its picture.
    np.testing.assert_allclose(boxes.xyxy, [(10, 5, 30, 15), (35.99998, 0, 40, 20)])
    assert boxes.classes.tolist() == [1, 0]
    assert len(split.images[1].boxes) == 0


def test_rfdetr_classes_are_numbered_by_ascending_id_and_lost_pictures_counted(rfdetr: Path) -> None:
    split = read_training("rfdetr", rfdetr)
    assert split.class_names == ("person", "no")
    assert ([image.name for image in split.images], split.missing) == (["a.png"], 1)
    boxes = split.images[0].boxes
    assert boxes.xyxy.tolist() == [[10, 5, 30, 15], [0, 0, 5, 5]]
    assert (boxes.classes.tolist(), boxes.crowd.tolist()) == ([1, 0], [False, True])


@pytest.mark.parametrize("kind", ["yolo", "rfdetr"])
def test_a_validation_side_that_is_not_there_is_empty(kind: str, request: pytest.FixtureRequest) -> None:
    split = read_split(kind, request.getfixturevalue(kind), "valid")
    assert (split.class_names, split.images) == (("person", "no"), ())


@pytest.mark.parametrize("kind", ["yolo", "rfdetr"])
def test_a_folder_of_something_else_names_what_is_missing_and_the_command(kind: str, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="is not there") as caught:
        read_training(kind, tmp_path)
    assert caught.value.hint == "dataengine convert"


def test_labels_whose_pictures_are_elsewhere_are_counted_in_the_error(yolo: Path) -> None:
    for path in (yolo / "train/images").iterdir():
        path.unlink()
    with pytest.raises(MissingInputError, match="has no training pictures: 1 are labelled, but not in the folder"):
        read_training("yolo", yolo)


def test_pictures_without_any_box_are_no_training_data(yolo: Path) -> None:
    (yolo / "train/labels/a.txt").write_text("")
    with pytest.raises(MissingInputError, match="have no box"):
        read_training("yolo", yolo)


def test_a_text_file_named_as_a_picture_is_named(yolo: Path) -> None:
    (yolo / "train/images/c.jpg").write_text("not a picture")
    with pytest.raises(DamagedInputError, match=r"c\.jpg is not a picture that can be decoded"):
        read_training("yolo", yolo)


def test_a_damaged_label_line_is_named(yolo: Path) -> None:
    (yolo / "train/labels/b.txt").write_text("0 0.5 0.5 0.1 0.1\n7 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DamagedInputError, match=r"b\.txt: line 2 has the class '7'"):
        read_training("yolo", yolo)


def test_a_picture_name_that_climbs_is_refused(rfdetr: Path) -> None:
    write_coco(rfdetr, images=[{"id": 3, "file_name": "../../a.png", "width": 40, "height": 20}], annotations=[])
    with pytest.raises(DamagedInputError, match="climbs out of its folder"):
        read_training("rfdetr", rfdetr)


@pytest.mark.parametrize("kind", ["yolo", "rfdetr"])
def test_the_digest_follows_pictures_and_boxes_not_the_place(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind)
    before = read_training(kind, folder).digest()
    moved = folder.rename(tmp_path / "moved")
    assert read_training(kind, moved).digest() == before
    a = next(moved.rglob("a.png"))
    content = a.read_bytes()
    Image.new("RGB", (40, 20), "red").save(a)
    repainted = read_training(kind, moved).digest()
    a.write_bytes(content)
    if kind == "yolo":
        # As long as before: a cache that looks at sizes only would not see it.
        (moved / "train/labels/a.txt").write_text("0 0.5 0.5 0.5 0.5\n\n0 0.95 0.5 0.100001 1\n")
    else:
        write_coco(moved, annotations=[{"id": 1, "image_id": 3, "category_id": 4, "bbox": [10, 5, 20, 10]}])
    assert len({before, repainted, read_training(kind, moved).digest()}) == 3


def test_a_picture_that_is_turned_for_display_has_the_size_that_people_see(yolo: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 40)).save(yolo / "train/images/a.png", exif=exif)
    image = read_training("yolo", yolo).images[0]
    assert image.size_wh == (40, 20)
    assert image.boxes.xyxy[0].tolist() == [10, 5, 30, 15]
