"""What came of a thing of each kind.

A walk from a frame ends at its tasks and jobs, for what came of those came mostly of other frames.
"""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.ancestry_steps import (
    ENDLESS,
    FIRST,
    FROM_VIDEO,
    WHY_CHOSEN,
    Named,
    Step,
    versions_range,
)
from data_engine.lineage.people import DONE
from data_engine.lineage.tables import (
    accepted,
    dataset_frames,
    dataset_versions,
    frames,
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


def _among(key: str) -> sa.ColumnElement[bool]:
    since, until = versions_range(key)
    return dataset_versions.c.number.between(since, until - 1)


_BOXES = sa.select(accepted.c.id, sa.func.max(sa.func.coalesce(accepted.c.until, ENDLESS)).label("_until"))
# A box that left and came back has a row for each time; those that are still there come first.
_ALL_BOXES = _BOXES.group_by(accepted.c.id, accepted.c.frame_id, accepted.c.job_id).order_by(
    sa.desc("_until"), accepted.c.id
)
_LOOKED_AT = 20
"""Frames of a task that are looked at for a proposal."""
_UPLOADS = sa.select(tasks.c.run_id).distinct().subquery()
_PLANNED = tasks.alias()
_FIRST_PROPOSAL = (
    sa.select(proposals.c.model_id)
    .select_from(_PLANNED)
    .join(task_frames, task_frames.c.task_id == _PLANNED.c.id)
    .join(proposals, (proposals.c.frame_id == task_frames.c.frame_id) & (proposals.c.task_id == task_frames.c.task_id))
    .where(_PLANNED.c.run_id == _UPLOADS.c.run_id, task_frames.c.position < _LOOKED_AT)
    .limit(1)
    .correlate(_UPLOADS)
    .scalar_subquery()
)
# To ask every task, by the index that there is, takes 20 microseconds each: those of one upload hold proposals of one
# model, asked for once.
_WHOSE = sa.select(_UPLOADS.c.run_id, _FIRST_PROPOSAL.label("model_id")).cte("whose").prefix_with("MATERIALIZED")

_AS_NUMBERED = (tasks.c.backend, tasks.c.number, tasks.c.id)

DOWN: tuple[Step | Named, ...] = (
    Step(
        "camera",
        "video",
        "filmed",
        sa.select(videos.c.id, videos.c.captured_at).order_by(videos.c.captured_at, videos.c.id),
        videos.c.camera,
        FIRST,
    ),
    Step(
        "camera",
        "frame",
        "filmed",
        sa.select(frames.c.id).where(frames.c.video_id.is_(None)).order_by(frames.c.id),
        frames.c.camera,
        FIRST,
    ),
    *(
        Step(
            "person",
            "job",
            what,
            sa.select((jobs.c.id if by.table is jobs else by.table.c.job_id).label("id")).distinct().order_by("id"),
            by,
            FIRST,
            at_root=True,
        )
        for what, by in DONE.items()
    ),
    Step(
        "video",
        "frame",
        "sampled",
        sa.select(frames.c.id, *FROM_VIDEO).order_by(frames.c.pts, frames.c.id),
        frames.c.video_id,
        FIRST,
    ),
    Step(
        "selection",
        "frame",
        "chosen",
        sa.select(selection_frames.c.frame_id.label("id"), *WHY_CHOSEN).order_by(selection_frames.c.rank),
        selection_frames.c.selection_id,
        FIRST,
    ),
    Step(
        "frame",
        "model",
        "seen by",
        sa.select(predictions.c.model_id.label("id"), predictions.c.part_key, predictions.c.position).order_by(
            predictions.c.model_id
        ),
        predictions.c.frame_id,
        leaf=True,
    ),
    Step(
        "frame",
        "task",
        "put into",
        sa.select(task_frames.c.task_id.label("id"), task_frames.c.name, task_frames.c.position).order_by(
            task_frames.c.task_id
        ),
        task_frames.c.frame_id,
        leaf=True,
    ),
    Step(
        "frame",
        "job",
        "given with",
        sa.select(job_frames.c.job_id.label("id")).order_by(job_frames.c.job_id),
        job_frames.c.frame_id,
        leaf=True,
    ),
    Step(
        "frame",
        "proposal",
        "looked at",
        sa.select(proposals.c.id, sa.func.min(proposals.c.position).label("_position"))
        .group_by(proposals.c.id, proposals.c.frame_id)
        .order_by("_position", proposals.c.id),
        proposals.c.frame_id,
        FIRST,
    ),
    Step("frame", "box", "annotated", _ALL_BOXES, accepted.c.frame_id, FIRST),
    Step(
        "frame",
        "versions",
        "held",
        sa.select(
            dataset_frames.c.since, dataset_frames.c.until, dataset_frames.c.split, dataset_frames.c.job_id
        ).order_by(dataset_frames.c.since),
        dataset_frames.c.frame_id,
    ),
    Step(
        "proposal",
        "box",
        "became",
        sa.select(accepted.c.id, accepted.c.change)
        .join(proposals, (proposals.c.frame_id == accepted.c.frame_id) & (proposals.c.id == accepted.c.proposal_id))
        .distinct()
        .order_by(accepted.c.id),
        proposals.c.id,
    ),
    Step(
        "proposal",
        "task",
        "shown in",
        sa.select(proposals.c.task_id.label("id"), (proposals.c.position >= 0).label("shown")).order_by(
            proposals.c.task_id
        ),
        proposals.c.id,
        leaf=True,
    ),
    Step("task", "job", "cut into", sa.select(jobs.c.id).order_by(jobs.c.number), jobs.c.task_id, FIRST),
    Step("job", "box", "accepted", _ALL_BOXES, accepted.c.job_id, FIRST),
    Named("box", "versions", "held", "since", ("since", "until")),
    Step(
        "versions",
        "model",
        "trained",
        sa.select(models.c.id, dataset_versions.c.number.label("version"))
        .join(dataset_versions, models.c.dataset_version_id == dataset_versions.c.id)
        .order_by(dataset_versions.c.number, models.c.registered_at, models.c.id),
        _among,
    ),
    Step(
        "version",
        "model",
        "trained",
        sa.select(models.c.id).order_by(models.c.registered_at, models.c.id),
        models.c.dataset_version_id,
    ),
    Step(
        "version",
        "version",
        "changed into",
        sa.select(dataset_versions.c.id).order_by(dataset_versions.c.number),
        dataset_versions.c.parent_id,
    ),
    Step(
        "model",
        "model",
        "trained on",
        sa.select(models.c.id).order_by(models.c.registered_at, models.c.id),
        models.c.parent_id,
    ),
    Step(
        "model",
        "selection",
        "ranked",
        sa.select(selections.c.id).order_by(selections.c.number),
        selections.c.model_id,
    ),
    Step(
        "model",
        "task",
        "proposed in",
        sa.select(tasks.c.id).join(_WHOSE, _WHOSE.c.run_id == tasks.c.run_id).order_by(*_AS_NUMBERED),
        _WHOSE.c.model_id,
        FIRST,
        order=_AS_NUMBERED,
    ),
)
