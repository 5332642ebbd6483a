from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from data_engine.selection.pool import FramePool
from data_engine.stages.filter import (
    FilterSettings,
    choose,
    choose_first,
    header_lines,
    reasons_csv,
    summary,
    wanted_of,
    why_counts,
)
from data_engine.types import Frame, Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSES = ("helmet", "no-helmet", "person")
Box = tuple[float, float, tuple[float, float, float]]


def pool_of(
    frames: Sequence[Sequence[Box]],
    *,
    hashes: Sequence[int] | None = None,
    cameras: Sequence[str] | None = None,
    times_s: Sequence[float] | None = None,
    order: Sequence[int] | None = None,
) -> FramePool:
    """Frames 10 s apart whose pictures look different, unless told otherwise; ``order`` is that of the arguments."""
    count = len(frames)
    order = range(count) if order is None else order
    named = cameras or ("gate",) * count
    times = np.arange(count) * 10.0 if times_s is None else np.asarray(times_s, float)
    spread = [(i * 0x9E3779B97F4A7C15) % 2**64 for i in range(count)] if hashes is None else hashes
    flat = [box for i in order for box in frames[i]]
    return FramePool(
        frame_ids=tuple(f"{i:04}" for i in order),
        cameras=tuple(named[i] for i in order),
        video_ids=tuple(f"of {named[i]}" for i in order),
        times_s=np.array([times[i] for i in order]),
        dhashes=np.array([spread[i] for i in order], np.uint64),
        offsets=np.cumsum([0, *(len(frames[i]) for i in order)]),
        xyxy=np.array([[x, y, x + 40, y + 80] for x, y, _ in flat], np.float32).reshape(-1, 4),
        scores=np.array([scores for *_, scores in flat], np.float32).reshape(-1, 3),
        class_names=CLASSES,
    )


def run(
    pool: FramePool, counts: dict[str, int] | None = None, taken: Sequence[str] = (), **options: object
) -> Selection:
    known = {"helmet": 100, "no-helmet": 100, "person": 100} if counts is None else counts
    return choose(
        pool,
        label_counts=known,
        settings=FilterSettings(**options),  # type: ignore[arg-type]
        model_id="model",
        taken=taken,
    )


def helmet(score: float, x: float = 100) -> Box:
    return (x, 100, (score, 0.0, 0.0))


def test_hard_frames_come_first_by_their_doubt() -> None:
    pool = pool_of([[helmet(0.9)], [helmet(0.1)], [helmet(0.35)], [], [helmet(0.04)], [helmet(0.2)]])
    chosen = run(pool, budget=3, exploration=0)
    assert [f.frame_id for f in chosen.frames] == ["0002", "0005", "0001"]
    assert [f.rank for f in chosen.frames] == [1, 2, 3]
    assert chosen.frames[0].reason == "uncertain: helmet 0.35"
    assert chosen.frames[0].parts["confidence"] == pytest.approx(0.35)
    assert chosen.model_id == "model"


def test_a_rare_class_outranks_a_common_one_and_is_named_so() -> None:
    pool = pool_of([[(0, 0, (0.35, 0.0, 0.0))], [(0, 0, (0.0, 0.31, 0.0))]])
    chosen = run(pool, {"helmet": 900, "no-helmet": 0, "person": 500}, budget=1)
    assert chosen.frames[0].reason == "uncertain: no-helmet 0.31 (rare)"
    assert chosen.frames[0].parts["rarity"] == 4.0


def test_a_blink_marks_the_frame_in_the_middle() -> None:
    pool = pool_of([[helmet(0.9)], [], [helmet(0.9)], [helmet(0.9)]], times_s=[0, 0.5, 1.0, 1.5])
    chosen = run(pool, budget=2, only_hard=True)
    assert [(f.frame_id, f.reason) for f in chosen.frames] == [
        ("0001", "missed: helmet at 120,140 seen before and after")
    ]


def test_room_that_is_left_goes_to_chance_and_then_to_the_next_best() -> None:
    frames = [[helmet(0.2)], *([helmet(0.5 + i / 100)] for i in range(30)), []]
    chosen = run(pool_of(frames), budget=10, exploration=0.2)
    assert why_counts(chosen) == {"hard": 1, "exploration": 2, "next best": 7, "diverse": 0}
    reasons = [f.reason for f in chosen.frames]
    assert reasons[:3] == ["uncertain: helmet 0.20", "exploration", "exploration"]
    assert all(reason.startswith("next best: helmet 0.5") for reason in reasons[3:])
    assert [f.score for f in chosen.frames[3:]] == sorted((f.score for f in chosen.frames[3:]), reverse=True)


def test_chance_has_its_share_even_when_all_frames_are_hard() -> None:
    chosen = run(pool_of([[helmet(0.1 + i / 1000)] for i in range(100)]), budget=20, exploration=0.2)
    assert why_counts(chosen) == {"hard": 16, "exploration": 4, "next best": 0, "diverse": 0}
    assert [int(f.frame_id) for f in chosen.frames[:16]] == list(range(99, 83, -1))


def test_only_hard_leaves_room_empty_and_says_so() -> None:
    pool = pool_of([[helmet(0.2)], *([[helmet(0.9)]] * 9)])
    chosen = run(pool, budget=5, exploration=0.4, only_hard=True)
    assert len(chosen.frames) == 1
    assert summary(chosen, 10, 5) == "1 of 10 frames chosen, 5 wanted: 1 hard"


def test_look_alikes_are_passed_over_unless_allowed() -> None:
    pool = pool_of([[helmet(0.3)]] * 6, hashes=[0, 1, 2, 3, 2**20 - 1, 2**40 - 1])
    assert len(run(pool, budget=6).frames) == 3
    filled = run(pool, budget=6, allow_similar=True)
    assert len(filled.frames) == 6
    assert sum(f.reason.endswith("(looks like a chosen frame)") for f in filled.frames) == 3
    assert why_counts(filled)["hard"] + why_counts(filled)["exploration"] == 6


def test_what_was_taken_before_is_not_chosen_again_nor_what_looks_like_it() -> None:
    frames = [[helmet(0.9)], [], [helmet(0.9)], [helmet(0.3)], [helmet(0.3)]]
    pool = pool_of(frames, times_s=[0, 0.5, 1.0, 50, 100], hashes=[0, 2**16 - 1, 2**32 - 1, 2**48 - 1, 1])
    chosen = run(pool, budget=5, taken=["0000", "gone"])
    # 0001 is still known to lie between 0000 and 0002; 0004 looks like 0000.
    assert {f.frame_id: f.reason.split(":")[0] for f in chosen.frames} == {
        "0001": "missed",
        "0002": "next best",
        "0003": "uncertain",
    }
    assert chosen.id != run(pool, budget=5).id
    assert wanted_of(pool, FilterSettings(budget=5), ["0000"]) == 5
    assert wanted_of(pool, FilterSettings(), ["0000"]) == 1


def test_no_camera_eats_everything_while_others_have_some() -> None:
    frames = [[helmet(0.3 + i / 1000)] for i in range(40)] + [[helmet(0.1)]] * 20
    pool = pool_of(frames, cameras=["a"] * 40 + ["b"] * 20)
    chosen = run(pool, budget=20, exploration=0)
    assert sum(int(f.frame_id) < 40 for f in chosen.frames) == 10
    few = pool_of(frames[:41], cameras=["a"] * 40 + ["b"])
    assert len(run(few, budget=20, exploration=0).frames) == 20, "nobody else wants the places"


def test_edges() -> None:
    assert run(pool_of([])).frames == ()
    assert [f.reason for f in run(pool_of([[]])).frames] == ["next best: no box"]
    assert len(run(pool_of([[helmet(0.3)]]), budget=50).frames) == 1
    assert len(run(pool_of([[helmet(0.3)]] * 30)).frames) == 3, "a tenth"
    unknown_times = pool_of([[helmet(0.3)]] * 4, times_s=[float("nan")] * 4)
    assert len(run(unknown_times, budget=4).frames) == 4
    without_model = FramePool(("a",), ("c",), (None,), np.array([np.nan]), np.array([0], np.uint64))
    with pytest.raises(ValueError, match="no predictions"):
        run(without_model)
    no_classes = FramePool(
        ("a",), ("c",), (None,), np.array([np.nan]), np.array([0], np.uint64), None, np.array([0, 0]),
        np.zeros((0, 4), np.float32), np.zeros((0, 0), np.float32),
    )  # fmt: skip
    assert len(run(no_classes).frames) == 1


def test_equal_scores_do_not_favour_the_beginning_of_the_pool() -> None:
    pool = pool_of([[helmet(0.3)]] * 60)
    chosen = [int(f.frame_id) for f in run(pool, budget=20, exploration=0).frames]
    assert max(chosen) > 40
    assert chosen != [int(f.frame_id) for f in run(pool, budget=20, exploration=0, seed=1).frames]


def test_the_id_is_that_of_what_went_in() -> None:
    pool = pool_of([[helmet(0.3)]] * 3)
    same = run(pool)
    assert run(pool).id == same.id
    assert run(pool, {"helmet": 1}).id != same.id
    assert run(pool, seed=1).id != same.id
    assert run(pool_of([[helmet(0.3)]] * 4)).id != same.id
    other = choose(pool, label_counts={}, settings=FilterSettings(), model_id="another")
    assert other.id not in (same.id, choose(pool, label_counts={}, settings=FilterSettings(), model_id="model").id)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"floor": 0.4}, r"floor \(0.4\) must be lower than the confidence threshold \(0.4\)"),
        ({"budget": 0}, "greater than or equal to 1"),
        ({"exploration": 1.1}, "less than or equal to 1"),
        ({"bugdet": 3}, "Extra inputs"),
    ],
)
def test_settings_out_of_bounds(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FilterSettings(**options)  # type: ignore[arg-type]


def test_rare_frames_are_found_among_crowds() -> None:
    """A model unsure of a rare class: how many of its frames are picked, against chance."""
    rng = np.random.default_rng(7)
    frames: list[list[Box]] = []
    rare = []
    for number in range(1500):
        people = int(rng.choice([1, 3, 20], p=[0.5, 0.4, 0.1]))
        seen = [(float(rng.uniform(0, 1800)), float(rng.uniform(0, 900)), p) for _ in range(people)
                for p in [(float(rng.beta(6, 2)), 0.0, 0.0)]]  # fmt: skip
        if rng.random() < 0.05:
            rare.append(f"{number:04}")
            seen.append((float(rng.uniform(0, 1800)), 950.0, (0.15, float(rng.uniform(0.06, 0.5)), 0.0)))
        frames.append(seen)
    picked = {
        f.frame_id for f in run(pool_of(frames), {"helmet": 2000, "no-helmet": 20, "person": 0}, budget=150).frames
    }
    by_chance = len(rare) * 150 / 1500
    assert len(picked & set(rare)) > 4 * by_chance


cases = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 40),
        st.integers(0, 15),
        st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from([0.03, 0.1, 0.3, 0.6, 0.9]), st.integers(0, 2)), max_size=3
        ),
    ),
    max_size=14,
)


def drawn(
    case: list[tuple[str, int, int, list[tuple[int, float, int]]]], order: Sequence[int] | None = None
) -> FramePool:
    return pool_of(
        [
            [(100.0 * x, 0.0, tuple(score if c == label else 0.0 for c in range(3))) for x, score, label in boxes]  # type: ignore[misc]
            for *_, boxes in case
        ],
        cameras=[camera for camera, *_ in case],
        times_s=[half / 2 for _, half, *_ in case],
        hashes=[bits for *_, bits, _ in case],
        order=order,
    )


@settings(max_examples=60, deadline=None)
@given(case=cases, budget=st.none() | st.integers(1, 20), only_hard=st.booleans(), data=st.data())
def test_what_always_holds(case, budget, only_hard, data) -> None:  # type: ignore[no-untyped-def]
    order = data.draw(st.permutations(range(len(case))))
    taken = data.draw(st.lists(st.sampled_from([f"{i:04}" for i in range(len(case))]), max_size=2)) if case else []
    options = {"budget": budget, "only_hard": only_hard, "exploration": 0.3, "tolerance": 1}
    chosen = run(drawn(case), taken=taken, **options)
    again = run(drawn(case, order), taken=taken[::-1], **options)
    assert chosen == again, "the order of the pool decides nothing"

    rows = [int(f.frame_id) for f in chosen.frames]
    assert len(set(rows)) == len(rows)
    assert not {f"{i:04}" for i in rows} & set(taken)
    assert len(rows) <= wanted_of(drawn(case), FilterSettings(**options), taken)
    assert [f.rank for f in chosen.frames] == list(range(1, len(rows) + 1))
    for i in rows:
        for j in rows:
            if i < j and case[i][0] == case[j][0]:
                assert (case[i][2] ^ case[j][2]).bit_count() > 1
                assert abs(case[i][1] - case[j][1]) / 2 >= 0.5


@settings(max_examples=40, deadline=None)
@given(case=cases, budget=st.integers(1, 20), seed=st.integers(0, 99), data=st.data())
def test_the_first_round_does_not_depend_on_the_order(case, budget, seed, data) -> None:  # type: ignore[no-untyped-def]
    order = data.draw(st.permutations(range(len(case))))
    vectors = np.random.default_rng(seed).normal(size=(len(case), 6)).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    def first(pool: FramePool) -> Selection:
        rows = [int(frame_id) for frame_id in pool.frame_ids]
        return choose_first(pool, vectors[rows].reshape(-1, 6), None, FilterSettings(budget=budget))

    chosen = first(drawn(case))
    assert chosen == first(drawn(case, order))
    assert len(chosen.frames) <= budget
    assert chosen.model_id is None
    rows = [int(f.frame_id) for f in chosen.frames]
    assert all(
        (case[i][2] ^ case[j][2]).bit_count() > 2 for i in rows for j in rows if i < j and case[i][0] == case[j][0]
    )


def test_the_first_round_goes_where_nothing_is_labelled() -> None:
    pool = pool_of([[]] * 6)
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [-1, 0], [0, -1]], np.float32)
    settings_ = FilterSettings(budget=3)
    free = choose_first(pool, vectors, None, settings_)
    assert len({tuple(vectors[int(f.frame_id)]) for f in free.frames}) == 3
    assert free.frames[0].reason == "diverse: the most typical frame"
    labelled = choose_first(pool, vectors, vectors[[0, 4]], settings_)
    assert {tuple(vectors[int(f.frame_id)]) for f in labelled.frames[:2]} == {(0, 1), (0, -1)}
    assert labelled.frames[0].reason == "diverse: 1.41 from the nearest chosen"
    assert labelled.frames[2].score == 0.0
    taken = choose_first(pool, vectors, None, settings_, taken=["0000", "0004"])
    assert [f.frame_id for f in taken.frames[:2]] == [f.frame_id for f in labelled.frames[:2]]
    assert len({free.id, labelled.id, taken.id, choose_first(pool, vectors, None, settings_, embedder="x").id}) == 4
    with pytest.raises(ValueError, match=r"must be \(6, d\)"):
        choose_first(pool, vectors[:5], None, settings_)


def test_the_first_round_of_all_equal_pictures_still_ends() -> None:
    pool = pool_of([[]] * 5, hashes=[0] * 5)
    vectors = np.tile(np.array([[1, 0]], np.float32), (5, 1))
    assert len(choose_first(pool, vectors, None, FilterSettings(budget=4)).frames) == 1
    assert len(choose_first(pool, vectors, None, FilterSettings(budget=4, allow_similar=True)).frames) == 4
    assert choose_first(pool_of([]), np.zeros((0, 2), np.float32), None, FilterSettings()).frames == ()


def test_the_explanation_as_files() -> None:
    pool = pool_of([[helmet(0.3)], [helmet(0.9)], []], times_s=[0, 10, 20])
    chosen = run(pool, budget=3, exploration=0)
    frames = {
        f.frame_id: Frame(f.frame_id, f"halle, süd_{f.frame_id}.jpg", f"k/{f.frame_id}.jpg", 8, 8, "gate")
        for f in chosen.frames
    }
    rows = list(csv.DictReader(io.StringIO(reasons_csv(chosen, frames))))
    assert [row["file"] for row in rows] == ["halle, süd_0000.jpg", "halle, süd_0001.jpg", "halle, süd_0002.jpg"]
    assert rows[0]["rank"] == "1"
    assert rows[0]["reason"] == "uncertain: helmet 0.30"
    assert float(rows[0]["uncertain"]) == pytest.approx(chosen.frames[0].score, abs=1e-5)
    assert rows[2]["confidence"] == ""
    lines = header_lines(chosen, 3, 4)
    assert all(line.startswith("# ") for line in lines)
    assert lines[0] == f"# selection {chosen.id}, model model"
    assert lines[1] == "# 3 of 3 frames chosen, 4 wanted: 1 hard, 2 next best"
    assert reasons_csv(Selection("i", None, ()), {}) == "rank,file,score,reason\n"
