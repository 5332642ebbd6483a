"""What a handler gives back, and the refusals of CVAT in the four shapes that its error bodies have."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JSON = "application/vnd.cvat+json"
HTML_500 = (
    '\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Server Error (500)</title>\n</head>\n<body>\n'
    "  <h1>Server Error (500)</h1><p></p>\n</body>\n</html>\n"
)
"""What Django answers when it has no better idea."""


@dataclass(slots=True)
class Answer:
    """One response: its status, its body (bytes, or a file that is sent as it is) and its own headers."""

    status: int = 200
    body: bytes = b""
    type: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    file: Path | None = None


class RefusalError(Exception):
    """Raised anywhere below a handler, answered as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def as_json(value: Any, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Answer:
    return Answer(status, json.dumps(value, separators=(",", ":")).encode(), JSON, headers or [])


def refused(status: int, value: Any, headers: list[tuple[str, str]] | None = None) -> RefusalError:
    """A refusal whose body is ``value`` as JSON: ``{"detail": …}``, ``{"field": […]}`` or ``["text"]``."""
    return RefusalError(as_json(value, status, headers))


def plain(status: int, text: str) -> Answer:
    """The fourth shape: bare text."""
    return Answer(status, text.encode(), "text/html; charset=utf-8")


def denied() -> RefusalError:
    return refused(403, {"detail": "You do not have permission to perform this action."})


def missing(kind: str) -> RefusalError:
    return refused(404, {"detail": f"No {kind} matches the given query."})


def invalid(*messages: str) -> RefusalError:
    return refused(400, list(messages))


def invalid_field(name: str, *messages: str) -> RefusalError:
    return refused(400, {name: list(messages)})


def server_error() -> RefusalError:
    return RefusalError(plain(500, HTML_500))
