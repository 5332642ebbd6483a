"""What ``filter`` does with its strategies, budgets, quotas and targets; the frames are those of test_filter_choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from data_engine.selection.costs import CostModel
from data_engine.selection.pool import FramePool
from data_engine.stages.filter import Context, FilterSettings, choose, choose_first, summary, wanted_of, why_counts
from data_engine.stages.filter_settings import StrategyName, parsed_like, parsed_target
from data_engine.types import Selection

CLASSES = ("helmet", "no-helmet")
Boxes = Sequence[tuple[float, float]]
"""Probabilities of the two classes; the boxes stand side by side."""
NAMES = StrategyName.__args__  # type: ignore[attr-defined]


def pool_of(
    frames: Sequence[Boxes], *, cameras: Sequence[str] | None = None, days: Sequence[str] | None = None
) -> FramePool:
    """Frames 10 s apart that look different."""
    count = len(frames)
    flat = [(place, scores) for boxes in frames for place, scores in enumerate(boxes)]
    return FramePool(
        frame_ids=tuple(f"{i:04}" for i in range(count)),
        cameras=tuple(cameras or ("gate",) * count),
        video_ids=("v",) * count,
        times_s=np.arange(count) * 10.0,
        dhashes=np.array([(i * 0x9E3779B97F4A7C15) % 2**64 for i in range(count)], np.uint64),
        offsets=np.cumsum([0, *map(len, frames)]),
        xyxy=np.array([[50 * p, 0, 50 * p + 40, 80] for p, _ in flat], np.float32).reshape(-1, 4),
        scores=np.array([scores for _, scores in flat], np.float32).reshape(-1, 2),
        class_names=CLASSES,
        days=None if days is None else tuple(days),
    )


def run(
    pool: FramePool, counts: dict[str, int] | None = None, context: Context | None = None, **options: object
) -> Selection:
    return choose(
        pool,
        label_counts={"helmet": 100, "no-helmet": 100} if counts is None else counts,
        settings=FilterSettings(**options),  # type: ignore[arg-type]
        model_id="model",
        context=context,
    )


def rows(selection: Selection) -> list[int]:
    return [int(frame.frame_id) for frame in selection.frames]


@dataclass
class Likely:
    """Stands for what hunting found: the port between the two is this value and this reason."""

    value: NDArray[np.float64]

    def reason(self, frame: int) -> str:
        return f"like: example 1 at 4,{frame}"


VECTORS = np.eye(40, dtype=np.float32)


def test_every_strategy_chooses_what_it_says() -> None:
    frames: list[Boxes] = [[(0.9, 0.0)], [(0.5, 0.0)], [(0.3, 0.3)], [], [(0.06, 0.0)] * 3]
    firsts = {
        name: rows(run(pool_of(frames), strategy=name, budget=1, exploration=0))
        for name in NAMES
        if name not in ("diversity", "random", "missed", "disagreement")
    }
    assert firsts == {
        "hybrid": [2],
        "least-confidence": [4],
        "margin": [4],
        "entropy": [2],
        "entropy-max": [2],
        "rarity": firsts["rarity"],
    }


def test_random_is_drawn_after_deduplication_and_says_so() -> None:
    pool = pool_of([[(0.3, 0.0)]] * 40)
    chosen = run(pool, strategy="random", budget=10)
    assert why_counts(chosen)["random"] == 10
    assert {frame.reason for frame in chosen.frames} == {"random"}
    assert {frame.score for frame in chosen.frames} == {0.0}
    assert rows(chosen) != rows(run(pool, strategy="random", budget=10, seed=1))
    twins = FramePool(
        ("a", "b"), ("gate",) * 2, (None, None), np.array([np.nan] * 2), np.zeros(2, np.uint64), None,
        np.zeros(3, np.int64), np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32), CLASSES,
    )  # fmt: skip
    assert len(run(twins, strategy="random", budget=2).frames) == 1


def test_random_frames_are_a_fair_draw() -> None:
    """Over many seeds every frame has the same chance, hard or not."""
    pool = pool_of([[(0.5, 0.0)], [], [(0.9, 0.0)], [(0.5, 0.5)] * 3] * 5)
    drawn = Counter(row for seed in range(400) for row in rows(run(pool, strategy="random", budget=5, seed=seed)))
    assert len(drawn) == 20
    # 100 each; four standard deviations are 35.
    assert all(65 <= count <= 135 for count in drawn.values()), drawn


def test_diversity_needs_embeddings_and_covers_them() -> None:
    pool = pool_of([[(0.9, 0.0)]] * 6)
    with pytest.raises(ValueError, match="needs embeddings"):
        run(pool, strategy="diversity", budget=2)
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [1, 0], [-1, 0]], np.float32)
    context = Context(embeddings=vectors)
    chosen = run(pool, strategy="diversity", budget=3, context=context)
    assert {tuple(vectors[row]) for row in rows(chosen)} == {(1, 0), (0, 1), (-1, 0)}
    assert chosen.model_id == "model"
    lazily = run(pool, strategy="diversity", budget=3, context=Context(embeddings=lambda asked: vectors[asked]))
    assert lazily == chosen


def test_hybrid_prefers_what_differs_among_equals() -> None:
    pool = pool_of([[(0.3, 0.0)]] * 20 + [[(0.29, 0.0)]])
    vectors = np.tile(np.array([[1, 0]], np.float32), (21, 1))
    vectors[20] = (0, 1)
    same = run(pool, budget=6, exploration=0, variety=0, context=Context(embeddings=vectors))
    varied = run(pool, budget=6, exploration=0, variety=0.5, context=Context(embeddings=vectors))
    assert 20 not in rows(same)
    assert 20 in rows(varied)
    labelled = Context(embeddings=vectors, labelled=np.array([[0, 1]], np.float32))
    assert 20 not in rows(run(pool, budget=1, exploration=0, variety=0.5, context=labelled))


def test_only_the_strongest_are_embedded() -> None:
    asked: list[int] = []

    def vectors(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.extend(wanted.tolist())
        return VECTORS[wanted % 40]

    run(pool_of([[(0.1 + i / 1000, 0.0)] for i in range(200)]), budget=5, context=Context(embeddings=vectors))
    assert sorted(asked) == list(range(180, 200))


def test_what_is_hunted_has_its_share_and_comes_first() -> None:
    pool = pool_of([[(0.3, 0.0)]] * 30)
    value = np.zeros(30)
    value[[3, 7, 11, 15]] = 0.9, 0.8, 0.7, 0.6
    chosen = run(pool, budget=10, hunt_share=0.3, context=Context(hunted=Likely(value)))  # type: ignore[arg-type]
    assert rows(chosen)[:3] == [3, 7, 11]
    assert chosen.frames[0].reason == "like: example 1 at 4,3"
    assert chosen.frames[0].parts["likeness"] == 0.9
    assert why_counts(chosen)["like"] == 3
    assert len(chosen.frames) == 10
    first = choose_first(
        pool, VECTORS[:30], None, FilterSettings(budget=10), context=Context(hunted=Likely(value))  # type: ignore[arg-type]
    )  # fmt: skip
    assert rows(first)[:3] == [3, 7, 11]
    assert len(first.frames) == 10


def test_a_target_share_draws_its_class() -> None:
    pool = pool_of([*([(0.3, 0.0)] for _ in range(20)), *([(0.0, 0.2)] for _ in range(20))])
    counts = {"helmet": 100, "no-helmet": 100}
    plain = run(pool, counts, budget=10, exploration=0)
    wanted = run(pool, counts, budget=10, exploration=0, target=("no-helmet=0.8",))
    assert sum(row >= 20 for row in rows(plain)) == 0
    assert sum(row >= 20 for row in rows(wanted)) == 10
    assert wanted.frames[0].parts["rarity"] > 1 == plain.frames[0].parts["rarity"]


def test_a_class_that_nobody_has_labelled_yet() -> None:
    pool = pool_of([*([(0.35, 0.0)] for _ in range(20)), *([(0.0, 0.1)] for _ in range(5))])
    chosen = run(pool, {"helmet": 500, "no-helmet": 0}, budget=5, exploration=0)
    assert all(row >= 20 for row in rows(chosen))


def test_a_bound_on_boxes() -> None:
    pool = pool_of([[(0.5, 0.0)] * (1 + i % 8) for i in range(40)])
    chosen = run(pool, budget_boxes=20)
    spent = sum(frame.parts["boxes"] for frame in chosen.frames)
    assert 18 < spent <= 20
    assert wanted_of(pool, FilterSettings(budget_boxes=20)) is None
    assert "wanted" not in summary(chosen, 40, None)
    assert len(run(pool, budget_boxes=20, budget=3).frames) == 3, "both bounds hold"


def test_a_bound_on_minutes_and_what_jobs_taught() -> None:
    pool = pool_of([[(0.5, 0.0)] * 4 for _ in range(40)])
    stated = run(pool, budget_minutes=10, minutes_per_frame=1.0, minutes_per_box=0.5)
    assert len(stated.frames) == 5, "four boxes of 0.5 each are two, and one for the frame"
    learned = run(pool, budget_minutes=10, context=Context(costs=CostModel.stated(0.5, 0.0)))
    assert len(learned.frames) == 20


def test_under_a_bound_the_cheap_come_before_the_dear() -> None:
    frames: list[Boxes] = [*([(0.5, 0.0)] * 12 for _ in range(10)), *([(0.5, 0.0)] * 3 for _ in range(10))]
    by_frames = run(pool_of(frames), budget=10, exploration=0)
    by_boxes = run(pool_of(frames), budget_boxes=60, exploration=0)
    assert sum(row < 10 for row in rows(by_frames)) > 0
    assert sum(row < 10 for row in rows(by_boxes)[:10]) == 0
    assert len(by_boxes.frames) > 10


def test_no_day_eats_everything_while_others_have_some() -> None:
    frames = [[(0.3 + i / 1000, 0.0)] for i in range(40)] + [[(0.1, 0.0)]] * 20
    days = ["2026-11-27"] * 40 + ["2026-11-28"] * 20
    chosen = run(pool_of(frames, days=days), budget=20, exploration=0)
    assert sum(row < 40 for row in rows(chosen)) == 10
    assert (
        sum(row < 40 for row in rows(run(pool_of(frames, days=days), budget=20, exploration=0, max_day_share=1))) == 20
    )
    unknown = run(pool_of(frames, days=[""] * 60), budget=20, exploration=0)
    assert sum(row < 40 for row in rows(unknown)) == 20, "nobody knows the day"


def test_who_came_close_is_told_why() -> None:
    pool = pool_of([[(0.3 + i / 1000, 0.0)] for i in range(30)])
    chosen = run(pool, budget=3, exploration=0)
    assert rows(chosen) == [29, 28, 27]
    assert chosen.refused[0].frame_id == "0026"
    assert chosen.refused[0].refusal == "3 frames came before it"
    assert chosen.refused[0].reason == "uncertain: helmet 0.33"
    assert len(chosen.refused) == 27
    hashes = np.zeros(3, np.uint64)
    alike = FramePool(
        ("a", "b", "c"), ("gate", "gate", "yard"), ("v", "v", "w"), np.array([0.0, 60.0, 0.0]), hashes, None,
        np.arange(4), np.tile(np.float32([0, 0, 9, 9]), (3, 1)), np.full((3, 2), 0.3, np.float32), CLASSES,
    )  # fmt: skip
    kept = run(alike, budget=3)
    assert len(kept.frames) == 2
    assert [row.refusal for row in kept.refused] in (["looks like a"], ["looks like b"])
    close = FramePool(
        ("a", "b"), ("gate", "gate"), ("v", "v"), np.array([0.0, 0.2]), np.array([0, 2**40 - 1], np.uint64), None,
        np.arange(3), np.tile(np.float32([0, 0, 9, 9]), (2, 1)), np.full((2, 2), 0.3, np.float32), CLASSES,
    )  # fmt: skip
    assert [row.refusal for row in run(close, budget=2).refused] in (["0.2 s from a"], ["0.2 s from b"])


def test_all_scores_equal_and_fewer_frames_than_the_budget() -> None:
    for name in NAMES:
        context = Context(embeddings=VECTORS[:6])
        chosen = run(pool_of([[(0.3, 0.3)]] * 6), strategy=name, budget=50, context=context)
        assert sorted(rows(chosen)) == list(range(6)), name
        assert run(pool_of([]), strategy=name, budget=5, context=Context(embeddings=VECTORS[:0])).frames == ()


def test_the_id_is_of_what_came_out_as_well() -> None:
    pool = pool_of([[(0.5, 0.0)]] * 12)
    plain = run(pool, budget=5)
    hunted = run(pool, budget=5, context=Context(hunted=Likely(np.linspace(0, 1, 12))))  # type: ignore[arg-type]
    cooled = run(pool_of([[(0.3, 0.0)]] * 12), budget=5, context=Context(temperature=2.0))
    assert len({plain.id, hunted.id, cooled.id, run(pool_of([[(0.3, 0.0)]] * 12), budget=5).id}) == 4


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    frames=st.lists(st.lists(st.sampled_from([0.03, 0.2, 0.5, 0.9]), max_size=4), max_size=12),
    boxes=st.none() | st.integers(1, 20),
    minutes=st.none() | st.floats(0.3, 9),
    seed=st.integers(0, 9),
)
def test_bounds_always_hold(name, frames, boxes, minutes, seed) -> None:  # type: ignore[no-untyped-def]
    pool = pool_of([[(score, 0.5 * score) for score in scores] for scores in frames])
    context = Context(embeddings=VECTORS[: len(frames)])
    options = {"strategy": name, "budget_boxes": boxes, "budget_minutes": minutes, "seed": seed}
    chosen = run(pool, context=context, **options)
    assert chosen == run(pool, context=context, **options)
    chose = [frame.parts.get("boxes", context.usual_boxes) for frame in chosen.frames]
    if boxes is not None:
        assert sum(chose) <= boxes + 1e-2
    if minutes is not None:
        assert sum(0.2 + 0.12 * count for count in chose) <= minutes + 1e-2
    assert not {frame.frame_id for frame in chosen.frames} & {frame.frame_id for frame in chosen.refused}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("no-helmet=0.2", ("no-helmet", 0.2)), ("a=b=0.5", ("a=b", 0.5)), (" vest = 0.1", ("vest", 0.1))],
)
def test_targets(text: str, parsed: tuple[str, float]) -> None:
    assert parsed_target(text) == parsed


@pytest.mark.parametrize("text", ["no-helmet", "=0.2", "a=0", "a=1", "a=x", "a=nan", "a="])
def test_targets_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not CLASS=SHARE"):
        parsed_target(text)


def test_targets_that_do_not_fit_together() -> None:
    with pytest.raises(ValidationError, match="class 'a' has two target shares"):
        FilterSettings(target=("a=0.2", "a=0.3"))
    with pytest.raises(ValidationError, match="add up to more than 1"):
        FilterSettings(target=("a=0.6", "b=0.5"))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("gate.jpg:412,96,30,40", ("gate.jpg", (412, 96, 30, 40))),
        ("C:/a b/bild 1.png:0.5, 1, 2.5, 3", ("C:/a b/bild 1.png", (0.5, 1, 2.5, 3))),
        ("12:30.jpg:1,2,3,4", ("12:30.jpg", (1, 2, 3, 4))),
    ],
)
def test_examples(text: str, parsed: tuple[str, tuple[float, ...]]) -> None:
    assert parsed_like(text) == parsed


@pytest.mark.parametrize(
    "text", ["gate.jpg", "gate.jpg:1,2,3", "gate.jpg:1,2,0,4", ":1,2,3,4", "g.jpg:a,b,c,d", "g.jpg:1,2,nan,4"]
)
def test_examples_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not PICTURE:X,Y,W,H"):
        parsed_like(text)


def test_without_a_model_chance_can_be_had_as_the_control():
    pool = pool_of([[]] * 40)
    vectors = np.eye(40, dtype=np.float32)
    drawn = [
        rows(choose_first(pool, vectors, None, FilterSettings(strategy="random", budget=10, seed=seed)))
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    found = choose_first(pool, vectors, None, FilterSettings(strategy="random", budget=10))
    assert why_counts(found) == {"hard": 0, "exploration": 0, "next best": 0, "diverse": 0, "random": 10}


def test_without_a_model_chance_draws_the_look_alikes_too():
    """Not the frames that differ most: the control would be none."""
    pool = replace(pool_of([[]] * 40), dhashes=np.zeros(40, np.uint64))
    chance = FilterSettings(strategy="random", budget=10, allow_similar=True)
    found = choose_first(pool, np.eye(40, dtype=np.float32), None, chance)
    assert why_counts(found)["random"] == 10
    assert sum(frame.reason.endswith("(looks like a chosen frame)") for frame in found.frames) == 9
    assert rows(found) == rows(choose_first(pool, np.ones((40, 1), np.float32), None, chance))


@pytest.mark.parametrize("options", [{"only_hard": True}, {"target": ("no-helmet=0.2",)}])
def test_what_chance_cannot_do_is_refused(options):
    with pytest.raises(ValidationError, match="random frames are neither hard nor of a class"):
        FilterSettings(strategy="random", **options)


def test_a_class_without_a_name_is_not_hunted():
    with pytest.raises(ValidationError, match="must not be empty"):
        FilterSettings(hunt=("helmet", " "))
