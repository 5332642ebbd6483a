"""Many rows at once: the same rows and the same indexes as one by one, whatever happens in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from data_engine.lineage import tables
from data_engine.lineage.bulk import insert_rows
from data_engine.lineage.database import Connection, Database
from data_engine.types import content_id

COLUMNS = ("id", "name", "key", "width", "height", "camera")


def frames(first: int, count: int) -> Iterator[tuple[Any, ...]]:
    for n in range(first, first + count):
        yield content_id("frame", n), f"{n}.jpg", f"f/{n}.jpg", 64, 48, f"cam{n % 3}"


def indexes(connection: Connection) -> list[Any]:
    return sorted(sa.inspect(connection).get_indexes("frames"), key=lambda index: index["name"])


def test_rows_come_into_an_empty_table_and_after_others(database: Database) -> None:
    with database.read() as connection:
        before = indexes(connection)
    for first, count in ((0, 5), (5, 3), (8, 0)):
        with database.write() as connection:
            assert insert_rows(connection, tables.frames, COLUMNS, frames(first, count)) == count
        with database.read() as connection:
            assert indexes(connection) == before
    with database.read() as connection:
        table = tables.frames
        rows = connection.execute(sa.select(*(table.c[name] for name in COLUMNS))).all()
        assert sorted(map(tuple, rows)) == sorted(frames(0, 8))
        # Found by an index that was made afterwards.
        assert connection.scalar(sa.select(sa.func.count()).where(table.c.camera == "cam1")) == 3


def test_an_insert_that_fails_leaves_the_table_as_it_was(database: Database) -> None:
    with database.read() as connection:
        before = indexes(connection)

    def broken() -> Iterator[tuple[Any, ...]]:
        yield from frames(0, 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), database.write() as connection:
        insert_rows(connection, tables.frames, COLUMNS, broken())
    with database.read() as connection:
        assert indexes(connection) == before
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.frames)) == 0
