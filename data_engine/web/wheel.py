"""``/``: the wheel.  What lives is a part of its own, which the page asks for again and again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from data_engine.app.pages.running import Seen, running
from data_engine.app.pages.wheel import Concern
from data_engine.web.board import board_of
from data_engine.web.charts import columns, intervals
from data_engine.web.context import Context, Here
from data_engine.web.render import page, part
from data_engine.words import elapsed

router = APIRouter()

_MOST_ROUNDS = 12


@router.get("/", response_class=HTMLResponse)
def wheel(here: Here) -> HTMLResponse:
    """The whole page."""
    return page(here, "wheel/index.html", **_now(here), **_history(here))


@router.get("/wheel/now", response_class=HTMLResponse)
def now(here: Here) -> HTMLResponse:
    """Counts, running commands and warnings, as they are now."""
    return part(here, "wheel/now.html", **_now(here))


@router.get("/wheel/history", response_class=HTMLResponse)
def history(here: Here) -> HTMLResponse:
    """Rounds, classes and people."""
    return part(here, "wheel/history.html", **_history(here))


def _now(here: Context) -> dict[str, Any]:
    board = board_of(here.request)
    made = board.flow.get(here.engine)
    concerns: Sequence[Concern] | None
    try:
        looked = board.looked.get(here.engine)
        concerns = None if looked is None else looked.value
    except Exception as error:  # it is logged; the rest of the page is there all the same
        concerns = (Concern("not counted", f"whether annotators look: {error}"[:200]),)
    # Who may not review finds the jobs on a page of their own.
    jobs = "/review" if here.person.is_at_least("reviewer") else "/jobs"
    return {
        "jobs": jobs,
        "flow": None if made is None else made.value,
        "counted_at": "" if made is None else made.at[:19].replace("T", " "),
        "commands": [_command(seen) for seen in running(here.engine.root)],
        "concerns": [*(made.value.warnings if made else ()), *(concerns or ())],
        "looking": concerns is None,
    }


def _command(seen: Seen) -> dict[str, Any]:
    work = seen.work
    age_s = (datetime.now(UTC) - seen.at).total_seconds()
    return {
        "command": work.command,
        "label": work.label,
        "alive": seen.alive,
        "told": f"{work.done:,}" + (f" of {work.total:,}" if seen.share is not None else "") + f" {work.unit}",
        "share": seen.share,
        "left": "" if seen.left_s is None or not seen.alive else elapsed(seen.left_s),
        "age": elapsed(age_s),
    }


def _history(here: Context) -> dict[str, Any]:
    made = board_of(here.request).history.get(here.engine)
    if made is None:
        return {"told": None}
    told = made.value
    shown = told["rounds"][-_MOST_ROUNDS:]
    balance = told["class_balance"]
    rare = balance["rarest_class"] if balance and len(balance["classes"]) > 1 else None
    measures = [("all classes", [_measure(one, None) for one in shown])]
    if rare is not None:
        measures.append((f"{rare} (rarest)", [_measure(one, rare) for one in shown]))
    labels = [str(one["round"]) for one in shown]
    return {
        "told": told,
        "shown": [
            {**one, "map50": _measure(one, None), "rare": _measure(one, rare) if rare else None} for one in shown
        ],
        "rare": rare,
        "reached": intervals(labels, measures, unit="AP50 by round"),
        "labelled": columns(labels, [float(one["frames"] or 0) for one in shown], unit="frames labelled by round"),
        "most": max((row["after"] for row in balance["classes"]), default=0) if balance else 0,
    }


def _measure(one: dict[str, Any], name: str | None) -> dict[str, Any]:
    """What a round's model reached, over all classes or for one."""
    reached = one["reached"] or {}
    found = reached.get("map50") if name is None else (reached.get("ap50_per_class") or {}).get(name)
    return found or {"value": None, "low": None, "high": None}
