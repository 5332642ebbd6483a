"""Stored predictions."""

from __future__ import annotations

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_engine.errors import DamagedInputError
from data_engine.formats.predictions import pack, unpack
from data_engine.types import Detections


def some(seed: int, boxes: int, classes: int) -> Detections:
    random = np.random.default_rng(seed)
    xyxy = random.uniform(0, 1920, (boxes, 4)).astype(np.float32)
    return Detections(xyxy, random.uniform(0.02, 1, (boxes, classes)).astype(np.float32))


FRAMES = ["frame a", "Bild ä", "empty"]
FOUND = [some(0, 3, 4), some(1, 100, 4), Detections.empty(4)]
PACKED = pack("model-1", FRAMES, FOUND)


@st.composite
def seen(draw: st.DrawFn) -> list[Detections]:
    classes = draw(st.integers(1, 5))
    counts = draw(st.lists(st.integers(0, 100), max_size=5))
    pixels = st.floats(-100, 8192, width=32)
    scores = st.floats(np.float32(0.01).item(), 1.0, width=32)
    return [
        Detections(
            draw(hnp.arrays(np.float32, (count, 4), elements=pixels)),
            draw(hnp.arrays(np.float32, (count, classes), elements=scores)),
        )
        for count in counts
    ]


@given(seen())
def test_what_is_packed_comes_back(found: list[Detections]) -> None:
    names = [f"frame {number}" for number in range(len(found))]
    stored = unpack(pack("m", names, found))
    assert (stored.model_id, stored.frame_ids, len(stored)) == ("m", tuple(names), len(found))
    for (name, there), here in zip(stored, found, strict=True):
        assert name in stored
        np.testing.assert_array_equal(there.xyxy, here.xyxy)
        np.testing.assert_allclose(there.scores, here.scores, rtol=0, atol=0.0005)


def test_a_frame_is_a_view_and_cannot_be_changed() -> None:
    stored = unpack(PACKED)
    found = stored.of("Bild ä")
    assert np.shares_memory(found.xyxy, stored.xyxy)
    assert not found.xyxy.flags.writeable
    assert stored.scores.dtype == np.float16
    assert len(stored.of("empty")) == 0
    assert stored.of("empty").scores.shape == (0, 4)
    with pytest.raises(KeyError):
        stored.of("another")


def test_equal_predictions_are_equal_bytes_of_a_few_kilobytes_a_frame() -> None:
    assert pack("model-1", FRAMES, FOUND) == PACKED
    names = [f"{number:032x}" for number in range(50)]
    assert len(pack("m", names, [some(n, 100, 3) for n in range(50)])) < 50 * 3000


def test_numpy_alone_can_read_the_columns() -> None:
    with np.load(io.BytesIO(PACKED), allow_pickle=False) as columns:
        assert columns["offsets"].tolist() == [0, 3, 103, 103]
        assert columns["scores"].shape == (103, 4)


def test_no_frame_is_fine() -> None:
    assert len(unpack(pack("m", [], []))) == 0


@pytest.mark.parametrize(
    ("frames", "found", "message"),
    [
        (["a"], [], "1 frame ids, which must differ, for the detections of 0"),
        (["a", "a"], [some(0, 1, 2)] * 2, "2 frame ids, which must differ, for the detections of 2"),
        (["a", "b"], [some(0, 1, 2), some(0, 1, 3)], "different numbers of classes"),
        (["a"], [some(0, 101, 2)], "frame a: keep at most 100 boxes"),
        (["a"], [Detections([[0, 0, 1, 1]], [[0.009, 0.0]])], "frame a: keep at most 100 boxes"),  # type: ignore[arg-type]
    ],
)
def test_what_the_caller_should_have_done_is_checked(frames: list[str], found: list[Detections], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack("m", frames, found)


def test_the_floor_itself_is_kept() -> None:
    exact = Detections(np.zeros((1, 4), np.float32), np.full((1, 1), 0.01, np.float32))
    assert len(unpack(pack("m", ["a"], [exact])).of("a")) == 1


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_damaged_bytes_are_noticed_or_harmless(position: int, change: int) -> None:
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    with contextlib.suppress(DamagedInputError):
        stored = unpack(bytes(damaged), name="p.npz")
        assert stored.frame_ids == tuple(FRAMES)
        np.testing.assert_array_equal(stored.of("Bild ä").xyxy, FOUND[1].xyxy)


@given(st.integers(0, len(PACKED) - 1))
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(DamagedInputError, match=r"^p\.npz does not hold stored predictions"):
        unpack(PACKED[:length], name="p.npz")


def rebuilt(**members: bytes | None) -> bytes:
    """The packed file with members replaced (or left out), their checksums right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PACKED)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.namelist():
            stem = entry.split(".")[0]
            data = members.get(stem, old.read(entry))
            if data is not None:
                new.writestr(entry, data)
    return buffer.getvalue()


def npy(values: object, dtype: str) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(values, dtype), allow_pickle=True)
    return buffer.getvalue()


META = b'{"format": 1, "model_id": "m", "frame_ids": ["a", "b", "c"]}'


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"xyxy": None}, "does not hold stored predictions"),
        ({"meta": b"{}"}, "meta.json is not their description: it has no 'format'"),
        ({"meta": META.replace(b"1", b"2")}, "has the format 2; this version reads 1"),
        ({"meta": META.replace(b'"c"', b'"a"')}, "columns do not fit together"),
        ({"meta": META.replace(b', "c"', b"")}, "columns do not fit together"),
        ({"offsets": npy([0, 3, 104, 103], "<i8")}, "columns do not fit together"),
        ({"offsets": npy([0, 2, 103, 103], "<i8")}, "columns do not fit together"),
        ({"offsets": npy([], "<i8")}, "columns do not fit together"),
        ({"offsets": npy([0, 3, 103, 103], "<i4")}, "does not hold stored predictions"),
        ({"offsets": npy(["a"], "O")}, "does not hold stored predictions"),
        ({"xyxy": npy(np.full((103, 4), np.nan), "<f4")}, "columns do not fit together"),
        ({"xyxy": npy(np.zeros((103, 5)), "<f4")}, "columns do not fit together"),
        ({"scores": npy(np.full((103, 4), 1.5), "<f2")}, "columns do not fit together"),
        ({"scores": npy(np.zeros((102, 4)), "<f2")}, "columns do not fit together"),
    ],
)
def test_columns_that_do_not_fit_are_refused(members: dict[str, bytes | None], message: str) -> None:
    with pytest.raises(DamagedInputError, match=message):
        unpack(rebuilt(**members))
