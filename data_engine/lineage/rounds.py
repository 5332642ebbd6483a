"""The loop's rounds: what each one cost and brought, and the rows from which that is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, upsert
from data_engine.lineage.datasets import holds
from data_engine.lineage.tables import (
    IMPORT,
    accepted,
    dataset_frames,
    dataset_versions,
    frames,
    jobs,
    models,
    predictions,
    rounds,
    runs,
    sampled,
    selection_frames,
    selections,
    task_frames,
)


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of the loop: from the choice of frames to the model that was trained on them."""

    number: int
    """From 1."""
    begun_at: str
    ended_at: str | None = None
    """When its model was registered; None while it is under way."""
    version: int | None = None
    """Number of the dataset version that its model was trained on."""
    model_before: str | None = None
    """The model that chose its frames."""
    model_after: str | None = None
    """The model that was trained, whether or not it was promoted."""
    pool: int | None = None
    """Frames that were chosen from."""
    chosen: int | None = None
    frames: int | None = None
    """Frames that people labelled and that no version before held."""
    boxes: int | None = None
    """On these."""
    imported: int | None = None
    """New frames that came with their labels from elsewhere."""
    jobs: int | None = None
    """Jobs that gave their first frames."""
    jobs_timed: int | None = None
    """Those whose minutes were seen; of the others they are expected."""
    minutes: float | None = None
    """Of annotators."""
    metrics: Mapping[str, Any] | None = None
    """What the model reached when the round ended, and on which pictures."""
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds by step, of the steps that ``run`` took."""
    stop: Mapping[str, Any] | None = None
    """Why there was to be no further round, with the numbers."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A dataset version that a model was trained on."""

    version: int
    model_id: str
    at: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen between two moments."""

    begun_at: str
    model_id: str | None
    pool: int
    """Of the newest selection."""
    chosen: int
    """Different frames."""
    in_tasks: int
    """Those that are in a task by now."""


@dataclass(frozen=True, slots=True)
class JobPart:
    """The new frames that a job gave to the dataset."""

    job_id: str
    imported: bool
    first: bool
    """Whether it had given none before."""
    frames: int
    boxes: int


def told(connection: Connection) -> list[Round]:
    """The rounds that are recorded, in their order."""
    names = [each.name for each in fields(Round)]
    query = sa.select(*(rounds.c[name] for name in names)).order_by(rounds.c.number)
    return [Round(**row._mapping) for row in connection.execute(query)]


def put(connection: Connection, one: Round) -> None:
    """Record a round, or what is known of it by now."""
    row = {each.name: getattr(one, each.name) for each in fields(Round)}
    upsert(connection, rounds, [{name: dict(v) if isinstance(v, Mapping) else v for name, v in row.items()}])


def endings(connection: Connection, kind: str) -> list[Ending]:
    """The versions that a model was trained on, each newer than all before it, with the newest model of each.

    Args:
        connection: the database.
        kind: of models that several kinds were trained of on one version, this one counts.
    """
    query = (
        sa.select(dataset_versions.c.number, models.c.id, models.c.kind, models.c.registered_at)
        .join(dataset_versions, dataset_versions.c.id == models.c.dataset_version_id)
        .where(models.c.run_id.is_not(None))
        .order_by(models.c.registered_at, models.c.id)
    )
    found: dict[int, Ending] = {}
    of_kind: set[int] = set()
    for row in connection.execute(query):
        # A model on an older version than was trained on before is an experiment, and no round of the loop.
        if row.number < max(found, default=0) or (row.number in of_kind and row.kind != kind):
            continue
        if row.kind == kind:
            of_kind.add(row.number)
        found[row.number] = Ending(row.number, row.id, row.registered_at)
    return list(found.values())


def choice(connection: Connection, after: str, until: str | None) -> Choice | None:
    """What was chosen after one moment and until another; None for nothing.

    Args:
        connection: the database.
        after: ISO 8601; the empty text for all from the beginning.
        until: None for now.
    """
    within = runs.c.started_at > after
    if until is not None:
        within &= runs.c.started_at <= until
    query = (
        sa.select(selections.c.id, selections.c.model_id, selections.c.pool_size, runs.c.started_at)
        .join(runs, runs.c.id == selections.c.run_id)
        .where(within)
        .order_by(runs.c.started_at, selections.c.number)
    )
    rows = list(connection.execute(query))
    if not rows:
        return None
    frame = selection_frames.c.frame_id
    of_these = selection_frames.c.selection_id.in_([row.id for row in rows])
    counted = sa.select(sa.func.count(frame.distinct()))
    uploaded = counted.where(of_these, frame.in_(sa.select(task_frames.c.frame_id)))
    return Choice(
        begun_at=rows[0].started_at,
        model_id=rows[0].model_id,
        pool=rows[-1].pool_size,
        chosen=connection.scalar(counted.where(of_these)) or 0,
        in_tasks=connection.scalar(uploaded) or 0,
    )


def labelled(connection: Connection, low: int, high: int) -> list[JobPart]:
    """The frames that version ``high`` holds and version ``low`` did not, by the job that they come from.

    Args:
        connection: the database.
        low: number of the older version; 0 for none.
        high: of the newer one.
    """
    before = dataset_frames.alias("before")
    was_there = sa.exists().where(before.c.frame_id == dataset_frames.c.frame_id, holds(before, low))
    new = (
        sa.select(dataset_frames.c.frame_id, dataset_frames.c.job_id)
        .where(holds(dataset_frames, high), dataset_frames.c.since > low, ~was_there)
        .subquery()
    )
    boxes = (
        sa.select(accepted.c.frame_id, sa.func.count().label("boxes"))
        .where(holds(accepted, high), accepted.c.frame_id.in_(sa.select(new.c.frame_id)))
        .group_by(accepted.c.frame_id)
        .subquery()
    )
    earlier = dataset_frames.alias("earlier")
    gave_before = sa.exists().where(earlier.c.job_id == new.c.job_id, earlier.c.since <= low)
    query = (
        sa.select(
            new.c.job_id,
            jobs.c.backend.startswith(IMPORT, autoescape=True).label("imported"),
            (~gave_before).label("first"),
            sa.func.count().label("frames"),
            sa.func.coalesce(sa.func.sum(boxes.c.boxes), 0).label("boxes"),
        )
        .select_from(new.join(jobs, jobs.c.id == new.c.job_id).outerjoin(boxes, boxes.c.frame_id == new.c.frame_id))
        .group_by(new.c.job_id, jobs.c.backend)
        .order_by(new.c.job_id)
    )
    return [
        JobPart(row.job_id, bool(row.imported), bool(row.first), row.frames, int(row.boxes))
        for row in connection.execute(query)
    ]


def cameras_not_looked_at(connection: Connection) -> list[str]:
    """The cameras of sampled frames of which none was ever chosen, and none shown to a model; by name."""
    chosen = sa.select(frames.c.camera).join(selection_frames, selection_frames.c.frame_id == frames.c.id)
    shown = sa.select(frames.c.camera).join(predictions, predictions.c.frame_id == frames.c.id)
    query = (
        sa.select(frames.c.camera)
        .join(sampled, sampled.c.frame_id == frames.c.id)
        .where(frames.c.camera.not_in(chosen), frames.c.camera.not_in(shown))
    )
    return list(connection.scalars(query.distinct().order_by(frames.c.camera)))


def choices_since(connection: Connection, after: str) -> dict[str, tuple[float | None, bool]]:
    """The frames that were chosen after a moment: the boxes that are expected on each, and whether it is in a task."""
    frame = selection_frames.c.frame_id
    query = (
        sa.select(frame, selection_frames.c.parts, frame.in_(sa.select(task_frames.c.frame_id)).label("in_task"))
        .join(selections, selections.c.id == selection_frames.c.selection_id)
        .join(runs, runs.c.id == selections.c.run_id)
        .where(runs.c.started_at > after)
        .order_by(selections.c.number, selection_frames.c.rank)
    )
    return {row.frame_id: (row.parts.get("boxes"), bool(row.in_task)) for row in connection.execute(query)}
