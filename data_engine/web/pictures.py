"""``/pictures/{frame}`` and ``/thumbs/{frame}``: what a browser shows of a frame.

A frame's id stands for its pixels, so a browser that has it never asks again while it keeps it.
"""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from data_engine.app.footage.renditions import Size, rendition
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.web.context import Here

router = APIRouter()

# A purge asks that nothing of a source is left, in browsers too: not for a year, as an address of content could be.
_CACHING = "private, max-age=86400, immutable"
_PLACEHOLDER = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 180" width="320" height="180" role="img">'
    '<rect width="320" height="180" fill="#e8eaed"/>'
    '<path d="M40 40 L280 140 M280 40 L40 140" stroke="#b6bcc4" stroke-width="2"/>'
    '<text x="160" y="96" text-anchor="middle" font-family="sans-serif" font-size="16" fill="#3c4350"'
    ' stroke="#e8eaed" stroke-width="6" paint-order="stroke">{}</text></svg>'
)


@router.get("/thumbs/{frame_id}", response_class=Response)
def thumb(here: Here, frame_id: str) -> Response:
    """A small copy of a frame, at most 320 pixels long."""
    return _answer(here, frame_id, "thumb")


@router.get("/pictures/{frame_id}", response_class=Response)
def picture(here: Here, frame_id: str) -> Response:
    """A frame: its file, or a reduced copy of one of more than 16 megapixels."""
    return _answer(here, frame_id, "shown")


def _answer(here: Here, frame_id: str, size: Size) -> Response:
    try:
        found = rendition(here.engine, frame_id, size)
    except MissingInputError:
        return _placeholder(404, "picture is gone")
    except DamagedInputError:
        return _placeholder(422, "picture is damaged")
    tag = f'"{found.tag}"'
    headers = {"etag": tag, "cache-control": _CACHING}
    if _has(here.request, tag):
        return Response(status_code=304, headers=headers)
    return FileResponse(found.path, media_type=found.media_type, headers=headers)


def _has(request: Request, tag: str) -> bool:
    """Whether the browser has this very content (RFC 9110, 13.1.2: compared without the mark of weak ones)."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in given.split(","))


def _placeholder(status: int, words: str) -> Response:
    return Response(
        _PLACEHOLDER.format(escape(words)), status, headers={"cache-control": "no-store"}, media_type="image/svg+xml"
    )
