"""The tables of the frames that were chosen for people."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

selections = sa.Table(
    "selections",
    metadata,
    identity(),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    reference("run_id", "runs.id"),
    reference("model_id", "models.id", nullable=True),
    sa.Column("pool_size", sa.Integer, nullable=False),
)

selection_frames = sa.Table(
    "selection_frames",
    metadata,
    reference("selection_id", "selections.id", primary=True),
    reference("frame_id", "frames.id", primary=True, index=True),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("score", sa.Double, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("parts", sa.JSON, nullable=False),
    sa.Index("ix_selection_frames_rank", "selection_id", "rank"),
)
