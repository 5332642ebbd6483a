"""Which format it is."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping

import pytest

from data_engine.errors import DamagedInputError
from data_engine.formats.archives import Archive
from data_engine.formats.sniff import Found, Kind, Part, sniff, split_of

COCO, VOC, CVAT = b'{"images": [', b"<annotation><folder>", b'<?xml version="1.0"?>\n<annotations>'


def sniffed(files: Mapping[str, bytes], only: Kind | None = None) -> Found:
    return sniff(files, lambda path, size: files[path][:size], name="x", only=only)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"labels.json": COCO}, Found("coco", (Part(None, ("labels.json",)),))),
        ({"a.json": b'\xef\xbb\xbf \n{ "categories" : '}, Found("coco", (Part(None, ("a.json",)),))),
        (
            {
                "annotations/instances_train.json": COCO,
                "annotations/instances_site 3.json": COCO,
                "annotations/instances_default.json": COCO,
                "images/train/a.jpg": b"",
            },
            Found(
                "coco",
                (
                    Part(None, ("annotations/instances_default.json",)),
                    Part("site 3", ("annotations/instances_site 3.json",)),
                    Part("train", ("annotations/instances_train.json",)),
                ),
            ),
        ),
        (
            {"train/_annotations.coco.json": COCO, "valid/_annotations.coco.json": COCO, "train/a.jpg": b""},
            Found(
                "coco",
                (
                    Part("train", ("train/_annotations.coco.json",)),
                    Part("valid", ("valid/_annotations.coco.json",)),
                ),
            ),
        ),
        (
            {"data.yaml": b"", "train/labels/a.txt": b"", "val/labels/b.txt": b"", "README.txt": b""},
            Found("yolo", (Part("train", ("train/labels/a.txt",)), Part("valid", ("val/labels/b.txt",))), "data.yaml"),
        ),
        (
            {"d/data.yaml": b"", "d/train.txt": b"", "d/labels/train/a.txt": b"", "d/labels/val/b.txt": b""},
            Found(
                "yolo",
                (Part("train", ("d/labels/train/a.txt",)), Part("valid", ("d/labels/val/b.txt",))),
                "d/data.yaml",
            ),
        ),
        (
            {"obj.data": b"", "obj.names": b"", "a.txt": b"", "obj_train_data/a.txt": b"", "obj_Test_data/b.txt": b""},
            Found(
                "yolo", (Part("test", ("obj_Test_data/b.txt",)), Part("train", ("obj_train_data/a.txt",))), "obj.names"
            ),
        ),
        (
            {"Annotations/a.xml": VOC, "ImageSets/Main/train.txt": b"a", "JPEGImages/a.jpg": b"", "labelmap.txt": b""},
            Found("voc", (Part(None, ("Annotations/a.xml",)),), "labelmap.txt"),
        ),
        (
            {"train/a.xml": VOC, "valid/b.xml": VOC.decode().encode("utf-16"), "train/a.jpg": b""},
            Found("voc", (Part("train", ("train/a.xml",)), Part("valid", ("valid/b.xml",)))),
        ),
        (
            {"annotations.xml": CVAT, "images/a.jpg": b"", "._annotations.xml": VOC},
            Found("cvat", (Part(None, ("annotations.xml",)),)),
        ),
    ],
    ids=["file", "with a mark", "cvat coco", "rf-detr", "ultralytics", "cvat ultralytics", "cvat yolo 1.1", "voc",
         "roboflow voc", "cvat xml"],
)  # fmt: skip
def test_each_format_is_known(files: dict[str, bytes], found: Found) -> None:
    assert sniffed(files) == found


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train.json", "train"),
        ("val.json", "valid"),
        ("instances_val2017.json", "valid"),
        ("instances_default.json", None),
        ("VAL/x.xml", "valid"),
        ("train/labels/test/x.txt", "test"),
        ("training/x.xml", None),
        ("x.json", None),
    ],
)
def test_the_side_is_said_by_a_name(path: str, split: str | None) -> None:
    assert split_of(path) == split


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a.jpg": b"", "b.txt": b"0 0.5 0.5 1 1"},
        {"data.yaml": b"", "train.txt": b"a"},
        {"a.json": b'{"info": {}, "categories": {"label": {', "b.json": b'{"shapes": []}', "package.json": b"[]"},
        {"a.xml": b"<html>", "b.xml": b"", "c.xml": b"<!DOCTYPE html []><html/>"},
    ],
)
def test_what_is_none_of_them_is_said_with_what_was_looked_for(files: dict[str, bytes]) -> None:
    with pytest.raises(DamagedInputError) as caught:
        sniffed(files)
    assert caught.value.message.startswith("x holds no labels that are known; looked for a COCO file (JSON with images")
    assert "annotations.xml" in caught.value.message


def test_more_than_one_is_not_guessed() -> None:
    files = {
        "a.json": COCO,
        "b.json": COCO,
        "data.yaml": b"",
        "labels/a.txt": b"",
        "v.xml": VOC,
        "annotations.xml": CVAT,
    }
    with pytest.raises(DamagedInputError) as caught:
        sniffed(files)
    assert caught.value.message == (
        "x could be coco (a.json and 1 more) or yolo (labels/a.txt) or voc (v.xml) or cvat (annotations.xml)"
    )
    assert caught.value.hint == "say which with --format"
    assert sniffed(files, only="voc") == Found("voc", (Part(None, ("v.xml",)),))
    with pytest.raises(DamagedInputError, match="looked for a data set in the format voc"):
        sniffed({"a.json": COCO}, only="voc")


@pytest.mark.required
@pytest.mark.parametrize(
    ("archive", "kind", "splits"),
    [
        ("task-coco-ann.zip", "coco", ("train",)),
        ("project-coco-ann.zip", "coco", ("test", "train", "valid")),
        ("task-yolo-ann.zip", "yolo", ("train",)),
        ("task-cvat-xml.zip", "cvat", (None,)),
    ],
)
def test_cvat_s_own_exports_are_known(archive: str, kind: str, splits: tuple[str | None, ...], shared) -> None:
    path = shared / "cvat" / "samples" / archive
    with path.open("rb") as file:
        opened = Archive(file, name=archive)
        found = sniff(opened.names, opened.head, name=archive)
    assert found.kind == kind
    assert tuple(part.split for part in found.parts) == splits
    assert zipfile.is_zipfile(path)
