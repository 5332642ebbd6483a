"""COCO files: read, checked and written."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import clipped, far_apart
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, read_coco, write_coco
from data_engine.types import Category, ClassRegistry

BCCD = Path(__file__).parents[4] / "shared" / "data" / "bccd" / "instances.json"


def a_file(**changes: Any) -> dict[str, Any]:
    return {
        "images": [
            {"id": 7, "file_name": "b.jpg", "width": 100, "height": 50, "camera": "Tür 2", "time_s": 1.5},
            {"id": 3, "file_name": "a.jpg", "width": 100, "height": 50},
        ],
        "annotations": [
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [1, 2, 3.5, 4], "attributes": {"occluded": True}},
            {"id": 1, "image_id": 7, "category_id": 9, "bbox": [10, 20, 30, 30], "iscrowd": 1, "score": 0.25},
        ],
        "categories": [{"id": 9, "name": "person", "supercategory": "none"}, {"id": 5, "name": "helmet"}],
        **changes,
    }


def read(document: Any, **options: Any) -> CocoDataset:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_coco(data, name="boxes.json", **options)


def test_everything_known_is_read_and_ids_are_kept() -> None:
    dataset = read(a_file(info={"description": "Lager"}))
    assert dataset.images[0] == CocoImage(7, "b.jpg", 100, 50, {"camera": "Tür 2", "time_s": 1.5})
    assert dataset.annotations == (
        CocoAnnotation(2, 7, 5, (1.0, 2.0, 3.5, 4.0), False, None, {"occluded": True}),
        CocoAnnotation(1, 7, 9, (10.0, 20.0, 30.0, 30.0), True, 0.25, {}),
    )
    assert dataset.categories == ClassRegistry([Category(5, "helmet"), Category(9, "person")])
    assert dataset.info == {"description": "Lager"}
    assert dataset.repairs.sentences == ()
    assert {image: len(found) for image, found in dataset.by_image().items()} == {7: 2, 3: 0}


def test_written_files_read_back_and_do_not_depend_on_order() -> None:
    dataset = read(a_file(info={"description": "Lager"}))
    data = write_coco(dataset)
    again = read(data)
    assert sorted(again.images, key=lambda i: i.id) == sorted(dataset.images, key=lambda i: i.id)
    assert sorted(again.annotations, key=lambda a: a.id) == sorted(dataset.annotations, key=lambda a: a.id)
    assert again.categories == dataset.categories
    assert again.info == dataset.info
    shuffled = CocoDataset(dataset.images[::-1], dataset.annotations[::-1], dataset.categories, dataset.info)
    assert write_coco(shuffled) == data
    document = json.loads(data)
    assert list(document) == ["info", "images", "annotations", "categories"]
    assert [image["file_name"] for image in document["images"]] == ["a.jpg", "b.jpg"]
    assert document["annotations"][0] == {
        "id": 1, "image_id": 7, "category_id": 9, "bbox": [10, 20, 30, 30], "area": 900, "iscrowd": 1,
        "segmentation": [], "score": 0.25,
    }  # fmt: skip
    assert b": " not in data.replace("Tür 2".encode(), b"")


def test_pycocotools_reads_what_is_written(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    (tmp_path / "x.json").write_bytes(write_coco(read(a_file())))
    coco = COCO(str(tmp_path / "x.json"))
    assert [coco.imgs[i]["file_name"] for i in coco.getImgIds(catIds=[5])] == ["b.jpg"]
    assert coco.loadAnns([2])[0]["area"] == 14.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": None}, "boxes.json: annotations: expected array, got null"),
        (
            {"annotations": [{"id": 4, "image_id": 8, "category_id": 5, "bbox": [1, 2, 3, 4]}]},
            "boxes.json: annotation 4 is on the unknown image 8",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 6, "bbox": [1, 2, 3, 4]}]},
            "boxes.json: annotation 4 is of the unknown category 6",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 5, "bbox": [1, 2, -3, 4]}]},
            "boxes.json: annotation 4 has a box of -3 x 4 pixels",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 5, "bbox": [1, 2, 3, 0]}]},
            "boxes.json: annotation 4 has a box of 3 x 0 pixels",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 5, "bbox": [1, 2, float("nan"), 4]}]},
            "boxes.json: annotations[0].bbox[2] is NaN, which is not a number",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 5, "bbox": [1, float("-inf"), 3, 4]}]},
            "boxes.json: annotations[0].bbox[1] is -Infinity, which is not a number",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 5, "bbox": [1, float("inf"), 3, 4]}]},
            "boxes.json: annotations[0].bbox[1] is Infinity, which is not a number",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 5, "bbox": [1, 2, 3]}]},
            "boxes.json: annotations[0].bbox must be 4 numbers: left, top, width, height",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 5, "bbox": [1, 2, 3, "4"]}]},
            "boxes.json: annotations[0].bbox[3] must be 4 numbers: left, top, width, height",
        ),
        (
            {"annotations": [{"id": 4, "image_id": 3, "category_id": 5}]},
            "boxes.json: annotations[0] has no 'bbox'",
        ),
        (
            {"annotations": [{"id": 4, "image_id": "3", "category_id": 5, "bbox": [1, 2, 3, 4]}]},
            "boxes.json: annotations[0].image_id: expected int, got str",
        ),
        (
            {"annotations": 2 * [{"id": 4, "image_id": 3, "category_id": 5, "bbox": [1, 2, 3, 4]}]},
            "boxes.json: two annotations have the id 4",
        ),
        (
            {"categories": [{"id": 5, "name": "helmet"}, {"id": 5, "name": "person"}]},
            "boxes.json: two categories have the id 5",
        ),
        (
            {"categories": [{"id": 5, "name": "helmet"}, {"id": 9, "name": "helmet"}]},
            "boxes.json: categories 5 and 9 have the same name 'helmet'",
        ),
        ({"categories": [{"id": 5, "name": " "}]}, "boxes.json: category 5 has an empty name"),
    ],
)
def test_what_is_wrong_is_said_exactly(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        read(a_file(**changes))
    assert caught.value.message == message
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"id": 7}, "boxes.json: two images have the id 7"),
        ({"file_name": "./b.jpg"}, "boxes.json: images 7 and 8 have the same file name './b.jpg'"),
        ({"width": 0}, "boxes.json: image 8 (c.jpg) has the size 0 x 50"),
        ({"height": -1}, "boxes.json: image 8 (c.jpg) has the size 100 x -1"),
        ({"width": "100"}, "boxes.json: images[1].width must be an integer"),
        ({"file_name": 5}, "boxes.json: images[1].file_name must be a text"),
        ({"id": True}, "boxes.json: images[1].id must be an integer"),
    ],
)
def test_damaged_images_are_refused(image: dict[str, Any], message: str) -> None:
    good = {"id": 8, "file_name": "c.jpg", "width": 100, "height": 50}
    with pytest.raises(DamagedInputError) as caught:
        read(a_file(images=[a_file()["images"][0], good | image]))
    assert caught.value.message == message


@pytest.mark.parametrize(
    "file_name",
    [
        "",
        " ",
        ".",
        "/etc/x.jpg",
        "../x.jpg",
        "a/../../x.jpg",
        "..\\x.jpg",
        "a\\..\\x.jpg",
        "\\x.jpg",
        "C:\\x.jpg",
        "x\0",
    ],
)
def test_a_file_name_cannot_climb_out(file_name: str) -> None:
    with pytest.raises(DamagedInputError, match="climbs out of its folder"):
        read(a_file(images=[{"id": 7, "file_name": file_name, "width": 100, "height": 50}]))


@pytest.mark.parametrize("file_name", ["a..b.jpg", "Kamera 1/ä.jpg", "...jpg", "x.y/z.png"])
def test_harmless_file_names_are_kept(file_name: str) -> None:
    assert read(a_file(images=[a_file()["images"][0], a_file()["images"][1] | {"file_name": file_name}])).images[
        1
    ].file_name == (file_name)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "boxes.json is empty, not a COCO file"),
        (b" \n", "boxes.json is empty, not a COCO file"),
        (b"hello", "boxes.json is not JSON: invalid character at byte 0"),
        (b"\x89PNG\r\n", "boxes.json is not JSON: invalid character at byte 0"),
        (b'{"images": [', "boxes.json ends in the middle: it is a truncated piece of JSON, not a COCO file"),
        (b"[1]", "boxes.json is not a COCO file: expected object, got array at its top"),
        (b'{"annotations": [], "categories": []}', "boxes.json is not a COCO file: it has no 'images'"),
        (b'{"images": [], "categories": []}', "boxes.json is not a COCO file: it has no 'annotations'"),
        (b'{"images": [], "annotations": []}', "boxes.json is not a COCO file: it has no 'categories'"),
        (b'{"images": [{"n": NaN}', "boxes.json: the value at byte 18 is NaN, which is not a number"),
        (b'{"images": [{"n": "\xff"}]}', "boxes.json holds text that is not UTF-8"),
        (b'{"images": [{"n": ' + b"[" * 100_000, "boxes.json is nested too deeply to be a COCO file"),
        (
            b'{"images": [], "annotations": [{"id":1,"image_id":1,"category_id":1,"bbox":[1e999,0,1,1]}]}',
            "boxes.json: annotations[0].bbox[0] is too large for a number",
        ),
    ],
)
def test_what_is_no_coco_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        read(data)
    assert caught.value.message == message


@given(st.integers(min_value=0), st.integers(0, 255))
def test_damage_anywhere_is_an_expected_error_or_harmless(position: int, byte: int) -> None:
    data = bytearray(json.dumps(a_file(), ensure_ascii=False).encode())
    for damaged in (bytes(data[: position % len(data)]), data):
        data[position % len(data)] = byte
        with contextlib.suppress(DamagedInputError):
            write_coco(read(bytes(damaged)))


def test_a_byte_order_mark_is_no_damage() -> None:
    assert len(read(b"\xef\xbb\xbf" + json.dumps(a_file()).encode()).images) == 2


def test_labels_meet_the_registry_by_name() -> None:
    registry = ClassRegistry.of(["person", "forklift", "helmet"])
    dataset = read(a_file(), registry=registry)
    assert dataset.categories is registry
    assert [registry.name_of(a.category_id) for a in dataset.annotations] == ["helmet", "person"]


def test_an_unknown_label_is_named_or_added() -> None:
    registry = ClassRegistry.of(["person"])
    with pytest.raises(DamagedInputError) as caught:
        read(a_file(), registry=registry)
    assert caught.value.message == "boxes.json: unknown label 'helmet': the known labels are person"
    grown = read(a_file(), registry=registry, allow_unknown_labels=True)
    assert grown.categories == ClassRegistry.of(["person", "helmet"])
    assert [a.category_id for a in grown.annotations] == [2, 1]


def test_an_unknown_label_without_a_box_is_no_error() -> None:
    registry = ClassRegistry.of(["person", "helmet"])
    categories = [*a_file()["categories"], {"id": 77, "name": "toaster"}]
    assert read(a_file(categories=categories), registry=registry).categories == registry


def test_category_0_is_renumbered_and_said() -> None:
    document = a_file(categories=[{"id": 0, "name": "person"}, {"id": 4, "name": "helmet"}], annotations=[
        {"id": 1, "image_id": 3, "category_id": 4, "bbox": [1, 2, 3, 4]},
        {"id": 2, "image_id": 3, "category_id": 0, "bbox": [1, 2, 3, 4]},
    ])  # fmt: skip
    dataset = read(document)
    assert dataset.categories == ClassRegistry.of(["person", "helmet"])
    assert [a.category_id for a in dataset.annotations] == [2, 1]
    assert dataset.repairs.sentences == ("category ids began below 1 and were renumbered from 1",)


def test_boxes_over_the_edge_are_clipped_and_those_outside_dropped_and_counted() -> None:
    boxes = [[-5, -5, 20, 20], [90, 40, 20, 20], [100, 0, 5, 5], [-10, 0, 10, 5], [0, 0, 100, 50], [0, 0, 100.0001, 5]]
    rows = [{"id": n, "image_id": 3, "category_id": 5, "bbox": box} for n, box in enumerate(boxes)]
    dataset = read(a_file(annotations=rows))
    assert [(a.id, a.xywh) for a in dataset.annotations] == [
        (0, (0, 0, 15, 15)),
        (1, (90, 40, 10, 10)),
        (4, (0, 0, 100, 50)),
        (5, (0, 0, 100, 5)),
    ]
    assert (dataset.repairs.clipped, dataset.repairs.outside) == (2, 2)
    kept = read(a_file(annotations=rows), clip=False)
    assert [list(a.xywh) for a in kept.annotations] == boxes
    assert kept.repairs.sentences == ()


def test_segmentations_are_counted_and_their_boxes_kept() -> None:
    segmentations: list[Any] = [[[1, 2, 3, 4, 5, 6]], {"counts": "abc", "size": [5, 5]}, [], None]
    rows = [
        {"id": n, "image_id": 3, "category_id": 5, "bbox": [1, 2, 3, 4], "segmentation": s}
        for n, s in enumerate(segmentations)
    ]
    dataset = read(a_file(annotations=rows))
    assert len(dataset.annotations) == 4
    assert dataset.repairs.segmentations == 2


@pytest.mark.parametrize(
    "annotation",
    [
        CocoAnnotation(1, 9, 1, (0, 0, 1, 1)),
        CocoAnnotation(1, 1, 9, (0, 0, 1, 1)),
        CocoAnnotation(1, 1, 1, (0, 0, 1, float("nan"))),
        CocoAnnotation(1, 1, 1, (0, 0, 1, 1), score=float("inf")),
    ],
)
def test_a_wrong_data_set_is_not_written(annotation: CocoAnnotation) -> None:
    with pytest.raises(ValueError, match="annotation 1"):
        write_coco(CocoDataset((CocoImage(1, "a.jpg", 9, 9),), (annotation,), ClassRegistry.of(["x"])))


def test_extra_fields_cannot_replace_the_formats_own() -> None:
    image = CocoImage(1, "a.jpg", 9, 9, {"width": 5})
    with pytest.raises(ValueError, match="an extra field named width"):
        write_coco(CocoDataset((image,), (), ClassRegistry.of(["x"])))


def test_equal_boxes_are_equal_bytes() -> None:
    def written(xywh: tuple[float, float, float, float]) -> bytes:
        box = CocoAnnotation(1, 1, 1, xywh)
        return write_coco(CocoDataset((CocoImage(1, "a.jpg", 9, 9),), (box,), ClassRegistry.of(["x"])))

    assert written((0, 1, 2, 3)) == written((-0.0, 1.0, 2.0, 3.0))


edge = st.floats(-10_000, 20_000)


@given(st.tuples(edge, edge, st.floats(1e-9, 20_000), st.floats(1e-9, 20_000)), st.integers(1, 8192))
def test_clipping_twice_changes_nothing_more(box: tuple[float, float, float, float], size: int) -> None:
    once = clipped(box, size, size)
    if once is not None:
        x, y, w, h = once
        assert 0 <= x < x + w <= size or (w > 0 and x + w == x < size)
        assert 0 <= y < y + h <= size or (h > 0 and y + h == y < size)
        assert clipped(once, size, size) is once
        assert not far_apart(once, once)


@pytest.mark.required
def test_the_real_set_survives_a_round_trip() -> None:
    if not BCCD.is_file():
        pytest.skip("the BCCD set is not beside this checkout")
    dataset = read(BCCD.read_bytes())
    assert (len(dataset.images), len(dataset.annotations)) == (364, 4886)
    assert dataset.categories.names == ("RBC", "WBC", "Platelets")
    again = read(write_coco(dataset))
    assert {image.extra["split"] for image in again.images} == {"train", "val", "test"}
    assert sorted(again.annotations, key=lambda a: a.id) == sorted(dataset.annotations, key=lambda a: a.id)
    assert write_coco(again) == write_coco(dataset)
