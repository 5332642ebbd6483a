"""Deliveries of web-hooks: the thread that sends events, each with a signature over its body."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .state import State

USER_AGENT = "CVAT/2.73.0 python-requests/2.33.1"


@dataclass(slots=True)
class Webhook:
    id: int
    target_url: str
    description: str
    type: str
    content_type: str
    is_active: bool
    enable_ssl: bool
    created: str
    updated: str
    owner: int
    project: int | None
    organization: int | None
    events: list[str]
    secret: str
    last_status: int | None = None
    last_delivery: str | None = None


@dataclass(slots=True)
class Delivery:
    id: int
    webhook: int
    event: str
    body: dict[str, Any]
    status: int | None = None
    seconds: float = 0.0
    created: str = ""
    updated: str = ""
    response: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class Hooks:
    """Delivers on a thread of its own, in order; a receiver that is away costs a try, no more.

    Args:
        enabled: off, nothing is sent and nothing recorded.
    """

    def __init__(self, state: State, *, enabled: bool = True) -> None:
        self._state = state
        self.enabled = enabled
        self.all: dict[int, Webhook] = {}
        self.deliveries: list[Delivery] = []
        self._queue: queue.Queue[Delivery | None] = queue.Queue()
        self._thread = threading.Thread(target=self._loop, name="cvat-hooks", daemon=True)
        self._thread.start()

    def emit(self, event: str, project: int | None, body: dict[str, Any]) -> None:
        """Sends an event to the web-hooks of a project that want it."""
        for hook in self.all.values():
            if self.enabled and hook.is_active and hook.project == project and event in hook.events:
                self.send(hook, event, {"event": event, "webhook_id": hook.id, **body})

    def send(self, hook: Webhook, event: str, body: dict[str, Any]) -> Delivery:
        delivery = Delivery(self._state.next_id("delivery"), hook.id, event, body)
        self.deliveries.append(delivery)
        self._queue.put(delivery)
        return delivery

    def drain(self, seconds: float = 10) -> None:
        """Waits until everything is delivered that was sent before."""
        for delivery in list(self.deliveries):
            delivery.done.wait(seconds)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _loop(self) -> None:
        while (delivery := self._queue.get()) is not None:
            hook = self.all.get(delivery.webhook)
            if hook is not None:
                begun = time.monotonic()
                delivery.status, delivery.response = _post(hook, delivery.body)
                delivery.seconds = time.monotonic() - begun
                delivery.created, delivery.updated = self._state.now(), self._state.now()
                hook.last_status, hook.last_delivery = delivery.status, delivery.created
            delivery.done.set()


def _post(hook: Webhook, value: dict[str, Any]) -> tuple[int, str]:
    body = json.dumps(value).encode()
    headers = {"Content-Type": hook.content_type, "User-Agent": USER_AGENT}
    if hook.secret:
        headers["X-Signature-256"] = "sha256=" + hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
    target = urlsplit(hook.target_url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port or 80, timeout=10)
    try:
        connection.request("POST", target.path or "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read(1000).decode(errors="replace")
    except OSError:
        return 502, ""
    finally:
        with contextlib.suppress(OSError):
            connection.close()
