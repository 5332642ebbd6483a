"""The tables of a review in progress: what its people looked at, what they remarked, and how they looked."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

review_marks = sa.Table(
    "review_marks",
    metadata,
    reference("job_id", "jobs.id", primary=True),
    reference("frame_id", "frames.id", primary=True, index=True),
    sa.Column("reviewer", sa.Text, primary_key=True),
    sa.Column("mark", sa.Text, nullable=False),
    sa.Column("content", sa.String(32), nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.CheckConstraint("mark in ('seen', 'clean', 'remarked')", name="mark"),
    comment="A frame of a job as somebody looked at it: with other boxes than those of content the mark is void.",
)

review_remarks = sa.Table(
    "review_remarks",
    metadata,
    identity(),
    reference("job_id", "jobs.id"),
    reference("frame_id", "frames.id"),
    sa.Column("reviewer", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("x", sa.Double),
    sa.Column("y", sa.Double),
    sa.Column("w", sa.Double),
    sa.Column("h", sa.Double),
    sa.Column("at", sa.Text, nullable=False),
    comment="What is wrong on a frame, until the job is rejected and its annotator is told.",
)

review_looks = sa.Table(
    "review_looks",
    metadata,
    identity(),
    reference("job_id", "jobs.id"),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("reviewer", sa.Text),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("opened", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.CheckConstraint("action in ('accepted', 'rejected')", name="action"),
    comment="How a job was looked at by those who reviewed it when it was decided in the pages: numbers only.",
)
