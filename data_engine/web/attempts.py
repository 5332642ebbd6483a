"""Slows down who guesses passwords: after a few wrong ones each further try has to wait, longer every time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

FREE = 5
"""Wrong passwords that cost nothing: people mistype."""
LONGEST_WAIT_S = 300.0
FORGOTTEN_AFTER_S = 1800.0
_FREE_ADDRESS = 50
"""Of an address, whatever the names: many people may sit behind one."""
_MOST_KEYS = 10_000


class Attempts:
    """Wrong passwords by address and name, and by address.

    Not by name alone: whoever knows a name could keep its owner out.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str, name: str) -> float:
        """How long this address has to wait before it may try this name again; 0 when it need not."""
        now = self._clock()
        with self._lock:
            return max(
                self._left((address, name.strip().casefold()), FREE, now), self._left((address, ""), _FREE_ADDRESS, now)
            )

    def failed(self, address: str, name: str) -> None:
        """A wrong password."""
        now = self._clock()
        with self._lock:
            for key in ((address, name.strip().casefold()), (address, "")):
                count, at = self._wrong.pop(key, (0, now))
                self._wrong[key] = (1 if now - at > FORGOTTEN_AFTER_S else count + 1, now)
            while len(self._wrong) > _MOST_KEYS:
                self._wrong.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """The right password: what was mistyped before is forgotten."""
        with self._lock:
            self._wrong.pop((address, name.strip().casefold()), None)

    def _left(self, key: tuple[str, str], free: int, now: float) -> float:
        count, at = self._wrong.get(key, (0, now))
        if count < free or now - at > FORGOTTEN_AFTER_S:
            return 0.0
        return max(0.0, at + min(2.0 ** min(count - free, 16), LONGEST_WAIT_S) - now)
