"""Small copies of pictures: their size, their orientation, and how many bytes they may take."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.images import thumbnail


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_it_fits_a_square_and_looks_like_the_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    rgb = np.zeros((300, 1200, 3), np.uint8)
    rgb[:, 600:] = (200, 30, 90)
    cv2.imwrite(str(path), rgb[:, :, ::-1])
    small = opened(thumbnail(path, 120, 20_000))
    assert small.size == (120, 30)
    assert np.abs(np.asarray(small, int)[15, 90] - (200, 30, 90)).max() < 12
    assert np.asarray(small)[15, 30].max() < 12
    assert thumbnail(path, 120, 20_000) == thumbnail(path, 120, 20_000)


def test_it_is_never_enlarged_and_stands_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    assert opened(thumbnail(path, 360, 20_000)).size == (20, 40)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_is_shown(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("L", (200, 100), 255).convert("I;16" if mode == "I;16" else mode).save(path)
    small = opened(thumbnail(path, 50, 20_000))
    assert (small.mode, small.size) == ("RGB", (50, 25))


def test_noise_is_given_a_lower_quality(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (360, 360, 3), dtype=np.uint8))
    free, bounded = thumbnail(path, 360, 10**9), thumbnail(path, 360, 60_000)
    assert len(bounded) <= 60_000 < len(free)
    assert len(thumbnail(path, 360, 1)) < len(bounded)


def test_damage_and_absence_are_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="is not there"):
        thumbnail(tmp_path / "a.jpg", 50, 1)
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(DamagedInputError, match="in/b"):
        thumbnail(tmp_path / "b.jpg", 50, 1, name="in/b.jpg")
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8))[1].tobytes()
    (tmp_path / "c.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedInputError, match="truncated"):
        thumbnail(tmp_path / "c.jpg", 50, 1)
