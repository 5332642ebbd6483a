from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.balance import rarity_weights
from data_engine.selection.committee import disagreements
from data_engine.selection.evidence import DISAGREEMENT, KINDS, MISSED, RARE, UNCERTAIN, Evidence
from data_engine.selection.pool import FramePool
from data_engine.selection.strategies import RARE_TOP, STRATEGIES, Look
from data_engine.selection.uncertainty import seen_boxes

CLASSES = ("helmet", "no-helmet")
Boxes = Sequence[tuple[float, tuple[float, ...]]]
"""Boxes of 40 x 80 pixels: left, probability of each class."""


def pool_of(frames: Sequence[Boxes], classes: tuple[str, ...] = CLASSES, step_s: float = 10.0) -> FramePool:
    flat = [box for boxes in frames for box in boxes]
    count = len(frames)
    return FramePool(
        frame_ids=tuple(f"{i:04}" for i in range(count)),
        cameras=("gate",) * count,
        video_ids=("v",) * count,
        times_s=np.arange(count) * step_s,
        dhashes=np.arange(count, dtype=np.uint64),
        offsets=np.cumsum([0, *map(len, frames)]),
        xyxy=np.array([[x, 0, x + 40, 80] for x, _ in flat], np.float32).reshape(-1, 4),
        scores=np.array([scores for _, scores in flat], np.float32).reshape(-1, len(classes)),
        class_names=classes,
    )


def look_at(
    frames: Sequence[Boxes],
    *,
    weights: Sequence[float] = (1.0, 1.0),
    other: FramePool | None = None,
    temperature: float = 1.0,
    step_s: float = 10.0,
) -> Look:
    pool = pool_of(frames, step_s=step_s)
    return Look(pool, seen_boxes(pool, 0.05), np.asarray(weights, float), 0.4, 0.05, 1.0, temperature, other)


def totals(name: str, frames: Sequence[Boxes], **options: object) -> list[float]:
    return STRATEGIES[name](look_at(frames, **options)).total.tolist()  # type: ignore[arg-type]


# One sure box, one doubtful box, one torn between the classes, none, three doubtful boxes.
FRAMES: list[Boxes] = [
    [(0, (0.95, 0.0))],
    [(0, (0.5, 0.0))],
    [(0, (0.5, 0.5))],
    [],
    [(0, (0.5, 0.0)), (100, (0.5, 0.0)), (200, (0.5, 0.0))],
]


def test_least_confidence_is_what_the_best_class_lacks() -> None:
    np.testing.assert_allclose(totals("least-confidence", FRAMES), [0.05 / 3, 0.5 / 3, 0.5 / 3, 0, 0.5], atol=1e-6)


def test_margin_is_between_the_two_best_classes() -> None:
    np.testing.assert_allclose(totals("margin", FRAMES), [0.05 / 3, 0.5 / 3, 1 / 3, 0, 0.5], atol=1e-6)


def test_entropy_adds_the_classes_and_its_maximum_is_that_of_one_box() -> None:
    sure = -0.95 * np.log2(0.95) - 0.05 * np.log2(0.05)
    np.testing.assert_allclose(totals("entropy", FRAMES), [sure / 3, 1 / 3, 2 / 3, 0, 1], atol=1e-6)
    np.testing.assert_allclose(totals("entropy-max", FRAMES), [sure, 1, 2, 0, 1], atol=1e-6)


def test_a_crowd_gains_nothing_beyond_its_three_strongest() -> None:
    crowd = [[(50.0 * i, (0.5, 0.0)) for i in range(3)], [(50.0 * i, (0.5, 0.0)) for i in range(40)]]
    for name in ("least-confidence", "margin", "entropy", "entropy-max", "hybrid"):
        few, many = totals(name, crowd)
        assert few == pytest.approx(many), name


def test_missed_is_what_blinks() -> None:
    frames = [[(0, (0.9, 0.0))], [], [(0, (0.9, 0.0))]]
    assert [score > 0 for score in totals("missed", frames, step_s=0.5)] == [False, True, False]
    assert totals("missed", frames, step_s=10.0) == [0, 0, 0]


def test_rarity_counts_on_what_is_half_seen_and_ignores_what_is_common() -> None:
    frames: list[Boxes] = [[(0, (0.9, 0.0))], [(0, (0.9, 0.2))], [(0, (0.0, 0.2)), (100, (0.0, 0.3))]]
    found = totals("rarity", frames, weights=(0.5, 3.0))
    np.testing.assert_allclose(found, [0, 2 * 0.2 / RARE_TOP, 2 * 0.5 / RARE_TOP], atol=1e-6)
    assert totals("rarity", frames) == [0, 0, 0], "nothing is short of its share"


def test_calibration_changes_the_doubt() -> None:
    over = [[(0, (0.39, 0.0))], [(0, (0.1, 0.0))]]
    plain, cooled = totals("entropy-max", over), totals("entropy-max", over, temperature=3.0)
    assert cooled[0] > plain[0]
    assert cooled[1] > plain[1]
    assert cooled[0] > cooled[1]


def test_hybrid_joins_doubts_blinks_rarity_and_disagreement() -> None:
    other = pool_of([[(0, (0.9, 0.0))], [], []], step_s=0.5)
    look = look_at([[], [(0, (0.2, 0.1))], []], weights=(1.0, 3.0), other=other, step_s=0.5)
    scores = STRATEGIES["hybrid"](look)
    assert scores.by_kind[0].nonzero()[0].tolist() == [DISAGREEMENT]
    assert scores.by_kind[1].nonzero()[0].tolist() == [UNCERTAIN, RARE]
    assert scores.by_kind[2].sum() == 0
    assert {KINDS[kind] for kind in scores.evidence.kind.tolist()} == {"uncertain", "rare", "disagreement"}


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_on_nothing_and_on_equal_scores(name: str) -> None:
    assert totals(name, []) == []
    assert totals(name, [[], []]) == [0, 0]
    equal = totals(name, [[(0, (0.3, 0.3))]] * 4)
    assert len(set(equal)) == 1
    empty = FramePool(("a",), ("c",), (None,), np.array([np.nan]), np.array([0], np.uint64), None,
                      np.array([0, 0]), np.zeros((0, 4), np.float32), np.zeros((0, 0), np.float32))  # fmt: skip
    none = Look(empty, seen_boxes(empty, 0.05), np.zeros(0), 0.4, 0.05, 1.0)
    assert STRATEGIES[name](none).total.tolist() == [0], "a model without classes"


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_five_hundred_classes(name: str) -> None:
    rng = np.random.default_rng(0)
    classes = tuple(f"class {i}" for i in range(500))
    scores = rng.uniform(0, 0.3, (6, 500)).astype(np.float32)
    pool = pool_of([[(60.0 * i, tuple(row)) for i, row in enumerate(scores)], []], classes)
    look = Look(pool, seen_boxes(pool, 0.05), np.full(500, 2.0), 0.4, 0.05, 1.0)
    total = STRATEGIES[name](look).total
    assert np.isfinite(total).all()
    assert total[1] == 0


# --- two models ------------------------------------------------------------------------------------------------------


def between(
    mine: Sequence[Boxes], theirs: Sequence[Boxes], names: tuple[str, ...] = CLASSES
) -> list[tuple[object, ...]]:
    pool, other = pool_of(mine), pool_of(theirs, names)
    found = disagreements(pool, seen_boxes(pool, 0.05), other, np.ones(2), 0.4, 0.05)
    return [
        (int(f), CLASSES[int(label)], CLASSES[int(o)] if o >= 0 else None, round(float(v), 3))
        for f, label, o, v in zip(found.frame, found.label, found.other, found.value, strict=True)
    ]


def test_what_only_one_of_two_models_sees() -> None:
    assert between([[(0, (0.9, 0.0))]], [[(0, (0.9, 0.0))]]) == []
    assert between([[(0, (0.9, 0.0))]], [[(300, (0.1, 0.0))]]) == [(0, "helmet", None, 0.9)]
    assert between([[]], [[(0, (0.0, 0.8))]]) == [(0, "no-helmet", None, 0.8)]
    assert between([[(0, (0.9, 0.0))]], [[(4, (0.3, 0.0))]]) == [(0, "helmet", None, 0.6)], "it sees a little"


def test_two_models_that_call_one_thing_differently() -> None:
    found = between([[(0, (0.9, 0.0))]], [[(0, (0.0, 0.8))]])
    assert found == [(0, "helmet", "no-helmet", 0.9), (0, "no-helmet", "helmet", 0.8)]


def test_classes_of_two_models_meet_by_name() -> None:
    assert between([[(0, (0.9, 0.0))]], [[(0, (0.0, 0.9))]], ("no-helmet", "helmet")) == []
    # What the other model was never taught, it can't miss; and what it alone knows is not asked for.
    assert between([[(0, (0.9, 0.0))]], [[(0, (0.9,))]], ("forklift",)) == []


def test_frames_that_only_one_model_has_seen_say_nothing() -> None:
    pool = pool_of([[(0, (0.9, 0.0))], [(0, (0.9, 0.0))]])
    other = pool_of([[]])
    found = disagreements(pool, seen_boxes(pool, 0.05), other, np.ones(2), 0.4, 0.05)
    assert found.frame.tolist() == [0]


# --- repeats, targets ------------------------------------------------------------------------------------------------


def test_repeats_of_one_doubt_count_less() -> None:
    xyxy = np.zeros((5, 4), np.float32)
    evidence = Evidence.of(
        UNCERTAIN, np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, 0, 0]), np.zeros(5), np.array([1.0, 4, 8, 2, 16]), xyxy
    )
    np.testing.assert_allclose(evidence.discounted(0.5).value, [0.25, 4, 8, 1, 16])
    assert len(Evidence.none().discounted(0.5)) == 0
    both = Evidence.joined([evidence, Evidence.of(MISSED, *[np.array([0])] * 2, np.zeros(1), np.ones(1), xyxy[:1])])
    assert both.discounted(0.5).value[both.kind == MISSED].tolist() == [1], "each kind counts for itself"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(0.01, 9)), max_size=30))
def test_discounting_keeps_order_within_a_frame_and_class(rows: list[tuple[int, int, float]]) -> None:
    frame, label = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    value = np.array([row[2] for row in rows], float)
    found = Evidence.of(UNCERTAIN, frame, label, value, value, np.zeros((len(rows), 4), np.float32)).discounted(0.5)
    assert (found.value <= value).all()
    for group in set(zip(frame.tolist(), label.tolist(), strict=True)):
        mine = (frame == group[0]) & (label == group[1])
        strongest = value[mine].max()
        assert found.value[mine].max() == pytest.approx(strongest)
        assert found.value[mine].sum() <= 2 * strongest + 1e-9


def test_weights_follow_the_target_shares() -> None:
    names = ("person", "helmet", "no-helmet")
    counts = {"person": 499, "helmet": 399, "no-helmet": 99}
    fair = rarity_weights(names, counts)
    wanted = rarity_weights(names, counts, targets={"no-helmet": 0.4})
    assert wanted[2] == pytest.approx(2.0), "it has a tenth and shall have four: sqrt(4)"
    assert wanted[2] > fair[2] > 1
    assert wanted[0] < fair[0]
    reached = rarity_weights(names, {"person": 499, "helmet": 299, "no-helmet": 199}, targets={"no-helmet": 0.2})
    assert reached[2] == pytest.approx(1.0), "a class that has its share weighs 1"
    with pytest.raises(ValueError, match="leave nothing for"):
        rarity_weights(names, counts, targets={"no-helmet": 0.6, "helmet": 0.4})
    all_of_them = rarity_weights(names, counts, targets={"person": 0.5, "helmet": 0.4, "no-helmet": 0.1})
    np.testing.assert_allclose(all_of_them, 1.0)
