"""``report``: where the loop stands and what each round brought, on one page and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.app.engine import Engine
from data_engine.app.outputs import output_key
from data_engine.app.rounds import report_rounds, rounds
from data_engine.app.rounds.report_models import certificate, models_of, promotions
from data_engine.app.rounds.report_people import looked_at, people
from data_engine.app.selection.gallery import thumbnails
from data_engine.app.status import status
from data_engine.errors import DataEngineError, MissingInputError, ServiceError
from data_engine.lineage import choices, datasets, footage, models
from data_engine.types import Report
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.pages.report import ChosenFrames
    from data_engine.types import Detections
    from data_engine.types.evaluation import EvaluationSet

OUTPUT = "report.html"
PICTURES = 12
"""Chosen frames that are shown."""


def report(engine: Engine, *, output: Path | None = None, evaluate: bool = True) -> Report:
    """Write the page and tell the same.

    Args:
        engine: the workspace.
        output: the page; ``report.html`` of the workspace by default.
        evaluate: measure the rounds' models on today's pictures where that was not done before; otherwise the numbers
            are those of the moment when each round ended.

    Raises:
        UsageError: the output is a folder, or no page.
        ConflictError: it is a place of the workspace's own.
    """
    from data_engine.pages.report import report_page

    target = OUTPUT if output is None else output_key(engine, "--output", output, (".html", ".htm"))
    notes: list[str] = []
    data = gathered(engine, notes, evaluate=evaluate)
    chosen = _chosen(engine)
    if chosen is not None:
        for one, row in zip(data["chosen"]["shown"], chosen.selection.frames, strict=True):
            one["boxes"] = _boxes(chosen.detections.get(row.frame_id), chosen.class_names, chosen.floor)
    engine.storage.write_bytes(target, report_page(data, chosen).encode())
    told = data["rounds"]
    return Report(
        title=f"{counted(len(told), 'round')} told in {engine.shown(target)}",
        data={
            "page": engine.shown(target),
            # Absent parts are empty: nothing of them is to be shown among the values.
            **{name: {} if value is None else value for name, value in data.items() if name != "next"},
        },
        rows=tuple(_row(one) for one in told),
        notes=tuple(dict.fromkeys(notes)),
        next=data["next"],
    )


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    reached = ((one["reached"] or {}).get("map50")) or {}
    return {
        "round": one["round"],
        "version": one["version"],
        "frames": one["frames"],
        "boxes": one["boxes"],
        "minutes": None if one["minutes"] is None else round(one["minutes"], 1),
        "map50": reached.get("value"),
        "low": reached.get("low"),
        "high": reached.get("high"),
        "decision": one["decision"],
    }


def gathered(engine: Engine, notes: list[str], *, evaluate: bool) -> dict[str, Any]:
    """Everything that the page shows, as plain JSON values; what could not be had is told in ``notes``."""
    found = rounds.told(engine)
    on = _pictures(engine, notes) if evaluate and found else None
    flow, following = _flow(engine, notes)
    told = report_rounds.told(engine, found, on)
    return {
        "workspace": engine.root.name,
        "at": engine.now(),
        "flow": flow,
        "next": following,
        "rounds": told,
        "measured_on": None if on is None else {"name": on.name, "kind": on.kind, "images": len(on.frames)},
        "verdict": _verdict(engine, found) if evaluate else None,
        "class_balance": report_rounds.class_balance(engine, found),
        **people(engine),
        "audit": looked_at(engine, notes),
        "chosen": _choice(engine),
        "models": models_of(engine, on),
        "promotions": promotions(engine),
        "certificate": certificate(engine),
    }


def _pictures(engine: Engine, notes: list[str]) -> EvaluationSet | None:
    from data_engine.app.models.evaluate import evaluation_set

    try:
        on = evaluation_set(engine, None)
    except MissingInputError as error:
        notes.append(f"the models were not measured anew: {error.message}")
        return None
    notes += on.notes
    return on


def _flow(engine: Engine, notes: list[str]) -> tuple[list[dict[str, Any]], str]:
    """Counts at each step, and what comes next."""
    try:
        found = status(engine)
    except ServiceError as error:
        notes.append(f"the annotation server was not asked: {error.message}")
        with engine.database.read() as connection:
            counts, chosen = footage.count(connection), choices.count(connection)
            versions, trained = datasets.versions(connection), models.trained(connection)
        rows = [
            {"step": "videos", "count": counts["videos"], "detail": ""},
            {"step": "frames sampled", "count": counts["sampled"], "detail": ""},
            {"step": "hard frames", "count": chosen["chosen"], "detail": counted(chosen["selections"], "selection")},
            {"step": "dataset versions", "count": len(versions), "detail": versions[-1].label if versions else ""},
            {"step": "models", "count": len(trained), "detail": ""},
        ]
        return rows, "dataengine status"
    return [dict(row) for row in found.rows], found.next


def _verdict(engine: Engine, found: list[Any]) -> dict[str, Any] | None:
    """Whether another round is worth it."""
    if not found:
        return None
    try:
        said = rounds.verdict(engine, found)
    except DataEngineError as error:
        return {"go_on": None, "told": error.message}
    return {"go_on": None, "told": said} if isinstance(said, str) else said.as_json()


def _choice(engine: Engine) -> dict[str, Any] | None:
    """The newest selection: the first of its frames, and how many there are."""
    with engine.database.read() as connection:
        selection = choices.latest(connection)
        if selection is None:
            return None
        frames = footage.frames_by_id(connection, [row.frame_id for row in selection.frames])
    return {
        "frames": len(selection.frames),
        "model": selection.model_id,
        "shown": [
            {
                "rank": row.rank,
                "frame": frames[row.frame_id].name,
                "camera": frames[row.frame_id].camera,
                "score": row.score,
                "reason": row.reason,
            }
            for row in selection.frames[:PICTURES]
            if row.frame_id in frames
        ],
    }


def _chosen(engine: Engine) -> ChosenFrames | None:
    """The first frames of the newest selection, and what its model saw on them; None without a selection."""
    from dataclasses import replace

    from data_engine.app.models.models import stored_predictions
    from data_engine.pages.report import ChosenFrames

    settings = engine.settings.filter
    with engine.database.read() as connection:
        selection = choices.latest(connection)
        if selection is None:
            return None
        ids = [row.frame_id for row in selection.frames[:PICTURES]]
        frames = footage.frames_by_id(connection, ids)
        model = None if selection.model_id is None else models.by_id(connection, selection.model_id)
    first = tuple(row for row in selection.frames[:PICTURES] if row.frame_id in frames)
    selection = replace(selection, frames=first, refused=())
    seen: Mapping[str, Detections] = {}
    if model is not None:
        try:
            seen = stored_predictions(engine, model, ids)
        except DataEngineError:
            # The pictures are shown without: its column files are gone.
            seen = {}
    return ChosenFrames(
        selection,
        frames,
        seen,
        () if model is None else model.class_names,
        thumbnails(engine, [frames[row.frame_id] for row in first]) if first else {},
        settings.floor,
        settings.confidence_threshold,
    )


def _boxes(seen: Detections | None, names: Sequence[str], floor: float) -> list[dict[str, Any]]:
    """What the model saw, best first."""
    from data_engine.pages.cards import boxes_of

    found = () if seen is None else boxes_of(seen, floor)
    return [{"class": names[box.label], "score": box.score, "xywh": list(box.xywh)} for box in found]
