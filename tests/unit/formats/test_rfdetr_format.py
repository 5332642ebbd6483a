"""RF-DETR's COCO files."""

from __future__ import annotations

import json

import pytest

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage
from data_engine.formats.rfdetr import read_rfdetr, write_rfdetr
from data_engine.types import Category, ClassRegistry

REGISTRY = ClassRegistry([Category(2, "object", "none"), Category(4, "person", "object"), Category(9, "none", "none")])
DATASET = CocoDataset(
    (CocoImage(1, "a.jpg", 100, 50), CocoImage(2, "background.jpg", 100, 50)),
    (CocoAnnotation(1, 1, 9, (1, 2, 3, 4)), CocoAnnotation(2, 1, 4, (0, 0, 100, 50), iscrowd=True)),
    REGISTRY,
)


def test_no_version_of_rfdetr_drops_a_category() -> None:
    categories = json.loads(write_rfdetr(DATASET))["categories"]
    assert [(c["id"], c["name"]) for c in categories] == [(2, "object"), (4, "person"), (9, "none")]
    # Dropped elsewhere: a supercategory "none", and a category without boxes that is another one's supercategory.
    assert "none" not in {c["supercategory"] for c in categories}
    parents = {c["supercategory"] for c in categories if c["supercategory"] != c["name"]}
    assert "person" not in parents


def test_backgrounds_and_crowd_regions_stay() -> None:
    document = json.loads(write_rfdetr(DATASET))
    assert [image["file_name"] for image in document["images"]] == ["a.jpg", "background.jpg"]
    assert [a["iscrowd"] for a in document["annotations"]] == [0, 1]


def test_it_reads_back_in_the_registrys_ids() -> None:
    found = read_rfdetr(write_rfdetr(DATASET), name="x", registry=REGISTRY)
    assert (found.images, found.annotations, found.categories) == (DATASET.images, DATASET.annotations, REGISTRY)
    with pytest.raises(DamagedInputError, match="x ends in the middle"):
        read_rfdetr(write_rfdetr(DATASET)[:-9], name="x", registry=REGISTRY)
