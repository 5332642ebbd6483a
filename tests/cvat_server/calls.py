"""One HTTP request as a handler sees it, and the table of handlers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .answers import Answer, refused
from .records import User
from .state import State

if TYPE_CHECKING:
    from .server import CvatServer


@dataclass(slots=True)
class Part:
    """One part of a multipart body."""

    name: str
    filename: str | None
    content: bytes


@dataclass(slots=True)
class Call:
    """One request.

    Attributes:
        user: who asks; None without credentials.
        organization: None for everything, 0 for the personal space, else the id of an organization.
        stuck: a fault: no worker picks up what this call starts.
    """

    server: CvatServer
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    host: str
    user: User | None = None
    read_only: bool = False
    organization: int | None = None
    stuck: bool = False
    parts: list[Part] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.server.state

    @property
    def me(self) -> User:
        assert self.user is not None
        return self.user

    def asked(self, name: str) -> str | None:
        """A query parameter, the last one where there are several."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise refused(400, {"detail": f"JSON parse error - {error}"}) from None
        if not isinstance(value, dict):
            raise refused(
                400, {"non_field_errors": [f"Invalid data. Expected a dictionary, but got {type(value).__name__}."]}
            )
        return value

    def required(self, *names: str) -> dict[str, Any]:
        """The body as a JSON object that has these fields."""
        value = self.json()
        lacking = {name: ["This field is required."] for name in names if name not in value}
        if lacking:
            raise refused(400, lacking)
        return value


Handler = Callable[..., Answer | Callable[[], Answer]]
"""Called under the lock; what it gives back, if not an answer, makes one without the lock."""
_ROUTES: list[tuple[re.Pattern[str], dict[str, tuple[Handler, bool]]]] = []
_BY_PATTERN: dict[str, dict[str, tuple[Handler, bool]]] = {}


def route(methods: str, pattern: str, *, public: bool = False) -> Callable[[Handler], Handler]:
    """Registers a handler: ``@route("GET PATCH", "/api/jobs/{id}")``.

    ``{id}`` is passed as a number, ``{file}`` is a TUS upload and ``{rq}`` a background request.

    Args:
        public: needs no credentials, and is throttled where it has none.
    """

    def register(handler: Handler) -> Handler:
        if pattern not in _BY_PATTERN:
            _BY_PATTERN[pattern] = {}
            expression = re.sub(r"\{id\}", r"(\\d+)", pattern)
            expression = expression.replace("{file}", r"(\d+_[0-9a-f-]{36})")
            expression = expression.replace("{rq}", r"([^/]+)")
            _ROUTES.append((re.compile(expression + "/?"), _BY_PATTERN[pattern]))
        for method in methods.split():
            _BY_PATTERN[pattern][method] = (handler, public)
        return handler

    return register


def find(method: str, path: str) -> tuple[Handler, bool, list[Any], str]:
    """The handler of a path, whether it is public, its arguments, and the methods that the path allows.

    Raises:
        RefusalError: no such path (404), or not with this method (405).
    """
    for expression, handlers in _ROUTES:
        if match := expression.fullmatch(path):
            allow = ", ".join(
                [*handlers, *(["HEAD"] if "GET" in handlers and "HEAD" not in handlers else []), "OPTIONS"]
            )
            if method not in handlers:
                if method == "HEAD" and "GET" in handlers:
                    method = "GET"
                else:
                    raise refused(405, {"detail": f'Method "{method}" not allowed.'}, [("Allow", allow)])
            handler, public = handlers[method]
            groups = [int(text) if text.isdecimal() else text for text in match.groups()]
            return handler, public, groups, allow
    raise refused(404, {"detail": "Not found."})


def number(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise refused(400, {name: ["A valid integer is required."]})
    return value


def text(value: Any, name: str, longest: int = 256) -> str:
    if not isinstance(value, str):
        raise refused(400, {name: ["Not a valid string."]})
    if not value.strip():
        raise refused(400, {name: ["This field may not be blank."]})
    if len(value) > longest:
        raise refused(400, {name: [f"Ensure this field has no more than {longest} characters."]})
    return value


def one_of(value: Any, name: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise refused(400, {name: [f'"{value}" is not a valid choice.']})
    return str(value)
