from __future__ import annotations

import numpy as np
import pytest

from data_engine.embedders.local import LocalEmbedder


def wall(noise: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(128, noise, (144, 192, 3)), 0, 255).astype(np.uint8)


def test_the_noise_of_a_blank_wall_is_no_structure() -> None:
    """Normalised without regard to contrast, two noisy walls would be as far apart as any two pictures."""
    a, b = LocalEmbedder().embed([wall(6, 0), wall(6, 1)])
    assert np.linalg.norm(a - b) < 0.2


def test_each_of_layout_edges_and_colour_tells_pictures_apart() -> None:
    base = np.full((64, 64, 3), 100, np.uint8)
    base[:, 32:] = 160
    turned = base.transpose(1, 0, 2)
    mirrored = base[:, ::-1]
    coloured = base * np.array([1.0, 0.6, 0.4])
    vectors = LocalEmbedder().embed([base, turned, mirrored, coloured.astype(np.uint8)])
    assert (np.linalg.norm(vectors[1:] - vectors[0], axis=1) > 0.3).all()


def test_a_little_change_makes_a_little_difference() -> None:
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 255, (9, 12, 3)).astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    moved = np.roll(picture, 1, axis=1)
    a, b = LocalEmbedder().embed([picture, moved])
    assert np.linalg.norm(a - b) < 0.25


@pytest.mark.parametrize(
    "picture",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"must be \(height, width, 3\) uint8"):
        LocalEmbedder().embed([picture])
