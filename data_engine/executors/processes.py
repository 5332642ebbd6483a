"""Work in worker processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import reprlib
import signal
import time
from multiprocessing import connection, resource_tracker
from typing import TYPE_CHECKING, Any, TypeVar, overload

from data_engine.errors import DataEngineError, ServiceError
from data_engine.executors import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.context import SpawnProcess

T = TypeVar("T")
R = TypeVar("R")

_GRACE_S = 1.0
"""How long a worker that was told to leave may take, to remove its temporary files; then it is killed."""


class ProcessExecutor:
    """Runs inputs in worker processes; see :class:`data_engine.ports.Executor` for the contract.

    A worker is a fresh interpreter ("spawn": a fork would copy locks that other threads hold), started when there is
    an input for it, and gets one input at a time.  An exception is raised where its result would have come, after all
    results before it, exactly as :class:`~data_engine.executors.inline.InlineExecutor` does.  A worker that is killed
    (out of memory) raises ServiceError there.  Workers of a parent that is gone end themselves.

    As with every use of spawn, a script that is the main module needs its ``if __name__ == "__main__":``.

    Args:
        workers: processes at most; by default one for each CPU that this process may use.
        look_ahead: inputs that may be taken beyond the last result that was given out; by default four a worker.

    Raises:
        ValueError: a number below 1.
    """

    def __init__(self, workers: int | None = None, *, look_ahead: int | None = None) -> None:
        cpus = usable_cpus()
        self.workers = cpus if workers is None else workers
        self.look_ahead = 4 * self.workers if look_ahead is None else look_ahead
        if self.workers < 1 or self.look_ahead < 1:
            raise ValueError(f"workers and look_ahead must be at least 1: got {self.workers} and {self.look_ahead}")
        self._threads = max(1, cpus // self.workers)

    @overload
    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]: ...

    @overload
    def map(
        self, function: Callable[[T, Callable[[int], None]], R], items: Iterable[T], *, advance: Callable[[int], None]
    ) -> Iterator[R]: ...

    def map(
        self, function: Callable[..., Any], items: Iterable[Any], *, advance: Callable[[int], None] | None = None
    ) -> Iterator[Any]:
        """Results in the order of the inputs; the workers start with the first and end with the last.

        What workers report is passed on while the caller waits for a result.  A worker that has reported some hundred
        times since waits, too: reports are for every second or so of work, not for every frame.
        """
        crew = _Crew(function, self.workers, self._threads, advance)
        source = iter(items)
        taken = given = 0
        more = True
        try:
            while True:
                # Filled up before a result is given out: what the caller does with it takes time, too.
                while more and not crew.failed and taken - given < self.look_ahead and crew.has_room():
                    try:
                        item = next(source)
                    except StopIteration:
                        more = False
                        break
                    except Exception as error:
                        # Raised in its turn: the results of the inputs before it come first.
                        crew.fail(taken, error)
                    else:
                        crew.give(taken, item)
                    taken += 1
                    crew.collect(wait=False)
                if given in crew.done:
                    ok, value = crew.done.pop(given)
                    if not ok:
                        raise value
                    given += 1
                    yield value
                elif given == taken:
                    break
                else:
                    crew.collect(wait=True)
            crew.dismiss()
        finally:
            crew.stop()


class _Worker:
    """One process and this side's end of its pipe."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, self._theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=worker.main, args=(self._theirs, threads), daemon=True)
        self.number: int | None = None
        self.item: object = None

    def start(self, function: bytes) -> None:
        # The tracker first: starting it would unblock the signal again.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            self._theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.pipe.send_bytes(function)

    def stop(self, deadline: float) -> None:
        """Wait until it ends, at most until ``deadline`` on the monotonic clock; then kill it."""
        if self.process.pid is not None:
            self.process.join(max(0.0, deadline - time.monotonic()))
            self.process.kill()
            self.process.join()
        self.pipe.close()

    def death(self) -> ServiceError:
        """What to tell about a process that went away with its input."""
        self.process.join(_GRACE_S)
        code = self.process.exitcode
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        return ServiceError(
            f"worker process {self.process.pid} {how} while working on {reprlib.repr(self.item)}",
            hint="the machine may be short of memory: run the same command again with fewer workers",
        )


class _Crew:
    """The workers of one call of ``map`` and the results that were not given out yet."""

    def __init__(
        self, function: Callable[..., Any], limit: int, threads: int, advance: Callable[[int], None] | None
    ) -> None:
        self.done: dict[int, tuple[bool, Any]] = {}
        """By the input's number: whether it went well, and the result or the exception."""
        self.failed = False
        self._function = pickle.dumps((function, advance is not None))
        self._advance = advance
        self._limit = limit
        self._threads = threads
        self._workers: list[_Worker] = []

    def has_room(self) -> bool:
        """Whether an input would begin at once."""
        return len(self._workers) < self._limit or any(one.number is None for one in self._workers)

    def give(self, number: int, item: object) -> None:
        """Hand an input to a worker that has none, starting one where all are busy."""
        message = pickle.dumps((number, item))
        one = next((one for one in self._workers if one.number is None), None)
        fresh = one is None
        if one is None:
            one = _Worker(self._threads)
            # Known before it runs, so that an interrupt at any moment finds it.
            self._workers.append(one)
        one.number, one.item = number, item
        try:
            if fresh:
                one.start(self._function)
            one.pipe.send_bytes(message)
        except (BrokenPipeError, ConnectionResetError):
            self._bury(one)

    def collect(self, *, wait: bool) -> None:
        """Take the results that are ready and pass on what was reported; with ``wait``, at least one of either."""
        busy: dict[object, _Worker] = {one.pipe: one for one in self._workers if one.number is not None}
        for pipe in connection.wait([one.pipe for one in busy.values()], None if wait else 0):
            one = busy[pipe]
            try:
                answer = one.pipe.recv_bytes()
            except (EOFError, OSError):
                self._bury(one)
                continue
            message = pickle.loads(answer)
            if isinstance(message, int):
                if self._advance is not None:
                    self._advance(message)
                continue
            number, ok, value, trace = message
            one.number = one.item = None
            if ok:
                self.done[number] = True, value
            else:
                if not isinstance(value, DataEngineError):
                    value.add_note(f"in worker process {one.process.pid}:\n{trace}")
                self.fail(number, value)

    def fail(self, number: int, error: Exception) -> None:
        """Have the exception raised where the result of this input would have come."""
        self.done[number] = False, error
        self.failed = True

    def _bury(self, one: _Worker) -> None:
        assert one.number is not None
        self.fail(one.number, one.death())
        self._workers.remove(one)
        one.stop(0.0)

    def dismiss(self) -> None:
        """Let the workers, which have nothing left to do, end by themselves."""
        for one in self._workers:
            with contextlib.suppress(OSError):
                one.pipe.send_bytes(b"")
        self._join()

    def stop(self) -> None:
        """End all workers now, and return when they are gone."""
        for one in self._workers:
            if one.process.pid is not None:
                one.process.terminate()
        self._join()

    def _join(self) -> None:
        deadline = time.monotonic() + _GRACE_S
        while self._workers:
            self._workers[-1].stop(deadline)
            self._workers.pop()


def usable_cpus() -> int:
    """CPUs that this process may use, which on a shared machine are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
