"""The first question to a server: is it one, and of which release?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.attempts import attempt
from data_engine.annotation.cvat.failures import NO_HOST, RefusedError, TroubleError
from data_engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from data_engine.annotation.cvat.account import Account
    from data_engine.annotation.cvat.attempts import Patience

ABOUT = "/api/server/about"
_FIRST_CONTACT_S = 5.0
"""How long a server that has not answered yet may stay silent: its address may be wrong."""


def release(account: Account, patience: Patience, ask: Callable[[], Any]) -> str:
    """Release of the server.

    Args:
        account: its address.
        patience: for one that is there.
        ask: one try to get what is at ``ABOUT``.

    Raises:
        ServiceError: it does not answer.
        UsageError: it is no CVAT server.
    """
    first = replace(patience, limit_s=min(_FIRST_CONTACT_S, patience.limit_s))

    def about() -> Any:
        try:
            return ask()
        except TroubleError as error:
            if error.trouble is NO_HOST:
                raise UsageError(f"{account.server} {NO_HOST.said}", hint="see [cvat] url") from None
            if not error.trouble.status:
                raise
            # It is there: what it asks for is waited for as long as for everything else.
            return attempt(ask, patience, server=account.server)

    try:
        found = attempt(about, first, server=account.server)
    except RefusedError as error:
        found = error.body
        told = f": it answers {error.said} (HTTP {error.status})"
    else:
        told = ""
    if not isinstance(found, dict) or not isinstance(found.get("version"), str):
        raise UsageError(f"there is no CVAT server at {account.url}{told}", hint="see [cvat] url")
    return str(found["version"])
