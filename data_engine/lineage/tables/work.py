"""The tables of runs and of what each did."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

runs = sa.Table(
    "runs",
    metadata,
    identity(),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(32), nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Text),
)

work = sa.Table(
    "work",
    metadata,
    sa.Column("fingerprint", sa.String(32), primary_key=True),
    sa.Column("input_id", sa.Text, primary_key=True),
    reference("run_id", "runs.id"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
    sa.CheckConstraint("state in ('done', 'failed')", name="state"),
)
