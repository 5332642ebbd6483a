"""The replay itself, with a model that is made of what it was shown, and the comparison of what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from data_engine.stages.filter_settings import FilterSettings
from data_engine.stages.simulate import (
    Labelled,
    Learned,
    Point,
    compare,
    first_pictures,
    rarest_class,
    recommended,
    replay,
)
from data_engine.stages.simulate_settings import SimulateSettings
from data_engine.types import Detections, Frame

NAMES = ("helmet", "no-helmet")
SETTINGS = SimulateSettings(rounds=3, initial=10, step=8, seeds=2)


def picture(number: int, *labels: str) -> Labelled:
    frame = Frame(f"{number:04}", f"{number}.jpg", f"k/{number}.jpg", 200, 100, "gate")
    return Labelled(frame, tuple((label, (40.0 * place, 0.0, 30.0, 60.0)) for place, label in enumerate(labels)))


# Every eighth picture has a bare head.
POOL = [picture(i, "helmet", *(["no-helmet"] if i % 8 == 0 else [])) for i in range(120)]


def learn(labelled: Sequence[Labelled], seed: int) -> Learned:
    """A model that half sees what is there, the rare class the better the more of it was labelled."""
    shown = sum(one.count("no-helmet") for one in labelled)
    predictions: dict[str, Detections] = {}
    for one in POOL:
        xyxy = np.array([[x, y, x + w, y + h] for _, (x, y, w, h) in one.boxes], np.float32).reshape(-1, 4)
        scores = [[0.9, 0.01] if label == "helmet" else [0.05, min(0.1 + shown / 50, 0.9)] for label, _ in one.boxes]
        predictions[one.frame.id] = Detections(xyxy, np.array(scores, np.float32))
    quality = min(shown / 20, 1.0)
    return Learned(
        predictions, {"map": quality / 2, "map50": quality, "ap50_per_class": {"helmet": 0.9, "no-helmet": quality}}
    )


def vectors(frame_ids: Sequence[str]) -> NDArray[np.float32]:
    drawn = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn[[int(frame_id) for frame_id in frame_ids]]


def no_hunt(*_: object) -> None:
    return None


def played(strategy: str, seed: int = 0, settings: SimulateSettings = SETTINGS) -> list[Point]:
    return replay(
        strategy, seed, POOL, NAMES, settings, FilterSettings(), learn=learn, vectors=vectors, hunt=no_hunt  # type: ignore[arg-type]
    )  # fmt: skip


def test_everybody_begins_with_the_same_pictures() -> None:
    first = [point for strategy in ("random", "hybrid", "entropy", "diversity") for point in played(strategy)[:1]]
    assert len({replace(point, strategy="") for point in first}) == 1
    assert first_pictures(POOL, 10, 0) == first_pictures(POOL[::-1], 10, 0)
    assert first_pictures(POOL, 10, 0) != first_pictures(POOL, 10, 1)


def test_rounds_grow_by_a_step_and_nothing_is_picked_twice() -> None:
    shown: list[list[str]] = []

    def noted(labelled: Sequence[Labelled], seed: int) -> Learned:
        shown.append([one.frame.id for one in labelled])
        return learn(labelled, seed)

    points = replay(
        "hybrid", 3, POOL, NAMES, SETTINGS, FilterSettings(), learn=noted, vectors=vectors, hunt=no_hunt  # type: ignore[arg-type]
    )  # fmt: skip
    assert [point.frames for point in points] == [10, 18, 26] == [len(ids) for ids in shown]
    assert all(len(set(ids)) == len(ids) for ids in shown)
    assert shown[1][:10] == shown[0]
    assert [point.boxes for point in points] == [
        sum(len(one.boxes) for one in POOL if one.frame.id in set(ids)) for ids in shown
    ]
    assert points[1].rare_boxes == sum(POOL[int(i)].count("no-helmet") for i in shown[1][10:])


def test_hybrid_finds_the_rare_class_and_random_does_not_care() -> None:
    hybrid = [played("hybrid", seed)[1].rare_frames for seed in range(4)]
    chance = [played("random", seed)[1].rare_frames for seed in range(4)]
    assert min(hybrid) >= 6
    assert max(chance) < 6


def test_a_pool_that_runs_out_ends_the_rounds() -> None:
    many = SimulateSettings(rounds=9, initial=60, step=40)
    assert [point.frames for point in played("random", settings=many)] == [60, 100, 120]


def test_what_the_model_does_not_see_is_hunted() -> None:
    asked: list[tuple[str, ...]] = []

    def hunt(frames: Sequence[Frame], predictions: Mapping[str, Detections], labelled: object, names: tuple[str, ...]):  # type: ignore[no-untyped-def]
        asked.append(names)

    def blind(labelled: Sequence[Labelled], seed: int) -> Learned:
        learned = learn(labelled, seed)
        return Learned(learned.predictions, {**learned.metrics, "ap50_per_class": {"helmet": 0.9, "no-helmet": 0.0}})

    settings = SimulateSettings(rounds=2, initial=40, step=8)
    for strategy in ("hybrid", "entropy"):
        replay(strategy, 0, POOL, NAMES, settings, FilterSettings(), learn=blind, vectors=vectors, hunt=hunt)  # type: ignore[arg-type]
    assert asked == [("no-helmet",)], "hybrid alone, and the rare class alone"


def test_the_rarest_class_has_boxes() -> None:
    assert rarest_class(POOL, NAMES) == "no-helmet"
    assert rarest_class(POOL, ("never", *NAMES)) == "no-helmet"
    with pytest.raises(ValueError, match="no picture has a box"):
        rarest_class([picture(0)], NAMES)


# --- comparison ------------------------------------------------------------------------------------------------------


def run(strategy: str, seed: int, *rows: tuple[int, float, float], rare: int = 4) -> list[Point]:
    """Rows of boxes, mAP and AP of the rare class."""
    return [
        Point(strategy, seed, number, 10 * (number + 1), boxes, rare, 2 * rare, value, value, rare_value)
        for number, (boxes, value, rare_value) in enumerate(rows)
    ]


def test_equal_frames_compares_the_rounds_with_picks() -> None:
    points = [
        *run("random", 0, (10, 0.1, 0.0), (20, 0.2, 0.1), (30, 0.3, 0.2)),
        *run("hybrid", 0, (10, 0.1, 0.0), (25, 0.3, 0.3), (40, 0.5, 0.4), rare=9),
        *run("random", 1, (10, 0.1, 0.0), (20, 0.2, 0.1), (30, 0.3, 0.2)),
        *run("hybrid", 1, (10, 0.1, 0.0), (25, 0.3, 0.3), (40, 0.4, 0.4), rare=9),
    ]
    found = compare(points, "hybrid")
    assert found.map_frames.mean == pytest.approx((0.15 + 0.1) / 2)
    assert found.rare_frames.mean == pytest.approx(0.2)
    assert (found.picked_rare_frames, found.picked_rare_boxes) == (pytest.approx(9 / 4), pytest.approx(9 / 4))
    assert (found.map_last, found.boxes_last) == (pytest.approx(0.45), 40)


def test_equal_boxes_compares_where_both_have_been() -> None:
    """The same curve over boxes is level, however many boxes a round costs."""
    points = [
        *run("random", 0, (0, 0.0, 0.0), (10, 0.1, 0.1), (20, 0.2, 0.2)),
        *run("hybrid", 0, (0, 0.0, 0.0), (20, 0.2, 0.2), (40, 0.4, 0.4)),
    ]
    level = compare(points, "hybrid")
    assert level.map_frames.mean == pytest.approx(0.15)
    assert level.map_boxes is not None
    assert level.map_boxes.mean == pytest.approx(0.0, abs=1e-9)
    never = [*run("random", 0, (5, 0.1, 0.0), (5, 0.1, 0.0)), *run("hybrid", 0, (5, 0.1, 0.0), (9, 0.2, 0.0))]
    assert compare(never, "hybrid").map_boxes is None
    better = [*run("random", 0, (0, 0.0, 0.0), (10, 0.1, 0.0)), *run("hybrid", 0, (0, 0.0, 0.0), (10, 0.3, 0.0))]
    assert compare(better, "hybrid").map_boxes.mean == pytest.approx(0.1)  # type: ignore[union-attr]


def with_gain(gain: float, noise: Sequence[float], rare: float = 0.0) -> list[Point]:
    return [
        point
        for seed, off in enumerate(noise)
        for point in (
            *run("random", seed, (0, 0.1, 0.1), (10, 0.2, 0.2)),
            *run("hybrid", seed, (0, 0.1, 0.1), (10, 0.2 + gain + off, 0.2 + rare + off)),
        )
    ]


@pytest.mark.parametrize(
    ("gain", "rare", "noise", "best"),
    [
        (0.1, 0.1, (0.0, 0.01, -0.01), "hybrid"),
        (0.0, 0.0, (0.0, 0.01, -0.01), "random"),
        (0.1, 0.1, (0.2, -0.2, 0.0), "random"),
        (-0.1, -0.1, (0.0, 0.01, -0.01), "random"),
        (0.1, -0.1, (0.0, 0.01, -0.01), "random"),
        (0.0, 0.1, (0.0, 0.01, -0.01), "hybrid"),
    ],
    ids=["better", "level", "noisy", "worse", "paid for by the rare class", "better for the rare class"],
)
def test_random_is_recommended_unless_something_is_shown(
    gain: float, rare: float, noise: Sequence[float], best: str
) -> None:
    points = with_gain(gain, noise, rare)
    assert recommended([compare(points, "random"), compare(points, "hybrid")]) == best


def test_runs_of_other_seeds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="other seeds"):
        compare([*run("random", 0, (0, 0.1, 0.1)), *run("hybrid", 1, (0, 0.1, 0.1))], "hybrid")


def test_settings() -> None:
    assert SimulateSettings(strategies=("entropy", "random", "entropy")).arms == ("random", "entropy")
    for names, message in (
        (("random",), "name a strategy"),
        (("missed",), "can be replayed"),
        (("best",), "Input should"),
    ):
        with pytest.raises(ValidationError, match=message):
            SimulateSettings(strategies=names)  # type: ignore[arg-type]
