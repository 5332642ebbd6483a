"""Many new rows at once, as plain tuples: a million of them pass through without a mapping made of each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from data_engine.lineage.database import Connection, chunks

_AT_ONCE = 10_000
_CACHE_KIB = 128 * 1024
"""Of SQLite's pages in memory: ids are of content, so rows go everywhere, and each page that is thrown out is written
again and again."""


def insert_rows(connection: Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Insert rows that are not there yet, in one pass over them.

    Args:
        connection: in a transaction.
        table: whose rows they are.
        columns: what each row holds, in order; other columns stay empty.
        rows: their values, as the database's driver takes them.

    Returns:
        how many there were.
    """
    names = ", ".join(columns)
    if connection.dialect.name == "postgresql":
        return _copy(connection, f"copy {table.name} ({names}) from stdin", rows)
    connection.exec_driver_sql(f"pragma cache_size=-{_CACHE_KIB}")
    statement = f"insert into {table.name} ({names}) values ({', '.join('?' * len(columns))})"
    count = 0
    with _indexed_afterwards(connection, table):
        for chunk in chunks(rows, _AT_ONCE):
            connection.exec_driver_sql(statement, [tuple(row) for row in chunk])
            count += len(chunk)
    return count


@contextlib.contextmanager
def _indexed_afterwards(connection: Connection, table: sa.Table) -> Iterator[None]:
    """Make the indexes of an empty table of SQLite when its rows are there: sorted at once, not row by row.

    It is all in the caller's transaction: nobody else sees the table without them, and one that fails has them back.
    """
    if connection.exec_driver_sql(f"select 1 from {table.name} limit 1").first() is not None:
        yield
        return
    query = "select name, sql from sqlite_master where type = 'index' and tbl_name = ? and sql is not null"
    indexes = connection.exec_driver_sql(query, (table.name,)).all()
    for name, _sql in indexes:
        connection.exec_driver_sql(f'drop index "{name}"')
    yield
    for _name, sql in indexes:
        connection.exec_driver_sql(sql)


def _copy(connection: Connection, statement: str, rows: Iterable[Sequence[Any]]) -> int:
    import psycopg

    count = 0
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
                count += 1
    except psycopg.Error as error:
        # As SQLAlchemy raises it where it runs a statement itself.
        raise DBAPIError.instance(statement, None, error, psycopg.Error, dialect=connection.dialect) from error
    finally:
        cursor.close()
    return count
