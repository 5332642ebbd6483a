"""Sessions: a random token that the browser keeps, and what it stands for in a file of this server.

The file holds the tokens' SHA-256 only.  It is written when somebody signs in or out, and now and then while they work,
so that a server that is started again still knows them, and read again where another server of the workspace wrote it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from data_engine.annotation.accounts import write_private
from data_engine.types import AccountRole

log = logging.getLogger(__name__)

FILE = ".dataengine/sessions.json"
"""The storage key of the file."""
MOST = 10_000
"""Sessions that are kept; of more, those that were used longest ago are forgotten."""
_KEEP_EVERY = timedelta(minutes=5)


class Session(msgspec.Struct):
    """One browser in which somebody is signed in."""

    name: str
    role: AccountRole
    csrf: str
    used_at: datetime
    mark: str = ""
    """The account's, see :attr:`~data_engine.annotation.accounts.Account.mark`; empty without accounts."""
    flashes: tuple[tuple[str, str], ...] = ()
    """What to say on the next page: kind and text."""


class Sessions:
    """The sessions of one workspace.

    Args:
        path: their file.
        hours: after so many without a request a session is over.
        clock: the time now.
    """

    def __init__(self, path: Path, *, hours: float, clock: Callable[[], datetime]) -> None:
        self._path, self._clock = path, clock
        self._lasts = timedelta(hours=hours)
        self._lock = threading.Lock()
        self._kept_at = clock()
        self._open: dict[str, Session] = {}
        self._stamp: tuple[int, int] | None = None
        self._look()

    def begin(self, name: str, role: AccountRole, mark: str = "") -> tuple[str, Session]:
        """A new session and its token."""
        token = secrets.token_urlsafe(32)
        session = Session(name, role, secrets.token_urlsafe(32), self._clock(), mark)
        with self._lock:
            self._look()
            self._open[_kept(token)] = session
            self._keep()
        return token, session

    def of(self, token: str, *, by_person: bool = True) -> Session | None:
        """The session of a token, None where it is over.

        Args:
            token: what the browser keeps.
            by_person: somebody did something; what a page asks for by itself does not make its session last longer.
        """
        key, now = _kept(token), self._clock()
        with self._lock:
            self._look()
            session = self._open.get(key)
            if session is None:
                return None
            if now - session.used_at > self._lasts:
                del self._open[key]
                self._keep()
                return None
            if by_person:
                session.used_at = max(now, session.used_at)
            if now - self._kept_at > _KEEP_EVERY:
                self._keep()
            return session

    def end(self, token: str) -> None:
        """Sign out."""
        with self._lock:
            self._look()
            if self._open.pop(_kept(token), None) is not None:
                self._keep()

    def _look(self) -> None:
        """Take over what another server wrote: who signed in there is signed in here, and who signed out is out."""
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        # A file that is gone or damaged only means that people sign in again.
        told: dict[str, Session] = {}
        with contextlib.suppress(OSError, msgspec.DecodeError, msgspec.ValidationError):
            told = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Session])
        # What goes on here stays one object: a request at work has hold of it.
        here = self._open
        self._open = {key: here.get(key, session) for key, session in told.items()}

    def _stamped(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _keep(self) -> None:
        now = self._clock()
        alive = [(key, s) for key, s in self._open.items() if now - s.used_at <= self._lasts]
        alive.sort(key=lambda entry: entry[1].used_at)
        self._open = dict(alive[-MOST:])
        self._kept_at = now
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._path, msgspec.json.encode(self._open))
            self._stamp = self._stamped()
        except OSError:
            # Who is signed in stays so until this server ends.
            log.warning("the sessions cannot be written to %s", self._path, exc_info=True)


def _kept(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()
