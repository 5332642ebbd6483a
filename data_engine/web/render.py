"""Templates -> pages.  Everything that is put into one is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from data_engine.web.navigation import entries
from data_engine.web.people import Person

if TYPE_CHECKING:
    from data_engine.web.context import Context

FOLDER = Path(__file__).parent


@cache
def templates() -> Environment:
    """The environment of all templates."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["json"] = as_json
    return made


def as_json(value: object) -> Markup:
    """A value for ``<script type="application/json">``: JSON in which no ``<`` can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def page(here: Context, name: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A whole page, from a template that extends ``base.html``.

    Args:
        here: the request.
        name: the template, ``jobs/list.html``.
        status: of the answer.
        context: what the template shows.
    """
    flashes = here.session.flashes if here.session else ()
    if here.session:
        here.session.flashes = ()
    shell = _shell(here.request, here.person, here.csrf, flashes)
    return HTMLResponse(templates().get_template(name).render(**shell, **context), status)


def part(here: Context, name: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A fragment of a page, for htmx."""
    shell = _shell(here.request, here.person, here.csrf, ())
    return HTMLResponse(templates().get_template(name).render(**shell, **context), status)


def open_page(request: Request, name: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page for which nobody need be signed in."""
    person, session = getattr(request.state, "person", None), getattr(request.state, "session", None)
    shell = _shell(request, person, session.csrf if session else "", ())
    return HTMLResponse(templates().get_template(name).render(**shell, **context), status)


def refusal_page(
    request: Request, status: int, title: str, message: str, hint: str, headers: Mapping[str, str]
) -> HTMLResponse:
    """The page of an error that was expected."""
    answer = open_page(request, "refusal.html", status=status, title=title, message=message, hint=hint)
    answer.headers.update(headers)
    return answer


def _shell(request: Request, person: Person | None, csrf: str, flashes: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    site = request.app.state.site
    return {
        "person": person,
        "csrf": csrf,
        "flashes": flashes,
        "navigation": entries(person, request.url.path),
        "workspace": site.config.root.name,
        "path": request.url.path,
    }
