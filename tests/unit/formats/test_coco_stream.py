"""A COCO file written piece by piece, and built on another, is the file that is written whole."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, annotations_text, write_coco
from data_engine.formats.coco_stream import CocoStream, kept_parts
from data_engine.types import ClassRegistry

REGISTRY = ClassRegistry.of(["person", 'a "],"annotations":[{"id":7,"'])
ROOM = 100
NASTY = '},{"id":5,"],"categories":['


def image(number: int) -> CocoImage:
    return CocoImage(number, f"{number:03}{NASTY}.jpg", 100, 80, {"camera": NASTY, "annotations": [{"id": number}]})


def box(number: int, x: float, image_id: int) -> CocoAnnotation:
    return CocoAnnotation(number, image_id, 1, (x, 0.5, 3.0, 4.0), attributes={"id": NASTY})


def text_of(boxes: list[CocoAnnotation]) -> bytes:
    return annotations_text((a.id, a.image_id, a.category_id, a.xywh, a.iscrowd, a.attributes) for a in boxes)


def dataset(held: dict[int, list[float]], version: str) -> CocoDataset:
    """Boxes by the number of their image."""
    boxes = [box(n * ROOM + k, x, n) for n, xs in held.items() for k, x in enumerate(xs, 1)]
    return CocoDataset(tuple(map(image, sorted(held))), tuple(boxes), REGISTRY, {"version": version})


def streamed(held: dict[int, list[float]], version: str) -> bytes:
    file = io.BytesIO()
    stream = CocoStream(file, {"version": version})
    for number in sorted(held):
        stream.images([image(number)])
    stream.annotate()
    for number, xs in sorted(held.items()):
        stream.records(text_of([box(number * ROOM + k, x, number) for k, x in enumerate(xs, 1)]))
    stream.end(REGISTRY)
    return file.getvalue()


HELD = st.dictionaries(st.integers(1, 40), st.lists(st.sampled_from([0.0, 1.5, 1e-7, 33.25]), max_size=5), max_size=12)


@given(HELD)
def test_piece_by_piece_gives_the_same_bytes(held):
    assert streamed(held, "v1") == write_coco(dataset(held, "v1"))


@given(HELD, HELD)
def test_built_on_the_one_before_it_gives_the_same_bytes(tmp_path_factory, before, now):
    folder = tmp_path_factory.mktemp("coco")
    old, new = folder / "old.json", folder / "new.json"
    old.write_bytes(write_coco(dataset(before, "v1")))
    moved = sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))
    parts = kept_parts(old.read_bytes(), [(n * ROOM, (n + 1) * ROOM) for n in moved])
    assert len(parts) == len(moved) + 1
    with old.open("rb") as source, new.open("wb") as file:
        stream = CocoStream(file, {"version": "v2"})
        stream.images([image(number) for number in sorted(now)])
        stream.annotate()
        for part, number in zip(parts, [*moved, None], strict=True):
            stream.copied(source, part)
            if number in now:
                stream.records(text_of([box(number * ROOM + k, x, number) for k, x in enumerate(now[number], 1)]))
        stream.end(REGISTRY)
    assert new.read_bytes() == write_coco(dataset(now, "v2"))
    json.loads(new.read_text("utf-8"))


@pytest.mark.parametrize("text", [b"", b"{}", b'{"info":{},"images":[],"annotations":[{"x":1}],"categories":[]}'])
def test_another_file_is_not_taken_for_one(text):
    with pytest.raises(ValueError, match="no COCO file as it is written here"):
        kept_parts(text, [(1, 2)])
