"""Running one function over many inputs, and telling how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar, overload, runtime_checkable

T = TypeVar("T")
R = TypeVar("R")


@runtime_checkable
class Executor(Protocol):
    """Runs one function over many inputs."""

    @overload
    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]: ...

    @overload
    def map(
        self, function: Callable[[T, Callable[[int], None]], R], items: Iterable[T], *, advance: Callable[[int], None]
    ) -> Iterator[R]: ...

    def map(self, function: Any, items: Any, *, advance: Any = None) -> Any:
        """Results in the order of the inputs.  The function and inputs are picklable; exceptions propagate.

        Closing the iterator (or an exception in the consumer) stops the workers and leaves no process behind.

        With ``advance``, the function is called with a second argument, ``report``: each ``report(amount)`` in the
        function becomes one ``advance(amount)`` in the calling process, soon, and before the input's result.
        """
        ...


@runtime_checkable
class Progress(Protocol):
    """Told how far long work is.  Never raises, never prints to stdout."""

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        """Begin one piece of work; one that still runs is ended.

        Args:
            label: what is done: ``sampling``.
            total: how much there is, as far as is known; more may come. None where nothing is known.
            unit: of what, in the plural: ``frames``.
            done: how much of the total was done before this run; it does not count towards the rate.
        """
        ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None:
        """A line for people that stays."""
        ...

    def finish(self) -> None: ...
