"""The tables of the master dataset: accepted boxes and the versions that hold them."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

accepted = sa.Table(
    "annotations",
    metadata,
    identity(),
    reference("frame_id", "frames.id", index=False),
    sa.Column("category_id", sa.Integer, sa.ForeignKey("categories.id"), nullable=False),
    sa.Column("x", sa.Double, nullable=False),
    sa.Column("y", sa.Double, nullable=False),
    sa.Column("w", sa.Double, nullable=False),
    sa.Column("h", sa.Double, nullable=False),
    sa.Column("iscrowd", sa.Boolean, nullable=False),
    reference("job_id", "jobs.id"),
    sa.Column("proposal_id", sa.String(32)),
    reference("model_id", "models.id", nullable=True),
    sa.Column("change", sa.Text, nullable=False),
    sa.Column("annotator", sa.Text),
    sa.Column("reviewer", sa.Text),
    reference("acceptance_id", "acceptances.id", nullable=True),
    sa.Column("since", sa.Integer, primary_key=True),
    sa.Column("until", sa.Integer),
    # By it alone is known which classes the frames of a version hold.
    sa.Index("ix_annotations_frame_id", "frame_id", "category_id", "since", "until"),
    sa.CheckConstraint("change in ('kept', 'edited', 'added')", name="change"),
    comment="An accepted box is in every version v with since <= v and (until is null or v < until).",
)

dataset_versions = sa.Table(
    "dataset_versions",
    metadata,
    identity(),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    reference("parent_id", "dataset_versions.id", nullable=True),
    reference("run_id", "runs.id"),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("boxes", sa.Integer, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)

dataset_frames = sa.Table(
    "dataset_frames",
    metadata,
    reference("frame_id", "frames.id", primary=True),
    sa.Column("since", sa.Integer, primary_key=True),
    sa.Column("until", sa.Integer),
    reference("job_id", "jobs.id"),
    sa.Column("content", sa.String(32), nullable=False),
    sa.Column("split", sa.Text, nullable=False),
    sa.CheckConstraint("split in ('train', 'valid', 'guard', 'golden')", name="split"),
    comment="A frame is in every version v with since <= v and (until is null or v < until).",
)

split_plans = sa.Table(
    "split_plans",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("block", sa.Double, nullable=False),
    sa.Column("guard", sa.Double, nullable=False),
    sa.Column("fraction", sa.Double, nullable=False),
    sa.Column("phase", sa.Double, nullable=False),
    sa.Column("shares", sa.Text),
    sa.Column("shift", sa.Double, nullable=False, server_default=sa.text("0")),
    comment="How a source is cut into the sides of the split, decided once and kept.",
)

golden_blocks = sa.Table(
    "golden_blocks",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    comment="Blocks of sources that models are judged on, for ever, since that version of the dataset.",
)

withdrawals = sa.Table(
    "withdrawals",
    metadata,
    reference("job_id", "jobs.id", primary=True),
    reference("frame_id", "frames.id", primary=True, index=True),
    sa.Column("acceptance_id", sa.String(32)),
    sa.Column("job_date", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    comment="What a revert took back of a job: it gives this frame again when it was accepted anew, not before.",
)

merge_conflicts = sa.Table(
    "merge_conflicts",
    metadata,
    identity(),
    reference("frame_id", "frames.id"),
    sa.Column("version", sa.Integer, nullable=False),
    reference("job_id", "jobs.id"),
    reference("other_job_id", "jobs.id"),
    sa.Column("kinds", sa.JSON, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("kept", sa.Text, nullable=False),
    sa.Column("theirs", sa.JSON, nullable=False),
    sa.Column("ours", sa.JSON, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.CheckConstraint("policy in ('newest', 'ask', 'both')", name="policy"),
    sa.CheckConstraint("kept in ('theirs', 'ours')", name="kept"),
    comment="Frames of which two accepted jobs said something else: the boxes of both sides, and whose were kept.",
)
