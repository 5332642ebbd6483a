"""The table of what was decided about models: which came into use, which did not, and why."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import metadata, reference

promotions = sa.Table(
    "promotions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    reference("model_id", "models.id"),
    reference("over_id", "models.id", nullable=True),
    sa.Column("back_to", sa.Integer),
    sa.Column("placed", sa.Boolean, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.CheckConstraint("action in ('crowned', 'forced', 'found', 'rolled back', 'refused')", name="action"),
    comment="What was decided about a model. The newest row that is no refusal names the model in use, back_to the row "
    "that a rollback returns to; placed is false until the files are as the row says.",
)
