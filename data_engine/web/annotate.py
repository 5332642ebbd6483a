"""The pages of annotators: their jobs, and the editor with what it saves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from data_engine.app.annotation import drafts
from data_engine.app.annotation.drafts import Opened
from data_engine.types import Draft, DraftMovedError, Issue, content_id
from data_engine.web.context import MOST, Context, Here, Number
from data_engine.web.render import page
from data_engine.words import elapsed

router = APIRouter()

FrameId = Annotated[str, Path(pattern="^[0-9a-f]{1,64}$")]
NUMBER_KEYS = 9
"""Classes that have a key of their own."""


class Saved(BaseModel):
    """A frame as the editor sends it."""

    model_config = ConfigDict(extra="forbid")

    revision: str = Field(max_length=64)
    """Of the boxes that were changed."""
    boxes: list[dict[str, Any]] = Field(max_length=drafts.MOST_BOXES)


@router.get("/jobs")
def jobs(
    here: Here, turn: Annotated[int, Query(ge=0, le=2)] = 0, after: Annotated[int, Query(ge=0, le=MOST)] = 0
) -> Response:
    """My jobs, and those that nobody has."""
    found = drafts.lists(here.engine, here.person.name, (turn, after) if after else None)
    more = None if found.after is None else urlencode({"turn": found.after[0], "after": found.after[1]})
    return page(here, "annotate/jobs.html", lists=found, more=more, later=after > 0, age=_age(here))


@router.post("/jobs/{job}/take")
def take(here: Here, job: Number) -> Response:
    """Begin a job that nobody has, or one's own."""
    drafts.start(here.engine, job, here.person.name)
    return RedirectResponse(f"/jobs/{job}/annotate", 303)


@router.get("/jobs/{job}/annotate")
def annotate(here: Here, job: Number) -> Response:
    """The editor; what is to be done instead, where the job is not this person's to edit."""
    opened = drafts.open_job(here.engine, job)
    mine = opened.job.assignee == here.person.name and opened.job.stage == "annotation"
    if not (mine and opened.drawn_here and opened.frames):
        return page(here, "annotate/not_yours.html", opened=opened, mine=mine)
    remarked = {issue.frame_name for issue in opened.remarks}
    editor = _editor(here, opened)
    return page(here, "annotate/editor.html", opened=opened, editor=editor, remarked=remarked, number_keys=NUMBER_KEYS)


@router.post("/jobs/{job}/start")
def start(here: Here, job: Number) -> Response:
    """The editor was opened: work begins."""
    return JSONResponse({"title": drafts.start(here.engine, job, here.person.name).title})


@router.get("/jobs/{job}/session")
def session(here: Here, job: Number) -> Response:
    """Who is signed in by now, for an editor whose session was over: its next changes carry this token."""
    return JSONResponse({"person": here.person.name, "csrf": here.csrf, "job": job})


@router.get("/jobs/{job}/frames/{frame_id}")
def frame(here: Here, job: Number, frame_id: FrameId) -> Response:
    """A frame's boxes as they are being edited."""
    found = drafts.read(here.engine, job, frame_id)
    return JSONResponse({**_draft(found.draft), "proposed": [drafts.told(box) for box in found.proposed]})


@router.put("/jobs/{job}/frames/{frame_id}")
def save(here: Here, job: Number, frame_id: FrameId, saved: Annotated[Saved, Body()]) -> Response:
    """Save a frame; where somebody else did since, what they left (409)."""
    boxes = [drafts.box_of(given) for given in saved.boxes]
    try:
        now = drafts.save(here.engine, job, frame_id, boxes, expected=saved.revision, person=here.person.name)
    except drafts.FrameGoneError as error:
        return JSONResponse({"error": "frame-gone", "message": error.message, "hint": error.hint}, 404)
    except DraftMovedError as error:
        theirs = _draft(error.theirs)
        return JSONResponse({"error": "moved", "message": error.message, "hint": error.hint, "theirs": theirs}, 409)
    return JSONResponse(_draft(now))


@router.post("/jobs/{job}/submit")
def submit(here: Here, job: Number) -> Response:
    """Hand the job in as it was saved last."""
    report = drafts.submit(here.engine, job, here.person.name)
    here.flash(f"{report.title}; it waits for review")
    return JSONResponse({"title": report.title, "next": "/jobs"})


def _draft(draft: Draft) -> dict[str, Any]:
    boxes = [drafts.told(box) for box in draft.boxes]
    return {"revision": draft.revision, "boxes": boxes, "by": draft.by, "at": draft.at}


def _editor(here: Context, opened: Opened) -> dict[str, Any]:
    """What the editor's scripts begin with."""
    frames = {frame.name: frame.id for frame in opened.frames}
    return {
        "workspace": content_id("workspace", str(here.engine.root)),
        "job": opened.job.id,
        "person": here.person.name,
        "state": opened.job.state,
        "labels": opened.labels,
        "frames": [{"id": f.id, "name": f.name, "width": f.width, "height": f.height} for f in opened.frames],
        "remarks": [_remark(issue, frames) for issue in opened.remarks],
    }


def _remark(issue: Issue, frames: dict[str, str]) -> dict[str, Any]:
    return {
        "message": issue.message,
        "author": issue.author,
        "frame": frames.get(issue.frame_name or ""),
        "xywh": None if issue.xywh is None else list(issue.xywh),
    }


def _age(here: Context) -> Any:
    now = here.engine.clock()
    return lambda at: elapsed(max(0.0, (now - datetime.fromisoformat(at)).total_seconds()))
