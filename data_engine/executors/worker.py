"""What runs inside a worker process of :class:`data_engine.executors.processes.ProcessExecutor`.

This module imports nothing heavy and nothing that starts threads: the limits below must be set before numpy, OpenCV
or torch are loaded, which happens when the function is unpickled.

Messages, each one pickle.  From the parent: ``(function, whether it reports)``, then ``(number, input)`` one at a time,
and empty bytes at the end.  From the worker, for each input: amounts as they are reported, each a bare int, and then
``(number, ok, result or exception, traceback text)``.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from data_engine.errors import DataEngineError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import FrameType

_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


def main(connection: Connection, threads: int) -> None:
    """Serve one parent until it says that there is no more, or is gone.

    Args:
        connection: this worker's end of the pipe.
        threads: native threads that the libraries of this process may use; a limit that is already set stays.
    """
    # Ctrl-C reaches the whole foreground group, but it is for the parent alone to decide what stops.  The parent
    # starts its workers with the signal blocked, so that none dies of it before this line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for variable in _THREAD_LIMITS:
        os.environ.setdefault(variable, str(threads))

    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    function: Any = None
    reports = False
    failure: tuple[Exception, str] | None = None
    # A function may report from a thread of its own.
    sending = threading.Lock()

    def report(amount: int) -> None:
        with sending:
            connection.send_bytes(pickle.dumps(int(amount)))

    try:
        function, reports = pickle.loads(inbox.get())
    except Exception as error:
        failure = error, traceback.format_exc()
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(int(os.environ["OPENCV_FOR_THREADS_NUM"]))

    while message := inbox.get():
        number = -1
        try:
            number, item = pickle.loads(message)
            if failure is not None:
                raise failure[0]
            answer = pickle.dumps((number, True, function(item, report) if reports else function(item), ""))
        except Exception as error:
            text = failure[1] if failure is not None else traceback.format_exc()
            answer = pickle.dumps((number, False, _portable(error), text))
        with sending:
            connection.send_bytes(answer)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    # As an exception, so that blocks that hold temporary files can remove them.
    raise SystemExit(128 + number)


def _receive(connection: Connection, inbox: queue.SimpleQueue[bytes]) -> None:
    """Take the messages as they come, so that a large input and a large result never wait for one another.

    It also watches the parent: its end of the pipe closes even when it is killed, and then nobody wants the work.
    """
    try:
        while True:
            inbox.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """The error, or where it cannot cross the process border, one that tells its class and text."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:
        copy = None
    if type(copy) is type(error):
        return error
    if isinstance(error, DataEngineError):
        return DataEngineError(error.message, hint=error.hint)
    return RuntimeError(f"{type(error).__name__}: {error}")
