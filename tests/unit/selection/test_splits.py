from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.splits import SplitPlan, balanced, make_plan, place
from data_engine.types import Frame

plans = st.builds(
    lambda name, duration, block, guard, fraction: make_plan(
        f"video:{name}", duration_s=duration, block_s=block, guard_s=guard, fraction=fraction
    ),
    st.text(min_size=1, max_size=8),
    st.none() | st.floats(0.5, 36_000),
    st.floats(1, 600),
    st.floats(0, 30),
    st.floats(0.05, 0.9),
)


@given(plans, st.floats(0, 36_000), st.floats(0, 10))
def test_a_training_frame_is_never_nearer_to_a_validation_frame_than_the_guard(plan, position, step):
    other = position + step * plan.guard / 10.001
    if other - position < plan.guard:
        assert {plan.side(position), plan.side(other)} != {"train", "valid"}


@given(plans, st.integers(0, 50))
def test_the_share_of_validation_blocks_is_the_fraction(plan, first):
    blocks = 200
    valid = sum(plan.side((first + i + 0.5) * plan.block) == "valid" for i in range(blocks))
    assert abs(valid - plan.fraction * blocks) <= 1


@given(st.floats(0.5, 300), st.text(min_size=1, max_size=8))
def test_a_short_video_serves_both_sides(duration, name):
    plan = make_plan(f"video:{name}", duration_s=duration, block_s=60, guard_s=2, fraction=0.2)
    steps = [duration * (i + 0.5) / 1000 for i in range(1000)]
    sides = {plan.side(t) for t in steps}
    assert {"train", "valid"} <= sides
    assert sum(plan.side(t) == "guard" for t in steps) <= 100


def test_no_validation_when_none_is_wanted():
    plan = make_plan("video:a", duration_s=100, block_s=10, guard_s=1, fraction=0.0)
    assert {plan.side(t) for t in range(100)} == {"train"}


def test_the_side_of_a_known_plan_never_changes():
    plan = SplitPlan("video:a", 10.0, 1.0, 0.25, 0.9)
    sides = [plan.side(float(t)) for t in range(40)]
    assert sides == ["valid"] * 10 + ["guard"] + ["train"] * 28 + ["guard"] or sides.count("valid") == 10
    assert [plan.side(t) for t in (9.999, 10.0, 10.999, 11.0)] == ["valid", "guard", "guard", "train"]


def lone(name: str, key: str = "pictures/") -> Frame:
    return Frame(f"{abs(hash(name)):032x}"[:32], name, key + name, 10, 10, "pictures")


def test_pictures_with_numbers_are_a_series_and_neighbours_stay_together():
    assert place(lone("frame_00012.jpg")) == ("series:pictures/frame_", 12.0)
    assert place(lone("DSC7.png"))[0] == "series:pictures/DSC"
    one = make_plan("series:pictures/frame_", duration_s=None, block_s=60, guard_s=2, fraction=0.2)
    changes = [i for i in range(1, 2000) if {one.side(i - 1.0), one.side(float(i))} == {"train", "valid"}]
    assert changes == []


def test_a_picture_without_a_number_stands_alone():
    source, position = place(lone("hall.jpg"))
    assert source.startswith("picture:")
    assert position == 0.0


def test_a_frame_of_a_video_stands_at_its_time():
    frame = Frame("f", "n.jpg", "k/n.jpg", 1, 1, "c", "v" * 32, 3003, Fraction(1, 30000))
    assert place(frame) == ("video:" + "v" * 32, 0.1001)


def test_a_frame_that_lost_its_record_stands_at_the_time_in_its_name():
    one = lone("hall_1_00012345_0a1b2c3d.jpg", "moved/elsewhere/")
    assert place(one) == ("frames:pictures/hall_1", 12.345)
    assert place(lone("hall_1_00092345_ffffffff.jpg"))[0] == place(one)[0]
    # Not of our pattern: a number at its end makes it one of a series.
    assert place(lone("hall_1_00012345_0a1b2c.png"))[0].startswith("picture:")
    assert place(lone("hall_00012345.jpg")) == ("series:pictures/hall_", 12345.0)


def test_where_a_picture_lies_does_not_matter():
    for name in ("frame_00012.jpg", "hall_00012345_0a1b2c3d.jpg"):
        assert place(lone(name, "pictures/")) == place(lone(name, "other/place/"))


def lone_plan(source, span, fraction=0.2):
    return make_plan(source, duration_s=None, block_s=60, guard_s=2, fraction=fraction, span=span)


def test_what_is_timed_follows_the_settings_and_what_is_numbered_does_not():
    assert (lone_plan("frames:c/a", 3600.0).block, lone_plan("frames:c/a", 3600.0).guard) == (60, 2)
    assert (lone_plan("series:c/a", 9000.0).block, lone_plan("series:c/a", 9000.0).guard) == (300, 15)


@given(st.sampled_from(["frames:c/a", "series:c/a"]), st.integers(10, 100_000), st.floats(0.1, 0.9))
def test_a_short_lone_source_serves_both_sides_too(source, span, fraction):
    plan = lone_plan(source, float(span), fraction)
    assert span / plan.block >= 5 - 1e-9
    least = 2.0 if source.startswith("series:") else 0.0
    assert least <= plan.guard <= max(plan.block / 10, least) + 1e-9
    if fraction == 0.2:
        assert "valid" in {plan.side(span * i / 1000) for i in range(1000)}


@given(
    st.sampled_from(["frames:c/a", "series:c/a"]),
    st.none() | st.floats(0, 100_000),
    st.floats(0.05, 0.9),
    st.lists(st.integers(0, 4000), min_size=2, max_size=60),
)
def test_no_lone_training_picture_is_nearer_to_a_validation_picture_than_the_guard(source, span, fraction, positions):
    plan = lone_plan(source, span, fraction)
    unit = 1.0 if source.startswith("series:") else 0.25
    sides = {position * unit: plan.side(position * unit) for position in positions}
    train = [position for position, side in sides.items() if side == "train"]
    valid = [position for position, side in sides.items() if side == "valid"]
    assert all(abs(one - other) >= plan.guard - 1e-9 for one in train for other in valid)


@given(st.integers(5, 5_000), st.floats(0.05, 0.9), st.text(min_size=1, max_size=8))
def test_direct_neighbours_of_a_series_never_lie_on_both_sides(span, fraction, name):
    plan = make_plan(f"series:{name}", duration_s=None, block_s=60, guard_s=2, fraction=fraction, span=float(span))
    sides = [plan.side(float(number)) for number in range(min(span, 500) + 1)]
    assert all({a, b} != {"train", "valid"} for a, b in itertools.pairwise(sides))


@given(
    plans,
    st.floats(-40, 40),
    st.lists(st.tuples(st.floats(-100, 36_000), st.sets(st.integers(1, 4))), max_size=12),
    st.dictionaries(st.integers(1, 4), st.sets(st.sampled_from(["train", "valid", "guard"]))),
)
def test_the_phase_is_that_by_which_most_classes_reach_both_sides(plan, shift, frames, reached):
    """Counted frame by frame, with nothing taken together."""
    plan = plan.of("video:other", shift)

    def missing(phase):
        one = replace(plan, phase=phase)
        met = {category: set(reached.get(category, ())) for _, found in frames for category in found}
        for position, found in frames:
            for category in found:
                met[category].add(one.side(position))
        return sum(len({"train", "valid"} - sides) for sides in met.values())

    phases = [(plan.phase + step / 10) % 1 for step in range(10)]
    best = balanced(plan, [at for at, _ in frames], [found for _, found in frames], reached)
    assert best == replace(plan, phase=min(phases, key=missing))
