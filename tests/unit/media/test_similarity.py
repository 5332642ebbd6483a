from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from data_engine.media.similarity import Moments, ignored_mask, reduced, ssim


def noise(seed: int, height: int, width: int, low: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (height, width), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(7, 90),
    width=st.integers(7, 90),
    level=st.integers(0, 250),
    spread=st.sampled_from([1, 2, 6, 256]),
)
def test_ssim_is_that_of_scikit_image(seed, height, width, level, spread):
    a = noise(seed, height, width, min(level, 256 - spread), min(level, 256 - spread) + spread)
    b = np.clip(a.astype(int) + np.random.default_rng(seed + 1).integers(-spread, spread + 1, a.shape), 0, 255)
    b = b.astype(np.uint8)
    expected, full = structural_similarity(a, b, data_range=255, full=True)
    mean, parts = ssim(Moments.of(a), Moments.of(b))
    assert mean == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(parts, full[3:-3, 3:-3], atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(8, 1100), st.integers(8, 2000)),
    low=st.integers(0, 235),
    moved=st.integers(0, 40),
    sensor=st.sampled_from([0.0, 1.0, 12.0]),
)
def test_ssim_of_reduced_luma_is_that_of_scikit_image(seed, size, low, moved, sensor):
    """Pictures of any size with structure at every scale, one moved against the other, under light and noise."""
    random = np.random.default_rng(seed)
    whole = cv2.resize(random.integers(low, 236, (12, 20)).astype(np.float32), (size[1] + 40, size[0]))
    whole += random.normal(0, 6, whole.shape)
    pair = (whole[:, : size[1]], whole[:, moved : moved + size[1]] * random.uniform(0.7, 1.3))
    a, b = (reduced(np.clip(one + random.normal(0, sensor, one.shape), 0, 255).astype(np.uint8)) for one in pair)
    expected = structural_similarity(a, b, data_range=255)
    assert ssim(Moments.of(a), Moments.of(b))[0] == pytest.approx(expected, abs=1e-6)


def test_equal_pictures_have_similarity_one():
    picture = Moments.of(noise(0, 50, 60))
    assert ssim(picture, picture)[0] == pytest.approx(1.0, abs=1e-6)


def test_sizes_must_agree_and_both_are_named():
    with pytest.raises(ValueError, match=r"\(20, 30\) and \(20, 31\)"):
        ssim(Moments.of(noise(0, 20, 30)), Moments.of(noise(0, 20, 31)))
    with pytest.raises(ValueError, match=r"\(6, 30\)"):
        Moments.of(noise(0, 6, 30))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1080, 1920), (135, 240)),
        ((720, 1280), (180, 320)),
        ((2160, 3840), (135, 240)),
        ((576, 768), (144, 192)),
        ((240, 320), (240, 320)),
        ((1079, 1921), (134, 240)),
        ((3, 900), (7, 450)),
        ((1, 1), (7, 7)),
    ],
)
def test_reduced_sizes(shape, expected):
    assert reduced(np.full(shape, 9, np.uint8)).shape == expected


def test_reduced_takes_means_of_squares_also_of_a_padded_plane():
    plane = noise(3, 96, 832)
    luma = plane[:, :768]
    expected = luma
    for _ in range(2):
        squares = expected.reshape(expected.shape[0] // 2, 2, expected.shape[1] // 2, 2).astype(int)
        expected = (squares.sum((1, 3)) + 2) // 4
    assert np.array_equal(reduced(luma), expected)


@given(
    size_wh=st.tuples(st.integers(1, 2000), st.integers(1, 1200)),
    region=st.tuples(st.integers(0, 1900), st.integers(0, 1100), st.integers(1, 900), st.integers(1, 900)),
)
def test_the_mask_of_an_ignored_part_covers_every_reduced_pixel_that_it_touches(size_wh, region):
    width, height = size_wh
    left, top, region_width, region_height = region
    part = np.zeros((height, width), np.uint8)
    part[top : top + region_height, left : left + region_width] = 255
    # A picture of the part: reducing it shows which pixels it touches, but for a rounded-off touch of a corner.
    touched = reduced(part) > 0
    mask = ignored_mask([region], size_wh, touched.shape)
    assert mask.shape == touched.shape
    assert not (touched & ~mask).any()
    assert mask.sum() <= cv2.dilate(touched.astype(np.uint8), np.ones((3, 3), np.uint8)).sum() or not touched.any()


def test_the_mask_of_several_parts_is_all_of_them():
    mask = ignored_mask([(0, 0, 8, 4), (376, 280, 8, 8)], (384, 288), (144, 192))
    assert np.argwhere(mask).tolist() == [[y, x] for y in range(2) for x in range(4)] + [
        [y, x] for y in range(140, 144) for x in range(188, 192)
    ]
    assert not ignored_mask([], (384, 288), (144, 192)).any()
