"""``/frames``: all frames by filters, one of them with its boxes, and those that look like it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from data_engine.app.footage.frame_index import DISPUTED, STATES, FrameIndex, Wanted
from data_engine.app.footage.frame_look import look
from data_engine.errors import MissingInputError
from data_engine.lineage import footage
from data_engine.web.board import board_of
from data_engine.web.context import Context, Here
from data_engine.web.render import page

router = APIRouter()

PAGE = 60
"""Frames on a page."""
_ALIKE = 60
_LONGEST = 200
"""Letters of what somebody asks for."""


@router.get("/frames", response_class=HTMLResponse)
def frames(
    here: Here,
    camera: str = Query("", max_length=_LONGEST),
    label: str = Query("", alias="class", max_length=_LONGEST),
    state: str = Query("", max_length=_LONGEST),
    round: str = Query("", max_length=9),
    least: str = Query("", max_length=20),
    most: str = Query("", max_length=20),
    name: str = Query("", max_length=_LONGEST),
    order: str = Query("name", max_length=9),
    after: str = Query("", max_length=32),
    before: str = Query("", max_length=32),
) -> HTMLResponse:
    """A page of the frames that are looked for."""
    asked = {"camera": camera, "class": label, "state": state, "round": round, "least": least, "most": most}
    asked |= {"name": name, "order": "score" if order == "score" else ""}
    given = {key: value for key, value in asked.items() if value}
    made = board_of(here.request).frames.get(here.engine)
    if made is None:
        again = f"/frames?{urlencode(given)}"
        return page(here, "look/wait.html", title="Frames", what="The frames are being read", again=again)
    index = made.value
    wanted = Wanted(
        camera,
        label,
        state,
        _whole(round),
        _number(least),
        _number(most),
        name,
        "score" if order == "score" else "name",
    )
    shown = index.page(wanted, PAGE, after=after, before=before)
    last = shown.first + len(shown.ids)
    return page(
        here,
        "look/frames.html",
        asked=asked,
        index=index,
        states=(*STATES, DISPUTED),
        total=shown.total,
        read_at=made.at[11:19],
        first=shown.first + 1,
        last=last,
        cards=_cards(here, index, shown.ids),
        previous=f"/frames?{urlencode({**given, 'before': shown.ids[0]})}" if shown.first and shown.ids else "",
        following=f"/frames?{urlencode({**given, 'after': shown.ids[-1]})}" if last < shown.total else "",
    )


@router.get("/frames/{frame_id}", response_class=HTMLResponse)
def frame(here: Here, frame_id: str) -> HTMLResponse:
    """One frame with its boxes."""
    seen = look(here.engine, frame_id)
    hues = {label: f"c{place % 8}" for place, label in enumerate(seen.labels)}
    layers = [layer for layer in ("accepted", "proposal", "prediction") if any(b.layer == layer for b in seen.boxes)]
    # Large ones below, so that a pointer reaches the small ones.
    order = sorted(range(len(seen.boxes)), key=lambda place: -seen.boxes[place].xywh[2] * seen.boxes[place].xywh[3])
    return page(here, "look/frame.html", seen=seen, frame=seen.frame, hues=hues, layers=layers, order=order)


@router.get("/frames/{frame_id}/like", response_class=HTMLResponse)
def like(here: Here, frame_id: str) -> HTMLResponse:
    """The frames that look most like one."""
    engine = here.engine
    with engine.database.read() as connection:
        frame = footage.frames_by_id(connection, [frame_id]).get(frame_id)
    if frame is None:
        raise MissingInputError("no such frame is on record")
    board = board_of(here.request)
    made, index = board.vectors.get(engine), board.frames.get(engine)
    if made is None or index is None:
        again = f"/frames/{frame_id}/like"
        return page(here, "look/wait.html", title="Similar frames", what="The vectors are being read", again=again)
    found = made.value.like(frame_id, _ALIKE)
    cards = _cards(here, index.value, [other for other, _cosine in found])
    cosine = dict(found)
    for card in cards:
        card["cosine"] = cosine[card["frame"].id]
    return page(here, "look/like.html", frame=frame, cards=cards, described=len(made.value.ids))


def _cards(here: Context, index: FrameIndex, ids: Any) -> list[dict[str, Any]]:
    """What a grid shows of these frames; those that were purged since are left out."""
    with here.engine.database.read() as connection:
        found = footage.frames_by_id(connection, ids)
    cards = []
    for frame_id in ids:
        if frame_id in found:
            row = index.rows.get(frame_id)
            score = None if row is None or index.score[row] != index.score[row] else float(index.score[row])
            state = "" if row is None else STATES[index.state[row]]
            cards.append({"frame": found[frame_id], "score": score, "state": state})
    return cards


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value else None
