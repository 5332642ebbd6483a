"""A server's refusals as errors that say what to change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.failures import RefusedError, words
from data_engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data_engine.annotation.cvat.account import Account

TOKEN = "make an access token that is not read-only in CVAT (Profile, Security): DATAENGINE_CVAT_TOKEN"
PASSWORD = "see DATAENGINE_CVAT_USERNAME and DATAENGINE_CVAT_PASSWORD"
CSRF = "CSRF Failed"
"""How the server begins to say that cookies and headers of a session do not belong together."""


class NoRightError(UsageError):
    """HTTP 403: also the answer about an object of somebody else."""


_NAMES_NOTHING = re.compile(r"matching query does not exist|matches the given query|label_id .* is invalid")


def names_nothing(error: RefusedError) -> bool:
    """Whether a request was refused because what it names is not there (any more)."""
    return error.status == 404 or (error.status == 400 and _NAMES_NOTHING.search(error.said) is not None)


def refusal(
    account: Account, status: int, body: Any, headers: Mapping[str, str], *, writes: bool, known: bool
) -> RefusedError | UsageError:
    """The error of an answer that another try would get again.

    Args:
        account: that asked.
        status: of HTTP.
        body: of the answer, decoded.
        headers: of the answer.
        writes: the request would have changed something.
        known: the server is known to be one, and was told who we are.
    """
    said = words(body)
    if known and status == 401:
        what = "access token (wrong, expired or revoked)" if account.token else "login any more"
        hint = TOKEN if account.token else PASSWORD
        return UsageError(f"{account.server} does not accept the {what}", hint=hint)
    if known and status == 403:
        who = f"account {account.username}" if account.username and not account.token else "account of the token"
        hint = "give it the right, or log in with an account that has it"
        if writes and account.token:
            hint = f"its token may be read-only: {TOKEN}"
        elif CSRF in said:
            hint = "an access token does without cookies, which may be lost on the way: DATAENGINE_CVAT_TOKEN"
        return NoRightError(f"{account.server} does not let the {who} do that: {said}", hint=hint)
    if status == 404 and account.organization and "organization" in said:
        return UsageError(
            f"{account.server} has no organization {account.organization!r}", hint="see [cvat] organization"
        )
    if 300 <= status < 400:
        where = headers.get("Location", "another address")
        return UsageError(f"{account.server} sends on to {where.split('?')[0]}", hint="see [cvat] url")
    return RefusedError(f"{account.server} refused: {said} (HTTP {status})", status=status, said=said, body=body)
