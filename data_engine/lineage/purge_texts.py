"""Free text and JSON in the records, in which a source may be named: read, and written anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import metadata


def texts(connection: Connection) -> Iterator[tuple[sa.Table, tuple[object, ...], str, object]]:
    """Every value that people or programs wrote as free text or JSON: table, primary key, column, value.

    Only of tables that grow with work, not with boxes.
    """
    for name, columns in _TEXTS.items():
        table = metadata.tables[name]
        keys = list(table.primary_key)
        query = sa.select(*keys, *(table.c[column] for column in columns))
        for row in connection.execute(query).all():
            identity = tuple(row[: len(keys)])
            for column, value in zip(columns, row[len(keys) :], strict=True):
                if value:
                    yield table, identity, column, value


def set_text(connection: Connection, table: sa.Table, identity: Sequence[object], column: str, value: object) -> None:
    """Write one value of :func:`texts` anew."""
    where = sa.and_(*(key == part for key, part in zip(table.primary_key, identity, strict=True)))
    connection.execute(sa.update(table).where(where).values({column: value}))


_TEXTS = {
    "runs": ("settings",),
    "work": ("detail",),
    "tasks": ("name", "plan"),
    "task_steps": ("detail",),
    "reviews": ("reason",),
    "review_remarks": ("message",),
    "acceptances": ("deleted",),
    "acceptance_intents": ("deleted",),
    "promotions": ("reason", "detail"),
}
