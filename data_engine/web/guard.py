"""Who may pass: run before every route, so that a new one is closed until it is opened on purpose."""

from __future__ import annotations

import hmac
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Request

from data_engine.types import AccountRole
from data_engine.web.people import Person
from data_engine.web.refusals import Refused
from data_engine.web.session import Session
from data_engine.web.site import Site, site_of

SAFE = {"GET", "HEAD", "OPTIONS"}
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
_OPEN: set[Any] = set()
_Endpoint = TypeVar("_Endpoint")


def open_to_all(endpoint: _Endpoint) -> _Endpoint:
    """Marks a route that needs nobody to be signed in."""
    _OPEN.add(endpoint)
    return endpoint


def is_open(endpoint: object) -> bool:
    """Whether the route was marked so."""
    return endpoint in _OPEN


async def guard(request: Request) -> None:
    """Find out who asks, and refuse what nobody may ask so; a dependency of every route.

    Raises:
        Refused: nobody is signed in (401); a change without its token, or from another site's page (403).
    """
    site = site_of(request)
    person, session = _who(site, request)
    request.state.person, request.state.session = person, session
    opened = is_open(request.scope.get("endpoint"))
    if person is None and not opened:
        raise Refused(401, "nobody is signed in, or not any more: sign in and go on")
    if request.method in SAFE:
        return
    if session is None and person is not None:
        return  # a token, which no browser sends by itself
    _refuse_other_sites(request)
    if session is not None and not (opened and request.url.path == "/signin"):
        await _refuse_without_token(request, session)


class Needs:
    """Refuses everybody below a role."""

    def __init__(self, role: AccountRole) -> None:
        self.role = role

    async def __call__(self, request: Request) -> None:
        """See FastAPI's dependencies."""
        person: Person | None = request.state.person
        if person is None or not person.is_at_least(self.role):
            here = person.role if person else "nobody"
            raise Refused(403, f"this is for the role {self.role}; you are here as {here}")


def needs(role: AccountRole) -> Any:
    """A dependency of routes that only this role, and those above it, may use."""
    return Depends(Needs(role))


def _who(site: Site, request: Request) -> tuple[Person | None, Session | None]:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        account = site.accounts.of_token(token.strip())
        return (None if account is None else Person(account.name, account.role)), None
    # A page that looks for news now and then must not keep its session for ever.
    by_itself = request.method in SAFE and request.headers.get("sec-fetch-mode", "navigate") != "navigate"
    session = site.sessions.of(request.cookies.get(site.cookie, ""), by_person=not by_itself)
    if session is None:
        return None, None
    if site.with_accounts:
        account = next((a for a in site.accounts.all() if a.name == session.name), None)
        # An account that is gone, made anew or has another password ends its sessions; a role that changed counts now.
        if account is None or not hmac.compare_digest(account.mark, session.mark):
            return None, None
        return Person(account.name, account.role), session
    return Person(session.name, session.role), session


def _refuse_other_sites(request: Request) -> None:
    """A browser says which site's page a change comes from."""
    origin, fetched = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None:
        same = urlsplit(origin).netloc == request.headers.get("host")
    else:
        same = fetched in ("same-origin", "none")
    if not same:
        raise Refused(403, "a change that another site's page asks for is not made", code="csrf")


async def _refuse_without_token(request: Request, session: Session) -> None:
    given: object = request.headers.get(CSRF_HEADER)
    if given is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        # Read once and kept: the route gets the same form.
        given = (await request.form()).get(CSRF_FIELD)
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise Refused(403, "the page is too old: load it again and repeat what you did", code="csrf")
