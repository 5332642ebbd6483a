"""What the server, the network and the SDK can say instead of an answer, in our own words.

Nothing of a request is ever repeated in a message: it may carry a secret.
"""

from __future__ import annotations

import re
import socket
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
_CERTIFICATES = {
    "expired": "its certificate is to be renewed, by whoever runs it",
    "not yet valid": "see the clock of this machine, and the server's certificate",
    "not valid for": "[cvat] url must name it as its certificate does",
    "verify failed": "SSL_CERT_FILE names the file of your own authority; or see [cvat] url",
}
"""What to change, by a part of what OpenSSL says."""
_NO_FIELD = "non_field_errors"
"""Where the server puts what concerns no field."""
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


NO_HOST = Trouble("is not found: there is no such host", done=False, silent=True)
"""At first its name is a wrong one; later names come and go with networks."""


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
        return _untrusted(str(error.reason))
    if isinstance(error, net.SSLError):
        return _untrusted(str(error))
    if isinstance(error, (net.LocationParseError, net.LocationValueError)):
        return Trouble("has no address that can be read", done=False, repair="see [cvat] url")
    if isinstance(error, net.NameResolutionError):
        later = f"[Errno {socket.EAI_AGAIN}]" in str(error)
        return Trouble("is not found: no name is at the moment", done=False, silent=True) if later else NO_HOST
    if isinstance(error, (net.NewConnectionError, net.ConnectTimeoutError, net.ProxyError)):
        return Trouble("does not answer", done=False, silent=True)
    if isinstance(error, net.TimeoutError):
        return Trouble("does not answer in time")
    if isinstance(error, (net.HTTPError, ConnectionError)):
        return Trouble("cut the connection")
    return None


def _untrusted(said: str) -> Trouble:
    text = one_line(said)
    repair = next((what for part, what in _CERTIFICATES.items() if part in text), "see [cvat] url: https:// or http://")
    return Trouble(f"cannot be trusted: {text}", done=False, repair=repair)


def trouble_of_page(status: int, headers: Mapping[str, str], body: Any) -> Trouble | None:
    """The trouble behind a success that is a web page: of a proxy, or of a network that wants a login first."""
    if not (isinstance(body, str) and "html" in headers.get("Content-Type", "")):
        return None
    return Trouble(f"answers with a web page in place of data: {words(body)}", status)


def words(body: Any) -> str:
    """The server's words in one line: of ``{"detail"}``, ``{"field": [..]}``, ``["text"]``, a string or HTML."""
    if isinstance(body, dict):
        if isinstance(body.get("detail"), str):
            return one_line(body["detail"])
        told = [words(value) if field == _NO_FIELD else f"{field}: {words(value)}" for field, value in body.items()]
        return one_line("; ".join(told))
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
