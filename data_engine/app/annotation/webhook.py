"""``webhook``: the annotation server tells of a change, and a sync follows at once."""

from __future__ import annotations

import time
from typing import NoReturn

from data_engine.app.annotation.sync import keep_syncing
from data_engine.app.annotation.webhook_listener import Listener
from data_engine.app.engine import Engine
from data_engine.errors import UsageError
from data_engine.ports import WebhookSource
from data_engine.types import Report
from data_engine.words import counted

_EVERY_S = 300.0
"""A delivery may be lost: so often a sync looks without one."""
_SETTLE_S = 1.0
"""People and servers change several jobs in a row; those are one look."""
_SHORTEST_SECRET = 16
_SECRET = "DATAENGINE_CVAT_WEBHOOK_SECRET"


def serve(engine: Engine, host: str = "127.0.0.1", port: int = 8090) -> NoReturn:
    """Listen for deliveries and sync soon after each, until interrupted; also when none came for some minutes.

    Args:
        engine: the workspace.
        host: where to listen.
        port: the same; 0 lets the system choose.

    Raises:
        UsageError: no secret, or one that could be guessed.
        ConflictError: the port is taken.
    """
    with Listener(host, port, secret_of(engine)) as listener:
        engine.progress.note(f"listening on {listener.address}")
        every = engine.settings.sync.every or _EVERY_S

        def wait() -> None:
            if listener.wait(every):
                time.sleep(_SETTLE_S)
                # Before the sync, not after it: what comes during it is looked at by the next one.
                listener.hush()

        keep_syncing(engine, wait)


def register(engine: Engine, url: str) -> Report:
    """Have the server send its deliveries to an address.

    Raises:
        UsageError: no secret; the backend has no web-hooks, or refuses this one.
    """
    secret = secret_of(engine)
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--url {url}: an address begins with http:// or https://")
    backend = engine.backend()
    if not isinstance(backend, WebhookSource):
        raise UsageError(
            f"the annotation backend {backend.name!r} has no web-hooks", hint="instead: dataengine sync --every 60"
        )
    number = backend.register_webhook(url, secret)
    notes = ("what is sent over http:// can be read on the way",) if url.startswith("http://") else ()
    return Report(
        title=f"web-hook {number} tells {url} of every change of a job",
        data={"webhook": number, "url": url},
        notes=notes,
        next="dataengine webhook serve",
    )


def secret_of(engine: Engine) -> str:
    """What deliveries are signed with; UsageError where there is none, or one that could be guessed."""
    found = engine.settings.cvat.webhook_secret
    secret = "" if found is None else found.get_secret_value()
    if not secret:
        raise UsageError(
            f"{_SECRET} is not set: what deliveries are signed with, the same for both commands",
            hint=f"export {_SECRET}=$(openssl rand -hex 32)",
        )
    if len(secret) < _SHORTEST_SECRET:
        raise UsageError(
            f"{_SECRET} has {counted(len(secret), 'character')}: it must have at least {_SHORTEST_SECRET}",
            hint="openssl rand -hex 32 makes one; it must be the same for both commands",
        )
    return secret
