"""Pascal VOC files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import far_apart
from data_engine.formats.coco import CocoAnnotation, CocoImage, read_coco
from data_engine.formats.labelled import LabelledPicture, gathered
from data_engine.formats.voc import annotation_path, label_map, parse_label_map, read_voc, write_voc
from data_engine.types import Box, ClassRegistry

REGISTRY = ClassRegistry.of(["person", "no-helmet"])
IMAGE = CocoImage(7, "cam 1/a.jpg", 200, 100)
OBJECT = "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>"


def file(objects: str = OBJECT, *, head: str = "", size: str = "<width>200</width><height>100</height>") -> bytes:
    return f"<annotation><filename>a.jpg</filename>{head}<size>{size}</size>{objects}</annotation>".encode()


def test_the_file_of_a_picture() -> None:
    rows = [
        CocoAnnotation(1, 7, 2, (20, 10, 100.25, 50), attributes={"occluded": True, "helmet colour": "red", "n": 1.0}),
        CocoAnnotation(2, 7, 1, (0, 0, 1 / 3, 100), attributes={"truncated": "true", "difficult": False}),
    ]
    assert write_voc(rows, IMAGE, REGISTRY).decode() == (
        """\
<annotation>
  <folder>JPEGImages</folder>
  <filename>cam 1/a.jpg</filename>
  <size><width>200</width><height>100</height><depth>3</depth></size>
  <segmented>0</segmented>
  <object>
    <name>no-helmet</name>
    <pose>Unspecified</pose>
    <truncated>0</truncated>
    <occluded>1</occluded>
    <difficult>0</difficult>
    <bndbox><xmin>20</xmin><ymin>10</ymin><xmax>120.25</xmax><ymax>60</ymax></bndbox>
    <attributes>
      <attribute><name>helmet colour</name><value>red</value></attribute>
      <attribute><name>n</name><value>1</value></attribute>
    </attributes>
  </object>
  <object>
    <name>person</name>
    <pose>Unspecified</pose>
    <truncated>1</truncated>
    <occluded>0</occluded>
    <difficult>0</difficult>
    <bndbox><xmin>0</xmin><ymin>0</ymin><xmax>0.3333333333333333</xmax><ymax>100</ymax></bndbox>
  </object>
</annotation>
"""
    )
    assert read_voc(write_voc(rows, IMAGE, REGISTRY), name="a.xml") == LabelledPicture(
        "cam 1/a.jpg",
        200,
        100,
        (
            Box("no-helmet", (20, 10, 100.25, 50), attributes={"helmet colour": "red", "n": "1", "occluded": True}),
            Box("person", (0, 0, 1 / 3, 100), attributes={"truncated": True}),
        ),
    )


def test_a_background_picture_has_no_object() -> None:
    data = write_voc([], IMAGE, REGISTRY)
    assert b"<object>" not in data
    assert read_voc(data, name="a.xml").boxes == ()


coordinates = st.one_of(
    st.integers(0, 8191).map(float), st.integers(0, 8191 << 10).map(lambda n: n / 1024), st.floats(0, 8191)
)


@st.composite
def labelled(draw: st.DrawFn) -> list[CocoAnnotation]:
    boxes = draw(st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates)))
    names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]))
    return [
        CocoAnnotation(number, 7, draw(st.integers(1, 2)), (x, y, w + 1e-6, h + 1e-6), attributes={"note": draw(names)})
        for number, (x, y, w, h) in enumerate(boxes, 1)
    ]


@given(labelled())
def test_what_is_written_reads_back(rows: list[CocoAnnotation]) -> None:
    data = write_voc(rows, IMAGE, REGISTRY)
    found = read_voc(data, name="a.xml").boxes
    assert [box.label for box in found] == [REGISTRY.name_of(row.category_id) for row in rows]
    assert [box.attributes for box in found] == [row.attributes for row in rows]
    assert not any(far_apart(box.xywh, row.xywh) for box, row in zip(found, rows, strict=True))
    assert data == write_voc(rows, IMAGE, REGISTRY)


@given(st.lists(st.tuples(*[st.integers(0, 8191), st.integers(0, 8191)] * 2), min_size=1))
def test_whole_and_binary_fractions_of_a_pixel_are_exact(boxes: list[tuple[int, int, int, int]]) -> None:
    rows = [CocoAnnotation(n, 7, 1, (x / 8, y / 8, w + 0.125, h + 1)) for n, (x, y, w, h) in enumerate(boxes, 1)]
    found = read_voc(write_voc(rows, IMAGE, REGISTRY), name="a.xml").boxes
    assert [box.xywh for box in found] == [row.xywh for row in rows]


@pytest.mark.parametrize("edge", ["crowd region", "turned box"])
def test_what_the_format_cannot_say_is_not_written_as_an_object(edge: str) -> None:
    crowd = edge == "crowd region"
    row = CocoAnnotation(5, 7, 1, (0, 0, 1, 1), iscrowd=crowd, attributes={} if crowd else {"rotation": "30.00"})
    with pytest.raises(ValueError, match=f"annotation 5 is a {edge}, which Pascal VOC cannot say"):
        write_voc([row], IMAGE, REGISTRY)


def test_its_own_files_count_pixels_from_one() -> None:
    official = file(head="<source><database>The VOC2007 Database</database></source>")
    other = file(head="<source><database>Unknown</database></source>")
    assert read_voc(official, name="a.xml").boxes[0].xywh == (0, 1, 3, 3)
    assert read_voc(other, name="a.xml").boxes[0].xywh == (1, 2, 2, 2)
    assert read_voc(other, name="a.xml", coordinates="counted").boxes[0].xywh == (0, 1, 3, 3)
    assert read_voc(official, name="a.xml", coordinates="edges").boxes[0].xywh == (1, 2, 2, 2)
    # One pixel is a box where pixels are counted, and none where edges are.
    pixel = OBJECT.replace(">3<", ">1<").replace(">4<", ">2<")
    assert read_voc(file(pixel), name="a.xml", coordinates="counted").boxes[0].xywh == (0, 1, 1, 1)
    with pytest.raises(DamagedInputError, match="object 1 has a box of 0 x 0 pixels"):
        read_voc(file(pixel), name="a.xml")


def test_what_is_no_upright_box_is_counted() -> None:
    part = "<part><name>head</name><bndbox><xmin>9</xmin></bndbox></part>"
    objects = (
        OBJECT.replace("</object>", f"{part}{part}<actions><jumping>1</jumping></actions></object>"),
        OBJECT.replace("</object>", "<polygon><x1>1</x1></polygon></object>"),
        "<object><name>cat</name><polygon><x1>1</x1></polygon></object>",
        "<object><name>cat</name><robndbox><cx>1</cx></robndbox></object>",
        OBJECT.replace(
            "</object>",
            "<attributes><attribute><name>rotation</name><value>30.0</value></attribute></attributes></object>",
        ),
        OBJECT.replace(
            "</object>",
            "<attributes><attribute><name>rotation</name><value>0.0</value></attribute></attributes></object>",
        ),
    )
    picture = read_voc(file("".join(objects)), name="a.xml")
    assert [box.attributes for box in picture.boxes] == [{}, {}, {"rotation": "30.0"}, {}]
    assert [box.xywh for box in picture.boxes] == [(1, 2, 2, 2)] * 4
    dataset = gathered([picture], name="a")
    assert len(dataset.annotations) == 3
    assert dataset.repairs.left_out == {"boxed polygon": 1, "part": 2, "polygon": 1, "rotated box": 2}
    assert dataset.repairs.sentences == (
        "1 boxed polygon left out", "2 parts left out", "1 polygon left out", "2 rotated boxes left out",
    )  # fmt: skip


def test_the_size_may_be_known_better() -> None:
    assert read_voc(file(size=""), name="a.xml", size=(30, 40)).width == 30
    assert read_voc(file(size="<width>0</width><height>0</height>"), name="a.xml", size=(30, 40)).height == 40
    assert read_voc(file(), name="a.xml", size=(200, 100)).width == 200
    with pytest.raises(DamagedInputError) as caught:
        read_voc(file(), name="a.xml", size=(100, 200))
    assert caught.value.message == "a.xml says 200 x 100 pixels, but its picture has 100 x 200"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (file(size=""), "a.xml does not say the size of its picture"),
        (file(size="<width>0</width><height>0</height>"), "a.xml does not say the size of its picture"),
        (file(size="<width>10</width>"), "a.xml: its height is missing"),
        (file(size="<width>1.5</width><height>1</height>"), "a.xml: its width is 1.5, not a whole number of pixels"),
        (file().replace(b"a.jpg", b" "), "a.xml has no file name"),
        (file().replace(b"a.jpg", b"../a.jpg"), "a.xml: the file name '../a.jpg' climbs out of its folder"),
        (file().replace(b"a.jpg", b"C:\\a.jpg"), "a.xml: the file name 'C:\\\\a.jpg' climbs out of its folder"),
        (file(OBJECT.replace("cat", "")), "a.xml: object 1 has no name"),
        (file(OBJECT.replace("bndbox", "box")), "a.xml: object 1 has no box"),
        (file(OBJECT + OBJECT.replace(">3<", ">nan<")), "a.xml: object 2: xmax is 'nan', which is not a number"),
        (file(OBJECT.replace("<xmin>1</xmin>", "")), "a.xml: object 1: xmin is missing"),
        (
            file(OBJECT.replace(">1<", ">9<")),
            "a.xml: object 1 has its edges reversed: left, top, right, bottom are 9, 2, 3, 4",
        ),
        (file(OBJECT.replace(">1<", ">3<")), "a.xml: object 1 has a box of 0 x 2 pixels"),
        (b"<annotations/>", "a.xml is not a Pascal VOC file: its outermost element is <annotations>, not <annotation>"),
        (file()[:-5], "a.xml ends in the middle: it is a truncated piece of XML, not a Pascal VOC file"),
    ],
)
def test_damaged_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        read_voc(data, name="a.xml")
    assert caught.value.message.startswith(message)


def test_the_white_space_of_a_pretty_printer_is_no_part_of_a_name() -> None:
    picture = read_voc(file(OBJECT.replace("cat", "\n  cat\n ")), name="a.xml")
    assert picture.boxes[0].label == "cat"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_other_encodings(encoding: str) -> None:
    data = file(OBJECT.replace("cat", "Schütze")).decode().encode(encoding)
    assert read_voc(data, name="a.xml").boxes[0].label == "Schütze"


def test_annotations_lie_where_the_pictures_do() -> None:
    assert annotation_path("a.jpg") == "Annotations/a.xml"
    assert annotation_path("cam.1/a.b.png") == "Annotations/cam.1/a.b.xml"


def test_the_class_list() -> None:
    text = label_map(["person", "no helmet"])
    assert text == "# label:color_rgb:parts:actions\nperson:::\nno helmet:::\n"
    assert parse_label_map(text) == ("person", "no helmet")
    assert parse_label_map("# x\r\nbackground:0,0,0::\r\ncat:1,2,3:head:\r\n\r\ndog") == ("cat", "dog")
    for name in ("a:b", "#a", "a\nb", " a"):
        with pytest.raises(DamagedInputError, match=r"cannot stand in labelmap\.txt"):
            label_map([name])


def a_picture(name: str, *boxes: Box, **extra: str) -> LabelledPicture:
    return LabelledPicture(name, 100, 100, boxes, {}, extra)


def test_pictures_become_a_data_set() -> None:
    pictures = [
        a_picture("b.jpg", Box("dog", (90, 0, 20, 10)), Box("cat", (200, 0, 1, 1))),
        a_picture("a.jpg"),
        a_picture("c.jpg", Box("ape", (0, 0, 1, 1), attributes={"rotation": 359.5})),
    ]
    dataset = gathered(pictures, name="x", labels=["dog", "cow"])
    assert dataset.categories.names == ("dog", "cow")
    assert [(i.id, i.file_name) for i in dataset.images] == [(1, "b.jpg"), (2, "a.jpg"), (3, "c.jpg")]
    assert dataset.annotations == (CocoAnnotation(1, 1, 1, (90, 0, 10, 10)),)
    assert (dataset.repairs.clipped, dataset.repairs.outside) == (1, 1)
    everything = gathered(pictures, name="x", clip=False, rotated=True)
    assert everything.categories.names == ("ape", "cat", "dog")
    assert [a.xywh for a in everything.annotations] == [(90, 0, 20, 10), (200, 0, 1, 1), (0, 0, 1, 1)]


def test_labels_meet_a_registry_by_name() -> None:
    pictures = [a_picture("a.jpg", Box("dog", (0, 0, 1, 1)), Box("cat", (0, 0, 1, 1)))]
    known = ClassRegistry.of(["cat", "cow", "dog"])
    assert [a.category_id for a in gathered(pictures, name="x", registry=known).annotations] == [3, 1]
    few = ClassRegistry.of(["cat"])
    with pytest.raises(DamagedInputError) as caught:
        gathered(pictures, name="x", labels=["unused"], registry=few)
    assert caught.value.message == "x: unknown label 'dog': the known labels are cat"
    grown = gathered(pictures, name="x", labels=["unused"], registry=few, allow_unknown_labels=True)
    assert grown.categories.names == ("cat", "unused", "dog")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (a_picture("a.jpg"), "x: two pictures have the file name 'a.jpg'"),
        (
            a_picture("a.jpg", subset="valid"),
            "x: two pictures have the file name 'a.jpg', in the subsets None and 'valid'",
        ),
    ],
)
def test_two_pictures_of_one_name_are_refused(second: LabelledPicture, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        gathered([a_picture("a.jpg"), second], name="x")
    assert caught.value.message == message


@pytest.mark.required
def test_the_real_set(shared) -> None:
    dataset = read_coco((shared / "data" / "bccd" / "instances.json").read_bytes(), name="instances.json")
    by_image = dataset.by_image()
    pictures = [
        read_voc(write_voc(by_image[image.id], image, dataset.categories), name=image.file_name)
        for image in dataset.images
    ]
    found = gathered(pictures, name="x", registry=dataset.categories)
    assert [(a.category_id, a.xywh) for a in found.annotations] == [
        (a.category_id, a.xywh) for image in dataset.images for a in by_image[image.id]
    ]
    assert len(found.annotations) == 4886
