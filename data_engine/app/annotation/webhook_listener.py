"""The HTTP side of ``webhook serve``: takes signed deliveries and rings a bell; what they ask for is done elsewhere.

A delivery is only ever a reason to look at the server.  Nothing in it is believed, so one that is replayed, doubled,
late or out of order costs one look too many and changes nothing.

Whoever may be reached by a server may be reached by others: what a delivery may cost in bytes, time and connections is
bounded before its signature is known.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from data_engine.errors import ConflictError, UsageError

log = logging.getLogger(__name__)

SIGNATURE = "X-Signature-256"
MOST_BYTES = 1 << 20
"""Of a body; a delivery has about two kilobytes."""
PATIENCE_S = 10.0
"""How long a delivery may take from its connection to its answer, however slowly its bytes drip in."""
MOST_AT_ONCE = 32
"""Connections that are served at the same time; a server sends one or a few."""
_LINGER_S = 1.0
"""How long a connection that was turned away is kept: closed at once, its sender may never see the answer."""
_FULL = (
    b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 35\r\n\r\ntoo many connections at the moment\n"
)
_SAVED = {"updated_date"}
"""What alone changes when boxes are saved."""


def signature(body: bytes, secret: str) -> str:
    """The header's value for a body."""
    return f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}"


def signed(body: bytes, given: str | None, secret: str) -> bool:
    """Whether the header's value is the body's, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(signature(body, secret).encode(), (given or "").encode("utf-8", "replace"))


def worth_a_look(delivery: Mapping[str, Any]) -> bool:
    """Whether a sync could find anything to do after this.

    The server also tells of every save of boxes and every remark.  A save matters in a job that was accepted.
    """
    event = str(delivery.get("event"))
    if event == "ping" or event.endswith((":issue", ":comment")):
        return False
    changes = delivery.get("changes")
    if not event.startswith("update:") or not isinstance(changes, Mapping):
        return True
    job = delivery.get("job")
    if not isinstance(job, Mapping):
        return False
    accepted = job.get("stage") == "acceptance" and job.get("state") == "completed"
    return accepted or not set(changes) <= _SAVED


class Listener:
    """An HTTP server that rings when a signed delivery is worth a look; a context manager.

    Args:
        host: where it listens.
        port: the same; 0 lets the system choose.
        secret: what deliveries are signed with.

    Raises:
        UsageError: the host is none of this machine's.
        ConflictError: the port is taken.
    """

    def __init__(self, host: str, port: int, secret: str) -> None:
        self._bell = threading.Event()
        try:
            self._server = _Server((host, port), _Handler)
        except PermissionError:
            raise UsageError(f"port {port} may not be opened by this account", hint="choose one above 1023") from None
        except OSError as error:
            if error.errno is None or error.errno < 0:  # a name that nobody knows
                raise UsageError(f"{host!r} is no address of this machine") from None
            raise ConflictError(
                f"{host}:{port} cannot be listened on: {error.strerror}", hint="choose another --port"
            ) from None
        self._server.secret, self._server.bell = secret, self._bell
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """``http://host:port``."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until something happened since the last wait began; False when the time is over first."""
        return self._bell.wait(timeout_s)

    def hush(self) -> None:
        """What happened so far is taken care of from here."""
        self._bell.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 4 * MOST_AT_ONCE
    secret: str
    bell: threading.Event

    def __init__(self, *args: Any) -> None:
        self._served: dict[socket.socket, float] = {}
        """When each connection that is served came in."""
        self._turned_away: deque[tuple[socket.socket, float]] = deque()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._served) >= MOST_AT_ONCE:
            self._turn_away(request)
        else:
            self._served[request] = time.monotonic()
            super().process_request(request, client_address)

    def _turn_away(self, connection: socket.socket) -> None:
        log.warning("%d connections at the same time: one more is turned away", MOST_AT_ONCE)
        if len(self._turned_away) >= MOST_AT_ONCE:
            self._turned_away.popleft()[0].close()
        try:
            connection.setblocking(False)
            connection.send(_FULL)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            connection.close()
        else:
            self._turned_away.append((connection, time.monotonic()))

    def service_actions(self) -> None:
        """Cut off who takes too long; called twice a second and between connections."""
        now = time.monotonic()
        for connection, since in list(self._served.items()):
            if now - since > PATIENCE_S:
                _cut(connection)
        for _ in range(len(self._turned_away)):
            connection, since = self._turned_away.popleft()
            if now - since > _LINGER_S or _gone(connection):
                connection.close()
            else:
                self._turned_away.append((connection, since))

    def shutdown_request(self, request: Any) -> None:
        self._served.pop(request, None)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        while self._turned_away:
            self._turned_away.pop()[0].close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        log.warning("a delivery broke off", exc_info=True)


def _cut(connection: socket.socket) -> None:
    """End a connection that another thread waits on: it wakes and finds nothing more to read."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _gone(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection that does not block; what it sent is thrown away."""
    try:
        return connection.recv(1 << 16) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S
    server_version, sys_version = "dataengine", ""

    def do_POST(self) -> None:
        told = self.headers.get("Content-Length", "")
        if not (told.isascii() and told.isdecimal()) or "Transfer-Encoding" in self.headers:
            return self._answer(411, "a delivery says how long it is")
        if len(told) > 12 or int(told) > MOST_BYTES:
            return self._answer(413, f"a delivery has at most {MOST_BYTES} bytes")
        body = self.rfile.read(int(told))
        # Before anything else is done with it.
        if not signed(body, self.headers.get(SIGNATURE), self.server.secret):
            return self._answer(403, f"{SIGNATURE} is not that of this body")
        try:
            delivery = json.loads(body)
        except (ValueError, RecursionError):
            delivery = None
        if not isinstance(delivery, dict):
            return self._answer(400, "a delivery is a JSON object")
        if worth_a_look(delivery):
            self.server.bell.set()
        return self._answer(202, "")

    def do_GET(self) -> None:
        self._answer(405, "deliveries are posted")

    do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def _answer(self, status: int, why: str) -> None:
        body = f"{why}\n".encode() if why and self.command != "HEAD" else b""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if status == 405:
            self.send_header("Allow", "POST")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        log.info("%s %r", self.client_address[0], format % args)
