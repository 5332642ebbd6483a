"""The table of the loop's rounds."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import metadata, reference

rounds = sa.Table(
    "rounds",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("begun_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("version", sa.Integer),
    reference("model_before", "models.id", nullable=True),
    reference("model_after", "models.id", nullable=True),
    sa.Column("pool", sa.Integer),
    sa.Column("chosen", sa.Integer),
    sa.Column("frames", sa.Integer),
    sa.Column("boxes", sa.Integer),
    sa.Column("imported", sa.Integer),
    sa.Column("jobs", sa.Integer),
    sa.Column("jobs_timed", sa.Integer),
    sa.Column("minutes", sa.Double),
    sa.Column("metrics", sa.JSON),
    sa.Column("cpu_s", sa.JSON, nullable=False),
    sa.Column("stop", sa.JSON),
    comment="A round of the loop, from its choice of frames to the model that was trained on them: numbers only.",
)
