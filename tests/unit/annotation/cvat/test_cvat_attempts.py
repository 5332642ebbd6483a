"""Trying again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data_engine.annotation.cvat.attempts import Patience, attempt
from data_engine.annotation.cvat.failures import Trouble, TroubleError
from data_engine.errors import ServiceError, UsageError


class Clock:
    """Time that passes by waiting only."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []
        self.told: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds

    def patience(self, limit_s: float) -> Patience:
        return Patience(limit_s, self.sleep, lambda: self.time, self.told.append)


def failing(*troubles: Trouble | None, answer: str = "answer") -> Callable[[], str]:
    """A call that fails so, and then succeeds; None succeeds at once."""
    left = list(troubles)

    def call() -> str:
        trouble = left.pop(0) if left else None
        if trouble is not None:
            raise TroubleError(trouble)
        return answer

    return call


LOST = Trouble("answers 502", 502)


def test_pauses_grow_to_a_limit() -> None:
    clock = Clock()
    assert attempt(failing(*8 * [LOST]), clock.patience(100.0), server="it") == "answer"
    assert clock.waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert clock.told == ["it answers 502: trying again"]


def test_the_server_may_ask_for_more() -> None:
    clock = Clock()
    busy = Trouble("answers 429", 429, done=False, wait_s=7.5)
    assert attempt(failing(busy, busy), clock.patience(100.0), server="it") == "answer"
    assert clock.waits == [7.5, 7.5]


def test_what_must_still_be_wanted_is_looked_at_before_every_further_try() -> None:
    clock = Clock()
    busy = Trouble("answers 429", 429, done=False)
    looks: list[None] = []
    call = failing(busy, LOST, busy)
    assert attempt(call, clock.patience(100.0), server="it", look=lambda: looks.append(None), always=True) == "answer"
    assert len(looks) == 3
    assert attempt(failing(busy), clock.patience(100.0), server="it", look=lambda: "there", always=True) == "there"
    # Else only where the try may have had its effect.
    assert attempt(failing(busy), clock.patience(100.0), server="it", look=lambda: "there") == "answer"


def test_patience_ends() -> None:
    clock = Clock()
    with pytest.raises(ServiceError, match=r"^it answers 502 \(run the same command again"):
        attempt(failing(*99 * [LOST]), clock.patience(5.0), server="it")
    assert clock.time <= 5.0
    with pytest.raises(ServiceError):
        attempt(failing(LOST), clock.patience(0.0), server="it")


def test_500_that_never_ends() -> None:
    clock = Clock()
    with pytest.raises(ServiceError, match="answers 500"):
        attempt(failing(*99 * [Trouble("answers 500", 500)]), clock.patience(1000.0), server="it")
    assert len(clock.waits) == 4


def test_no_use() -> None:
    clock = Clock()
    with pytest.raises(UsageError, match=r"it cannot be trusted \(look\)"):
        attempt(failing(Trouble("cannot be trusted", repair="look")), clock.patience(1000.0), server="it")
    assert not clock.waits


def test_look_before_what_must_not_happen_twice() -> None:
    looks: list[int] = []

    def look() -> str | None:
        looks.append(1)
        return "found" if len(looks) == 2 else None

    assert attempt(failing(LOST, LOST, LOST), Clock().patience(100.0), server="it", look=look) == "found"
    assert len(looks) == 2


def test_no_look_where_nothing_can_have_happened() -> None:
    def look() -> str | None:
        raise AssertionError

    refused = Trouble("answers 429", 429, done=False)
    assert attempt(failing(refused), Clock().patience(100.0), server="it", look=look) == "answer"


def test_other_errors_pass() -> None:
    def call() -> str:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        attempt(call, Clock().patience(1.0), server="it")
