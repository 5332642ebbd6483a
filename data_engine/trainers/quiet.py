"""Libraries that print: what they say goes to a file, and standard output stays the caller's."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def talking_to(log: Path, *loggers: str) -> Iterator[None]:
    """Send standard output, warnings and the named loggers to ``log`` while the block runs.

    Also hands Ctrl-C back as KeyboardInterrupt where the library turns it into an exit and a deaf process.
    """
    interrupt = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(log.open("a", encoding="utf-8", buffering=1))
        stack.enter_context(contextlib.redirect_stdout(_WithoutBars(file)))
        stack.enter_context(warnings.catch_warnings())

        def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
            file.write(f"{category.__name__}: {message}\n")

        warnings.showwarning = show
        for name in loggers:
            stack.enter_context(_redirected(logging.getLogger(name), logging.StreamHandler(file)))
        try:
            yield
        except SystemExit as error:
            # Lightning answers an interrupt by sys.exit, itself raised while it handles KeyboardInterrupt.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        finally:
            if interrupt is not None:
                signal.signal(signal.SIGINT, interrupt)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Keep what a library says while it is imported off standard output, and its warnings to itself.

    To be used outside :func:`talking_to`: a library that sets its loggers up on import keeps the streams it finds.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


class _WithoutBars(io.TextIOBase):
    """Passes lines on, and leaves out those that a progress bar writes over one another."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        if not text.startswith(("\r", "\x1b[K")):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        self._file.flush()


@contextlib.contextmanager
def _redirected(logger: logging.Logger, handler: logging.Handler) -> Iterator[None]:
    before = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[0], before[1]
        logger.setLevel(before[2])
