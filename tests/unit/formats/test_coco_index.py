from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import read_coco
from data_engine.formats.coco_index import index_coco
from data_engine.types import ClassRegistry

REGISTRY = ClassRegistry.of(["person", "helmet"])


def file(annotations: list[dict[str, Any]], **more: Any) -> bytes:
    images = [{"id": n, "file_name": f"f{n}.jpg", "width": 64, "height": 48, "camera": "gate"} for n in (7, 3)]
    categories = [{"id": 4, "name": "helmet"}, {"id": 9, "name": "person"}, {"id": 11, "name": "boat"}]
    return json.dumps({"images": images, "categories": categories, "annotations": annotations, **more}).encode()


def box(number: int, image: int = 3, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": 9, "bbox": [1, 2, 3, 4], **more}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([3, 7]),
            st.sampled_from([4, 9]),
            st.tuples(st.floats(-20, 70), st.floats(-20, 60), st.floats(0.5, 90), st.floats(0.5, 90)),
            st.none() | st.floats(0, 1),
        ),
        max_size=20,
    )
)
def test_image_by_image_is_the_same_as_at_once(rows: list[tuple[int, int, Any, float | None]]) -> None:
    data = file(
        [box(n, image, category_id=c, bbox=xywh, score=score) for n, (image, c, xywh, score) in enumerate(rows)],
        info={"model": "m"},
    )
    at_once, indexed = read_coco(data, name="x", registry=REGISTRY), index_coco(data, name="x", registry=REGISTRY)
    assert (indexed.images, indexed.info, indexed.repairs) == (at_once.images, at_once.info, at_once.repairs)
    assert indexed.categories.names == at_once.categories.names
    for image in at_once.images:
        expected = tuple(a for a in at_once.annotations if a.image_id == image.id)
        assert indexed.annotations_of(image.id) == expected
    assert indexed.annotations_of(99) == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        file([])[:-9],
        file([box(1), box(1)]),
        file([box(1, image=5)]),
        file([box(1, category_id=5)]),
        file([box(1, category_id=11)]),
        file([box(1), box(2, bbox=[1, 2, 3])]),
        file([box(1), {"id": 2}]),
        file([box(1, bbox=[1, 2, 0, 4])]),
        file([box(1)]).replace(b"[1, 2, 3, 4]", b"[1, 2, NaN, 4]"),
        file([box(1, iscrowd=2)]),
        file([], images=[{"id": 1}]),
    ],
)
def test_what_is_wrong_is_said_in_the_same_words(data: bytes) -> None:
    with pytest.raises(DamagedInputError) as at_once:
        read_coco(data, name="boxes.json", registry=REGISTRY)
    with pytest.raises(DamagedInputError) as indexed:
        index_coco(data, name="boxes.json", registry=REGISTRY)
    assert indexed.value.message == at_once.value.message
