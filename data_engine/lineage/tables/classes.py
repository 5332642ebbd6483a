"""The tables of the class registry and its history."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import metadata

categories = sa.Table(
    "categories",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("supercategory", sa.Text, nullable=False),
)

category_names = sa.Table(
    "category_names",
    metadata,
    sa.Column("category_id", sa.Integer, sa.ForeignKey("categories.id"), primary_key=True, autoincrement=False),
    sa.Column("since", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("until", sa.Integer),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("supercategory", sa.Text, nullable=False),
    sa.Column("offered", sa.Boolean, nullable=False),
    comment="A class is listed under this name in every version v with since <= v and (until is null or v < until).",
)

category_changes = sa.Table(
    "category_changes",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("category_id", sa.Integer, sa.ForeignKey("categories.id"), nullable=False),
    sa.Column("into_id", sa.Integer, sa.ForeignKey("categories.id")),
    sa.Column("old_name", sa.Text),
    sa.Column("new_name", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("boxes", sa.Integer),
    sa.Column("actor", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("at", sa.Text),
    sa.CheckConstraint("kind in ('added', 'renamed', 'merged', 'split', 'retired', 'restored')", name="kind"),
    comment="What was done to a class, from which version on; never changed, never removed.",
)
