"""Two models where both raise as many false alarms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_engine.metrics.average_precision import draws_of
from data_engine.metrics.equal_alarms import recalls, taken
from data_engine.metrics.matching import ALL, SIZES, Matches
from data_engine.metrics.measuring import Subset

PICTURES = 20
UNITS = np.arange(PICTURES) // 2
"""Ten stretches of two pictures, with one box each."""


def said(*found: tuple[int, float, bool], label: int = 0) -> Matches:
    """What a model says: picture, score, and whether it is right; one small box is to be found in each picture."""
    picture, score, right = (np.array(column) for column in zip(*found, strict=True))
    hit = np.zeros((len(found), len(SIZES)), np.uint16)
    hit[right.astype(bool), ALL] = hit[right.astype(bool), 1] = (1 << 10) - 1
    counts = np.zeros((PICTURES, len(SIZES)), np.bool_)
    counts[:, [ALL, 1]] = True
    return Matches(
        PICTURES,
        label + 1,
        picture.astype(np.int32),
        np.full(len(found), label, np.int32),
        score.astype(np.float32),
        hit,
        np.zeros_like(hit),
        np.arange(PICTURES, dtype=np.int32),
        np.full(PICTURES, label, np.int32),
        counts,
    )


def apart(champion: Matches, challenger: Matches, *, wanted: float = 0.5, labels=((0, 0),), subset=None):
    pair = taken(champion, challenger, labels, [wanted], 0.95)
    return recalls(*pair, UNITS, draws_of(10, 200, 1), 0.95, subset)


def finds(some: int, *, of: float = 0.9, alarms=()) -> list[tuple[int, float, bool]]:
    return [(n, of, True) for n in range(some)] + [(n, score, False) for n, score in alarms]


def test_each_is_taken_at_the_lowest_score_with_no_more_false_alarms():
    # At the score that finds half, the first one raises two false alarms; below it there would be more.
    champion = said(*finds(10, of=0.6, alarms=[(1, 0.9), (2, 0.8), (3, 0.3)]), *((n, 0.2, True) for n in range(10, 20)))
    # The second one could find all at the price of four; two buy 15.
    challenger = said(
        *finds(12, of=0.5, alarms=[(1, 0.7), (2, 0.45), (3, 0.3), (4, 0.2)]),
        *((n, 0.4, True) for n in range(12, 15)),
        *((n, 0.1, True) for n in range(15, 20)),
    )
    overall, (by_class,) = apart(champion, challenger)
    assert by_class == overall
    assert (overall.champion, overall.challenger, overall.boxes, overall.images) == (0.5, 0.75, 20, 20)
    assert overall.difference == 0.25
    assert 0 <= overall.low < 0.25 < overall.high
    # In the other order there may be one, and the other one finds nothing before its second.
    back, _ = apart(challenger, champion)
    assert (back.champion, back.challenger, back.difference) == (0.6, 0.0, -0.6)


def test_boxes_of_one_score_are_taken_together_or_not_at_all():
    champion = said(*finds(10, of=0.6))
    challenger = said(*finds(5, of=0.9), *((n, 0.5, True) for n in range(5, 20)), (1, 0.5, False), (2, 0.5, False))
    overall, _ = apart(champion, challenger)
    assert (overall.champion, overall.challenger) == (0.5, 0.25)


def test_one_false_alarm_decides_nothing():
    """One in a hundred pictures is allowed to each, or the first one's faultless ten would be worth more than 19."""
    champion = said(*finds(10, of=0.6))
    challenger = said(*finds(19, of=0.6, alarms=[(0, 0.95)]))
    assert apart(champion, challenger)[0].difference == pytest.approx(0.45)
    assert apart(challenger, champion)[0].difference == pytest.approx(-0.45)


def test_who_finds_nothing_and_who_says_nothing():
    silent, wrong = said((0, 0.0, False)), said(*((n, 0.5, False) for n in range(20)))
    champion = said(*finds(10))
    for other in (silent, wrong):
        assert apart(champion, other)[0].challenger == 0.0
        assert apart(other, champion)[0].champion == 0.0
    columns = ("picture", "label", "score", "found", "passed")
    empty = replace(champion, **{name: getattr(champion, name)[:0] for name in columns})
    assert apart(champion, empty)[0].challenger == 0.0


def test_classes_meet_by_name_and_parts_count_their_own_boxes():
    champion, challenger = said(*finds(10)), said(*finds(20), label=2)
    overall, (by_class,) = apart(champion, challenger, labels=((0, 2),))
    assert (overall.difference, by_class.images) == (0.5, 20)
    first = Subset(pictures=np.arange(PICTURES) < 10)
    assert apart(champion, challenger, labels=((0, 2),), subset=first)[0].difference == 0.0
    large, (none,) = apart(champion, challenger, labels=((0, 2),), subset=Subset(3))
    assert (large.champion, large.boxes, none) == (None, 0, None)
    alone = Subset(pictures=np.arange(PICTURES) < 2)
    assert apart(champion, challenger, labels=((0, 2),), subset=alone)[0].low is None
