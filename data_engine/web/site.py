"""What all requests of one server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from fastapi import Request

from data_engine.annotation.accounts import Accounts
from data_engine.web.attempts import Attempts
from data_engine.web.pool import EnginePool
from data_engine.web.session import Sessions


@dataclass(frozen=True, slots=True)
class Config:
    """How one workspace is served."""

    root: Path
    """The workspace's folder."""
    accounts: Path
    """The file of the accounts; without any, everybody on this machine signs in by a name and a role."""
    sessions: Path
    """The file of the sessions."""
    clock: Callable[[], datetime]
    backend: str = "local"
    """Where people annotate: with ``cvat`` the editor is CVAT's."""
    loopback: bool = True
    """Only this machine reaches the server."""
    names: tuple[str, ...] = ()
    """Names that browsers may call the server by; when bound to loopback its names as well, else any when empty."""
    session_hours: float = 12.0
    redact: Callable[[str], str] = str
    """Takes secrets out of what is said to people."""


@dataclass(frozen=True, slots=True)
class Site:
    """One server's parts."""

    config: Config
    pool: EnginePool
    accounts: Accounts
    sessions: Sessions
    attempts: Attempts

    @property
    def with_accounts(self) -> bool:
        """Whether people sign in with what only they know, and so are who they say: always where others reach it."""
        return bool(self.accounts.all()) or not self.config.loopback

    @property
    def cookie(self) -> str:
        """What browsers keep a session's token under: each workspace's own, for a host's ports share what they keep."""
        return f"dataengine_{sha256(str(self.config.root).encode('utf-8', 'replace')).hexdigest()[:8]}"


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    site: Site = request.app.state.site
    return site
