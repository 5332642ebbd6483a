"""Stored embeddings."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats import columns
from data_engine.formats.embeddings import _Meta, pack, unpack


def some(seed: int, frames: int, dimension: int = 6) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(frames, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


FRAMES = ["frame a", "Bild ä", "c"]
VECTORS = some(0, 3)
PACKED = pack("local-2", FRAMES, VECTORS)


@given(st.integers(0, 40), st.integers(1, 500), st.integers(0, 2**32 - 1))
def test_what_is_packed_comes_back(frames: int, dimension: int, seed: int) -> None:
    names = [f"frame {number}" for number in range(frames)]
    vectors = some(seed, frames, dimension)
    stored = unpack(pack("e", names, vectors))
    assert (stored.embedder, stored.frame_ids) == ("e", tuple(names))
    np.testing.assert_allclose(stored.vectors, vectors, rtol=0, atol=0.0005)
    assert stored.vectors.dtype == np.float16
    assert not stored.vectors.flags.writeable


def test_equal_vectors_are_equal_bytes_that_numpy_alone_can_read() -> None:
    assert pack("local-2", FRAMES, VECTORS.astype(np.float64)) == PACKED
    with np.load(io.BytesIO(PACKED), allow_pickle=False) as found:
        assert found["vectors"].shape == (3, 6)
    names = [f"{number:032x}" for number in range(100)]
    assert len(pack("e", names, some(1, 100, 448))) < 100 * 1000


@pytest.mark.parametrize(
    ("frames", "vectors", "message"),
    [
        (["a"], some(0, 2), "1 frame ids, which must differ, for vectors of the shape"),
        (["a", "a"], some(0, 2), "2 frame ids, which must differ"),
        (["a"], some(0, 1)[0], "1 frame ids"),
        (["a"], some(0, 1) * 1.01, "not of length 1"),
        (["a"], some(0, 1) * np.nan, "not of length 1"),
    ],
)
def test_what_the_caller_should_have_done_is_checked(frames: list[str], vectors: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack("e", frames, vectors)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_damaged_bytes_are_noticed_or_harmless(position: int, change: int) -> None:
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    with contextlib.suppress(DamagedInputError):
        stored = unpack(bytes(damaged), name="e.npz")
        assert stored.frame_ids == tuple(FRAMES)
        np.testing.assert_array_equal(stored.vectors, VECTORS.astype(np.float16))


@given(st.integers(0, len(PACKED) - 1))
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(DamagedInputError, match=r"^e\.npz does not hold stored embeddings"):
        unpack(PACKED[:length], name="e.npz")


@pytest.mark.parametrize(
    ("meta", "vectors", "message"),
    [
        (_Meta(2, "e", FRAMES), VECTORS.astype(np.float16), "has the format 2; this version reads 1"),
        (_Meta(1, "e", FRAMES[:2]), VECTORS.astype(np.float16), "columns do not fit together"),
        (_Meta(1, "e", ["a", "b", "a"]), VECTORS.astype(np.float16), "columns do not fit together"),
        (_Meta(1, "e", FRAMES), np.zeros((3, 6), np.float16), "columns do not fit together"),
        (_Meta(1, "e", FRAMES), VECTORS, "does not hold stored embeddings: a column of float32"),
        (_Meta(1, "e", FRAMES), VECTORS[0].astype(np.float16), "does not hold stored embeddings"),
    ],
)
def test_columns_that_do_not_fit_are_refused(meta: _Meta, vectors: np.ndarray, message: str) -> None:
    with pytest.raises(DamagedInputError, match=message):
        unpack(columns.packed(meta, {"vectors": vectors}))
