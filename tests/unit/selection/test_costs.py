"""What labelling costs, and how it is learned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.calibration import calibrated
from data_engine.selection.costs import Allowance, CostModel, JobTime, expected_boxes, learned
from data_engine.selection.pool import FramePool

STATED = CostModel.stated(0.2, 0.12)


def worked(count: int, per_frame: float, per_box: float, *, noise: float = 0.0, seed: int = 0) -> list[JobTime]:
    """Jobs of 10 to 100 frames with none to 8 boxes each, and what they took."""
    rng = np.random.default_rng(seed)
    jobs = []
    for frames in rng.integers(10, 100, count).tolist():
        boxes = round(frames * float(rng.uniform(0, 8)))
        jobs.append(
            JobTime(
                frames,
                boxes,
                (frames * per_frame + boxes * per_box) * float(rng.gamma(1 / (noise**2)) * noise**2 if noise else 1),
            )
        )
    return jobs


@pytest.mark.parametrize(("per_frame", "per_box"), [(0.2, 0.12), (1.0, 0.05), (0.05, 0.6), (30.0, 2.0)])
def test_known_minutes_are_recovered(per_frame, per_box):
    model = learned(worked(60, per_frame, per_box), STATED)
    assert model.jobs == 60
    assert (model.minutes_per_frame, model.minutes_per_box) == pytest.approx((per_frame, per_box), rel=0.02)


def test_people_vary_and_some_fall_asleep():
    jobs = worked(200, 0.4, 0.1, noise=0.2)
    asleep = [JobTime(job.frames, job.boxes, job.minutes + 300) for job in jobs[:20]]
    model = learned([*asleep, *jobs[20:]], STATED)
    assert (model.minutes_per_frame, model.minutes_per_box) == pytest.approx((0.4, 0.1), rel=0.2)
    # Budgets are of sums: what a usual job takes is better known than its parts.
    assert model.minutes(4.0) == pytest.approx(0.8, rel=0.06)


@pytest.mark.parametrize("per", [3, 0])
def test_jobs_with_equal_proportions_scale_what_was_stated(per):
    jobs = [JobTime(n, per * n, 5 * (0.2 * n + 0.12 * per * n)) for n in (10, 20)]
    for told in (jobs[:1], jobs):
        model = learned(told, STATED)
        assert (model.minutes_per_frame, model.minutes_per_box) == pytest.approx((1.0, 0.6), rel=1e-6)


def test_what_a_script_handed_in_tells_nothing_of_people():
    script = JobTime(30, 150, 0.013)
    assert learned([script], STATED) == STATED
    people = worked(20, 0.5, 0.2)
    assert learned([script, *people], STATED) == learned(people, STATED)


def test_nothing_costs_less_than_nothing():
    jobs = [JobTime(10, 0, 10.0), JobTime(10, 50, 10.0), JobTime(10, 100, 5.0)]
    model = learned(jobs, STATED)
    assert model.minutes_per_frame > 0
    assert model.minutes_per_box == 0
    only_boxes = learned([JobTime(10, 100, 10.0), JobTime(100, 100, 10.0), JobTime(50, 300, 30.0)], STATED)
    assert only_boxes.minutes_per_frame >= 0
    assert only_boxes.minutes_per_box == pytest.approx(0.1, rel=0.1)


@given(
    st.lists(st.builds(JobTime, st.integers(0, 500), st.integers(0, 5000), st.floats(0, 1e5)), max_size=8),
    st.floats(1e-3, 60),
    st.floats(0, 60),
)
def test_whatever_was_seen_gives_usable_figures(jobs, per_frame, per_box):
    stated = CostModel.stated(per_frame, per_box)
    model = learned(jobs, stated)
    assert np.isfinite([model.minutes_per_frame, model.minutes_per_box]).all()
    assert min(model.minutes_per_frame, model.minutes_per_box) >= 0
    if model.jobs:
        assert model.minutes(1.0) > 0
    else:
        assert model == stated
    assert ("settings say" in model.told) == (model.jobs == 0)


@given(
    st.lists(st.floats(0, 50), max_size=60),
    st.none() | st.integers(0, 30),
    st.none() | st.floats(0, 300),
    st.none() | st.floats(0, 60),
)
def test_no_bound_is_broken_and_nothing_that_fits_is_left(prices, frames, boxes, minutes):
    allowance = Allowance(frames=frames, boxes=boxes, minutes=minutes, costs=STATED)
    taken = []
    for price in prices:
        if allowance.admits(price):
            allowance.spend(price)
            taken.append(price)
        else:
            assert not allowance.admits(price + 1)
    cost = sum(map(STATED.minutes, taken))
    assert allowance.spent == pytest.approx({"frames": len(taken), "boxes": sum(taken), "minutes": cost})
    for spent, most in ((len(taken), frames), (sum(taken), boxes), (cost, minutes)):
        assert most is None or spent <= most + 1e-6
    if frames is None and boxes is None and minutes is None:
        assert taken == prices


def test_a_dear_frame_is_passed_over_and_a_cheap_one_still_fits():
    allowance = Allowance(boxes=10, costs=STATED)
    took = []
    for price in (6.0, 5.0, 3.0, 1.0, 0.5):
        if allowance.admits(price):
            allowance.spend(price)
            took.append(price)
    assert took == [6.0, 3.0, 1.0]


def test_expected_boxes_count_each_thing_once_and_as_probable_as_it_is():
    scores = np.array([[0.5, 0.1], [0.25, 0.0], [0.02, 0.03], [0.0, 1.0]], np.float16)
    xyxy = np.array([(0, 0, 10, 10), (0, 0, 10, 9), (30, 30, 40, 40), (0, 0, 5, 5)], np.float32)
    pool = FramePool(
        frame_ids=("a", "b", "c"),
        cameras=("cam",) * 3,
        video_ids=(None,) * 3,
        times_s=np.full(3, np.nan),
        dhashes=np.zeros(3, np.uint64),
        offsets=np.array([0, 3, 3, 4]),
        xyxy=xyxy,
        scores=scores,
        class_names=("x", "y"),
    )
    assert expected_boxes(pool, 0.05).tolist() == [0.5, 0.0, 1.0]
    softened = calibrated(np.array([0.5, 1.0]), 2.0)
    assert expected_boxes(pool, 0.05, 2.0).tolist() == pytest.approx([softened[0], 0.0, softened[1]])
