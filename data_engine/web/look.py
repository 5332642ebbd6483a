"""``/selections``: which frames were chosen, in which order and why."""

from __future__ import annotations

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from data_engine.errors import MissingInputError
from data_engine.lineage import choices, footage
from data_engine.web.context import Here, Number
from data_engine.web.render import page

router = APIRouter()

_PAGE = 60
_LISTED = 30


@router.get("/selections", response_class=HTMLResponse)
def selections(here: Here, below: int | None = Query(None, ge=1, le=1 << 31)) -> HTMLResponse:
    """The selections, the newest first."""
    with here.engine.database.read() as connection:
        found = choices.heads(connection, _LISTED + 1, below=below)
        sizes = {head.id: choices.size(connection, head.id) for head in found[:_LISTED]}
    more = found[_LISTED - 1].number if len(found) > _LISTED else None
    return page(here, "look/selections.html", heads=found[:_LISTED], sizes=sizes, below=more, first=below is None)


@router.get("/selections/{number}", response_class=HTMLResponse)
def selection(
    here: Here,
    number: Number,
    above: int = Query(0, ge=0, le=1 << 31),
    below: int | None = Query(None, ge=1, le=1 << 31),
) -> HTMLResponse:
    """The frames of one, by rank, each with why it was chosen."""
    with here.engine.database.read() as connection:
        head = choices.head(connection, number)
        if head is None:
            raise MissingInputError(f"there is no selection {number}", hint="dataengine filter makes one")
        size = choices.size(connection, head.id)
        found = choices.ranked(connection, head.id, _PAGE, above=above, below=below)
        frames = footage.frames_by_id(connection, [one.frame_id for one in found])
        before = bool(found) and bool(choices.ranked(connection, head.id, 1, below=found[0].rank))
        after = bool(found) and bool(choices.ranked(connection, head.id, 1, above=found[-1].rank))
    settings = {
        name.replace("_", " "): value
        for name, value in head.settings.items()
        if name not in ("scope", "version", "record") and value is not None and value != []
    }
    return page(
        here,
        "look/selection.html",
        head=head,
        size=size,
        rows=[(one, frames[one.frame_id]) for one in found if one.frame_id in frames],
        settings=settings,
        previous=f"/selections/{number}?below={found[0].rank}" if before else "",
        following=f"/selections/{number}?above={found[-1].rank}" if after else "",
    )
