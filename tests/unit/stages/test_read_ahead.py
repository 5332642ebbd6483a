from __future__ import annotations

import threading

import pytest

from data_engine.stages.read_ahead import call_ahead, read_ahead


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


def test_calls_overlap_and_come_in_order() -> None:
    both = threading.Barrier(2, timeout=30)  # neither call ends before the other has begun

    def call(number: int) -> int:
        both.wait()
        return number * 2

    assert list(call_ahead(call, range(6), at_once=2)) == [0, 2, 4, 6, 8, 10]


def test_one_at_once_is_called_where_it_is_asked_for() -> None:
    threads = set(call_ahead(lambda _item: threading.get_ident(), range(3), at_once=1))
    assert threads == {threading.get_ident()}


def test_what_is_at_work_when_another_fails_is_finished() -> None:
    began, finished = threading.Event(), threading.Event()

    def call(number: int) -> int:
        if number == 1:
            began.wait(30)
            raise ValueError("the first")
        began.set()
        finished.set()
        return number

    results = call_ahead(call, [1, 2, 3], at_once=2)
    with pytest.raises(ValueError, match="the first"):
        next(results)
    assert finished.is_set()


def test_who_is_interrupted_does_not_wait() -> None:
    never = threading.Event()
    results = call_ahead(lambda number: number if number == 0 else never.wait(60), [0, 1, 2], at_once=2)
    assert next(results) == 0
    results.close()
    assert any(thread.name == "ahead" for thread in threading.enumerate())
    never.set()
