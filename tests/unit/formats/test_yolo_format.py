"""YOLO label lines and data.yaml."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import clipped, far_apart
from data_engine.formats.coco import CocoAnnotation, CocoImage
from data_engine.formats.yolo import data_yaml, label_path, parse_data_yaml, parse_yolo, yolo_lines
from data_engine.types import Box, Category, ClassRegistry

IMAGE = CocoImage(1, "a.jpg", 200, 100)


def test_class_numbers_are_positions_in_the_registry() -> None:
    registry = ClassRegistry([Category(3, "person"), Category(7, "helmet")])
    rows = [CocoAnnotation(1, 1, 7, (20, 10, 100, 50)), CocoAnnotation(2, 1, 3, (0, 0, 200, 100))]
    text = yolo_lines(rows, IMAGE, registry)
    assert text == "1 0.35 0.35 0.5 0.5\n0 0.5 0.5 1 1\n"
    assert parse_yolo(text, 200, 100, registry.names) == [
        Box("helmet", (20.0, 10.0, 100.0, 50.0)),
        Box("person", (0.0, 0.0, 200.0, 100.0)),
    ]


def test_a_background_picture_is_an_empty_file() -> None:
    assert yolo_lines([], IMAGE, ClassRegistry.of(["x"])) == ""
    assert parse_yolo(" \n\n", 200, 100, ["x"]) == []


def test_a_crowd_region_is_not_written_as_an_object() -> None:
    with pytest.raises(ValueError, match="annotation 5 is a crowd region"):
        yolo_lines([CocoAnnotation(5, 1, 1, (0, 0, 1, 1), iscrowd=True)], IMAGE, ClassRegistry.of(["x"]))


@st.composite
def sized_boxes(draw: st.DrawFn) -> tuple[int, int, list[tuple[float, float, float, float]]]:
    width, height = draw(st.integers(1, 8192)), draw(st.integers(1, 8192))
    boxes = draw(
        st.lists(
            st.tuples(
                st.floats(0, width, exclude_max=True),
                st.floats(0, height, exclude_max=True),
                st.floats(1e-6, width),
                st.floats(1e-6, height),
            )
        )
    )
    return width, height, [kept for box in boxes if (kept := clipped(box, width, height))]


@given(sized_boxes())
def test_coordinates_return_within_a_thousandth_of_a_pixel(
    sized: tuple[int, int, list[tuple[float, float, float, float]]],
) -> None:
    width, height, boxes = sized
    registry = ClassRegistry.of(["a", "b", "c"])
    rows = [CocoAnnotation(n, 1, n % 3 + 1, box) for n, box in enumerate(boxes)]
    text = yolo_lines(rows, CocoImage(1, "a.jpg", width, height), registry)
    found = parse_yolo(text, width, height, registry.names)
    assert [box.label for box in found] == [registry.name_of(row.category_id) for row in rows]
    assert not any(far_apart(box.xywh, row.xywh) for box, row in zip(found, rows, strict=True))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 1", "x.txt: line 2 has 4 fields, not 5: class, centre x and y, width, height"),
        ("0 0.5 0.5 1 1 0.9", "x.txt: line 2 has 6 fields, not 5: class, centre x and y, width, height"),
        ("0 0.5 a 1 1", "x.txt: line 2 holds something that is not a number"),
        ("2 0.5 0.5 1 1", "x.txt: line 2 has the class '2': the classes are 0 to 1"),
        ("-1 0.5 0.5 1 1", "x.txt: line 2 has the class '-1': the classes are 0 to 1"),
        ("1.0 0.5 0.5 1 1", "x.txt: line 2 has the class '1.0': the classes are 0 to 1"),
        ("0 0.5 0.5 1 1.1", "x.txt: line 2 has coordinates outside 0..1 or a box without area"),
        ("0 nan 0.5 1 1", "x.txt: line 2 has coordinates outside 0..1 or a box without area"),
        ("0 0.5 0.5 0 1", "x.txt: line 2 has coordinates outside 0..1 or a box without area"),
        ("0 50 50 10 10", "x.txt: line 2 has coordinates outside 0..1 or a box without area"),
    ],
)
def test_damaged_lines_are_named(line: str, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        parse_yolo(f"0 0.5 0.5 1 1\n{line}\n", 10, 10, ["a", "b"], name="x.txt")
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("file_name", "label"),
    [
        ("a.jpg", "labels/a.txt"),
        ("a.b.jpg", "labels/a.b.txt"),
        ("cam 1/ä.PNG", "labels/cam 1/ä.txt"),
        ("cam/images/a.jpg", "images/cam/labels/a.txt"),
    ],
)
def test_labels_lie_where_ultralytics_looks(file_name: str, label: str) -> None:
    assert label_path(file_name) == label


def test_a_picture_without_a_suffix_is_refused() -> None:
    with pytest.raises(DamagedInputError, match=r"picture 'cam\.1/frame' has no suffix"):
        label_path("cam.1/frame")


def test_the_description_names_no_folder_of_this_machine() -> None:
    text = data_yaml(["person", "no-helmet"])
    assert yaml.safe_load(text) == {
        "train": "train/images",
        "val": "valid/images",
        "names": {0: "person", 1: "no-helmet"},
    }


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_any_class_name_survives_the_description(names: list[str]) -> None:
    assert parse_data_yaml(data_yaml(names)) == tuple(names)


@pytest.mark.parametrize(
    "name", ["no", "1.0", "null", "a: b", "# x", 'say "x"', "a\\n", " x ", "- y", "🙂", "{", "\ufeff"]
)
def test_awkward_class_names_stay_texts(name: str) -> None:
    assert yaml.safe_load(data_yaml([name, "x"]))["names"][0] == name


def test_descriptions_of_other_tools_are_read() -> None:
    assert parse_data_yaml("path: .\nnc: 2\nnames: [a, b]\n") == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [a", "data.yaml is not YAML: while parsing a flow sequence"),
        ("nc: 3", "data.yaml has no class 'names'"),
        ("- a", "data.yaml has no class 'names'"),
        ("names: {1: a, 2: b}", "data.yaml: its class numbers are not 0 to 1"),
    ],
)
def test_damaged_descriptions_are_refused(text: str, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        parse_data_yaml(text)
    assert caught.value.message == message


def test_a_set_without_classes_has_no_description() -> None:
    with pytest.raises(ValueError, match="at least one class"):
        data_yaml([])
