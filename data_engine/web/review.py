"""Review: the jobs that wait, one of them frame by frame, and the decision on it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Form, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, Field

from data_engine.app.annotation import reviewing, reviewing_decide, reviewing_job, reviewing_marks
from data_engine.app.annotation.reviewing_decide import Decision
from data_engine.app.annotation.reviewing_marks import Given, Standing
from data_engine.errors import UsageError
from data_engine.lineage.reviewing import MarkName
from data_engine.web.context import MOST, Context, Here, Number, needs
from data_engine.web.refusals import wants_page
from data_engine.web.render import page, part

router = APIRouter(dependencies=[needs("reviewer")])
_MOST_MARKS = 1000


class MarkIn(BaseModel):
    """A mark as the page sends it."""

    frame: str = Field(max_length=64)
    mark: MarkName
    content: str = Field(max_length=64)
    seconds: float = Field(0.0, ge=0.0, allow_inf_nan=False)


@router.get("/review")
def jobs(
    here: Here, task: str = "", annotator: str = "", mine: bool = False, after: str = "", rows: bool = False
) -> HTMLResponse:
    """The jobs that wait, those that waited longest first; with ``rows`` only more of them."""
    if task and not (task.isdecimal() and int(task[:11]) <= MOST):
        raise UsageError(f"a task has a number, not {task!r}")
    found = reviewing.waiting(
        here.engine,
        task=int(task) if task else None,
        annotator=annotator or None,
        person=here.person.name if mine else None,
        after=after,
    )
    given = {"task": task, "annotator": annotator, **({"mine": "1"} if mine else {})}
    chosen = {name: value for name, value in given.items() if value}
    more = f"/review?{urlencode({**chosen, 'after': found.next})}" if found.next else ""
    show = part if rows else page
    name = "review/rows.html" if rows else "review/list.html"
    return show(here, name, found=found, chosen=given, more=more, begun=bool(after))


@router.get("/review/{job}")
def job(here: Here, job: Number, frame: str = "") -> HTMLResponse:
    """One job, frame by frame."""
    shown = reviewing_job.view(here.engine, job)
    standing = reviewing_marks.known_standing(here.engine, job)
    # Where nobody can tell who somebody is, nobody is kept from deciding on their own work.
    own = reviewing_decide.own_work(here.engine, shown, here.person.name) if here.site.with_accounts else ""
    data = {
        "job": job,
        "person": here.person.name,
        "workspace": here.engine.root.name,
        "expected": shown.seen.job.updated_at,
        "recorded": standing.updated_at if standing else "",
        "waits": shown.waits,
        "own": own,
        "start": frame,
        "frames": [each.told() for each in shown.frames],
    }
    return page(here, "review/job.html", job=shown, data=data, own=own)


@router.get("/review/{job}/state")
def state(here: Here, job: Number) -> dict[str, Any]:
    """What everybody has said of a job by now."""
    return reviewing_marks.standing(here.engine, job).told()


@router.post("/review/{job}/marks")
def mark(
    here: Here, job: Number, marks: Annotated[list[MarkIn], Body(embed=True, max_length=_MOST_MARKS)]
) -> dict[str, Any]:
    """Keep what was said of frames, in this order."""
    given = [Given(each.frame, each.mark, each.content, each.seconds) for each in marks]
    return reviewing_marks.mark(here.engine, job, here.person.name, given).told(besides=here.person.name)


@router.post("/review/{job}/remarks")
def remark(
    here: Here,
    job: Number,
    frame: Annotated[str, Form(max_length=64)],
    message: Annotated[str, Form(max_length=4 * reviewing_marks.LONGEST)],
    box: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Keep what is wrong on a frame until the job is rejected."""
    kept = reviewing_marks.remark(here.engine, job, here.person.name, frame, message, _box(box))
    return _standing(here, job, kept, "The remark is kept until you reject the job.")


@router.post("/review/{job}/remarks/{remark}/remove")
def unremark(here: Here, job: Number, remark: str) -> Response:
    """Take a remark back that was not sent."""
    return _standing(here, job, reviewing_marks.unremark(here.engine, job, remark), "The remark is gone.")


@router.post("/review/{job}/accept")
def accept(here: Here, job: Number, expected: Annotated[str, Form(max_length=64)]) -> Response:
    """Accept a job as it was on the page."""
    made = reviewing_decide.accept(
        here.engine, job, by=here.person.name, expected=expected, others_only=here.site.with_accounts
    )
    return _decided(here, made)


@router.post("/review/{job}/reject")
def reject(
    here: Here,
    job: Number,
    expected: Annotated[str, Form(max_length=64)],
    reason: Annotated[str, Form(max_length=4 * reviewing_marks.LONGEST)] = "",
    frame: Annotated[str, Form(max_length=64)] = "",
    box: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Send a job back with a reason, which may point at a frame, and with all that was remarked."""
    if frame and reason.strip():
        reviewing_marks.remark(here.engine, job, here.person.name, frame, reason, _box(box))
        reason = ""
    made = reviewing_decide.reject(
        here.engine, job, by=here.person.name, expected=expected, others_only=here.site.with_accounts, reason=reason
    )
    return _decided(here, made)


def _standing(here: Context, job: int, kept: Standing, said: str) -> Response:
    if not wants_page(here.request):
        return JSONResponse(kept.told(besides=here.person.name))
    here.flash(said)
    return RedirectResponse(f"/review/{job}", 303)


def _decided(here: Context, made: Decision) -> Response:
    address = f"/review/{made.next}" if made.next is not None else "/review"
    if not wants_page(here.request):
        return JSONResponse({"said": made.said, "next": made.next, "address": address})
    here.flash(made.said)
    return RedirectResponse(address, 303)


def _box(text: str) -> tuple[float, float, float, float] | None:
    """``"10,20,30,40"`` as numbers; None for nothing."""
    if not text.strip():
        return None
    try:
        x, y, w, h = (float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"{text!r} is no place: left, top, width and height in pixels, as in 10,20,64,48") from None
    return x, y, w, h
