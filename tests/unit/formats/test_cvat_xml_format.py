"""CVAT's XML."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import far_apart
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, read_coco
from data_engine.formats.cvat_xml import CvatPictures, read_cvat, write_cvat
from data_engine.formats.labelled import pieces_of
from data_engine.types import Category, ClassRegistry

REGISTRY = ClassRegistry([Category(3, "person"), Category(7, 'no "helmet" & <co>')])
BOX = '<box label="cat" source="manual" occluded="0" xtl="1.50" ytl="2" xbr="3" ybr="4.00" z_order="0"></box>'


def image(inside: str = BOX, *, name: str = "a.jpg", more: str = 'width="100" height="50"', number: int = 0) -> str:
    return f'<image id="{number}" name="{name}" {more}>{inside}</image>'


def file(*images: str, meta: str = "") -> bytes:
    return f"<annotations><version>1.1</version><meta>{meta}</meta>{''.join(images)}</annotations>".encode()


def read(data: bytes, **options: Any) -> CocoDataset:
    return read_cvat(pieces_of(data), name="x.xml", **options)


def written(dataset: CocoDataset) -> bytes:
    return b"".join(write_cvat(dataset))


def a_dataset() -> CocoDataset:
    images = (
        CocoImage(5, "b.jpg", 200, 100, {"subset": "train"}),
        CocoImage(9, "cam 1/a&b.jpg", 30, 40),
        CocoImage(2, "c.jpg", 1, 1),
    )
    boxes = (
        CocoAnnotation(4, 5, 7, (20, 10, 100.25, 50), attributes={"occluded": True, "z_order": 3, "colour": "a<b"}),
        CocoAnnotation(2, 5, 3, (0, 0, 1 / 3, 100), attributes={"rotation": 30.0, "n": 0.5, "sure": True}),
        CocoAnnotation(3, 2, 3, (0, 0, 1, 1), attributes={"group_id": 2}),
    )
    return CocoDataset(images, boxes, REGISTRY)


def test_the_file_of_a_data_set() -> None:
    assert written(a_dataset()).decode() == (
        """\
<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <size>3</size>
      <mode>annotation</mode>
      <labels>
        <label>
          <name>person</name>
          <type>rectangle</type>
          <attributes>
          </attributes>
        </label>
        <label>
          <name>no &quot;helmet&quot; &amp; &lt;co&gt;</name>
          <type>rectangle</type>
          <attributes>
          </attributes>
        </label>
      </labels>
    </task>
  </meta>
  <image id="0" name="b.jpg" subset="train" width="200" height="100">
    <box label="person" source="manual" occluded="0" xtl="0" ytl="0" xbr="0.3333333333333333" ybr="100" \
rotation="30" z_order="0">
      <attribute name="n">0.5</attribute>
      <attribute name="sure">true</attribute>
    </box>
    <box label="no &quot;helmet&quot; &amp; &lt;co&gt;" source="manual" occluded="1" xtl="20" ytl="10" \
xbr="120.25" ybr="60" z_order="3">
      <attribute name="colour">a&lt;b</attribute>
    </box>
  </image>
  <image id="1" name="c.jpg" width="1" height="1">
    <box label="person" source="manual" occluded="0" xtl="0" ytl="0" xbr="1" ybr="1" z_order="0" group_id="2">
    </box>
  </image>
  <image id="2" name="cam 1/a&amp;b.jpg" width="30" height="40">
  </image>
</annotations>
"""
    )


def test_a_data_set_reads_back() -> None:
    found = read(written(a_dataset()), registry=REGISTRY, rotated=True)
    assert [(i.file_name, i.width, i.height, i.extra) for i in found.images] == [
        ("b.jpg", 200, 100, {"subset": "train"}),
        ("c.jpg", 1, 1, {}),
        ("cam 1/a&b.jpg", 30, 40, {}),
    ]
    assert [(a.image_id, a.category_id, a.xywh, a.attributes) for a in found.annotations] == [
        (1, 3, (0, 0, 1 / 3, 100), {"rotation": 30.0, "n": "0.5", "sure": "true"}),
        (1, 7, (20, 10, 100.25, 50), {"occluded": True, "z_order": 3, "colour": "a<b"}),
        (2, 3, (0, 0, 1, 1), {"group_id": 2}),
    ]
    assert read(written(a_dataset())).repairs.left_out == {"rotated box": 1}


def test_the_bytes_do_not_depend_on_the_order() -> None:
    dataset = a_dataset()
    other = replace(dataset, images=dataset.images[::-1], annotations=dataset.annotations[::-1])
    assert written(other) == written(dataset)


def test_a_crowd_region_is_not_written_as_an_object() -> None:
    crowd = CocoAnnotation(8, 5, 3, (0, 0, 1, 1), iscrowd=True)
    with pytest.raises(ValueError, match="annotation 8 is a crowd region, which CVAT's XML cannot say"):
        written(replace(a_dataset(), annotations=(crowd,)))


coordinates = st.one_of(st.integers(0, 8191).map(float), st.floats(0, 8191))
texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1).filter(str.strip)


@st.composite
def datasets(draw: st.DrawFn) -> CocoDataset:
    names = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    images = tuple(CocoImage(number, f"{number}.jpg", 9000, 9000) for number in range(1, draw(st.integers(1, 4))))
    rows = st.tuples(st.sampled_from(images), st.integers(1, len(names)), *[coordinates] * 4, texts)
    boxes = draw(st.lists(rows)) if images else []
    annotations = tuple(
        CocoAnnotation(n, i.id, c, (x, y, w + 1e-6, h + 1e-6), attributes={"note": note})
        for n, (i, c, x, y, w, h, note) in enumerate(sorted(boxes, key=lambda row: row[0].id), 1)
    )
    return CocoDataset(images, annotations, ClassRegistry.of(names))


@given(datasets(), st.integers(1, 5000))
def test_any_data_set_reads_back(dataset: CocoDataset, size: int) -> None:
    data = written(dataset)
    found = read_cvat(pieces_of(data, size), name="x.xml", clip=False)
    assert (found.images, found.categories) == (dataset.images, dataset.categories)
    assert [replace_box(a) for a in found.annotations] == [replace_box(a) for a in dataset.annotations]
    assert not any(far_apart(a.xywh, b.xywh) for a, b in zip(found.annotations, dataset.annotations, strict=True))
    assert read_cvat(pieces_of(written(found)), name="x.xml", clip=False).categories == dataset.categories


def replace_box(a: CocoAnnotation) -> tuple[Any, ...]:
    return a.id, a.image_id, a.category_id, a.attributes


def test_pictures_come_as_soon_as_they_are_complete() -> None:
    data = file(*(image(name=f"{number}.jpg") for number in range(100)))
    asked = 0

    def pieces() -> Iterator[bytes]:
        nonlocal asked
        for piece in pieces_of(data, 64):
            asked += 1
            yield piece

    assert next(iter(CvatPictures(pieces(), name="x.xml"))).file_name == "0.jpg"
    assert asked < 6


SHAPES = (
    '<polygon label="cat" points="1,2;3,4"><attribute name="a">1</attribute></polygon>'
    '<polyline label="cat" points="1,2;3,4"/><points label="cat" points="1,2"/><points label="cat" points="1,2"/>'
    '<mask label="cat" rle="1, 2" left="0" top="0" width="1" height="1"/><ellipse label="cat" cx="1"/>'
    '<cuboid label="cat" xtl1="1"/><tag label="cat"/>'
    '<skeleton label="cat"><points label="nose" points="1,2"/><attribute name="a">1</attribute></skeleton>'
)


def test_what_is_no_upright_box_is_counted() -> None:
    turned = BOX.replace("z_order", 'rotation="359.90" z_order')
    upright = BOX.replace("z_order", 'rotation="360.00" z_order')
    track = '<track id="0" label="cat"><box frame="0" xtl="1" ytl="1" xbr="2" ybr="2"/></track>'
    found = read(file(image(SHAPES + turned + upright), track, image("", name="b.jpg")))
    assert len(found.images) == 2
    assert [(a.xywh, a.attributes) for a in found.annotations] == [((1.5, 2, 1.5, 2), {})]
    assert found.repairs.left_out == {
        "cuboid": 1, "ellipse": 1, "mask": 1, "points shape": 2, "polygon": 1, "polyline": 1, "rotated box": 1,
        "skeleton": 1, "tag": 1, "track": 1,
    }  # fmt: skip


def test_a_file_of_tracks_is_refused() -> None:
    with pytest.raises(DamagedInputError) as caught:
        read(file('<track id="0" label="cat"><box frame="0" xtl="1" ytl="1" xbr="2" ybr="2"/></track>'))
    assert caught.value.message == "x.xml is CVAT for video: its boxes are on 1 tracks, not on pictures"
    assert caught.value.hint == "export it from CVAT as 'CVAT for images 1.1'"


def test_the_classes_are_those_that_the_file_declares() -> None:
    labels = (
        "<task><name>no label</name><labels><label><name>dog</name><attributes><attribute><name>age</name></attribute>"
        "</attributes></label><label><name>person</name></label>"
        "<label><name>nose</name><parent>person</parent></label></labels></task>"
    )
    found = read(file(image(), meta=labels))
    assert found.categories.names == ("dog", "person", "cat")
    known = ClassRegistry.of(["cow"])
    with pytest.raises(DamagedInputError) as caught:
        read(file(image(), meta=labels), registry=known)
    assert caught.value.message == "x.xml: unknown label 'cat': the known labels are cow"


def test_a_subset_of_a_project_may_be_read_alone() -> None:
    size = 'width="100" height="50"'
    data = file(image(more=f'subset="train" {size}'), image(more=f'subset="valid" {size}'))
    with pytest.raises(DamagedInputError) as caught:
        read(data)
    assert caught.value.message == "x.xml: two pictures have the file name 'a.jpg', in the subsets 'train' and 'valid'"
    found = read(data, subset="valid")
    assert [i.extra for i in found.images] == [{"subset": "valid"}]
    assert len(found.annotations) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (file(image(name="../a.jpg")), "x.xml: image 0 (../a.jpg): the file name '../a.jpg' climbs out of its folder"),
        (file(image(name="/a.jpg")), "x.xml: image 0 (/a.jpg): the file name '/a.jpg' climbs out of its folder"),
        (file(image(name="")), "x.xml: image 0 () has no file name"),
        (file(image(), image(number=1)), "x.xml: two pictures have the file name 'a.jpg'"),
        (file(image(more='width="9"')), "x.xml: image 0 (a.jpg): its height is missing"),
        (
            file(image(more='width="0" height="9"')),
            "x.xml: image 0 (a.jpg): its width is 0, not a whole number of pixels from 1",
        ),
        (
            file(image(BOX + BOX.replace('"3"', '"NaN"'))),
            "x.xml: image 0 (a.jpg): box 2: xbr is 'NaN', which is not a number",
        ),
        (
            file(image(BOX.replace('"3"', '"inf"'))),
            "x.xml: image 0 (a.jpg): box 1: xbr is 'inf', which is not a number",
        ),
        (
            file(image(BOX.replace('"3"', '"3,5"'))),
            "x.xml: image 0 (a.jpg): box 1: xbr is '3,5', which is not a number",
        ),
        (file(image(BOX.replace("xbr", "x"))), "x.xml: image 0 (a.jpg): box 1: xbr is missing"),
        (
            file(image(BOX.replace('"3"', '"1"'))),
            "x.xml: image 0 (a.jpg): box 1 has its edges reversed: left, top, right, bottom are 1.5, 2, 1, 4",
        ),
        (file(image(BOX.replace('"3"', '"1.5"'))), "x.xml: image 0 (a.jpg): box 1 has a box of 0 x 2 pixels"),
        (file(image(BOX.replace('"cat"', '""'))), "x.xml: image 0 (a.jpg): box 1 has no label"),
        (
            file(image())[:-30],
            "x.xml ends in the middle: it is a truncated piece of XML, not a file of CVAT for images",
        ),
        (
            b"<annotation/>",
            "x.xml is not a file of CVAT for images: its outermost element is <annotation>, not <annotations>",
        ),
    ],
)
def test_damaged_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        read(data)
    assert caught.value.message == message


@given(st.data())
def test_a_broken_file_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    whole = file(image(SHAPES + BOX), image(name="b.jpg"))
    at = data.draw(st.integers(0, len(whole)))
    cut, new = data.draw(st.integers(0, 20)), data.draw(st.binary(max_size=8))
    try:
        found = len(read(whole[:at] + new + whole[at + cut :]).images)
    except DamagedInputError:
        found = 0
    assert found <= 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_other_encodings(encoding: str) -> None:
    found = read(file(image(BOX.replace("cat", "Schütze"))).decode().encode(encoding))
    assert found.categories.names == ("Schütze",)


@pytest.mark.required
def test_the_same_task_exported_by_cvat_in_two_formats_is_one(shared) -> None:
    def inside(archive: str, entry: str) -> bytes:
        with zipfile.ZipFile(shared / "cvat" / "samples" / archive) as file:
            return file.read(entry)

    coco = read_coco(inside("task-coco-ann.zip", "annotations/instances_train.json"), name="coco")
    xml = read(inside("task-cvat-xml.zip", "annotations.xml"))
    assert (len(xml.images), len(xml.annotations)) == (20, 80)
    assert xml.categories.names == coco.categories.names
    assert drawn(xml) == drawn(coco)
    assert replace(read(written(xml)), info={}) == xml
    job = read(inside("job-cvat-xml.zip", "annotations.xml"))
    assert set(drawn(job)) < set(drawn(xml))


def drawn(dataset: CocoDataset) -> list[tuple[str, str, tuple[float, ...]]]:
    files = {i.id: i.file_name for i in dataset.images}
    return sorted(
        (files[a.image_id], dataset.categories.name_of(a.category_id), tuple(round(v, 2) for v in a.xywh))
        for a in dataset.annotations
    )
