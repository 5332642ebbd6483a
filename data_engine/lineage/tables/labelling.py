"""The tables of what people work on: tasks, jobs, proposals, reviews."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

IMPORT = "import:"
"""How the backend of a dataset from elsewhere begins, before its name: such tasks and jobs are on no server."""

tasks = sa.Table(
    "tasks",
    metadata,
    identity(),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("plan", sa.JSON, nullable=False),
    reference("run_id", "runs.id"),
    sa.Column("frames_at", sa.Text),
    sa.UniqueConstraint("backend", "number"),
    comment="Planned as a whole before anything is created; number is the backend's, null until it exists there.",
)

task_steps = sa.Table(
    "task_steps",
    metadata,
    sa.Column("backend", sa.Text, primary_key=True),
    sa.Column("task_id", sa.String(32), primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    comment="What was done of the creation of a task on a server; written as each step ends, before the next begins.",
)

task_frames = sa.Table(
    "task_frames",
    metadata,
    reference("task_id", "tasks.id", primary=True),
    reference("frame_id", "frames.id", primary=True, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("task_id", "name"),
)

proposals = sa.Table(
    "proposals",
    metadata,
    identity(),
    reference("task_id", "tasks.id", primary=True),
    reference("frame_id", "frames.id"),
    reference("model_id", "models.id", nullable=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("x", sa.Double, nullable=False),
    sa.Column("y", sa.Double, nullable=False),
    sa.Column("w", sa.Double, nullable=False),
    sa.Column("h", sa.Double, nullable=False),
    sa.Column("score", sa.Double),
    sa.Column("iscrowd", sa.Boolean, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # Whether a task shows anything of a model is asked of all tasks at once.
    sa.Index("ix_proposals_task_id", "task_id", "model_id"),
)

probes = sa.Table(
    "probes",
    metadata,
    identity(),
    reference("task_id", "tasks.id"),
    reference("frame_id", "frames.id"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("x", sa.Double, nullable=False),
    sa.Column("y", sa.Double, nullable=False),
    sa.Column("w", sa.Double, nullable=False),
    sa.Column("h", sa.Double, nullable=False),
    sa.Column("replaces", sa.String(32)),
    sa.CheckConstraint("kind in ('invented', 'shifted', 'swapped')", name="kind"),
    comment="Boxes that are known to be wrong, shown among the proposals to see whether people look.",
)

jobs = sa.Table(
    "jobs",
    metadata,
    identity(),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    reference("task_id", "tasks.id"),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("assignee", sa.Text),
    sa.Column("annotator", sa.Text),
    sa.Column("reviewer", sa.Text),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.Column("merged_at", sa.Text),
    sa.UniqueConstraint("backend", "number"),
    # The lists of the pages: what waits for whom.
    sa.Index("ix_jobs_stage", "backend", "stage", "assignee", "number"),
)

job_changes = sa.Table(
    "job_changes",
    metadata,
    identity(),
    reference("job_id", "jobs.id"),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("assignee", sa.Text),
    sa.Column("at", sa.Text, nullable=False),
    comment="When a job was seen to change its stage, state or assignee: from this the minutes of work are learned.",
)

acceptances = sa.Table(
    "acceptances",
    metadata,
    identity(),
    reference("job_id", "jobs.id"),
    sa.Column("submitted_at", sa.Text),
    sa.Column("accepted_at", sa.Text, nullable=False),
    sa.Column("accepted_by", sa.Text),
    sa.Column("content", sa.String(32), nullable=False),
    sa.Column("deleted", sa.JSON, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    comment="An accepted job, what it held, and its last date with that: "
    "a later date with other boxes is an edit nobody accepted.",
)

acceptance_intents = sa.Table(
    "acceptance_intents",
    metadata,
    identity(),
    reference("job_id", "jobs.id"),
    sa.Column("content", sa.String(32), nullable=False),
    sa.Column("deleted", sa.JSON, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("decided_at", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Text, nullable=False),
    comment="What is about to be accepted, until it is known whether it was.",
)

requeued = sa.Table(
    "requeued",
    metadata,
    reference("task_id", "tasks.id", primary=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    reference("frame_id", "frames.id"),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("x", sa.Double),
    sa.Column("y", sa.Double),
    sa.Column("w", sa.Double),
    sa.Column("h", sa.Double),
    sa.Column("told", sa.Boolean, nullable=False),
    comment="Why a frame of the dataset was put into a task again, and whether those who have the job were told.",
)

job_frames = sa.Table(
    "job_frames",
    metadata,
    reference("job_id", "jobs.id", primary=True),
    reference("frame_id", "frames.id", primary=True, index=True),
)

reviews = sa.Table(
    "reviews",
    metadata,
    identity(),
    reference("job_id", "jobs.id"),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("at", sa.Text, nullable=False),
    sa.CheckConstraint("action in ('submitted', 'accepted', 'rejected')", name="action"),
)
