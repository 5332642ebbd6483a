from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from data_engine.media.similarity import Moments, reduced, ssim, tile_changes


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


def static_scene(sensor: float, light: float = 1.0, seed: int = 1, person_at: int | None = None) -> Moments:
    still = np.random.default_rng(0)
    picture = np.kron(still.integers(60, 180, (12, 16)), np.ones((12, 12))) + still.normal(0, 4, (144, 192))
    if person_at is not None:
        picture[60:84, person_at : person_at + 12] = np.kron(still.integers(10, 240, (6, 3)), np.ones((4, 4)))
    picture = picture * light + np.random.default_rng(seed).normal(0, sensor, picture.shape)
    return Moments.of(np.clip(picture, 0, 255).astype(np.uint8))


def test_tiles_are_blind_to_noise_and_light():
    before = static_scene(0)
    for after in (static_scene(1), static_scene(5), static_scene(2, light=1.15), static_scene(2, light=0.8)):
        assert tile_changes(before, after).max() < 0.2


def test_tiles_see_a_person_where_the_mean_does_not():
    before, after = static_scene(2, seed=1), static_scene(2, seed=2, person_at=96)
    changes = tile_changes(before, after)
    row, column = np.unravel_index(changes.argmax(), changes.shape)
    assert changes.max() > 0.6
    assert (row, column) in {(4, 7), (5, 7), (4, 8), (5, 8)}
    assert (changes > 0.3).sum() <= 8
    assert ssim(before, after)[0] > 0.85


def test_tiles_see_a_new_scene():
    assert np.median(tile_changes(Moments.of(noise(1, 144, 192)), Moments.of(noise(2, 144, 192)))) > 0.8


def test_tiles_cover_the_picture_whatever_its_size():
    assert tile_changes(Moments.of(noise(1, 7, 7)), Moments.of(noise(2, 7, 7))).shape == (1, 1)
    assert tile_changes(Moments.of(noise(1, 135, 240)), Moments.of(noise(2, 135, 240))).shape == (10, 19)
