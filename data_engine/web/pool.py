"""Engines for requests: each is one request's at a time, and is opened when all others are lent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.to_thread

from data_engine.app.engine import Engine
from data_engine.errors import ServiceError

MOST = 8
"""Engines that are open at most: each keeps its own connections and its own cache of the database."""
_PATIENCE_S = 20.0


class EnginePool:
    """Lends engines to requests.

    A request that finds none free waits without holding a thread: a thread that waited would be one less for those
    whose engines it waits for.

    Args:
        make: opens an engine; called in a thread.
        most: how many may be open.
    """

    def __init__(self, make: Callable[[], Engine], *, most: int = MOST) -> None:
        self._make = make
        self._free: list[Engine] = []
        self._turns = anyio.Semaphore(most)

    @contextlib.asynccontextmanager
    async def lend(self) -> AsyncIterator[Engine]:
        """An engine for one request.

        Raises:
            ServiceError: all are lent, for a long time.
        """
        try:
            with anyio.fail_after(_PATIENCE_S):
                await self._turns.acquire()
        except TimeoutError:
            raise ServiceError("too much is asked at the moment", hint="try again in a moment") from None
        try:
            engine = self._free.pop() if self._free else await anyio.to_thread.run_sync(self._make)
            try:
                yield engine
            finally:
                # Remarks are of one request.
                engine.told.clear()
                engine.notes.clear()
                self._free.append(engine)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close what is not lent."""
        while self._free:
            self._free.pop().__exit__(None, None, None)
