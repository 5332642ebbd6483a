"""Conversion to Pascal VOC and CVAT, on real files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, UsageError
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, read_coco
from data_engine.formats.cvat_xml import read_cvat
from data_engine.formats.labelled import pieces_of
from data_engine.formats.voc import read_voc
from data_engine.stages.convert import Converted, convert_rfdetr, convert_yolo
from data_engine.stages.convert_xml import convert_cvat, convert_voc
from data_engine.storage.local import LocalStorage
from data_engine.types import ClassRegistry

REGISTRY = ClassRegistry.of(["person", "helmet"])
NAMES = ("b.jpg", "cam 1/a ä.jpg", "leer.png")
NEW = {convert_voc: "voc", convert_cvat: "cvat"}
both = pytest.mark.parametrize("convert", NEW)


class Quiet:
    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "arbeits platz")
    for name in NAMES:
        storage.write_bytes(f"frames/{name}", b"picture " + name.encode())
    return storage


def a_dataset(names: tuple[str, ...] = NAMES) -> CocoDataset:
    images = tuple(CocoImage(number, name, 100, 50) for number, name in enumerate(names, 1))
    boxes = (
        CocoAnnotation(1, 1, 1, (10, 10, 20.125, 20), attributes={"occluded": True}),
        CocoAnnotation(2, 1, 2, (90, 40, 20, 20)),
        CocoAnnotation(3, 1, 1, (200, 10, 20, 20)),
        CocoAnnotation(4, 2, 2, (0, 0, 100, 50), iscrowd=True),
        CocoAnnotation(5, 2, 2, (0, 0, 1 / 3, 0.1)),
        CocoAnnotation(6, 2, 1, (90, 0, 20, 10), attributes={"rotation": 30.0}),
    )
    return CocoDataset(images, tuple(b for b in boxes if b.image_id <= len(names)), REGISTRY)


def run(
    convert: Callable[..., Converted], storage: LocalStorage, dataset: CocoDataset, split: str = "train", **options: Any
) -> Converted:
    def find(image: CocoImage) -> str | None:
        key = f"frames/{image.file_name}"
        return key if storage.exists(key) else None

    root = f"final_labels/{NEW.get(convert, 'other')}"
    return convert(
        dataset, split, **{"storage": storage, "root": root, "find_picture": find, "progress": Quiet()} | options
    )


def tree(storage: LocalStorage) -> dict[str, bytes]:
    """Every file, the hidden ones too, without the times in the marks of pictures."""
    root = storage.path("final_labels")
    return {
        path.relative_to(root).as_posix(): re.sub(rb'"(\d+)-\d+"', rb'"\1-time"', path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


COUNTS = Converted(images=3, boxes=3, backgrounds=1, clipped=1, outside=1, per_class={"person": 1, "helmet": 2})


def test_voc_layout(storage: LocalStorage) -> None:
    assert run(convert_voc, storage, a_dataset()) == replace(COUNTS, crowds_dropped=1, turned_dropped=1)
    files = tree(storage)
    assert [path for path in files if ".converted" not in path] == [
        "voc/train/Annotations/b.xml",
        "voc/train/Annotations/cam 1/a ä.xml",
        "voc/train/Annotations/leer.xml",
        "voc/train/ImageSets/Main/train.txt",
        "voc/train/JPEGImages/b.jpg",
        "voc/train/JPEGImages/cam 1/a ä.jpg",
        "voc/train/JPEGImages/leer.png",
        "voc/train/labelmap.txt",
    ]
    assert files["voc/train/ImageSets/Main/train.txt"].decode() == "b\ncam 1/a ä\nleer\n"
    assert files["voc/train/labelmap.txt"].decode().splitlines()[1:] == ["person:::", "helmet:::"]
    picture = read_voc(files["voc/train/Annotations/b.xml"], name="b.xml")
    assert [(b.label, b.xywh, b.attributes) for b in picture.boxes] == [
        ("person", (10, 10, 20.125, 20), {"occluded": True}),
        ("helmet", (90, 40, 10, 10), {}),
    ]
    run(convert_voc, storage, a_dataset(), "valid")
    assert "voc/valid/ImageSets/Main/val.txt" in tree(storage)


def test_cvat_layout(storage: LocalStorage) -> None:
    assert run(convert_cvat, storage, a_dataset()) == replace(COUNTS, crowds_dropped=1, turned_kept=1)
    files = tree(storage)
    assert [path for path in files if ".converted" not in path] == [
        "cvat/train/annotations.xml",
        "cvat/train/images/b.jpg",
        "cvat/train/images/cam 1/a ä.jpg",
        "cvat/train/images/leer.png",
    ]
    found = read_cvat(pieces_of(files["cvat/train/annotations.xml"]), name="x", rotated=True)
    assert [i.file_name for i in found.images] == list(NAMES)
    assert [(a.category_id, a.xywh, a.attributes) for a in found.annotations] == [
        (1, (10, 10, 20.125, 20), {"occluded": True}),
        (2, (90, 40, 10, 10), {}),
        (2, (0, 0, 1 / 3, 0.1), {}),
        (1, (90, 0, 20, 10), {"rotation": 30.0}),
    ]


@pytest.mark.parametrize("convert", [convert_yolo, convert_rfdetr])
def test_turned_boxes_are_not_trained_on_as_if_they_were_upright(
    convert: Callable[..., Converted], storage: LocalStorage
) -> None:
    counts = run(convert, storage, a_dataset())
    assert (counts.boxes, counts.turned_dropped) == (3, 1)


@both
def test_a_second_run_touches_nothing(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    first, before = run(convert, storage, a_dataset()), tree(storage)
    times = {path: (storage.path("final_labels") / path).stat().st_mtime_ns for path in before}
    assert run(convert, storage, a_dataset()) == first
    assert {path: (storage.path("final_labels") / path).stat().st_mtime_ns for path in tree(storage)} == times


@both
def test_what_left_the_split_is_removed(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    run(convert, storage, a_dataset())
    assert run(convert, storage, a_dataset(NAMES[:2])).removed == (2 if convert is convert_voc else 1)
    fresh = LocalStorage(storage.root.parent / "fresh")
    for name in NAMES:
        fresh.write_bytes(f"frames/{name}", b"picture " + name.encode())
    run(convert, fresh, a_dataset(NAMES[:2]))
    assert tree(storage) == tree(fresh)


@both
def test_missing_pictures_are_counted_and_their_boxes_written(
    convert: Callable[..., Converted], storage: LocalStorage
) -> None:
    storage.delete("frames/b.jpg")
    counts = run(convert, storage, a_dataset())
    assert (counts.missing, counts.missing_names, counts.boxes) == (1, ("b.jpg",), 3)
    assert not [path for path in tree(storage) if path.endswith("b.jpg")]


@both
def test_files_of_somebody_else_are_never_touched(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    storage.write_bytes(f"final_labels/{NEW[convert]}/train/mine.xml", b"mine")
    before = tree(storage)
    with pytest.raises(ConflictError, match=r"holds 1 files that convert did not write, such as mine\.xml"):
        run(convert, storage, a_dataset())
    assert tree(storage) == before


@both
def test_an_interrupted_run_is_completed_by_the_next(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    class Killed(Quiet):
        def advance(self, amount: int = 1) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(convert, storage, a_dataset(), progress=Killed())
    run(convert, storage, a_dataset(NAMES[:2]))
    fresh = LocalStorage(storage.root.parent / "fresh")
    for name in NAMES:
        fresh.write_bytes(f"frames/{name}", b"picture " + name.encode())
    run(convert, fresh, a_dataset(NAMES[:2]))
    assert tree(storage) == tree(fresh)


@both
@pytest.mark.parametrize(
    ("dataset", "split", "error", "message"),
    [
        (a_dataset(), "guard", UsageError, "split 'guard' is not one of train, valid"),
        (a_dataset(("../x.jpg",)), "train", DamagedInputError, "the file name '../x.jpg' climbs out of its folder"),
        (a_dataset(("x.jpg", "./x.jpg")), "train", DamagedInputError, "the data set holds a file name twice"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_written(
    convert: Callable[..., Converted],
    dataset: CocoDataset,
    split: str,
    error: type[DataEngineError],
    message: str,
    storage: LocalStorage,
) -> None:
    with pytest.raises(error) as caught:
        run(convert, storage, dataset, split)
    assert caught.value.message == message
    assert not storage.path("final_labels").exists()


def test_two_pictures_cannot_share_a_file(storage: LocalStorage) -> None:
    with pytest.raises(DamagedInputError) as caught:
        run(convert_voc, storage, a_dataset(("x.jpg", "x.png")))
    assert caught.value.message == "pictures 'x.jpg' and 'x.png' would share the file 'Annotations/x.xml'"
    assert run(convert_cvat, storage, a_dataset(("x.jpg", "x.png"))).images == 2


class Forgetful(LocalStorage):
    """Changes what is written to annotations, as a broken disk might."""

    def __init__(self, root: Path, old: bytes, new: bytes) -> None:
        super().__init__(root)
        self.old, self.new = old, new

    def write_bytes(self, key: str, data: bytes) -> None:
        super().write_bytes(key, data.replace(self.old, self.new) if key.endswith(".xml") else data)


@pytest.mark.parametrize(
    ("convert", "old", "new", "message"),
    [
        (convert_voc, b"<xmin>90<", b"<xmin>90.0011<", "b.xml does not read back as it was written: helmet at (90.001"),
        (convert_voc, b"helmet", b"person", "b.xml does not read back as it was written: person at "),
        (convert_voc, b"<width>100", b"<width>101", "b.xml does not read back as it was written: its pictures differ"),
        (convert_voc, b"b.jpg", b"c.jpg", "b.xml does not read back as it was written: its pictures differ"),
        (convert_voc, b"</annotation>", b"", "b.xml ends in the middle"),
        (convert_cvat, b'xtl="90"', b'xtl="90.0011"', "annotations.xml does not read back as it was written: helmet"),
        (convert_cvat, b'label="helmet"', b'label="person"', "annotations.xml does not read back as it was written: p"),
        (convert_cvat, b'name="b.jpg"', b'name="c.jpg"', "does not read back as it was written: its pictures differ"),
        (convert_cvat, b'  <image id="2"', b'  <graph id="2"', "annotations.xml is not XML: mismatched tag"),
        (convert_cvat, b"</annotations>", b'<image name="z" width="1" height="1"/></annotations>', "pictures differ"),
    ],
)
def test_what_does_not_read_back_is_refused(
    convert: Callable[..., Converted], old: bytes, new: bytes, message: str, storage: LocalStorage
) -> None:
    with pytest.raises(DataEngineError) as caught:
        run(convert, Forgetful(storage.root, old, new), a_dataset())
    assert message in caught.value.message


@pytest.mark.required
@both
def test_the_real_set(convert: Callable[..., Converted], storage: LocalStorage, shared: Path) -> None:
    bccd = shared / "data" / "bccd"
    dataset = read_coco((bccd / "instances.json").read_bytes(), name="instances.json")
    pictures = {path.name: storage.key_of(path) for path in sorted((bccd / "images").iterdir())}
    counts = run(convert, storage, dataset, find_picture=lambda image: pictures[image.file_name])
    assert (counts.images, counts.boxes, counts.missing, counts.outside) == (364, 4886, 0, 0)
    assert counts.per_class == {"RBC": 4153, "WBC": 372, "Platelets": 361}
