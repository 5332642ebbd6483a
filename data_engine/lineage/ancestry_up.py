"""What a thing of each kind comes from."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.ancestry_steps import FIRST, FROM_VIDEO, WHY_CHOSEN, Step
from data_engine.lineage.tables import (
    accepted,
    dataset_frames,
    dataset_versions,
    frames,
    job_frames,
    jobs,
    models,
    proposals,
    selection_frames,
    selections,
    task_frames,
    videos,
)


def _held_by(version_id: str) -> sa.ColumnElement[bool]:
    number = sa.select(dataset_versions.c.number).where(dataset_versions.c.id == version_id).scalar_subquery()
    held = dataset_frames.c
    return (held.since <= number) & (held.until.is_(None) | (held.until > number))


UP: tuple[Step, ...] = (
    Step("video", "camera", "filmed", sa.select(videos.c.camera.label("id")), videos.c.id),
    Step(
        "frame",
        "video",
        "sampled",
        sa.select(frames.c.video_id.label("id"), *FROM_VIDEO).where(frames.c.video_id.is_not(None)),
        frames.c.id,
    ),
    Step(
        "frame",
        "camera",
        "filmed",
        sa.select(frames.c.camera.label("id")).where(frames.c.video_id.is_(None)),
        frames.c.id,
    ),
    Step(
        "frame",
        "selection",
        "chosen",
        sa.select(selection_frames.c.selection_id.label("id"), *WHY_CHOSEN).order_by(selection_frames.c.selection_id),
        selection_frames.c.frame_id,
    ),
    Step(
        "selection",
        "model",
        "ranked",
        sa.select(selections.c.model_id.label("id")).where(selections.c.model_id.is_not(None)),
        selections.c.id,
    ),
    Step(
        "proposal",
        "model",
        "proposed",
        sa.select(proposals.c.model_id.label("id")).where(proposals.c.model_id.is_not(None)).distinct(),
        proposals.c.id,
    ),
    # A box that was sent to review again is the proposal there, by the same id.
    Step("proposal", "box", "looked at again as", sa.select(accepted.c.id).distinct(), accepted.c.id),
    Step("proposal", "frame", "looked at", sa.select(proposals.c.frame_id.label("id")).distinct(), proposals.c.id),
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
    Step("job", "task", "cut into", sa.select(jobs.c.task_id.label("id")), jobs.c.id),
    Step(
        "box",
        "proposal",
        "became",
        sa.select(accepted.c.proposal_id.label("id"), accepted.c.change)
        .where(accepted.c.proposal_id.is_not(None))
        .distinct(),
        accepted.c.id,
    ),
    Step("box", "job", "accepted", sa.select(accepted.c.job_id.label("id")).distinct(), accepted.c.id),
    Step("box", "frame", "annotated", sa.select(accepted.c.frame_id.label("id")).distinct(), accepted.c.id),
    Step(
        "version",
        "version",
        "changed into",
        sa.select(dataset_versions.c.parent_id.label("id")).where(dataset_versions.c.parent_id.is_not(None)),
        dataset_versions.c.id,
    ),
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
    Step(
        "model",
        "version",
        "trained",
        sa.select(models.c.dataset_version_id.label("id")).where(models.c.dataset_version_id.is_not(None)),
        models.c.id,
    ),
    Step(
        "model",
        "model",
        "trained on",
        sa.select(models.c.parent_id.label("id")).where(models.c.parent_id.is_not(None)),
        models.c.id,
    ),
)
