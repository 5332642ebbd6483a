"""The three-way merge of a frame's boxes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.stages.merge import Shown, three_way

A = Shown(1, (0.0, 0.0, 10.0, 10.0))
B = Shown(1, (50.0, 0.0, 10.0, 10.0))
C = Shown(2, (0.0, 50.0, 20.0, 10.0))


def moved(box: Shown, by: float) -> Shown:
    x, y, w, h = box.xywh
    return replace(box, xywh=(x + by, y, w, h))


def merge(base, theirs, ours):
    return three_way(base, theirs, ours, least=0.5)


def test_what_one_side_changed_is_taken_from_it():
    found = merge([A, B, C], [moved(A, 2), B, C], [A, replace(B, category_id=2), C])
    assert (set(found.boxes), found.conflicts) == ({moved(A, 2), replace(B, category_id=2), C}, ())


def test_what_one_side_removed_is_gone_and_what_either_drew_is_there():
    new, other = Shown(1, (70.0, 70.0, 9.0, 9.0)), Shown(1, (30.0, 70.0, 9.0, 9.0))
    found = merge([A, B, C], [B, C, new], [A, C, other])
    assert (set(found.boxes), found.conflicts) == ({C, new, other}, ())


def test_the_same_change_on_both_sides_is_none():
    both = moved(A, 2)
    found = merge([A, B], [both], [moved(both, 0.01)])
    assert (found.boxes, found.conflicts) == ((moved(both, 0.01),), ())


@pytest.mark.parametrize(
    ("theirs", "ours", "kind", "newest"),
    [
        ([moved(A, 2)], [moved(A, -2)], "edited by both", [moved(A, 2)]),
        ([replace(A, category_id=2)], [moved(A, 1)], "edited by both", [replace(A, category_id=2)]),
        ([moved(A, 2)], [], "edited and removed", [moved(A, 2)]),
        ([], [moved(A, 2)], "removed and edited", []),
    ],
)
def test_different_changes_of_one_box_are_a_conflict(theirs, ours, kind, newest):
    found = merge([A, B], [*theirs, B], [*ours, B])
    assert [conflict.kind for conflict in found.conflicts] == [kind]
    assert found.boxes == (B,)
    assert sorted(found.newest, key=repr) == sorted([B, *newest], key=repr)


def test_the_same_object_drawn_twice_is_a_conflict_unless_it_is_drawn_alike():
    assert [c.kind for c in merge([], [moved(A, 1)], [A]).conflicts] == ["drawn by both"]
    assert merge([], [moved(A, 0.02)], [A]).boxes == (A,)
    # Far apart, they are two objects.
    assert set(merge([], [moved(A, 9)], [A]).boxes) == {A, moved(A, 9)}


def test_a_box_that_says_what_it_began_as_is_followed_however_far_it_went():
    told = replace(A, proposal_id="p")
    far = moved(told, 500)
    assert merge([told], [far], [A]).boxes == (far,)
    # Without the id it is another box, and the first one is removed.
    assert merge([told], [replace(far, proposal_id=None)], [A]).boxes == (replace(far, proposal_id=None),)


PLACES = st.sampled_from(
    [A, B, C, moved(A, 2), moved(B, 3), replace(C, category_id=1), Shown(3, (80.0, 80.0, 5.0, 5.0))]
)
SIDES = st.lists(PLACES, unique=True, max_size=4)


@given(SIDES, SIDES)
def test_a_side_that_changed_nothing_yields_to_the_other(base, side):
    for found in (merge(base, side, base), merge(base, base, side), merge(base, side, side)):
        assert found.conflicts == ()
        assert sorted(found.boxes, key=repr) == sorted(side, key=repr)


@given(SIDES, SIDES, SIDES)
def test_every_box_of_the_outcome_is_one_of_a_side_and_conflicts_are_the_same_from_either(base, theirs, ours):
    found, other = merge(base, theirs, ours), merge(base, ours, theirs)
    assert {*found.boxes, *found.newest} <= {*theirs, *ours}
    assert len(found.conflicts) == len(other.conflicts)
