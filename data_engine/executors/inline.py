"""Work in the calling process, one input after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


class InlineExecutor:
    """Runs each input when its result is asked for; see :class:`data_engine.ports.Executor` for the contract."""

    @overload
    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]: ...

    @overload
    def map(
        self, function: Callable[[T, Callable[[int], None]], R], items: Iterable[T], *, advance: Callable[[int], None]
    ) -> Iterator[R]: ...

    def map(
        self, function: Callable[..., Any], items: Iterable[Any], *, advance: Callable[[int], None] | None = None
    ) -> Iterator[Any]:
        """Results in the order of the inputs; one input is taken for each result."""
        for item in items:
            yield function(item) if advance is None else function(item, advance)
