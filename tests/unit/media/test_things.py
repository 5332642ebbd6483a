from __future__ import annotations

import numpy as np

from data_engine.media.things import Places

SHAPE = (144, 192)


def drawn(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Where boxes (left, top, width, height) differ."""
    picture = np.zeros(SHAPE, np.bool_)
    for left, top, width, height in boxes:
        picture[top : top + height, left : left + width] = True
    return picture


def test_parts_that_nearly_touch_are_one_thing_and_specks_are_none():
    things = Places(SHAPE).find(drawn((50, 40, 8, 8), (50, 51, 8, 12), (120, 20, 8, 20), (5, 5, 2, 2)), 20, 1.0, 0.2)
    assert sorted(things.areas[things.areas > 0].tolist()) == [160, 160]
    assert set(np.unique(things.labels[drawn((5, 5, 2, 2))])) == {0}
    assert things.new.sum() == 2


def test_a_thing_that_moves_is_the_same_and_one_far_away_is_new():
    places = Places(SHAPE)
    first = places.find(drawn((50, 40, 8, 20)), 20, 1.0, 0.2)
    first.known[first.areas > 0] = True
    places.remember(first, 1.0, 0.2)
    both = places.find(drawn((58, 40, 8, 20), (100, 40, 9, 20)), 20, 1.2, 0.2)
    moved, other = (int(both.labels[50, column]) for column in (60, 104))
    assert both.known[moved]
    assert both.born_s[moved] == 1.0
    assert not both.known[other]
    assert both.born_s[other] == 1.2


def test_things_are_forgotten_after_a_second():
    places = Places(SHAPE)
    places.remember(places.find(drawn((50, 40, 8, 20)), 20, 1.0, 0.2), 1.0, 0.2)
    there = drawn((50, 40, 8, 20))
    assert places.lately(1.9, 0.2)[there].all()
    assert not places.lately(2.2, 0.2).any()
    # Looks that are far apart remember for longer, and further around.
    assert places.lately(3.2, 1.0)[there].all()
    assert places.find(there, 20, 2.2, 0.2).born_s[1] == 2.2


def test_it_goes_on_from_its_state():
    places = Places(SHAPE)
    places.remember(places.find(drawn((50, 40, 8, 20)), 20, 1.0, 0.2), 1.0, 0.2)
    other = Places.restored(places.state())
    for one in (places, other):
        one.remember(one.find(drawn((54, 40, 8, 20)), 20, 1.4, 0.4), 1.4, 0.4)
    assert all(np.array_equal(values, other.state()[name]) for name, values in places.state().items())
