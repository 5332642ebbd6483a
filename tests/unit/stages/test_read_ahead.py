from __future__ import annotations

import threading

import pytest

from data_engine.stages.read_ahead import read_ahead


def test_results_come_in_order_and_no_more_than_asked_for_wait() -> None:
    taken = []
    items = (taken.append(number) or number for number in range(20))
    results = read_ahead(lambda number: number * 2, items, readers=3, ahead=4)
    assert next(results) == 0
    assert len(taken) == 5
    assert [0, *results] == list(range(0, 40, 2))


def test_an_error_is_raised_in_its_turn_and_ends_the_threads() -> None:
    before = threading.active_count()
    results = read_ahead(lambda number: 6 // number, [3, 2, 0, 1], readers=2, ahead=4)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before


def test_whoever_has_enough_stops_it() -> None:
    before = threading.active_count()
    results = read_ahead(str, iter(int, 1), readers=2, ahead=8)
    assert next(results) == "0"
    results.close()
    assert threading.active_count() == before
    assert list(read_ahead(str, [], readers=1, ahead=1)) == []
