"""What is made of a whole workspace, kept for those who look at it again and again.

A page must not grow with the data set: it is answered with what was made last, and what has changed since is made anew
beside it.  In a small workspace that takes milliseconds, and the page waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from data_engine.app.engine import Engine
from data_engine.errors import DataEngineError
from data_engine.lineage.change_stamp import change_stamp
from data_engine.stages.base import Silent

log = logging.getLogger(__name__)
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

# One value at a time: threads that compute keep those that answer waiting for the interpreter, each for a while.
_TURN = threading.Lock()
PATIENCE_S = 0.12
"""How long who asks waits for what is newer."""
SHARE = 0.1
"""Of one core's time that making it again and again takes at most."""


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """A value and its age."""

    value: T
    at: str
    """When it was begun, ISO 8601."""
    took_s: float


class Kept(Generic[T]):
    """A value that a thread of its own makes whenever somebody asks and the workspace has changed.

    Args:
        make: makes it, of an engine that is its own.
        stamp: another text when it may be another value; by default whenever the database was written to.
        share: of one core's time that it may take.
        beside: made while others are: what takes long is not to keep the rest from being made anew.
    """

    def __init__(
        self,
        make: Callable[[Engine], T],
        *,
        stamp: Callable[[Engine], str] = lambda engine: change_stamp(engine.database),
        share: float = SHARE,
        beside: bool = False,
    ) -> None:
        self._make, self._stamp, self._share = make, stamp, share
        self._turn: AbstractContextManager[object] = contextlib.nullcontext() if beside else _TURN
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._made: Made[T] | None = None
        self._error: Exception | None = None
        self._of: str | None = None
        self._free_at_s = 0.0

    def get(self, engine: Engine, *, wait_s: float = PATIENCE_S) -> Made[T] | None:
        """The value, as new as it can be had in that time; None where there is none yet: ask again.

        Raises:
            Exception: what kept it from being made the last time, where it was never made before.
        """
        thread = self.begin(engine)
        if thread is not None and (self._made is None or self._made.took_s < wait_s):
            thread.join(wait_s)
        if self._made is None and self._error is not None:
            raise self._error
        return self._made

    def begin(self, engine: Engine) -> threading.Thread | None:
        """The thread that makes it at this moment, if any does or has to."""
        with self._lock:
            if self._thread is not None:
                return self._thread
            if time.monotonic() < self._free_at_s or self._stamp(engine) == self._of:
                return None
            own = engine.another(Silent())
            self._thread = threading.Thread(target=self._run, args=(own,), name="kept", daemon=True)
            self._thread.start()
            return self._thread

    def _run(self, engine: Engine) -> None:
        with self._turn:
            self._work(engine)

    def _work(self, engine: Engine) -> None:
        began_s, at = time.monotonic(), engine.now()
        of: str | None = None
        try:
            with engine:
                # Before it is made: what changes meanwhile is another state.
                of = self._stamp(engine)
                value = self._make(engine)
            self._made, self._error = Made(value, at, time.monotonic() - began_s), None
        except Exception as error:
            log.warning("not counted: %s", error, exc_info=not isinstance(error, DataEngineError))
            self._error = error
        finally:
            with self._lock:
                took_s = time.monotonic() - began_s
                self._of, self._thread = of, None
                self._free_at_s = time.monotonic() + took_s * (1 / self._share - 1)


class KeptEach(Generic[K, T]):
    """As :class:`Kept`, one for each of many things; those that were asked for last are kept.

    Args:
        make: makes the value of a thing.
        stamp: as of :class:`Kept`.
        most: how many are kept.
    """

    def __init__(self, make: Callable[[Engine, K], T], *, stamp: Callable[[Engine], str], most: int = 32) -> None:
        self._make, self._stamp, self._most = make, stamp, most
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, Kept[T]] = OrderedDict()

    def get(self, engine: Engine, key: K, *, wait_s: float = PATIENCE_S) -> Made[T] | None:
        """As :meth:`Kept.get`."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                kept = self._kept[key] = Kept(lambda own: self._make(own, key), stamp=self._stamp)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return kept.get(engine, wait_s=wait_s)
