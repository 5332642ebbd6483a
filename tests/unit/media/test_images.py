from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.hashing import dhash, dhash_of_file
from data_engine.media.images import encode_jpeg, is_upright, read_rgb, sha256_of, size_of, upright_copy
from data_engine.media.picture_names import is_image


@pytest.fixture
def picture() -> np.ndarray:
    y, x = np.mgrid[:60, :100]
    return np.stack([x * 2, y * 4, (x + y) % 256], axis=2).astype(np.uint8)


def test_jpeg_round_trip(picture, tmp_path):
    path = tmp_path / "Bild 1 ü.jpg"
    path.write_bytes(encode_jpeg(picture, 95))
    back = read_rgb(path)
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - picture).mean() < 3
    assert size_of(path) == (100, 60)


def test_equal_pixels_give_equal_bytes_and_quality_matters(picture):
    assert encode_jpeg(picture, 92) == encode_jpeg(picture.copy(), 92)
    assert len(encode_jpeg(picture, 40)) < len(encode_jpeg(picture, 95))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_kind_of_picture_becomes_rgb(picture, tmp_path, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    Image.fromarray(picture).convert(mode).save(tmp_path / f"a.{suffix}")
    assert read_rgb(tmp_path / f"a.{suffix}").shape == (60, 100, 3)


def test_sixteen_bits_are_scaled_down(tmp_path):
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(read_rgb(tmp_path / "deep.png")[:, :, 1], np.arange(256).reshape(16, 16))


def test_exif_orientation_is_honoured_by_pixels_size_and_hash(picture, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise for display
    Image.fromarray(picture).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = np.rot90(picture, -1)
    assert size_of(tmp_path / "turned.jpg") == (60, 100)
    assert np.abs(read_rgb(tmp_path / "turned.jpg").astype(int) - upright).mean() < 3
    assert (dhash_of_file(tmp_path / "turned.jpg") ^ dhash(np.ascontiguousarray(upright))).bit_count() <= 3


def test_a_truncated_picture_is_refused(picture, tmp_path):
    (tmp_path / "cut.jpg").write_bytes(encode_jpeg(picture, 95)[:1500])
    with pytest.raises(DamagedInputError, match=r"^in/cut\.jpg is not a picture that can be decoded: "):
        read_rgb(tmp_path / "cut.jpg", name="in/cut.jpg")


@pytest.mark.parametrize("data", [b"", b"some text", b"\x89PNG\r\n\x1a\n rest"])
@pytest.mark.parametrize("read", [read_rgb, size_of])
def test_what_is_no_picture_is_named(read, data, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DamagedInputError, match=r"^a\.png is not a picture that can be decoded"):
        read(tmp_path / "a.png")


def test_a_missing_picture_is_missing(tmp_path):
    with pytest.raises(MissingInputError, match=r"^in/b\.png is not there$"):
        read_rgb(tmp_path / "b.png", name="in/b.png")


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_pictures_by_name():
    assert all(map(is_image, ["a.jpg", "B.JPEG", "c/d.PNG", "e.webp"]))
    assert not any(map(is_image, ["a.mp4", "jpg", ".png", "list.txt"]))


@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_an_upright_copy_shows_the_same_picture_without_an_orientation(picture, tmp_path, suffix, orientation):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    path, copy = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(picture).save(path, exif=exif)
    assert is_upright(path) == (orientation in (None, 1))
    copy.write_bytes(upright_copy(path))
    assert is_upright(copy)
    assert upright_copy(path) == copy.read_bytes()
    difference = np.abs(read_rgb(copy).astype(int) - read_rgb(path))
    assert difference.mean() < 3 if suffix == ".jpg" else not difference.any()


def test_what_is_no_picture_is_not_turned(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"text")
    assert is_upright(tmp_path / "a.jpg")
