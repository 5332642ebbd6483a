from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.hashing import dhash, dhash_of_bytes, dhash_of_file, hamming
from data_engine.media.images import encode_jpeg

PICTURES = sorted((Path(__file__).parents[4] / "shared/data/bccd/images").glob("*.jpg"))[:40]


def smooth(seed: int, height: int = 720, width: int = 1280) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 16, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def test_bits_say_where_the_right_neighbour_is_brighter():
    ramp = np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1)).repeat(10, 0).repeat(10, 1)
    assert dhash(ramp) == 2**64 - 1
    assert dhash(ramp[:, ::-1]) == 0
    first_only = np.zeros((8, 9), np.uint8)
    first_only[0, 1:] = 5
    assert dhash(first_only) == 1 << 63
    last_only = np.zeros((8, 9), np.uint8)
    last_only[7, 8] = 5
    assert dhash(last_only) == 1


def test_gray_and_colour_of_one_picture_have_one_hash():
    gray = smooth(4)[:, :, 0]
    assert dhash(np.repeat(gray[:, :, None], 3, axis=2)) == dhash(gray)


@pytest.mark.parametrize("size", [(2160, 3840), (720, 1280), (240, 320), (60, 80)])
def test_reduced_decoding_gives_nearly_the_same_hash(size):
    for seed in range(5):
        picture = smooth(seed, *size)
        fast = dhash_of_bytes(encode_jpeg(picture, 92), name="a.jpg")
        assert int(hamming(fast, dhash(picture))) <= 3


@pytest.mark.required
@pytest.mark.skipif(not PICTURES, reason="the real pictures (../shared/data/bccd) are not there")
def test_reduced_decoding_of_real_pictures():
    differing = [int(hamming(dhash_of_file(p), dhash(cv2.imread(str(p))[:, :, ::-1].copy()))) for p in PICTURES]
    assert max(differing) <= 6
    assert np.mean(differing) < 1.5


def test_other_formats_are_hashed_too(tmp_path):
    picture = smooth(1)
    cv2.imwrite(str(tmp_path / "a.png"), picture[:, :, ::-1])
    assert int(hamming(dhash_of_file(tmp_path / "a.png"), dhash(picture))) <= 2


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut"])
def test_what_is_no_picture_is_named(data, tmp_path):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(DamagedInputError, match=r"^in/a\.jpg is not a picture that can be decoded$"):
        dhash_of_file(tmp_path / "a.jpg", name="in/a.jpg")
    with pytest.raises(MissingInputError, match=r"^b\.jpg is not there$"):
        dhash_of_file(tmp_path / "b.jpg")


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), min_size=1, max_size=50))
def test_hamming_counts_differing_bits(pairs):
    a, b = (np.array(side, np.uint64) for side in zip(*pairs, strict=True))
    assert hamming(a, b).tolist() == [(x ^ y).bit_count() for x, y in pairs]


def test_hamming_broadcasts_and_takes_plain_numbers():
    table = hamming(np.array([[0], [2**64 - 1]], np.uint64), np.array([0, 1, 3], np.uint64))
    assert table.tolist() == [[0, 1, 2], [64, 63, 62]]
    assert int(hamming(2**63, 0)) == 1
