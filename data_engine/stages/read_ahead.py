"""Reading in threads, ahead of the one who works on what was read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(read: Callable[[T], R], items: Iterable[T], *, readers: int, ahead: int) -> Generator[R]:
    """``read(item)`` of every item, in order, made by some threads.

    Args:
        read: decodes a picture, say; decoding releases the interpreter's lock.  What it raises is raised in its turn.
        items: taken one by one, when there is room.
        readers: threads.
        ahead: results that may wait at most, so that memory does not grow with the number of items.
    """
    pool = ThreadPoolExecutor(readers, thread_name_prefix="read")
    waiting = iter(items)
    try:
        running: deque[Future[R]] = deque(pool.submit(read, item) for item in islice(waiting, max(ahead, 1)))
        while running:
            result = running.popleft().result()
            running.extend(pool.submit(read, item) for item in islice(waiting, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
