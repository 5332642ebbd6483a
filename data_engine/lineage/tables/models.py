"""The tables of models and of what they said of frames."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

models = sa.Table(
    "models",
    metadata,
    identity(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("weights_key", sa.Text),
    sa.Column("class_names", sa.JSON, nullable=False),
    reference("dataset_version_id", "dataset_versions.id", nullable=True),
    reference("parent_id", "models.id", nullable=True),
    reference("run_id", "runs.id", nullable=True),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("registered_at", sa.Text, nullable=False),
    sa.Column("thinned_at", sa.Text),
)

predictions = sa.Table(
    "predictions",
    metadata,
    reference("model_id", "models.id", primary=True),
    reference("frame_id", "frames.id", primary=True, index=True),
    sa.Column("part_key", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
)

canaries = sa.Table(
    "canaries",
    metadata,
    reference("model_id", "models.id", primary=True),
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("checked_at", sa.Text, nullable=False),
    sa.CheckConstraint("verdict in ('agrees', 'unclear')", name="verdict"),
    comment="What a model said of known pictures under each set of library versions, and whether its classes are ours.",
)

embeddings = sa.Table(
    "embeddings",
    metadata,
    sa.Column("embedder", sa.Text, primary_key=True),
    reference("frame_id", "frames.id", primary=True),
    sa.Column("part_key", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
)
