"""Remarks on jobs.

On the server a remark is on a part of a frame and belongs to the account that made it.  Who really said it, and that
it is about the whole frame or job, stands in a last line of the message: ``[by ann; on the whole job]``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.jobs import moment
from data_engine.types import Issue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from data_engine.annotation.cvat.connection import Connection
    from data_engine.annotation.cvat.shapes import Picture

_LAST_LINE = re.compile(r"\n\[(?:by (?P<author>[^\]\n;]+))?(?:; )?(?:on the whole (?P<scope>frame|job))?\]$")


def written(message: str, author: str | None, scope: str | None) -> str:
    """A message with its last line, where it needs one."""
    parts = [f"by {author}"] if author else []
    parts += [f"on the whole {scope}"] if scope else []
    return f"{message}\n[{'; '.join(parts)}]" if parts else message


def read(text: str) -> tuple[str, str | None, str | None]:
    """Message, author and scope of what :func:`written` made, or of a message that a person typed."""
    found = _LAST_LINE.search(text)
    if found is None:
        return text, None, None
    return text[: found.start()], found["author"], found["scope"]


def all_of(connection: Connection, job_id: int, pictures: Mapping[int, Picture]) -> list[Issue]:
    """Remarks on a job, oldest first."""
    rows = connection.pages("/api/issues", job_id=job_id)
    texts: dict[int, str] = {}
    for comment in connection.pages("/api/comments", job_id=job_id) if rows else ():
        # The first comment is the issue's own message, later ones are answers.
        texts.setdefault(comment["issue"], comment["message"])
    return [_issue(connection, row, texts.get(row["id"], ""), pictures) for row in rows]


def add(
    connection: Connection,
    job_id: int,
    message: str,
    pictures: Mapping[int, Picture],
    check: Callable[[], None],
    *,
    author: str | None,
    frame: int | None,
    xywh: tuple[float, float, float, float] | None,
) -> Issue:
    """Add a remark, once; one about the whole job is shown on its first frame.

    Before each try ``check`` raises where it is not wanted any more.
    """
    scope = None if xywh is not None else "job" if frame is None else "frame"
    number = min(pictures) if frame is None else frame
    picture = pictures[number]
    x, y, width, height = xywh or (0.0, 0.0, float(picture.width), float(picture.height))
    text = written(message, author, scope)
    body = {"job": job_id, "frame": number, "position": [x, y, x + width, y + height], "message": text}
    before = {row["id"] for row in connection.pages("/api/issues", job_id=job_id)}

    def look() -> dict[str, Any] | None:
        rows = [row for row in connection.pages("/api/issues", job_id=job_id) if row["id"] not in before]
        said = {c["issue"]: c["message"] for c in reversed(connection.pages("/api/comments", job_id=job_id))}
        found = next((r for r in rows if (r["frame"], said.get(r["id"])) == (number, text)), None)
        if found is None:
            check()
        return found

    check()
    row = connection.request("POST", "/api/issues", json=body, look=look, always=True)
    return _issue(connection, row, text, pictures)


def _issue(connection: Connection, row: Mapping[str, Any], text: str, pictures: Mapping[int, Picture]) -> Issue:
    message, author, scope = read(text)
    owner = row["owner"] or {}
    if author is None and owner.get("id") != connection.me()["id"]:
        author = owner.get("username")
    picture = pictures.get(row["frame"])
    named = picture is not None and scope != "job"
    left, top, right, bottom = (float(value) for value in row["position"][:4])
    xywh = None if scope or not named else (left, top, right - left, bottom - top)
    created = moment(row["created_date"])
    name = picture.name if picture is not None and named else None
    return Issue(row["id"], row["job"], message, author, created, name, xywh, bool(row["resolved"]))
