"""The tables of what stands in the place of purged footage."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

tombstones = sa.Table(
    "tombstones",
    metadata,
    identity(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("actor", sa.Text),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.CheckConstraint("kind in ('camera', 'video', 'frame')", name="kind"),
    sa.CheckConstraint("state in ('begun', 'done')", name="state"),
    comment="What stands in the place of a source that was purged: which, why, by whom, and what held it.",
)

purged = sa.Table(
    "purged",
    metadata,
    identity(),
    sa.Column("kind", sa.Text, nullable=False),
    reference("tombstone_id", "tombstones.id"),
    sa.CheckConstraint("kind in ('frame', 'video', 'picture')", name="kind"),
    comment="Ids of frames and videos that were purged, and the beginnings of their pictures' SHA-256 sums: "
    "none may come back.",
)
