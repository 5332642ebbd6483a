from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.annotation.coco_file import read_submission, write_job_file
from data_engine.annotation.records import FrameRecord
from data_engine.errors import DamagedInputError
from data_engine.types import Box, Job

if TYPE_CHECKING:
    from collections.abc import Callable

LABELS = ("person", "helmet", "no-helmet")
FRAMES = (FrameRecord("b ü_0001.jpg", 100, 50), FrameRecord("a_0002.jpg", 100, 50), FrameRecord("c_0003.jpg", 64, 48))
JOB = Job(7, 1, "annotation", "new", None, tuple(frame.name for frame in FRAMES), "2026-01-01T00:00:00+00:00")
SIZES = {frame.name: (frame.width, frame.height) for frame in FRAMES}
BOXES = {
    FRAMES[0].name: (Box("person", (1.25, 2.0, 10.0, 20.0), 0.5, "p1", attributes={"occluded": True}),),
    FRAMES[1].name: (Box("no-helmet", (0.0, 0.0, 5.0, 5.0), iscrowd=True), Box("helmet", (3.0, 3.0, 1.0, 1.0))),
    FRAMES[2].name: (),
}


def test_file_for_people() -> None:
    file = json.loads(write_job_file(FRAMES, BOXES, LABELS))
    assert [(c["id"], c["name"], c["supercategory"]) for c in file["categories"]] == [
        (1, "person", "object"),
        (2, "helmet", "object"),
        (3, "no-helmet", "object"),
    ]
    assert sorted(image["file_name"] for image in file["images"]) == sorted(JOB.frame_names)
    proposal = file["annotations"][0]
    assert proposal["bbox"] == [1.25, 2.0, 10.0, 20.0]
    assert proposal["score"] == 0.5
    assert proposal["attributes"] == {"confidence": 0.5, "proposal": "p1", "occluded": True}
    assert "attributes" not in file["annotations"][1]


def test_reading_back_gives_the_same_boxes() -> None:
    assert read_submission(write_job_file(FRAMES, BOXES, LABELS), JOB, LABELS, sizes=SIZES) == BOXES


numbers = st.floats(0, 20, allow_nan=False)
boxes = st.builds(
    Box,
    st.sampled_from(LABELS),
    st.tuples(numbers, numbers, st.floats(0.01, 20), st.floats(0.01, 20)),
    st.none() | st.floats(0, 1),
    st.none() | st.sampled_from(["p1", "00ff"]),
    st.booleans(),
    st.dictionaries(
        st.sampled_from(["occluded", "rotation", "é"]), st.booleans() | st.integers(0, 9) | st.text('a é"', max_size=4)
    ),
)


@given(st.lists(boxes, max_size=5), st.lists(boxes, max_size=5))
def test_any_boxes_survive_to_the_last_bit(first: list[Box], second: list[Box]) -> None:
    given_boxes = {FRAMES[0].name: tuple(first), FRAMES[1].name: tuple(second), FRAMES[2].name: ()}
    assert read_submission(write_job_file(FRAMES, given_boxes, LABELS), JOB, LABELS, sizes=SIZES) == given_boxes


def edited(change: Callable[[dict[str, Any]], None]) -> bytes:
    file = json.loads(write_job_file(FRAMES, BOXES, LABELS))
    change(file)
    return json.dumps(file).encode()


def test_tools_may_renumber_reorder_and_forget() -> None:
    def like_a_tool(file: dict[str, Any]) -> None:
        for category in file["categories"]:
            category["id"] = 3 - category["id"]
        images = {image["id"]: 90 + image["id"] for image in file["images"]}
        for image in file["images"]:
            image["id"] = images[image["id"]]
            image["file_name"] = f"upload/{image['file_name']}"
            image["license"] = 0
        file["images"] = [image for image in file["images"] if not image["file_name"].endswith(FRAMES[2].name)][::-1]
        for annotation in file["annotations"]:
            annotation["id"] += 1000
            annotation["image_id"] = images[annotation["image_id"]]
            annotation["category_id"] = 3 - annotation["category_id"]
            annotation.pop("attributes", None)
            annotation.pop("score", None)
        del file["info"]

    found = read_submission(edited(like_a_tool), JOB, LABELS, sizes=SIZES)
    assert found == {
        name: tuple(Box(box.label, box.xywh, iscrowd=box.iscrowd) for box in rows) for name, rows in BOXES.items()
    }


def test_windows_folders_and_boxes_over_the_edge() -> None:
    def change(file: dict[str, Any]) -> None:
        file["images"] = [{"id": 1, "file_name": "images\\a_0002.jpg", "width": 100, "height": 50}]
        file["annotations"] = [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [90, -5, 20, 10]}]

    found = read_submission(edited(change), JOB, LABELS, sizes=SIZES)
    assert found == {FRAMES[0].name: (), "a_0002.jpg": (Box("helmet", (90.0, 0.0, 10.0, 5.0)),), FRAMES[2].name: ()}


def set_in(kind: str, position: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda file: file[kind][position].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_in("images", 0, file_name="ghost.jpg"),
            "f.json: unknown image 'ghost.jpg': job 7 has no such frame",
        ),
        (
            set_in("categories", 0, name="cat"),
            "f.json: unknown label 'cat': the known labels are person, helmet, no-helmet",
        ),
        (set_in("annotations", 1, image_id=99), "f.json: annotation 2 is on the unknown image 99"),
        (set_in("annotations", 1, category_id=99), "f.json: annotation 2 is of the unknown category 99"),
        (
            set_in("annotations", 0, bbox=[1, float("nan"), 3, 4]),
            "f.json: annotations[0].bbox[1] is NaN, which is not a number",
        ),
        (set_in("annotations", 0, bbox=[1, 2, -3, 4]), "f.json: annotation 1 has a box of -3 x 4 pixels"),
        (set_in("annotations", 0, bbox=[1, 2, 3, 0]), "f.json: annotation 1 has a box of 3 x 0 pixels"),
        (set_in("annotations", 1, id=1), "f.json: two annotations have the id 1"),
        (set_in("images", 1, id=2), "f.json: two images have the id 2"),
        (set_in("categories", 1, id=1), "f.json: two categories have the id 1"),
        (
            set_in("images", 0, file_name="x/b ü_0001.jpg"),
            "f.json: two images are the frame 'b ü_0001.jpg'",
        ),
        (
            set_in("images", 0, width=50, height=25),
            "f.json: image 'a_0002.jpg' is 50 x 25 pixels there, but the frame is 100 x 50: the boxes would not fit",
        ),
    ],
)
def test_damaged_files(change: Callable[[dict[str, Any]], None], message: str) -> None:
    data = edited(change)
    with pytest.raises(DamagedInputError) as caught:
        read_submission(data, JOB, LABELS, name="f.json", sizes=SIZES)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "f.json is empty, not a COCO file"),
        (b'{"images": [', "f.json ends in the middle: it is a truncated piece of JSON, not a COCO file"),
    ],
)
def test_not_a_coco_file(data: bytes, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        read_submission(data, JOB, LABELS, name="f.json")
    assert caught.value.message == message
