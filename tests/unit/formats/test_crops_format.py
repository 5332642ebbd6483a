"""Stored crops."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats import columns
from data_engine.formats.crops import _Meta, pack, unpack


def some(seed: int, count: int, dimension: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    boxes = rng.uniform(0, 1000, (count, 4)).astype(np.float32)
    return boxes, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).reshape(count, dimension)


FRAMES = ["frame a", "Bild ä", "empty"]
BOXES, VECTORS = zip(some(0, 3), some(1, 5), some(2, 0), strict=True)
PACKED = pack("local-2/crops-1/m", FRAMES, BOXES, VECTORS)


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 500), st.integers(0, 2**32 - 1))
def test_what_is_packed_comes_back(counts: list[int], dimension: int, seed: int) -> None:
    made = [some(seed + number, count, dimension) for number, count in enumerate(counts)]
    names = [f"frame {number}" for number in range(len(counts))]
    stored = unpack(pack("n", names, [box for box, _ in made], [vector for _, vector in made]))
    assert (stored.name, stored.frame_ids, np.diff(stored.offsets).tolist()) == ("n", tuple(names), counts)
    if made:
        np.testing.assert_array_equal(stored.xyxy, np.concatenate([box for box, _ in made]))
        there = np.concatenate([vector for _, vector in made])
        assert ((stored.vectors() * there).sum(axis=1) > 0.999).all()
    assert not stored.xyxy.flags.writeable


def test_equal_crops_are_equal_bytes() -> None:
    assert pack("local-2/crops-1/m", FRAMES, list(BOXES), list(VECTORS)) == PACKED
    boxes, vectors = some(5, 40 * 50, 448)
    parts = [slice(40 * number, 40 * number + 40) for number in range(50)]
    packed = pack(
        "n", [f"{number:032x}" for number in range(50)], [boxes[p] for p in parts], [vectors[p] for p in parts]
    )
    assert len(packed) < 50 * 40 * 470


@pytest.mark.parametrize(
    ("frames", "boxes", "vectors", "message"),
    [
        (["a"], [], [], "1 frame ids, which must differ, for the boxes of 0"),
        (["a", "a"], [BOXES[0]] * 2, [VECTORS[0]] * 2, "2 frame ids, which must differ"),
        (["a"], [BOXES[0]], [VECTORS[1]], "another number of vectors than of boxes"),
        (["a"], [BOXES[0]], [VECTORS[0] * 0], "nothing but zeros"),
        (["a"], [BOXES[0]], [VECTORS[0] * np.nan], "not finite"),
        (["a"], [BOXES[0] * np.inf], [VECTORS[0]], "not finite"),
    ],
)
def test_what_the_caller_should_have_done_is_checked(frames, boxes, vectors, message) -> None:
    with pytest.raises(ValueError, match=message):
        pack("n", frames, boxes, vectors)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_damaged_bytes_are_noticed_or_harmless(position: int, change: int) -> None:
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    with contextlib.suppress(DamagedInputError):
        stored = unpack(bytes(damaged))
        assert stored.frame_ids == tuple(FRAMES)
        np.testing.assert_array_equal(stored.xyxy, np.concatenate(BOXES))
        np.testing.assert_array_equal(stored.stretched, unpack(PACKED).stretched)


@given(st.integers(0, len(PACKED) - 1))
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(DamagedInputError, match=r"^c\.npz does not hold stored crops"):
        unpack(PACKED[:length], name="c.npz")


GOOD = {"offsets": np.array([0, 3, 8, 8]), "xyxy": np.concatenate(BOXES), "vectors": unpack(PACKED).stretched}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": np.array([0, 3, 8])}, "columns do not fit together"),
        ({"offsets": np.array([0, 9, 8, 8])}, "columns do not fit together"),
        ({"offsets": np.array([], np.int64)}, "columns do not fit together"),
        ({"xyxy": GOOD["xyxy"][:7]}, "columns do not fit together"),
        ({"xyxy": GOOD["xyxy"] * np.float32(np.nan)}, "columns do not fit together"),
        ({"vectors": GOOD["vectors"] // 2}, "columns do not fit together"),
        ({"vectors": GOOD["vectors"].astype(np.int16)}, "does not hold stored crops"),
        ({"meta": _Meta(3, "n", FRAMES)}, "has the format 3"),
        ({"meta": _Meta(1, "n", ["a", "b", "a"])}, "columns do not fit together"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change, message) -> None:
    changed = {"meta": _Meta(1, "n", FRAMES), **GOOD, **change}
    with pytest.raises(DamagedInputError, match=message):
        unpack(columns.packed(changed.pop("meta"), changed))


def test_the_unchanged_columns_would_be_taken() -> None:
    assert len(unpack(columns.packed(_Meta(1, "n", FRAMES), GOOD)).xyxy) == 8
