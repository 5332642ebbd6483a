"""What :class:`data_engine.ports.Embedder` promises, for every embedder."""

from __future__ import annotations

import re

import numpy as np
import pytest

from data_engine.embedders.local import LocalEmbedder
from data_engine.ports import Embedder


@pytest.fixture(params=[LocalEmbedder])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    made = request.param()
    assert isinstance(made, Embedder)
    return made


def scene(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    """A wall with a few coloured boxes on it."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(6):
        y, x = rng.integers(0, height - 30), rng.integers(0, width - 30)
        picture[y : y + rng.integers(10, 60), x : x + rng.integers(10, 60)] = rng.integers(0, 255, 3)
    return picture


def test_shape_type_and_length(embedder: Embedder) -> None:
    vectors = embedder.embed([scene(1), scene(2, 33, 257), np.zeros((8, 8, 3), np.uint8), scene(3)[::-1, ::2]])
    assert vectors.shape == (4, embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_twice_the_side_tells_as_much_as_more(embedder: Embedder) -> None:
    """Larger JPEG files are decoded at a fraction of their size."""
    import cv2

    pictures = [scene(seed, 12 * embedder.side, 16 * embedder.side) for seed in range(6)]
    small = [cv2.resize(p, None, fx=1 / 4, fy=1 / 4, interpolation=cv2.INTER_AREA) for p in pictures]
    distances = np.linalg.norm(embedder.embed(pictures)[:, None] - embedder.embed(small)[None], axis=2)
    assert distances.diagonal().max() < 0.1 * distances[~np.eye(6, dtype=bool)].min()


def test_the_name_can_be_a_folder(embedder: Embedder) -> None:
    """And it says the version: what is stored under one name can be compared."""
    assert re.fullmatch(r"[a-z0-9-]+-\d+", embedder.name)


def test_the_same_picture_gives_the_same_vector_in_any_company(embedder: Embedder) -> None:
    alone = embedder.embed([scene(1)])[0]
    np.testing.assert_allclose(embedder.embed([scene(2), scene(1), scene(3)])[1], alone, atol=1e-6)


def test_a_changed_copy_is_nearer_than_another_scene(embedder: Embedder) -> None:
    rng = np.random.default_rng(0)
    scenes = [scene(seed) for seed in range(8)]
    noisy = [np.clip(p + rng.normal(0, 10, p.shape), 0, 255).astype(np.uint8) for p in scenes]
    lighter = [np.clip(p * 1.1, 0, 255).astype(np.uint8) for p in scenes]
    larger = [p.repeat(2, axis=0).repeat(2, axis=1) for p in scenes]
    known = embedder.embed(scenes)
    for changed in (noisy, lighter, larger):
        distances = np.linalg.norm(embedder.embed(changed)[:, None] - known[None], axis=2)
        assert distances.argmin(axis=1).tolist() == list(range(8))
