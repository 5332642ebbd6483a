"""What a route gets: an engine of its own, and who asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from data_engine.app.engine import Engine
from data_engine.web.guard import needs as needs
from data_engine.web.people import Person
from data_engine.web.session import Session
from data_engine.web.site import Site, site_of

MOST = (1 << 31) - 1
Number = Annotated[int, Path(ge=0, le=MOST)]
"""The number of a job, a task, a selection in an address: what a database's column holds."""


@dataclass(frozen=True, slots=True)
class Context:
    """One request."""

    request: Request
    engine: Engine
    """Nobody else's while the request lasts."""
    person: Person
    csrf: str
    """The token that a change must carry, as the form field ``csrf`` or the header ``X-CSRF-Token``."""
    session: Session | None
    """None where a script asks with a token."""
    site: Site

    def flash(self, text: str, kind: str = "done") -> None:
        """Say something on the next page.

        Args:
            text: one sentence.
            kind: ``done``, ``note`` or ``error``.
        """
        if self.session is not None:
            self.session.flashes = (*self.session.flashes[-4:], (kind, text))


async def _here(request: Request) -> AsyncIterator[Context]:
    site = site_of(request)
    session: Session | None = request.state.session
    async with site.pool.lend() as engine:
        yield Context(request, engine, request.state.person, session.csrf if session else "", session, site)


# The engine goes back before the answer is sent: sending a picture to a slow browser needs none.
Here = Annotated[Context, Depends(_here, scope="function")]
"""The parameter of a route: ``def jobs(here: Here) -> HTMLResponse``."""
