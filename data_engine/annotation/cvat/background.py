"""Waiting for what the server does in the background."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from data_engine.annotation.cvat.attempts import AGAIN
from data_engine.annotation.cvat.failures import RefusedError, last_line
from data_engine.errors import ServiceError

if TYPE_CHECKING:
    from data_engine.annotation.cvat.connection import Connection

_SHORTEST_S = 0.1
_LONGEST_S = 1.0


class FailedError(RefusedError):
    """A worker of the server took the request up and gave up; ``said`` is its reason."""


class NeverStartedError(ServiceError):
    """No worker of the server took the request up."""


def state_of(connection: Connection, request_id: str) -> dict[str, Any] | None:
    """A background request as the server tells it; None where it knows none (any more)."""
    try:
        return dict(connection.get(_path(request_id)))
    except RefusedError as error:
        if error.status == 404:
            return None
        raise


def wait(connection: Connection, request_id: str, what: str) -> dict[str, Any] | None:
    """Wait until a background request is finished.

    Args:
        connection: to the server; half of its patience may pass without a change.
        request_id: its ``rq_id``.
        what: it does, for a message: ``making the task 'Batch (1/3)'``.

    Returns:
        the request as it ended; None where the server knows none (any more): look at what it was to make.

    Raises:
        FailedError: it failed.
        NeverStartedError: no worker took it up.
        ServiceError: a worker took it up and then nothing moved any more.
    """
    patience = connection.patience
    pause, seen, since = _SHORTEST_S, None, patience.now()
    while True:
        state = state_of(connection, request_id)
        if state is None or state["status"] == "finished":
            return state
        if state["status"] == "failed":
            said = last_line(str(state.get("message") or ""))
            raise FailedError(f"{connection.account.server} failed at {what}: {said}", said=said)
        now = (state["status"], state.get("message"), state.get("progress"))
        if now != seen:
            seen, since = now, patience.now()
        elif patience.now() - since > patience.limit_s / 2:
            waited = f"for {patience.now() - since:.0f} s"
            if state["status"] == "queued":
                raise NeverStartedError(
                    f"no worker of {connection.account.server} picked up {what} {waited}",
                    hint=f"see that its import worker runs, then {AGAIN}",
                )
            raise ServiceError(f"{connection.account.server} made no progress with {what} {waited}", hint=AGAIN)
        patience.sleep(pause)
        pause = min(1.2 * pause, _LONGEST_S)


def cancel(connection: Connection, request_id: str) -> None:
    """Take a request that no worker took up out of the queue; quietly where that is too late."""
    with contextlib.suppress(RefusedError):
        connection.request("POST", f"{_path(request_id)}/cancel")


def started(answer: Any) -> str:
    """The ``rq_id`` of an answer to a request that works in the background."""
    return str(answer["rq_id"])


def _path(request_id: str) -> str:
    return f"/api/requests/{quote(request_id, safe='')}"
