"""Trying again what failed for the moment, without doing anything twice."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from data_engine.annotation.cvat.failures import TroubleError
from data_engine.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_MOST_500 = 5
"""Answers 500 in a row after which the server is taken at its word: some of them never end."""
AGAIN = "run the same command again: it goes on where it was"


def _nobody(_text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try again, and how to wait."""

    limit_s: float
    """Seconds from the first failure on."""
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    tell: Callable[[str], None] = _nobody
    """Told once a request that is tried again and again for long."""


def attempt(
    call: Callable[[], R],
    patience: Patience,
    *,
    server: str,
    look: Callable[[], R | None] | None = None,
    always: bool = False,
) -> R:
    """Call until it succeeds, with growing pauses, or as the server asks to wait.

    Args:
        call: one try; raises TroubleError for what may pass.
        patience: how long to go on.
        server: what to call the server in a message.
        look: for a request that must not have its effect twice: after a try that may have had it, what it would have
            returned, or None where it had none.  It does its own trying again.
        always: look after every failed try: what was right to send may not be after a wait.

    Raises:
        ServiceError: patience is over.
        UsageError: another try is of no use.
    """
    began = patience.now()
    pause = _FIRST_PAUSE_S
    in_a_row = 0
    told = False
    while True:
        try:
            return call()
        except TroubleError as error:
            trouble = error.trouble
        in_a_row = in_a_row + 1 if trouble.status == 500 else 0
        wait = max(pause, trouble.wait_s or 0.0)
        if trouble.repair:
            raise UsageError(f"{server} {trouble.said}", hint=trouble.repair)
        if in_a_row >= _MOST_500 or patience.now() - began + wait > patience.limit_s:
            hint = f"see that it runs, and [cvat] url; then {AGAIN}" if trouble.silent else AGAIN
            raise ServiceError(f"{server} {trouble.said}", hint=hint)
        if wait >= 2.0 and not told:
            patience.tell(f"{server} {trouble.said}: trying again")
            told = True
        patience.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
        if look is not None and (always or trouble.done):
            found = look()
            if found is not None:
                return found
