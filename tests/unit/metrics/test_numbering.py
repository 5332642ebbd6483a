"""The verdict on a model's class numbering: shifts are seen, and weak models never pass for shifted ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.metrics.numbering import BOXES_A_PICTURE, Calls, KnownBoxes, calls, own_answer
from data_engine.types import Detections

permutations = st.integers(2, 6).flatmap(lambda n: st.permutations(range(n)))


def known(*boxes: tuple[int, tuple[float, float, float, float]]) -> KnownBoxes:
    return KnownBoxes(
        np.asarray([box for _, box in boxes], np.float32).reshape(-1, 4), np.asarray([c for c, _ in boxes], np.intp)
    )


def seen(*boxes: tuple[int, float, tuple[float, float, float, float]], classes: int = 3) -> Detections:
    scores = np.full((len(boxes), classes), 0.01, np.float32)
    for row, (label, score, _) in enumerate(boxes):
        scores[row, label] = score
    return Detections(np.asarray([box for *_, box in boxes], np.float32).reshape(-1, 4), scores)


# --- the verdict on a table ---------------------------------------------------------------------------------------


@given(permutations, st.integers(10, 200), st.data())
def test_a_renumbered_model_is_seen_and_a_right_one_agrees(order, boxes, data):
    """Up to a sixth of each class's boxes is called by some other name."""
    classes = len(order)
    table = np.zeros((classes, classes), np.int64)
    for true, name in enumerate(order):
        wrong = boxes // 6 if boxes >= 24 else 0
        table[true, name] += boxes - wrong
        table[true, data.draw(st.integers(0, classes - 1))] += wrong
    found = Calls(table)
    assert dict(found.mostly) == dict(enumerate(order))
    assert dict(found.moved) == {true: name for true, name in enumerate(order) if true != name}
    assert found.verdict == ("agrees" if sorted(order) == order else "shifted")


@given(st.integers(2, 8), st.integers(0, 7), st.lists(st.integers(0, 60), min_size=8, max_size=8))
def test_one_favourite_for_all_is_never_a_shift(classes, favourite, boxes):
    table = np.zeros((classes, classes), np.int64)
    table[:, favourite % classes] = boxes[:classes]
    assert Calls(table).verdict == "unclear"


@given(st.lists(st.lists(st.integers(0, 40), min_size=4, max_size=4), min_size=4, max_size=4))
def test_any_table_has_a_verdict_that_its_rows_bear_out(rows):
    """A shift takes two classes whose boxes mostly go by other, different names; agreement takes two that go by their
    own."""
    found = Calls(np.asarray(rows, np.int64))
    majority = {c: int(np.argmax(row)) for c, row in enumerate(rows) if 2 * max(row) > sum(row)}
    assert found.mostly.items() <= majority.items()
    if found.verdict == "shifted":
        assert len(found.moved) >= 2
        assert len(set(found.mostly.values())) == len(found.mostly)
    if found.verdict == "agrees":
        assert sum(majority.get(c) == c for c in range(4)) >= 2


def test_names_that_do_not_depend_on_what_is_there_pass_for_a_shift_less_than_once_in_ten_thousand():
    """Weak and early models: one distribution of names for all classes, sharp or flat, few boxes or many."""
    rng = np.random.default_rng(4)
    verdicts = []
    for _ in range(10_000):
        classes = int(rng.integers(2, 11))
        names = rng.dirichlet(np.full(classes, rng.choice([0.1, 0.3, 1.0, 10.0])))
        boxes = rng.integers(0, 60, classes)
        verdicts.append(Calls(np.stack([rng.multinomial(n, names) for n in boxes])).verdict)
    assert set(verdicts) == {"unclear"}


def test_a_weak_model_that_knows_something_is_never_a_shift():
    """It tells the thing with some probability and else says its favourite."""
    rng = np.random.default_rng(5)
    verdicts = {"agrees": 0, "unclear": 0, "shifted": 0}
    for _ in range(5_000):
        classes = int(rng.integers(2, 6))
        knows = rng.uniform(0, 1, (classes, 1))
        names = knows * np.eye(classes) + (1 - knows) * rng.dirichlet(np.full(classes, 0.5))
        table = np.stack([rng.multinomial(24, row / row.sum()) for row in names])
        verdicts[Calls(table).verdict] += 1
    assert verdicts["shifted"] == 0
    assert verdicts["agrees"] > 1_000


@pytest.mark.parametrize(
    ("rows", "verdict", "step"),
    [
        # RF-DETR's numbers from 1 read from 0: the last class falls out of the model.
        ([[0, 16, 0], [0, 1, 15], [0, 0, 0]], "shifted", 1),
        ([[0, 0, 12], [12, 0, 0], [0, 12, 0]], "shifted", -1),
        # Of two classes a shift is an exchange.
        ([[0, 12], [12, 0]], "shifted", 1),
        ([[12, 0, 0], [0, 0, 12], [0, 12, 0]], "shifted", None),
        # Too few boxes; a rare class that is taken for its neighbour; the same where the neighbour is not known.
        ([[0, 9, 0], [0, 0, 9], [9, 0, 0]], "unclear", None),
        ([[20, 0, 0], [0, 20, 0], [0, 20, 0]], "agrees", None),
        ([[20, 0, 0], [0, 0, 0], [0, 20, 0]], "unclear", None),
        ([[12]], "agrees", None),
        ([[0]], "unclear", None),
    ],
)
def test_cases(rows, verdict, step):
    found = Calls(np.asarray(rows, np.int64))
    assert (found.verdict, found.step) == (verdict, step)


# --- the table ------------------------------------------------------------------------------------------------------

HERE, THERE = (0, 0, 10, 10), (40, 40, 60, 70)


def test_boxes_are_matched_by_place_alone():
    found = calls(
        [
            (known((0, HERE), (1, THERE)), seen((2, 0.11, (1, 1, 10, 10)), (1, 0.9, THERE))),
            # Nothing found, nothing there, found elsewhere.
            (known((0, HERE)), seen()),
            (known(), seen((0, 0.9, HERE))),
            (known((0, HERE)), seen((0, 0.9, (6, 6, 16, 16)))),
        ],
        3,
    )
    assert found.table.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_the_surest_box_at_a_place_names_it():
    found = calls([(known((0, HERE)), seen((2, 0.3, HERE), (1, 0.6, (0, 0, 10, 9)), (2, 0.2, (0, 0, 9, 10))))], 3)
    assert found.table.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_a_detection_belongs_to_the_box_that_it_overlaps_most():
    """Two things of a class side by side, overlapping, of which one was found."""
    found = calls([(known((0, HERE), (0, (0, 3, 10, 13))), seen((0, 0.9, HERE)))], 3)
    assert found.table.sum() == 1


def test_two_classes_at_one_place_are_left_out():
    """A rider and a person: place does not tell which of the two was found."""
    found = calls([(known((0, HERE), (1, (0, 0, 10, 9)), (2, THERE)), seen((1, 0.9, HERE), (2, 0.5, THERE)))], 3)
    assert found.table.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_a_crowd_is_not_many_opinions():
    places = [(20.0 * i, 0.0, 20.0 * i + 10, 10.0) for i in range(9)]
    picture = (known(*((0, place) for place in places)), seen(*((1, 0.5 + i / 20, p) for i, p in enumerate(places))))
    assert calls([picture], 3).table[0].tolist() == [0, BOXES_A_PICTURE, 0]
    assert calls([picture] * 3, 3).table[0].tolist() == [0, 3 * BOXES_A_PICTURE, 0]


def test_names_that_are_hardly_said_do_not_count():
    """A new head says every name at the floor, or hesitates; a model of one class has nothing to hesitate between."""
    hesitant = Detections(np.asarray([HERE], np.float32), np.asarray([[0.5, 0.26, 0.01]], np.float32))
    assert calls([(known((0, HERE)), hesitant), (known((0, HERE)), seen((0, 0.09, HERE)))], 3).table.sum() == 0
    assert calls([(known((0, HERE)), seen((0, 0.1, HERE)))], 3).table.sum() == 1
    assert calls([(known((0, HERE)), seen((0, 0.1, HERE), classes=1))], 1).table.sum() == 1


def test_an_own_answer_is_its_sure_boxes_once_a_place():
    answer = own_answer(seen((1, 0.9, HERE), (2, 0.4, (0, 0, 10, 9)), (0, 0.09, THERE), (0, 0.3, (80, 80, 90, 90))))
    assert answer.classes.tolist() == [1, 0]
    assert answer.xyxy.tolist() == [list(HERE), [80, 80, 90, 90]]
    assert len(own_answer(Detections.empty(3)).classes) == 0
