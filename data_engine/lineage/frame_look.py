"""Everything that is on record of one frame: asked by its id, whatever else there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.probes import NOT_SHOWN
from data_engine.lineage.tables import (
    IMPORT,
    accepted,
    dataset_frames,
    job_frames,
    jobs,
    models,
    predictions,
    proposals,
    selection_frames,
    selections,
    task_frames,
    tasks,
    videos,
)


@dataclass(frozen=True, slots=True)
class HeldBox:
    """A box of the newest version."""

    id: str
    category_id: int
    xywh: tuple[float, float, float, float]
    change: str
    annotator: str | None
    reviewer: str | None
    model_id: str | None
    since: int


def held_boxes(connection: Connection, frame_id: str) -> list[HeldBox]:
    """The boxes that the newest version holds on a frame."""
    query = (
        sa.select(accepted).where(accepted.c.frame_id == frame_id, accepted.c.until.is_(None)).order_by(accepted.c.id)
    )
    return [
        HeldBox(
            row.id,
            row.category_id,
            (row.x, row.y, row.w, row.h),
            row.change,
            row.annotator,
            row.reviewer,
            row.model_id,
            row.since,
        )
        for row in connection.execute(query)
    ]


def shown_proposals(connection: Connection, frame_id: str) -> list[Any]:
    """The boxes that people were shown on a frame, those of the newest task: ``id label x y w h score model_id``."""
    columns = [proposals.c[name] for name in ("id", "label", "x", "y", "w", "h", "score", "model_id", "task_id")]
    query = (
        sa.select(*columns, tasks.c.number)
        .join(tasks, tasks.c.id == proposals.c.task_id)
        .where(proposals.c.frame_id == frame_id, proposals.c.position > NOT_SHOWN)
        .order_by(tasks.c.number, proposals.c.position)
    )
    rows = list(connection.execute(query))
    return [row for row in rows if row.task_id == rows[-1].task_id]


def models_that_looked(connection: Connection, frame_id: str) -> list[str]:
    """Ids of the models whose predictions on a frame are stored, the newest first."""
    query = (
        sa.select(models.c.id)
        .join(predictions, predictions.c.model_id == models.c.id)
        .where(predictions.c.frame_id == frame_id)
        .order_by(models.c.registered_at.desc(), models.c.id)
    )
    return list(connection.scalars(query))


def choices_of(connection: Connection, frame_id: str) -> list[Any]:
    """The selections that chose a frame, the newest first: ``number rank score reason``."""
    query = (
        sa.select(selections.c.number, selection_frames.c.rank, selection_frames.c.score, selection_frames.c.reason)
        .join(selections, selections.c.id == selection_frames.c.selection_id)
        .where(selection_frames.c.frame_id == frame_id)
        .order_by(selections.c.number.desc())
    )
    return list(connection.execute(query))


def jobs_of(connection: Connection, frame_id: str) -> list[Any]:
    """The jobs that have a frame, the newest first: ``id number backend stage state annotator reviewer deleted``."""
    query = (
        sa.select(
            *(jobs.c[name] for name in ("id", "number", "backend", "stage", "state", "annotator", "reviewer")),
            jobs.c.backend.startswith(IMPORT, autoescape=True).label("imported"),
            task_frames.c.deleted,
        )
        .join(job_frames, job_frames.c.job_id == jobs.c.id)
        .join(task_frames, (task_frames.c.task_id == jobs.c.task_id) & (task_frames.c.frame_id == frame_id))
        .where(job_frames.c.frame_id == frame_id)
        .order_by(jobs.c.updated_at.desc(), jobs.c.number.desc())
    )
    return list(connection.execute(query))


def versions_of(connection: Connection, frame_id: str) -> list[Any]:
    """How the dataset held a frame, oldest first: ``since until split``."""
    columns = (dataset_frames.c.since, dataset_frames.c.until, dataset_frames.c.split)
    query = sa.select(*columns).where(dataset_frames.c.frame_id == frame_id).order_by(dataset_frames.c.since)
    return list(connection.execute(query))


def video_of(connection: Connection, video_id: str) -> Any:
    """Name, venue, event and time of a video: ``name venue event captured_at``."""
    columns = (videos.c.name, videos.c.venue, videos.c.event, videos.c.captured_at)
    return connection.execute(sa.select(*columns).where(videos.c.id == video_id)).one_or_none()
