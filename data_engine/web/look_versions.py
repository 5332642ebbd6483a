"""``/versions``: the versions of the dataset, one of them, and what distinguishes two."""

from __future__ import annotations

from itertools import chain

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from data_engine.app.dataset.dataset_certificate import not_shown, written, wrong_with
from data_engine.app.dataset.dataset_versions import find_version
from data_engine.app.dataset.difference import KINDS
from data_engine.app.dataset.version_look import all_versions, pictured
from data_engine.web.board import board_of
from data_engine.web.context import Here
from data_engine.web.render import page, part

router = APIRouter()

_PAGE = 24
"""Frames of a difference on a page, each drawn twice."""
_LISTED = 100
"""Versions on a page."""
_LONGEST = 40


@router.get("/versions", response_class=HTMLResponse)
def versions(here: Here, below: int | None = Query(None, ge=1, le=1 << 31)) -> HTMLResponse:
    """All versions, the newest first, each with what it changed."""
    known = [version for version in reversed(all_versions(here.engine)) if below is None or version.number < below]
    made = board_of(here.request).versions.get(here.engine)
    told = {} if made is None else {row["version"]: row for row in made.value}
    shown = known[:_LISTED]
    more = shown[-1].number if len(known) > _LISTED else None
    return page(
        here,
        "look/versions.html",
        shown=shown,
        told=told,
        counting=any(one.label not in told for one in shown),
        below=more,
    )


@router.get("/versions/{label}", response_class=HTMLResponse)
def version(here: Here, label: str) -> HTMLResponse:
    """What a version holds and its certificate."""
    engine = here.engine
    found = find_version(engine, label[:_LONGEST])
    known = all_versions(engine)
    said = written(engine, found.number)
    if said is not None and said["id"] != found.id:
        said = None
    made = board_of(here.request).held.get(engine, found.label)
    return page(
        here,
        "look/version.html",
        version=found,
        others=[other for other in known if other.id != found.id][-50:],
        parent=next((other for other in known if other.id == found.parent_id), None),
        said=said,
        wrong=[] if said is None else wrong_with(said),
        untold="" if said is None else not_shown(said),
        tables=None if made is None else made.value,
    )


@router.get("/versions/{label}/tables", response_class=HTMLResponse)
def tables(here: Here, label: str) -> HTMLResponse:
    """The tables of a version, where they had still to be counted."""
    found = find_version(here.engine, label[:_LONGEST])
    made = board_of(here.request).held.get(here.engine, found.label)
    return part(here, "look/tables.html", version=found, tables=None if made is None else made.value)


@router.get("/versions/{label}/diff", response_class=HTMLResponse)
def against(here: Here, label: str, other: str = Query(max_length=_LONGEST)) -> Response:
    """Hold a version against another one, the older one first."""
    pair = sorted((find_version(here.engine, name[:_LONGEST]) for name in (label, other)), key=lambda v: v.number)
    return RedirectResponse(f"/versions/{pair[0].label}/diff/{pair[1].label}", 303)


@router.get("/versions/{first}/diff/{second}", response_class=HTMLResponse)
def difference(
    here: Here,
    first: str,
    second: str,
    kind: str = Query("", max_length=9),
    start: int = Query(0, ge=0, le=1 << 31),
) -> HTMLResponse:
    """The frames that two versions do not hold alike, with the boxes of both."""
    engine = here.engine
    before, after = find_version(engine, first[:_LONGEST]), find_version(engine, second[:_LONGEST])
    address = f"/versions/{before.label}/diff/{after.label}"
    made = board_of(here.request).compared.get(engine, (before, after))
    if made is None:
        title = f"{before.label} and {after.label}"
        return page(here, "look/wait.html", title=title, what="The versions are being compared", again=address)
    found = made.value
    kinds = [kind] if kind in KINDS else list(KINDS)
    differing = list(chain.from_iterable(found.frames[one] for one in kinds))
    shown = pictured(engine, before, after, differing[start : start + _PAGE])
    query = f"kind={kind}&" if kind in KINDS else ""
    return page(
        here,
        "look/diff.html",
        before=before,
        after=after,
        found=found,
        kind=kind if kind in KINDS else "",
        kinds=KINDS,
        address=address,
        shown=shown,
        first=start + 1,
        total=len(differing),
        previous=f"{address}?{query}start={max(0, start - _PAGE)}" if start else "",
        following=f"{address}?{query}start={start + _PAGE}" if start + _PAGE < len(differing) else "",
    )
