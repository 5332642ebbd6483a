"""The table of what models were measured to be worth."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

evaluations = sa.Table(
    "evaluations",
    metadata,
    identity(),
    reference("model_id", "models.id"),
    sa.Column("kind", sa.Text, nullable=False),
    reference("dataset_version_id", "dataset_versions.id", nullable=True),
    sa.Column("data_digest", sa.String(32), nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("images", sa.Integer, nullable=False),
    sa.Column("boxes", sa.Integer, nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.CheckConstraint("kind in ('golden', 'validation', 'folder')", name="kind"),
    comment="A model on a set of pictures, by content: numbers by class, and the column file of what was found and "
    "missed.",
)
