"""What all tables share: the metadata they belong to, and the columns that most of them have."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identity(name: str = "id", *, primary: bool = True) -> sa.Column[str]:
    """A content id."""
    return sa.Column(name, sa.String(32), primary_key=primary, nullable=False)


def reference(
    name: str, target: str, *, primary: bool = False, nullable: bool = False, index: bool | None = None
) -> sa.Column[str]:
    """A reference; indexed unless it is part of the primary key, whose first column needs no index of its own."""
    indexed = not primary if index is None else index
    return sa.Column(name, sa.String(32), sa.ForeignKey(target), primary_key=primary, nullable=nullable, index=indexed)
