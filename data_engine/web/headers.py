"""ASGI layers around the app: what browsers may do with an answer, by which name they may ask, how much they may send.

Content security: https://www.w3.org/TR/CSP3/ .  Nothing is loaded from elsewhere, no script or style stands in a page,
nobody frames a page.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_engine.web.refusals import Refused, answer, failure

log = logging.getLogger(__name__)

CONTENT_SECURITY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
ALWAYS = {
    "content-security-policy": CONTENT_SECURITY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MOST_BYTES = 16 << 20
"""Of a request's body: a job of 500 frames with 100 boxes each is below 10 MB of JSON."""


class SafetyHeaders:
    """Puts the headers on every answer; what says nothing of caching is not stored."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        await self.app(scope, receive, with_headers)


class KnownNames:
    """Refuses a request whose ``Host`` is none of the server's names.

    A page elsewhere may call this machine by a name of its own (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self.names = {name.casefold() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and self.names and _host(Headers(scope=scope)) not in self.names:
            known = PlainTextResponse("this server does not go by that name\n", 421)
            await known(scope, receive, send)
            return
        await self.app(scope, receive, send)


class Bounded:
    """Refuses bodies that are too large, also those that do not say how large they are; answers bugs with a page."""

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        seen, started = 0, False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            if not told.isdecimal() or len(told) > 12 or int(told) > self.most:
                raise _TooLargeError
            await self.app(scope, counted, noted)
        except _TooLargeError:
            if started:
                raise
            refused = Refused(413, f"a request has at most {self.most >> 20} MB", headers={"connection": "close"})
            await answer(Request(scope), refused)(scope, receive, send)
        except Exception:
            log.exception("%s %s", scope["method"], scope["path"])
            if started:
                raise
            await failure(Request(scope))(scope, receive, send)


class _TooLargeError(Exception):
    pass


def _host(headers: Headers) -> str:
    try:
        return (urlsplit(f"//{headers.get('host', '')}").hostname or "").casefold()
    except ValueError:
        return ""
