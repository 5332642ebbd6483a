"""The reading half of ``dataset import``, on real folders and archives."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_engine.errors import DamagedInputError
from data_engine.formats.archives import Archive
from data_engine.formats.coco import CocoDataset, read_coco
from data_engine.media.images import open_picture
from data_engine.stages.convert import convert_rfdetr, convert_yolo
from data_engine.stages.convert_xml import convert_cvat, convert_voc
from data_engine.stages.dataset_import import Imported, read_labels
from data_engine.stages.import_source import Folder, PictureIndex, WithPictures
from data_engine.storage.local import LocalStorage
from data_engine.types import ClassRegistry, Failed


class Quiet:
    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def picture(width: int = 100, height: int = 50) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def size_in(data: bytes) -> tuple[int, int]:
    try:
        with open_picture(io.BytesIO(data)) as image:
            return image.size
    except (ImportError, OSError):  # Ultralytics, once loaded, asks for a package where a file is no picture
        raise DamagedInputError("that is no picture") from None


def zipped(files: dict[str, bytes]) -> Archive:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return Archive(buffer, name="x.zip")


def read(files: dict[str, bytes], **options: Any) -> Imported:
    archive = zipped(files)
    return read_labels(archive, size_of=lambda path: size_in(archive.read(path)), **options)


def coco(names: list[str], label: str = "cat", *, number: int = 1, size: tuple[int, int] = (100, 50)) -> bytes:
    """One box a picture, with ids of its own as each part of an export has."""
    images = [{"id": number + n, "file_name": f, "width": size[0], "height": size[1]} for n, f in enumerate(names)]
    boxes = [
        {"id": number + n, "image_id": number + n, "category_id": 1, "bbox": [n, 0, 5, 5]} for n in range(len(names))
    ]
    return json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": label}]}).encode()


def voc(name: str, *, size: str = "<size><width>100</width><height>50</height></size>", edge: str = "3") -> bytes:
    box = f"<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{edge}</xmax><ymax>4</ymax></bndbox>"
    return f"<annotation><filename>{name}</filename>{size}<object><name>cat</name>{box}</object></annotation>".encode()


def drawn(dataset: CocoDataset) -> list[tuple[str, str, tuple[float, ...]]]:
    files = {image.id: image.file_name for image in dataset.images}
    return sorted(
        (files[a.image_id], dataset.categories.name_of(a.category_id), tuple(round(v, 3) for v in a.xywh))
        for a in dataset.annotations
    )


def test_parts_with_ids_of_their_own_meet_by_name() -> None:
    found = read(
        {
            "annotations/instances_train.json": coco(["a.png"], "dog"),
            "annotations/instances_val.json": coco(["a.png", "b.png"], "cat"),
            "images/train/a.png": picture(),
            "images/val/a.png": picture(),
            "images/val/b.png": picture(),
            "images/val/nobody.png": picture(),
        }
    )
    assert [(side.split, drawn(side.dataset)) for side in found.sides] == [
        ("train", [("a.png", "dog", (0, 0, 5, 5))]),
        ("valid", [("a.png", "cat", (0, 0, 5, 5)), ("b.png", "cat", (1, 0, 5, 5))]),
    ]
    # All sides number their classes alike.
    assert {side.dataset.categories.names for side in found.sides} == {("dog", "cat")}
    assert [side.pictures for side in found.sides] == [
        {"a.png": "images/train/a.png"},
        {"a.png": "images/val/a.png", "b.png": "images/val/b.png"},
    ]
    assert (found.kind, found.failures, found.missing, found.unlabelled) == ("coco", (), (), 1)


def test_one_picture_in_two_files_of_one_side_is_not_taken_twice() -> None:
    found = read({"one.json": coco(["a.png", "b.png"]), "two.json": coco(["b.png", "c.png"])})
    (side,) = found.sides
    assert [image.file_name for image in side.dataset.images] == ["a.png", "b.png", "c.png"]
    assert found.failures == (Failed("two.json", "two.json: the picture 'b.png' was labelled before"),)
    assert found.missing == ("a.png", "b.png", "c.png")


def test_pictures_of_one_name_in_two_parts_are_two_pictures() -> None:
    pictures = {f"{part}/images/{name}": picture() for part in "xy" for name in ("a.png", "b.png")}
    parts = {f"{part}/labels.json": coco(["a.png", "b.png"], number=n) for n, part in enumerate("xy", 1)}
    found = read(parts | pictures)
    (side,) = found.sides
    assert side.pictures == {
        "a.png": "x/images/a.png",
        "b.png": "x/images/b.png",
        "y/images/a.png": "y/images/a.png",
        "y/images/b.png": "y/images/b.png",
    }
    assert (found.failures, found.missing, found.unlabelled, len(side.dataset.annotations)) == ((), (), 0, 4)
    # One of them that is labelled in two files is not taken twice.
    again = read(parts | pictures | {"y/more.json": coco(["b.png"])})
    assert again.failures == (Failed("y/more.json", "y/more.json: the picture 'y/images/b.png' was labelled before"),)


def test_pictures_may_lie_elsewhere(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write_bytes("labels/a.json", coco(["a.png", "b.png"]))
    storage.write_bytes("labels/b.png", picture())
    storage.write_bytes("pictures/deep/a.png", picture())
    storage.write_bytes("pictures/b.json", coco(["c.png"]))
    source = WithPictures(Folder(storage, "labels", name="x"), Folder(storage, "pictures", name="y"))
    assert source.names == ("a.json", "b.png", "images/deep/a.png")
    assert source.size("images/deep/a.png") == len(picture()) == len(b"".join(source.pieces("images/deep/a.png")))
    assert source.head("images/deep/a.png", 4) == source.head("b.png", 4) == b"\x89PNG"
    (side,) = read_labels(source, size_of=lambda path: (100, 50)).sides
    assert side.pictures == {"a.png": "images/deep/a.png", "b.png": "b.png"}


def test_a_bad_file_is_one_failure() -> None:
    found = read(
        {
            "Annotations/a.xml": voc("a.png"),
            "Annotations/b.xml": voc("b.png", edge="0"),
            "Annotations/c.xml": voc("c.png")[:-9],
            "JPEGImages/a.png": picture(),
        }
    )
    assert drawn(found.sides[0].dataset) == [("a.png", "cat", (1, 2, 2, 2))]
    assert [(failed.input_id, failed.reason.split(":")[0]) for failed in found.failures] == [
        ("Annotations/b.xml", "Annotations/b.xml"),
        ("Annotations/c.xml", "Annotations/c.xml ends in the middle"),
    ]
    with pytest.raises(DamagedInputError) as caught:
        read({"Annotations/a.xml": voc("a.png", edge="0")})
    assert caught.value.message.startswith("x.zip: no file can be used; the first: Annotations/a.xml: object 1 has its")


def test_sizes_are_those_of_the_pictures() -> None:
    found = read(
        {
            "a.json": coco(["a.png", "b.png", "c.png"], size=(100, 50)),
            "a.png": picture(),
            "b.png": picture(50, 100),
            "c.png": b"no picture",
        }
    )
    assert [image.file_name for image in found.sides[0].dataset.images] == ["a.png"]
    assert found.failures == (
        Failed("b.png", "a.json: b.png is said to have 100 x 50 pixels, but its picture has 50 x 100"),
        Failed("c.png", "that is no picture"),
    )
    # A VOC file may leave its size to the picture.
    unsaid = read({"a.xml": voc("a.png", size=""), "a.png": picture(30, 40)})
    assert unsaid.sides[0].dataset.images[0].width == 30


def test_a_renamed_voc_picture_is_found_by_the_annotation_s_name() -> None:
    found = read({"Annotations/x.xml": voc("old name.jpg"), "JPEGImages/x.png": picture()})
    (side,) = found.sides
    assert (side.dataset.images[0].file_name, side.pictures) == ("x.png", {"x.png": "JPEGImages/x.png"})


def test_the_lists_of_voc_say_the_side() -> None:
    found = read(
        {
            "VOC/Annotations/cam/a.xml": voc("cam/a.png"),
            "VOC/Annotations/b.xml": voc("b.png"),
            "VOC/Annotations/c.xml": voc("c.png"),
            "VOC/ImageSets/Main/train.txt": b"cam/a\n",
            "VOC/ImageSets/Main/val.txt": b"b\r\n",
            "VOC/ImageSets/Main/trainval.txt": b"cam/a\nb\nc\n",
            "VOC/labelmap.txt": b"# label:color_rgb:parts:actions\ndog:::\ncat:::\n",
        }
    )
    assert [(side.split, [i.file_name for i in side.dataset.images]) for side in found.sides] == [
        (None, ["c.png"]),
        ("train", ["cam/a.png"]),
        ("valid", ["b.png"]),
    ]
    assert found.sides[0].dataset.categories.names == ("dog", "cat")


@pytest.mark.parametrize(
    ("description", "labels", "pictures"),
    [
        ("data.yaml", "train/labels/a.txt", "train/images/a.png"),
        ("data.yaml", "labels/train/a.txt", "images/train/a.png"),
        ("obj.names", "obj_train_data/a.txt", "obj_train_data/a.png"),
    ],
)
def test_yolo_in_each_layout(description: str, labels: str, pictures: str) -> None:
    classes = b"dog\ncat\n" if description == "obj.names" else b"names: [dog, cat]"
    files = {description: classes, labels: b"1 0.5 0.5 0.5 0.5\n", labels.replace("a.txt", "b.txt"): b"0 0.5 0.5 1 1"}
    found = read(files | {pictures: picture()})
    (side,) = found.sides
    assert (side.split, side.pictures) == ("train", {"a.png": pictures})
    assert drawn(side.dataset) == [("a.png", "cat", (25, 12.5, 50, 25))]
    (failed,) = found.failures
    assert failed.reason.endswith("b.txt: its picture is not there, and YOLO labels mean nothing without its size")


def test_subsets_of_a_project_are_sides() -> None:
    def image(subset: str) -> str:
        box = '<box label="cat" xtl="1" ytl="2" xbr="3" ybr="4"/>'
        return f'<image id="0" name="a.png" subset="{subset}" width="100" height="50">{box}</image>'

    data = f"<annotations>{image('Train')}{image('Validation')}</annotations>".encode()
    files = {"annotations.xml": data, "images/Train/a.png": picture(), "images/Validation/a.png": picture()}
    found = read(files)
    assert [(side.split, side.pictures) for side in found.sides] == [
        ("train", {"a.png": "images/Train/a.png"}),
        ("valid", {"a.png": "images/Validation/a.png"}),
    ]


def test_labels_that_the_registry_does_not_hold() -> None:
    known = ClassRegistry.of(["dog"])
    with pytest.raises(DamagedInputError, match=r"^x\.zip: unknown label 'cat': the known labels are dog$"):
        read({"a.json": coco(["a.png"])}, registry=known)
    found = read({"a.json": coco(["a.png"])}, registry=known, allow_unknown_labels=True)
    assert found.sides[0].dataset.categories.names == ("dog", "cat")


def test_two_pictures_of_one_name_are_not_guessed_between() -> None:
    index = PictureIndex(["x/a.jpg", "y/a.jpg", "y/b.jpg", "__MACOSX/y/._b.jpg", "a.txt"])
    assert len(index) == 3
    assert (index.find("a.jpg", "labels.json"), index.find("a.jpg", "y/labels.json")) == (None, "y/a.jpg")
    assert (index.find("x/a.jpg", "labels.json"), index.find("z/b.jpg", "labels.json")) == ("x/a.jpg", None)
    assert (index.alike("b", "b.xml"), index.stem("y/b"), index.stem("b")) == ("y/b.jpg", "y/b.jpg", None)


def test_one_file_is_a_source(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write_bytes("deep/a.json", coco(["a.png"]))
    for key in ("deep/a.json", "deep", "."):
        folder = Folder(storage, key, name="x")
        assert read_labels(folder, size_of=lambda path: (1, 1)).missing == ("a.png",)


@pytest.mark.required
@pytest.mark.parametrize("convert", [convert_yolo, convert_rfdetr, convert_voc, convert_cvat])
def test_what_convert_wrote_is_imported_as_it_was(convert: Any, tmp_path: Path, shared: Path) -> None:
    bccd = shared / "data" / "bccd"
    whole = read_coco((bccd / "instances.json").read_bytes(), name="instances.json")
    few = whole.images[:40]
    ids = {image.id for image in few}
    dataset = CocoDataset(few, tuple(a for a in whole.annotations if a.image_id in ids), whole.categories)
    storage = LocalStorage(tmp_path)
    pictures = {path.name: storage.key_of(path) for path in (bccd / "images").iterdir()}
    convert(
        dataset,
        "train",
        storage=storage,
        root="out",
        find_picture=lambda image: pictures[image.file_name],
        progress=Quiet(),
    )
    folder = Folder(storage, "out", name="out")
    found = read_labels(folder, size_of=lambda path: size_in(storage.read_bytes(folder.key_of(path))))
    (side,) = found.sides
    assert (side.split, len(side.pictures), found.failures, found.missing, found.unlabelled) == ("train", 40, (), (), 0)
    assert drawn(side.dataset) == drawn(dataset)
    assert side.dataset.categories.names == dataset.categories.names


@pytest.mark.required
def test_cvat_s_own_exports(shared: Path) -> None:
    for name in ("task-coco-ann.zip", "task-cvat-xml.zip"):
        with (shared / "cvat" / "samples" / name).open("rb") as file:
            found = read_labels(Archive(file, name=name), size_of=lambda path: (1, 1))
        assert [len(side.dataset.annotations) for side in found.sides] == [80]
        assert len(found.missing) == 20
