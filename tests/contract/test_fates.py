"""What docs/formats.md says becomes of each thing in each format is what becomes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, Repairs, read_coco, write_coco
from data_engine.formats.cvat_xml import read_cvat
from data_engine.formats.labelled import gathered, pieces_of
from data_engine.formats.rfdetr import ANNOTATIONS, read_rfdetr
from data_engine.formats.voc import read_voc
from data_engine.formats.yolo import parse_yolo
from data_engine.stages.convert import Converted, convert_rfdetr, convert_yolo
from data_engine.stages.convert_xml import convert_cvat, convert_voc
from data_engine.storage.local import LocalStorage
from data_engine.types import ClassRegistry

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
NONE = "—"


def table(heading: str) -> dict[tuple[str, str], str]:
    """What the page says, by thing and format."""
    text = PAGE.read_text("utf-8").split(f"\n### {heading}\n", 1)[1]
    found = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert found is not None
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines()]
    formats = rows[0][1:]
    return {(row[0], name): cell for row in rows[2:] for name, cell in zip(formats, row[1:], strict=True)}


READ, WRITTEN = table("Read"), table("Written")


def test_the_tables_are_whole() -> None:
    assert (len(READ), len(WRITTEN)) == (21 * 4, 7 * 5)
    assert {name for _, name in READ} == {"COCO", "YOLO", "VOC", "CVAT"}


# Reading: each file holds one sound box, which must always come through, and the thing.


def coco(*annotations: Mapping[str, Any], images: str = "", size: str = '"width": 100, "height": 100') -> bytes:
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    boxes += [
        {"id": n, "image_id": 1, "category_id": 1, "bbox": [5, 5, 9, 9]} | a for n, a in enumerate(annotations, 2)
    ]
    first = f'{{"id": 1, "file_name": "a.jpg", {size}}}'
    categories = '[{"id": 1, "name": "cat"}]'
    text = f'{{"images": [{first}{images}], "annotations": {json.dumps(boxes)}, "categories": {categories}}}'
    return text.encode()


def second(name: str) -> str:
    return f', {{"id": 2, "file_name": "{name}", "width": 100, "height": 100}}'


COCO_FILES = {
    "crowd region": coco({"iscrowd": 1}),
    "rotated box": coco({"attributes": {"rotation": 30.0}}),
    "polygon beside a box": coco({"segmentation": [[1, 2, 3, 4, 5, 6]]}),
    "mask": coco({"segmentation": {"counts": [1, 2], "size": [1, 3]}}),
    "picture without boxes": coco(images=second("b.jpg")),
    "box over the edge": coco({"bbox": [90, 0, 20, 20]}),
    "box outside its picture": coco({"bbox": [200, 0, 20, 20]}),
    "box without area": coco({"bbox": [5, 5, 0, 9]}),
    "box with reversed edges": coco({"bbox": [5, 5, -2, 9]}),
    "number that is none": coco({"bbox": [5, 5, float("nan"), 9]}),
    "two pictures of one name": coco(images=second("a.jpg")),
    "picture without a size": coco(size='"width": 100'),
}

YOLO_LINES = {
    "rotated box": "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2",
    "polygon": "0 0.1 0.1 0.2 0.1 0.2 0.2",
    "picture without boxes": "",
    "box over the edge": "0 0.5 0.5 1.2 0.5",
    "box outside its picture": "0 1.5 0.5 0.1 0.1",
    "box without area": "0 0.5 0.5 0 0.5",
    "box with reversed edges": "0 0.5 0.5 -0.1 0.5",
    "number that is none": "0 nan 0.5 0.1 0.5",
}


def voc(inside: str = "", *, edges: tuple[Any, ...] = (5, 5, 9, 9), whole: str = "", more: str = "") -> list[bytes]:
    def box(left: Any, top: Any, right: Any, bottom: Any) -> str:
        names = zip(("xmin", "ymin", "xmax", "ymax"), (left, top, right, bottom), strict=True)
        return f"<bndbox>{''.join(f'<{name}>{value}</{name}>' for name, value in names)}</bndbox>"

    sound = f"<object><name>cat</name>{box(1, 1, 2, 2)}</object>"
    thing = whole or f"<object><name>cat</name>{box(*edges)}{inside}</object>"
    head = "<filename>a.jpg</filename><size><width>100</width><height>100</height></size>"
    first = f"<annotation>{head}{sound}{thing}</annotation>".encode()
    return [first, *([f"<annotation>{head.replace('a.jpg', more)}</annotation>".encode()] if more else [])]


TURNED = "<attributes><attribute><name>rotation</name><value>30.0</value></attribute></attributes>"
VOC_FILES = {
    "rotated box": voc(TURNED),
    "polygon": voc(whole="<object><name>cat</name><polygon><x1>1</x1></polygon></object>"),
    "polygon beside a box": voc("<polygon><x1>1</x1></polygon>"),
    "mask": voc(whole="<object><name>cat</name><mask>a.png</mask></object>"),
    "part of a body": voc(whole="<object><name>cat</name></object>"),
    "picture without boxes": voc(whole=" ", more="b.jpg"),
    "box over the edge": voc(edges=(90, 0, 110, 20)),
    "box outside its picture": voc(edges=(200, 0, 210, 20)),
    "box without area": voc(edges=(5, 5, 5, 9)),
    "box with reversed edges": voc(edges=(9, 5, 5, 9)),
    "number that is none": voc(edges=("nan", 5, 5, 9)),
    "two pictures of one name": voc(whole=" ", more="a.jpg"),
    "picture without a size": [voc()[0].replace(b"<width>100</width>", b"")],
}
# A part is inside the object of a whole body: this one is the sound box itself.
VOC_FILES["part of a body"] = [
    voc(whole=" ")[0].replace(b"</object>", b"<part><name>head</name><bndbox/></part></object>")
]


def cvat(
    thing: str = "", *, edges: tuple[Any, ...] | None = None, more: str = "", image: str = 'width="100" height="100"'
) -> bytes:
    def box(values: tuple[Any, ...]) -> str:
        said = " ".join(f'{e}="{v}"' for e, v in zip(("xtl", "ytl", "xbr", "ybr"), values, strict=True))
        return f'<box label="cat" {said}/>'

    drawn = box((1, 1, 2, 2)) + (thing if edges is None else box(edges))
    first = f'<image id="0" name="a.jpg" {image}>{drawn}</image>'
    return f"<annotations>{first}{more}</annotations>".encode()


def other(name: str) -> str:
    return f'<image id="1" name="{name}" width="100" height="100"></image>'


CVAT_FILES = {
    "rotated box": cvat('<box label="cat" xtl="1" ytl="1" xbr="2" ybr="2" rotation="30.00"/>'),
    **{
        tag: cvat(f'<{tag} label="cat"/>')
        for tag in ("polygon", "mask", "polyline", "points", "ellipse", "cuboid", "skeleton")
    },
    "tag of a picture": cvat('<tag label="cat"/>'),
    "track": cvat(more='<track id="0" label="cat"><box frame="0" xtl="1" ytl="1" xbr="2" ybr="2"/></track>'),
    "picture without boxes": cvat(more=other("b.jpg")),
    "box over the edge": cvat(edges=(90, 0, 110, 20)),
    "box outside its picture": cvat(edges=(200, 0, 210, 20)),
    "box without area": cvat(edges=(5, 5, 5, 9)),
    "box with reversed edges": cvat(edges=(9, 5, 5, 9)),
    "number that is none": cvat(edges=("nan", 5, 5, 9)),
    "two pictures of one name": cvat(more=other("a.jpg")),
    "picture without a size": cvat(image='width="100"'),
}


def read_yolo(lines: str) -> CocoDataset:
    """The label file of one picture, and for the empty one a second."""
    texts = ["0 0.1 0.1 0.1 0.1\n" + lines] if lines else ["0 0.1 0.1 0.1 0.1\n", ""]
    boxes = [parse_yolo(text, 100, 100, ["cat"]) for text in texts]
    images = tuple(CocoImage(n, f"{n}.jpg", 100, 100) for n in range(len(texts)))
    drawn = tuple(CocoAnnotation(n, n, 1, box.xywh) for n, found in enumerate(boxes) for box in found)
    return CocoDataset(images, drawn, ClassRegistry.of(["cat"]))


READERS: dict[str, tuple[Mapping[str, Any], Callable[[Any], CocoDataset]]] = {
    "COCO": (COCO_FILES, lambda data: read_coco(data, name="x")),
    "YOLO": (YOLO_LINES, read_yolo),
    "VOC": (VOC_FILES, lambda files: gathered([read_voc(data, name="x") for data in files], name="x")),
    "CVAT": (CVAT_FILES, lambda data: read_cvat(pieces_of(data), name="x")),
}


def fate(read: Callable[[], CocoDataset], thing: str) -> str:
    try:
        found = read()
    except DamagedInputError:
        return "refused"
    more, repairs = len(found.annotations) - 1, found.repairs
    assert more >= 0, "the sound box did not come through"
    if thing == "picture without boxes":
        return "kept" if len(found.images) == 2 and more == 0 and repairs == Repairs() else "lost"
    if not repairs.sentences:
        return "kept" if more else "lost"
    return ("cut, counted" if repairs.clipped else "box kept, counted") if more else "left out, counted"


@pytest.mark.parametrize(("thing", "name"), READ, ids=[" in ".join(cell) for cell in READ])
def test_reading(thing: str, name: str) -> None:
    files, read = READERS[name]
    found = fate(lambda: read(files[thing]), thing) if thing in files else NONE
    assert READ[thing, name] == found


def test_a_sound_file_needs_no_repair() -> None:
    for name, sound in (
        ("COCO", coco({})),
        ("YOLO", "0 0.5 0.5 0.1 0.1"),
        ("VOC", voc()),
        ("CVAT", cvat(edges=(1, 1, 2, 2))),
    ):
        assert fate(lambda name=name, sound=sound: READERS[name][1](sound), "box") == "kept"


# Writing, by the stage that proves what it wrote.

SOUND = CocoAnnotation(1, 1, 1, (1, 1, 2, 2))
THINGS = {
    "crowd region": CocoAnnotation(2, 1, 1, (5, 5, 9, 9), iscrowd=True),
    "rotated box": CocoAnnotation(2, 1, 1, (5, 5, 9, 9), attributes={"rotation": 30.0}),
    "box over the edge": CocoAnnotation(2, 1, 1, (90, 0, 20, 20)),
    "box outside its picture": CocoAnnotation(2, 1, 1, (200, 0, 20, 20)),
    "attributes": CocoAnnotation(2, 1, 1, (5, 5, 9, 9), attributes={"colour": "red"}),
    "score": CocoAnnotation(2, 1, 1, (5, 5, 9, 9), score=0.5),
}


class Quiet:
    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def dataset_with(thing: str) -> CocoDataset:
    images = (CocoImage(1, "a.jpg", 100, 100), CocoImage(2, "b.jpg", 100, 100))
    drawn = (SOUND, THINGS[thing]) if thing in THINGS else (SOUND,)
    return CocoDataset(images, drawn, ClassRegistry.of(["cat"]))


def read_back(name: str, storage: LocalStorage, registry: ClassRegistry) -> CocoDataset:
    """Only where attributes and scores are looked for."""
    if name == "RF-DETR":
        return read_rfdetr(storage.read_bytes(f"out/train/{ANNOTATIONS}"), name="x", registry=registry)
    if name == "VOC":
        files = ("a", "b")
        pictures = [read_voc(storage.read_bytes(f"out/train/Annotations/{f}.xml"), name="x") for f in files]
        return gathered(pictures, name="x", rotated=True)
    if name == "CVAT":
        return read_cvat(pieces_of(storage.read_bytes("out/train/annotations.xml")), name="x", rotated=True)
    boxes = parse_yolo(storage.read_bytes("out/train/labels/a.txt").decode(), 100, 100, ["cat"])
    drawn = tuple(CocoAnnotation(n, 1, 1, box.xywh) for n, box in enumerate(boxes))
    return CocoDataset((), drawn, registry)


WRITERS: dict[str, Callable[..., Converted]] = {
    "YOLO": convert_yolo,
    "RF-DETR": convert_rfdetr,
    "VOC": convert_voc,
    "CVAT": convert_cvat,
}


@pytest.mark.parametrize(("thing", "name"), WRITTEN, ids=[" in ".join(cell) for cell in WRITTEN])
def test_writing(thing: str, name: str, tmp_path: Path) -> None:
    dataset = dataset_with(thing)
    storage = LocalStorage(tmp_path)
    counts = Converted()
    if name == "COCO":
        found = read_coco(write_coco(dataset), name="x", clip=False)
    else:
        write = WRITERS[name]
        counts = write(dataset, "train", storage=storage, root="out", find_picture=lambda image: None, progress=Quiet())
        found = read_back(name, storage, dataset.categories)
    assert WRITTEN[thing, name] == fate_of_writing(thing, counts, found, len(dataset.images))


def fate_of_writing(thing: str, counts: Converted, found: CocoDataset, images: int) -> str:
    written = next((a for a in found.annotations if a.xywh[:2] != SOUND.xywh[:2]), None)
    if thing == "picture without boxes":
        return "kept" if counts.backgrounds == images - 1 or len(found.images) == images else "lost"
    if written is None:
        dropped = counts.crowds_dropped + counts.turned_dropped + counts.outside
        return "left out, counted" if dropped else "lost"
    if thing == "score":
        return "kept" if written.score == 0.5 else "lost"
    if thing == "attributes":
        return "kept" if written.attributes == {"colour": "red"} else "lost"
    if counts.clipped:
        return "cut, counted"
    same = (written.iscrowd, written.attributes.get("rotation")) == (
        THINGS[thing].iscrowd,
        THINGS[thing].attributes.get("rotation"),
    )
    return "kept" if same else "lost"
