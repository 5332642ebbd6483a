"""Signing in and out."""

from __future__ import annotations

from math import ceil
from typing import Annotated, get_args

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from data_engine.annotation.accounts import LONGEST_NAME
from data_engine.types import AccountRole
from data_engine.web.guard import open_to_all
from data_engine.web.refusals import Refused
from data_engine.web.render import open_page
from data_engine.web.site import Site, site_of

router = APIRouter()


@router.get("/signin")
@open_to_all
def ask(request: Request, next: str = "/") -> Response:
    """The page to sign in on."""
    return _page(request, next)


@router.post("/signin")
@open_to_all
def sign_in(
    request: Request,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    role: Annotated[str, Form()] = "annotator",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Begin a session: by name and password where there are accounts, else by a name and a role."""
    site = site_of(request)
    name = name.strip()
    if site.accounts.all():
        address = request.client.host if request.client else ""
        wait_s = site.attempts.wait_s(address, name)
        if wait_s > 0:
            told = f"too many wrong passwords: wait {ceil(wait_s)} s"
            answer = _page(request, next, name=name, wrong=told, status=429)
            answer.headers["retry-after"] = str(ceil(wait_s))
            return answer
        account = site.accounts.checked(name, password)
        if account is None:
            site.attempts.failed(address, name)
            return _page(request, next, name=name, wrong="the name or the password is wrong", status=403)
        site.attempts.succeeded(address, name)
        token, _session = site.sessions.begin(account.name, account.role, account.mark)
    elif not site.config.loopback:
        raise Refused(403, "nobody has an account yet", "dataengine team add NAME --email ADDRESS --role admin")
    else:
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            told = f"a name has 1 to {LONGEST_NAME} letters"
            return _page(request, next, name=name[:LONGEST_NAME], role=role, wrong=told, status=422)
        chosen = next_role(role)
        token, _session = site.sessions.begin(name, chosen)
    answer = RedirectResponse(inside(next), 303)
    answer.set_cookie(
        site.cookie, token, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
    )
    _end(site, request)
    return answer


@router.post("/signout")
def sign_out(request: Request) -> Response:
    """End the session."""
    site = site_of(request)
    _end(site, request)
    answer = RedirectResponse("/signin", 303)
    answer.delete_cookie(site.cookie, path="/", httponly=True, samesite="strict")
    return answer


def next_role(given: str) -> AccountRole:
    """The role of this name; UsageError's answer where there is none."""
    for role in get_args(AccountRole):
        if given == role:
            return role  # type: ignore[no-any-return]
    raise Refused(422, f"there is no role {given!r}", code="usage")


def inside(address: str) -> str:
    """A page of this site to go on to; the first one for an address that leads elsewhere."""
    plain = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if plain and not address.startswith("/sign") else "/"


def _end(site: Site, request: Request) -> None:
    site.sessions.end(request.cookies.get(site.cookie, ""))


def _page(
    request: Request, next: str, *, name: str = "", role: str = "annotator", wrong: str = "", status: int = 200
) -> Response:
    return open_page(
        request,
        "signin.html",
        status=status,
        next=inside(next),
        name=name,
        role=role,
        wrong=wrong,
        with_password=site_of(request).with_accounts,
        roles=get_args(AccountRole),
    )
