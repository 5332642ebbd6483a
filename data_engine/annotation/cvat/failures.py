"""What the server, the network and the SDK can say instead of an answer, in our own words.

Nothing of a request is ever repeated in a message: it may carry a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import msgspec

from data_engine.errors import DataEngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 300
"""Characters of the server's words that are worth repeating."""
_NOW_AND_THEN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another try may change."""
_CERTIFICATE = "SSL_CERT_FILE names the file of your own authority; or see [cvat] url"
_NOTHING_DONE = frozenset({425, 429})
"""Those of them after which the request surely had no effect."""


class RefusedError(DataEngineError):
    """The server answered, and another try would get the same answer.

    Attributes:
        status: of HTTP.
        said: the server's words in one line.
        body: its answer, decoded where it was JSON.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0, said: str = "", body: Any = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.said = said
        self.body = body


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer that counts."""

    said: str
    """For people: ``answers 502``."""
    status: int = 0
    """Of HTTP; 0 where nothing was answered."""
    done: bool = True
    """Whether the request may have had its effect all the same."""
    wait_s: float | None = None
    """What the server asked to wait."""
    silent: bool = False
    """Whether nothing was there to talk to."""
    repair: str = ""
    """What to change, where another try is of no use: a certificate that is not trusted, an address that is none."""


class TroubleError(Exception):
    """A :class:`Trouble` on its way to ``attempt``; never leaves the adapter."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.said)
        self.trouble = trouble


def trouble_of_answer(status: int, headers: Mapping[str, str]) -> Trouble | None:
    """The trouble behind a status that is no success; None where the server really refused."""
    if status not in _NOW_AND_THEN:
        return None
    return Trouble(f"answers {status}", status, status not in _NOTHING_DONE, _seconds(headers.get("Retry-After")))


def trouble_of_error(error: Exception) -> Trouble | None:
    """The trouble behind an exception of the SDK or of urllib3; None where it is neither."""
    from cvat_sdk.api_client.exceptions import ApiException
    from urllib3 import exceptions as net

    if isinstance(error, net.MaxRetryError) and isinstance(error.reason, Exception):
        return trouble_of_error(error.reason)
    if isinstance(error, ApiException) and not error.status:
        # The SDK's own shape of a TLS error; its reason is its only text.
        return Trouble(f"cannot be trusted: {one_line(str(error.reason))}", done=False, repair=_CERTIFICATE)
    if isinstance(error, net.SSLError):
        return Trouble(f"cannot be trusted: {one_line(str(error))}", done=False, repair=_CERTIFICATE)
    if isinstance(error, (net.LocationParseError, net.LocationValueError)):
        return Trouble("has no address that can be read", done=False, repair="see [cvat] url")
    if isinstance(error, (net.NewConnectionError, net.ConnectTimeoutError, net.ProxyError)):
        return Trouble("does not answer", done=False, silent=True)
    if isinstance(error, net.TimeoutError):
        return Trouble("does not answer in time")
    if isinstance(error, (net.HTTPError, ConnectionError)):
        return Trouble("cut the connection")
    return None


def words(body: Any) -> str:
    """The server's words in one line: of ``{"detail"}``, ``{"field": [..]}``, ``["text"]``, a string or HTML."""
    if isinstance(body, dict):
        if isinstance(body.get("detail"), str):
            return one_line(body["detail"])
        return one_line("; ".join(f"{field}: {words(value)}" for field, value in body.items()))
    if isinstance(body, list):
        return one_line("; ".join(words(value) for value in body))
    text = str(body)
    found = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    return one_line(found[1] if found else text)


def one_line(text: str) -> str:
    """The text without line breaks, shortened."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"{flat[:_LONGEST]} …"


def last_line(message: str) -> str:
    """What a background request of the server says went wrong: the end of its traceback without the class's module."""
    lines = [line for line in message.splitlines() if line.strip()]
    text = re.sub(r"^(?:\w+\.)+\w+: ", "", lines[-1].strip()) if lines else "no reason given"
    found = re.search(r"ErrorDetail\(string=(['\"])(.*?)\1, code=", text)
    return one_line(found[2] if found else text)


def decoded(data: bytes) -> Any:
    """An answer as JSON, or as text where it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return data.decode("utf-8", "replace")


def _seconds(header: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header: a number, or a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
