"""Work in the calling process, one input after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


class InlineExecutor:
    """Runs each input when its result is asked for; see :class:`data_engine.ports.Executor` for the contract."""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results in the order of the inputs; one input is taken for each result."""
        for item in items:
            yield function(item)
