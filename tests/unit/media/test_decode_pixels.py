"""Crop, rotation, samples of more than 8 bits, interlaced pictures."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest

from data_engine.media.decode import DecodedFrame, VideoReader

CROPS = [(0, 0, 320, 240), (32, 16, 200, 101), (3, 5, 1, 1), (319, 239, 1, 1)]


def first(path: Path, **options: object) -> DecodedFrame:
    with VideoReader(path, key=path.name, **options) as reader:  # type: ignore[arg-type]
        return next(iter(reader))


@pytest.mark.parametrize(("rotation", "crop"), list(product([0, 90, 180, -90], CROPS)))
def test_a_crop_is_a_part_of_the_picture_as_displayed(make_video, rotation, crop):
    path = make_video("a.mp4", rotation=rotation, frames=1)
    whole = first(path)
    if rotation in (90, -90):
        crop = (crop[1], crop[0], crop[3], crop[2])
    left, top, width, height = crop
    part = np.s_[top : top + height, left : left + width]
    frame = first(path, crop=crop)
    assert frame.crop == crop
    assert frame.size_wh == (width, height)
    assert np.array_equal(frame.luma(), whole.luma()[part])
    assert np.array_equal(frame.rgb(), whole.rgb()[part])


def test_a_crop_of_ten_bits_is_a_part_of_the_picture(make_video):
    path = make_video("a.mkv", pix_fmt="yuv420p10le", rotation=90, frames=1)
    whole = first(path)
    assert np.array_equal(first(path, crop=(7, 9, 30, 20)).luma(), whole.luma()[9:29, 7:37])


def test_a_frame_that_the_crop_does_not_fit_into_is_left_whole(make_video):
    frame = first(make_video("a.mp4"), crop=(0, 0, 321, 240))
    assert frame.crop is None
    assert frame.size_wh == (320, 240)


@pytest.mark.parametrize("crop", [(-1, 0, 10, 10), (0, 0, 0, 10)])
def test_a_crop_of_no_picture_is_refused(make_video, crop):
    with pytest.raises(ValueError, match="crop must be"):
        VideoReader(make_video("a.mp4"), key="a.mp4", crop=crop)


@pytest.mark.parametrize(
    ("pix_fmt", "bits"),
    [("yuv420p10le", 10), ("yuv422p10le", 10), ("yuv444p12le", 12), ("gray10le", 10), ("p010le", 16), ("gray16le", 16)],
)
def test_of_samples_of_more_bits_the_upper_eight_are_the_luma(pix_fmt, bits):
    rng = np.random.default_rng(0)
    picture = av.VideoFrame(50, 30, pix_fmt)  # line sizes are padded
    plane = picture.planes[0]
    samples = rng.integers(0, 1 << bits, (30, plane.line_size // 2), dtype=np.uint16)
    plane.update(samples.astype("<u2").tobytes())
    luma = DecodedFrame(0, Fraction(1), picture).luma()
    assert luma.dtype == np.uint8
    assert np.array_equal(luma, samples[:, :50] // (1 << (bits - 8)))


def test_ten_bits_and_eight_bits_of_one_scene_have_the_same_luma(make_video):
    eight = first(make_video("8.mkv", encoder={"qp": "1"})).luma().astype(int)
    ten = first(make_video("10.mkv", pix_fmt="yuv420p10le", encoder={"qp": "1"})).luma().astype(int)
    assert np.abs(eight - ten).max() <= 4
    assert abs((eight - ten).mean()) < 0.6


def woven(tmp_path: Path, pix_fmt: str, interlaced: bool) -> Path:
    """A bright bar that the second field shows 40 pixels further to the right than the first."""
    picture = np.full((240, 320, 3), 60, np.uint8)
    picture[0::2, 100:160] = 230
    picture[1::2, 140:200] = 230
    path = tmp_path / f"woven {pix_fmt} {interlaced}.mkv"
    with av.open(str(path), "w") as container:
        encoder = {"qp": "4", **({"x264-params": "bff=1"} if interlaced else {})}
        stream = container.add_stream("libx264", rate=25, options=encoder)
        stream.width, stream.height, stream.pix_fmt = 320, 240, pix_fmt
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def combing(pixels: np.ndarray) -> float:
    """How much neighbouring lines differ between the bars' outer edges."""
    lines = pixels[8:-8, 90:210].astype(int)
    return float(np.abs(np.diff(lines, axis=0)).mean())


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv420p10le"])
def test_colour_of_an_interlaced_picture_is_not_combed(tmp_path, pix_fmt):
    frame = first(woven(tmp_path, pix_fmt, interlaced=True))
    assert frame.picture.interlaced_frame
    rgb = frame.rgb()
    assert rgb.shape == (240, 320, 3)
    assert combing(frame.luma()) > 30
    assert combing(rgb) < 3
    # One of the two fields, as it was: one bar of 60 pixels.
    bright = (rgb[120, :, 1] > 150).sum()
    assert abs(int(bright) - 60) <= 4


def test_a_progressive_picture_is_left_as_it_is(tmp_path):
    frame = first(woven(tmp_path, "yuv420p", interlaced=False))
    assert not frame.picture.interlaced_frame
    assert combing(frame.rgb()) > 30


def test_an_interlaced_picture_is_cropped_and_turned_as_others_are(tmp_path):
    path = woven(tmp_path, "yuv420p", interlaced=True)
    crop = (80, 20, 150, 100)
    assert np.array_equal(first(path, crop=crop).rgb(), first(path).rgb()[20:120, 80:230])


def test_a_frame_can_be_made_of_any_picture():
    picture = av.VideoFrame.from_ndarray(np.full((20, 30, 3), 200, np.uint8), format="rgb24")
    frame = DecodedFrame(3, Fraction(1, 10), picture, (10, 5, 20, 10))
    assert frame.time_s == Fraction(3, 10)
    assert frame.luma().shape == (10, 20)
    assert (frame.rgb() == 200).all()
