"""The rule of promotion, over comparisons as they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from data_engine.stages.promote import LEAST_STRETCHES, PromoteSettings, evidence_of, judge
from data_engine.types.evaluation import Comparison, Delta

AUTO = PromoteSettings()
MANY = LEAST_STRETCHES + 6


def delta(champion: float | None, difference: float | None, half: float | None = 0.01, boxes: int = 90) -> Delta:
    """A difference with an interval of that half width, or without one."""
    if champion is None or difference is None:
        return Delta(champion, None, None, None, None, 40, boxes)
    ends = (None, None) if half is None else (difference - half, difference + half)
    return Delta(champion, champion + difference, difference, *ends, 40, boxes)


def compared(overall: Delta, kind: str = "golden", stretches: int = MANY, **more) -> Comparison:
    parts = {"per_class": {}, "per_camera": {}, "per_day": {}, "per_size": {}, **more}
    return Comparison(
        "a" * 32, "b" * 32, f"{kind} of v3", kind, "d", 40, 90, "map50", 0.95, stretches, overall, **parts
    )


def reasons(comparison: Comparison, settings: PromoteSettings = AUTO, **stretches: int) -> tuple[str, ...]:
    decision = judge(comparison, settings, stretches=stretches)
    assert decision.promoted == (not decision.reasons)
    return decision.reasons


@pytest.mark.parametrize(
    ("difference", "half", "said"),
    [
        (0.05, 0.01, None),
        (0.05, 0.06, "not shown to be better: 0.450, was 0.400, +0.050 [-0.010, +0.110] at 95 %"),
        (0.0, 0.0, "not shown to be better"),
        (-0.05, 0.06, "not shown to be better"),
        (-0.05, 0.01, "worse"),
        (0.05, None, "not shown to be better, for there are only 12 stretches of footage"),
    ],
)
def test_on_a_golden_set_better_is_to_be_shown(difference, half, said):
    found = reasons(compared(delta(0.4, difference, half)))
    if said is None:
        assert found == ()
    else:
        (reason,) = found
        assert reason.startswith(f"mAP50 on golden of v3 is {said}")


@pytest.mark.parametrize(
    ("difference", "half", "promoted"),
    [(0.0, 0.0, True), (-0.019, 0.5, True), (-0.021, 0.5, False), (-0.01, 0.005, False), (-0.01, None, True)],
)
def test_on_a_validation_side_not_worse_is_enough(difference, half, promoted):
    """Neither the value by more than the tolerance, nor shown."""
    assert (not reasons(compared(delta(0.4, difference, half), "validation"))) is promoted


def test_a_golden_set_of_few_stretches_can_t_show_anything_and_that_is_said():
    few = compared(delta(0.4, 0.1, 0.01), stretches=LEAST_STRETCHES - 1)
    assert evidence_of(few, AUTO) == (
        "not-worse",
        ("golden of v3 has 5 independent stretches of footage: too few to show that a model is better",),
    )
    assert reasons(few) == ()
    # Nor is a loss shown by them, only counted.
    assert reasons(compared(delta(0.4, -0.01, 0.005), stretches=LEAST_STRETCHES - 1)) == ()
    (reason,) = reasons(few, PromoteSettings(evidence="better"))
    assert reason.startswith("mAP50 on golden of v3 is not shown to be better, for there are only 5 stretches")


def test_what_is_asked_for_can_be_chosen():
    same = compared(delta(0.4, 0.0))
    assert reasons(same, PromoteSettings(evidence="not-worse")) == ()
    assert reasons(replace(same, kind="validation"), PromoteSettings(evidence="better"))


def test_a_class_vetoes_only_beyond_its_tolerance_and_chance_and_with_enough_footage():
    def with_class(loss: float, half: float | None, settings: PromoteSettings = AUTO, stretches: int = 9):
        found = compared(delta(0.4, 0.1), per_class={"vest": delta(0.5, -loss, half), "person": delta(0.5, 0.1)})
        return judge(found, settings, stretches={"vest": stretches})

    assert with_class(0.03, 0.01).reasons == (
        "class vest lost more than 0.02: 0.470, was 0.500, -0.030 [-0.040, -0.020] at 95 %",
    )
    for promoted in (with_class(0.03, 0.04), with_class(0.3, None), with_class(0.3, 0.01, stretches=5)):
        assert promoted.promoted
        (note,) = promoted.notes
        assert note.startswith("class vest lost more than 0.02")
        assert "may be chance" in note
    within = with_class(0.015, 0.001)
    assert (within.promoted, within.notes) == (True, ())
    assert with_class(0.03, 0.01, PromoteSettings(tolerances=("vest=0.05",))).promoted
    assert with_class(0.03, 0.01, PromoteSettings(tolerance=0.05)).promoted
    assert not with_class(0.015, 0.001, PromoteSettings(tolerances=("vest=0", "camera:vest=1"))).promoted


def test_a_camera_vetoes_as_a_class_does_but_not_a_single_one():
    lost = delta(0.5, -0.1)
    two = compared(delta(0.4, 0.1), per_camera={"gate": lost, "yard": delta(0.5, 0.1)})
    (reason,) = reasons(two)
    assert reason.startswith("camera gate lost more than 0.02")
    assert reasons(two, PromoteSettings(tolerances=("camera:gate=0.2",))) == ()
    assert reasons(two, **{"camera:gate": 3}) == ()
    assert reasons(compared(delta(0.4, 0.1), per_camera={"gate": lost})) == ()


def test_all_reasons_are_told_at_once():
    found = judge(
        replace(
            compared(delta(0.4, -0.1), per_class={"vest": delta(0.5, -0.3)}),
            champion_only=("helmet",),
            unmeasured=("glove",),
            notes=("of E",),
        ),
        AUTO,
        stretches={},
        bars=("it was trained on 3 golden frames",),
    )
    assert [reason.partition(":")[0] for reason in found.reasons] == [
        "it was trained on 3 golden frames",
        "mAP50 on golden of v3 is worse",
        "class vest lost more than 0.02",
        "it does not know helmet, which the model in use does",
    ]
    assert found.notes == ("golden of v3 has no box of glove: nothing is known of it", "of E")
    assert (found.over_id, found.on) == ("a" * 32, "golden of v3")
    assert found.numbers["per_class"]["vest"]["difference"] == -0.3


def test_a_class_can_decide_in_the_place_of_the_mean():
    settings = PromoteSettings(decisive_class="vest")
    found = compared(delta(0.4, -0.01), per_class={"vest": delta(0.5, 0.1), "person": delta(0.5, -0.015)})
    assert reasons(found, settings) == ()
    (reason,) = reasons(found, settings, vest=5)
    assert reason.startswith("AP50 of vest on golden of v3 is not shown to be better, for there are only 5 stretches")
    assert reasons(compared(delta(0.4, 0.1)), settings) == (
        "golden of v3 has no box of vest, by which it is to be decided",
    )


def test_where_the_model_in_use_has_no_value_there_is_nothing_to_be_worse_than():
    nothing = compared(delta(None, None), "validation")
    assert reasons(nothing) == ()
    assert reasons(replace(nothing, kind="golden"))


@pytest.mark.parametrize("text", ["vest", "=0.1", "vest=", "vest=2", "vest=-1", "vest=nan"])
def test_a_tolerance_is_a_name_and_a_share(text):
    with pytest.raises(ValidationError, match="is not NAME=VALUE"):
        PromoteSettings(tolerances=(text,))
