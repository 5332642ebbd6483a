"""Repeat factors of rare classes."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.metrics.coco import TrueBoxes
from data_engine.metrics.splits import LabelledImage, LabelledSplit
from data_engine.trainers.rare import class_factors, repeated

BOX = (1.0, 1.0, 5.0, 5.0)


def split_of(*labels: list[int], names: tuple[str, ...] = ("person", "helmet", "cone")) -> LabelledSplit:
    images = [
        LabelledImage(f"{number}.jpg", Path(f"{number}.jpg"), (64, 48), TrueBoxes.of([BOX] * len(found), found))
        for number, found in enumerate(labels)
    ]
    return LabelledSplit(names, tuple(images))


def test_the_factor_is_the_root_of_how_much_too_rare_a_class_is() -> None:
    # Of ten pictures nine have persons, one a helmet (two of them), none a cone.
    split = split_of(*[[0]] * 9, [1, 1])
    assert class_factors(split, 0.4) == pytest.approx([1.0, math.sqrt(0.4 / 0.1), 1.0])
    assert class_factors(split, 0.1) == [1.0, 1.0, 1.0]


def test_pictures_come_as_often_as_their_rarest_class_says() -> None:
    found = repeated(split_of(*[[0]] * 8, [0, 1], []), 0.9, seed=0)
    times = Counter(image.name for image in found.split.images)
    assert [times[f"{number}.jpg"] for number in range(8)] == [1] * 8
    assert times["8.jpg"] == 3  # sqrt(0.9 / 0.1)
    assert times["9.jpg"] == 1  # a background
    assert found.factors == pytest.approx({"helmet": 3.0})
    assert found.sentence == "pictures of rare classes are repeated (helmet x3.00): 12 an epoch"


def test_where_nothing_is_rare_nothing_is_repeated() -> None:
    split = split_of([0], [1], [2])
    found = repeated(split, 0.1, seed=0)
    assert found.split == split or found.split.images == split.images
    assert found.sentence == "no class is rare: every picture is seen once an epoch"


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=3), min_size=1, max_size=30), st.floats(0.01, 1.0), st.integers(0, 9)
)
def test_a_fraction_is_rounded_to_a_neighbour_and_the_same_seed_rounds_alike(
    labels: list[list[int]], share: float, seed: int
) -> None:
    split = split_of(*labels)
    factors = class_factors(split, share)
    found = repeated(split, share, seed)
    times = Counter(image.name for image in found.split.images)
    for image in split.images:
        factor = max((factors[label] for label in image.boxes.classes.tolist()), default=1.0)
        assert math.floor(factor) <= times[image.name] <= math.ceil(factor)
    assert repeated(split, share, seed).split.images == found.split.images
