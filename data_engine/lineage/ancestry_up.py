"""What a thing of each kind comes from."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.ancestry_steps import FIRST, WHY_CHOSEN, Named, Step
from data_engine.lineage.tables import (
    accepted,
    dataset_frames,
    dataset_versions,
    job_frames,
    proposals,
    selection_frames,
    task_frames,
)


def _held_by(version_id: str) -> sa.ColumnElement[bool]:
    number = sa.select(dataset_versions.c.number).where(dataset_versions.c.id == version_id).scalar_subquery()
    held = dataset_frames.c
    return (held.since <= number) & (held.until.is_(None) | (held.until > number))


UP: tuple[Step | Named, ...] = (
    Named("video", "camera", "filmed", "camera"),
    Named("frame", "video", "sampled", "video_id", ("pts", "time_base")),
    Named("frame", "camera", "filmed", "camera", unless="video_id"),
    Step(
        "frame",
        "selection",
        "chosen",
        sa.select(selection_frames.c.selection_id.label("id"), *WHY_CHOSEN).order_by(selection_frames.c.selection_id),
        selection_frames.c.frame_id,
    ),
    Named("selection", "model", "ranked", "model_id"),
    Named("proposal", "model", "proposed", "model_id"),
    # A box that was sent to review again is the proposal there, by the same id.
    Step("proposal", "box", "looked at again as", sa.select(accepted.c.id).distinct(), accepted.c.id),
    Named("proposal", "frame", "looked at", "frame_id"),
    Step(
        "task",
        "model",
        "proposed in",
        sa.select(proposals.c.model_id.label("id")).where(proposals.c.model_id.is_not(None)).distinct(),
        proposals.c.task_id,
    ),
    Step(
        "task",
        "frame",
        "put into",
        sa.select(task_frames.c.frame_id.label("id"), task_frames.c.name, task_frames.c.position).order_by(
            task_frames.c.position
        ),
        task_frames.c.task_id,
        FIRST,
        at_root=True,
    ),
    Step(
        "job",
        "frame",
        "given with",
        sa.select(job_frames.c.frame_id.label("id")).order_by(job_frames.c.frame_id),
        job_frames.c.job_id,
        FIRST,
        at_root=True,
    ),
    Named("job", "task", "cut into", "task_id"),
    Named("box", "proposal", "became", "proposal_id", ("change",)),
    Named("box", "job", "accepted", "job_id"),
    Named("box", "frame", "annotated", "frame_id"),
    Named("version", "version", "changed into", "parent_id"),
    Step(
        "version",
        "job",
        "merged",
        sa.select(dataset_frames.c.job_id.label("id"), sa.func.count().label("frames"))
        .group_by(dataset_frames.c.job_id)
        .order_by(sa.desc("frames"), dataset_frames.c.job_id),
        _held_by,
        FIRST,
        at_root=True,
    ),
    Named("model", "version", "trained", "dataset_version_id"),
    Named("model", "model", "trained on", "parent_id"),
)
