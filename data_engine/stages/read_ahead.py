"""Working in threads, ahead of the one who takes the results."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
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


def call_ahead(call: Callable[[T], R], items: Iterable[T], *, at_once: int) -> Generator[R]:
    """``call(item)`` of every item, in order, so many at once; what one raises is raised in its turn.

    Made for calls that wait for a server, perhaps for long: who is interrupted does not wait for those that are at
    work, which end with the process.

    Args:
        call: whatever ends it in the middle must do no harm.
        items: taken one by one, when there is room.
        at_once: threads; with one the calls are made where they are asked for.
    """
    if at_once == 1:
        yield from map(call, items)
        return
    waiting = iter(items)
    running = deque(_begun(call, item) for item in islice(waiting, at_once))
    try:
        while running:
            result = running.popleft().result()
            running.extend(_begun(call, item) for item in islice(waiting, 1))
            yield result
    except Exception:
        wait(running)
        raise


def _begun(call: Callable[[T], R], item: T) -> Future[R]:
    future: Future[R] = Future()

    def run() -> None:
        try:
            future.set_result(call(item))
        except BaseException as error:  # raised again by whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name="ahead", daemon=True).start()
    return future
