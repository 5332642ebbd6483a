"""Work on very many plain records, without the cycle collector looking through all of them again and again."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_RECORDS = 1_000_000
"""New ones after which it looks all the same; a hundred thousand frames are some."""


class _Inside:
    """The blocks that are running, in whichever threads: the collector is the whole process's."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.number = 0
        self.before = gc.get_threshold()


_inside = _Inside()


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Have the collector run seldom inside the block, or the function that it decorates.

    Rows and tuples end with their last reference, as everything does that is part of no cycle.
    """
    with _inside.lock:
        if not _inside.number:
            _inside.before = gc.get_threshold()
            gc.set_threshold(_RECORDS, *_inside.before[1:])
        _inside.number += 1
    try:
        yield
    finally:
        with _inside.lock:
            _inside.number -= 1
            if not _inside.number:
                gc.set_threshold(*_inside.before)
