"""Which model is in use, as rows: on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from data_engine.lineage import champions, models, work
from data_engine.lineage.work import Run
from data_engine.types import Model

A, B, C, Y = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)


@pytest.fixture
def connection(database):
    with database.write() as opened:
        work.start(opened, Run("r" * 32, "retrain", "f" * 32, {}, "0"), "2026-01-01")
        for day, (identity, kind) in enumerate(((A, "rfdetr"), (B, "rfdetr"), (C, "rfdetr"), (Y, "yolo"))):
            row = Model(identity, kind, f"models/{identity}.onnx", ("a",))
            models.add_model(opened, row, run_id="r" * 32, weights_key=None, registered_at=f"2026-01-0{day + 1}")
        yield opened


def crowned(connection, *model_ids: str) -> None:
    for model_id in model_ids:
        before = champions.newest(connection)
        kind = "yolo" if model_id == Y else "rfdetr"
        over = None if before is None else before.model_id
        at = f"2026-02-{len(champions.history(connection)) + 1:02d}"
        champions.crown(connection, model_id, kind, at=at, decision={"n": 1}, over_id=over)


def in_use(connection) -> str | None:
    row = champions.newest(connection)
    return None if row is None else row.model_id


def rolled_back(connection) -> None:
    here, there = champions.line(connection)[:2]
    champions.roll_back(connection, there, at="2026-03-01", over_id=here.model_id, decision={}, reason="why")


def test_before_the_first(connection):
    assert champions.newest(connection) is None
    assert champions.champion(connection, "yolo") is None
    assert champions.line(connection) == champions.history(connection) == champions.reigns(connection) == []
    assert champions.undecided(connection) == Y


def test_each_rollback_goes_one_further_back_and_a_promotion_begins_from_there(connection):
    crowned(connection, A, B, C)
    for expected in (B, A):
        rolled_back(connection)
        assert in_use(connection) == expected
    assert len(champions.line(connection)) == 1
    crowned(connection, C)
    assert [row.model_id for row in champions.line(connection)] == [C, A]
    rolled_back(connection)
    assert in_use(connection) == A
    actions = [row.action for row in champions.history(connection)]
    assert actions == ["crowned", "crowned", "crowned", "rolled back", "rolled back", "crowned", "rolled back"]
    assert [reign.model_id for reign in champions.reigns(connection)] == [A, B, C, B, A, C, A]


def test_a_refusal_changes_nothing_but_is_on_record(connection):
    crowned(connection, A)
    champions.refuse(connection, B, "rfdetr", at="2026-02-02", decision={"reasons": ["x"]}, over_id=A)
    assert in_use(connection) == A
    assert [row.refused for row in champions.decisions(connection, B)] == [True]
    assert champions.history(connection, "rfdetr")[-1].model_id == A
    crowned(connection, B)
    rolled_back(connection)
    assert in_use(connection) == A


def test_kinds_follow_one_another_in_one_line(connection):
    crowned(connection, A, Y)
    assert in_use(connection) == Y
    assert champions.champion(connection, "rfdetr").model_id == A
    assert champions.undecided(connection) is None
    rolled_back(connection)
    assert in_use(connection) == A
    assert champions.champion(connection, "yolo") is None
    assert [row.model_id for row in champions.history(connection, "yolo")] == [Y]


def test_what_was_taken_back_is_known_until_it_comes_again(connection):
    crowned(connection, A, B)
    rolled_back(connection)
    assert champions.taken_back(connection, B).reason == "why"
    assert champions.taken_back(connection, A) is None
    crowned(connection, B)
    assert champions.taken_back(connection, B) is None


def test_files_are_placed_after_the_row(connection):
    crowned(connection, A)
    assert not champions.newest(connection).placed
    champions.set_placed(connection, 1)
    assert champions.newest(connection).placed


def test_a_model_that_is_trained_again_is_whole_again(connection):
    models.set_thinned(connection, [A], "2026-05-05")
    (one,) = [one for one in models.registered(connection) if one.model.id == A]
    assert one.thinned_at == "2026-05-05"
    models.add_model(connection, one.model, run_id="r" * 32, weights_key="w", registered_at="2026-06-06")
    (one,) = [one for one in models.registered(connection) if one.model.id == A]
    assert (one.thinned_at, one.weights_key) == (None, "w")
