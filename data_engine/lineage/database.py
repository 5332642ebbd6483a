"""Opening the lineage database, its transactions and its repeatable inserts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from data_engine.errors import ConflictError, DamagedInputError, ServiceError, StorageFullError, UsageError

Connection: TypeAlias = sa.Connection
CHUNK = 500
"""Values in one IN list; SQLite's own limit was 999 for long."""
_PATIENCE_S = 60
"""How long SQLite waits while others write."""
_POLL_S = 0.1
_CACHE_KIB = 64 * 1024
"""Of SQLite's pages in memory at most: ids are of content, so what belongs together lies everywhere."""
_WRITTEN = (
    "see [database] url, as in postgresql://user@host:5432/name; "
    "/ ? # @ and : in a password are %2F %3F %23 %40 and %3A"
)
_WRITE_LOCK = 0x64617461
"""PostgreSQL advisory lock that serialises writers which read before they write (as SQLite always does)."""


class Database:
    """Connections to one lineage database.

    Args:
        url: an SQLAlchemy URL; ``sqlite:///relative.db`` or ``postgresql://user@host/name``.

    Raises:
        UsageError: it is no such URL, or names a driver that is not there.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):
            # What they say holds parts of it: of a password with a slash inside, its first half.
            raise UsageError("the database URL cannot be read", hint=_WRITTEN) from None
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise UsageError(f"{parsed.get_backend_name()} is not SQLite or PostgreSQL", hint="see [database] url")
        self.url = parsed
        self.dialect = parsed.get_backend_name()
        try:
            self.engine = sa.create_engine(parsed)
            self.engine.dialect.create_connect_args(parsed)
        except ImportError as error:  # before SQLAlchemy's own, which may be one
            raise UsageError(
                f"the database URL names a driver that is not installed: {error.name}", hint=_WRITTEN
            ) from None
        except sa.exc.NoSuchModuleError:
            raise UsageError(
                f"the database URL names a driver that does not exist: {parsed.drivername}", hint=_WRITTEN
            ) from None
        except (sa.exc.ArgumentError, TypeError, ValueError):
            told = ", ".join(parsed.query)
            raise UsageError(f"the parameters of the database URL cannot be read: {told}", hint=_WRITTEN) from None
        if self.dialect == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    @property
    def shown(self) -> str:
        """The URL without its password, which may also stand among its parameters; of an embedded database its file."""
        if self.dialect == "sqlite":
            return self.url.database or "sqlite in memory"
        address = self.url.set(query={}).render_as_string(hide_password=True)
        hidden = "&".join(f"{name}=***" for name in self.url.query)
        return f"{address}?{hidden}" if hidden else address

    def exists(self) -> bool:
        """Whether there is anything to connect to: an embedded database begins as no file; a server is always there."""
        return self.dialect != "sqlite" or not self.url.database or Path(self.url.database).exists()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(dataengine_write=False)
            if self.dialect == "postgresql":
                # Its default shows every statement what was committed just before; SQLite's transactions see one state.
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits when the block ends well; writers come one after the other.

        Writers are serialised so that what one reads (the newest version's number) is still true when it writes.
        """
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(dataengine_write=True)
            with connection.begin():
                if self.dialect == "postgresql":
                    connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _WRITE_LOCK})
                yield connection

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until no other process that uses this database is inside a block of this name, and keep it so.

        What is held ends with its process, also one that is killed, and no transaction stays open meanwhile.
        """
        with self._alone(name, wait=True):
            yield

    @contextlib.contextmanager
    def alone_if_free(self, name: str) -> Iterator[bool]:
        """As :meth:`alone`, without waiting: False where another process is inside; the block runs either way."""
        with self._alone(name, wait=False) as held:
            yield held

    @contextlib.contextmanager
    def _alone(self, name: str, *, wait: bool) -> Iterator[bool]:
        if self.dialect == "sqlite":
            path = Path(f"{self.url.database}.{sha256(name.encode()).hexdigest()[:12]}.lock")
            with file_lock(path, wait=wait) as held:
                yield held
            return
        key = int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)
        # Only connecting and locking is translated: what the block raises is its own.
        with contextlib.ExitStack() as stack:
            with self._translated():
                connection = stack.enter_context(self.engine.connect())
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                while not (held := bool(connection.scalar(sa.text("select pg_try_advisory_lock(:key)"), {"key": key}))):
                    if not wait:
                        break
                    time.sleep(_POLL_S)
            try:
                yield held
            finally:
                if held:
                    with contextlib.suppress(DBAPIError):  # a connection that was lost holds nothing
                        connection.execute(sa.text("select pg_advisory_unlock(:key)"), {"key": key})

    def forget_deleted(self) -> str | None:
        """Write the database anew, so that nothing of the rows that were deleted is left in its free pages.

        Returns:
            what to tell people where that could not be done.
        """
        try:
            if self.dialect == "sqlite":
                # Past SQLAlchemy, which would begin a transaction: no file is written anew inside one.
                with contextlib.closing(self.engine.raw_connection()) as raw:
                    raw.cursor().execute("VACUUM")
                    raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            else:
                with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql(f"SET lock_timeout = '{_PATIENCE_S}s'")
                    connection.exec_driver_sql("VACUUM FULL")
        except sqlite3.Error as error:
            return f"pages of the database may still hold deleted rows ({error}): run VACUUM on it"
        except DBAPIError as error:
            text = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
            return f"pages of the database may still hold deleted rows ({text}): run VACUUM on it"
        return None

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            text = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
            if "disk is full" in text or "No space left" in text or "disk I/O error" in text:
                raise StorageFullError(
                    f"the disk is full: lineage was not written ({text})",
                    hint="free some space and run the same command again",
                ) from error
            if "not a database" in text or "malformed" in text:
                raise DamagedInputError(f"{self.shown} is not a lineage database: {text}") from error
            if self.dialect == "sqlite" and text.startswith(("unable to open", "attempt to write a readonly")):
                raise DamagedInputError(f"{self.shown} cannot be used: {text}") from error
            if text.startswith(("no such table", "no such column", 'relation "', 'column "')):
                raise ConflictError(
                    f"the lineage database {self.shown} lacks what this release expects: {text}",
                    hint="dataengine db check",
                ) from error
            if error.statement is None and isinstance(error, ProgrammingError):
                raise UsageError(f"the database URL cannot be used: {text}", hint=_WRITTEN) from error
            if isinstance(error, OperationalError) and text.startswith("failed to resolve host"):
                raise ServiceError(
                    f"the lineage database {self.shown} is not found: there is no such host", hint="see [database] url"
                ) from error
            if isinstance(error, OperationalError):
                raise ServiceError(f"the lineage database {self.shown} did not answer: {text}") from error
            raise


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock that ends with its process; its file is there only while somebody holds or awaits it.

    Args:
        path: of the file.
        wait: until it is free; otherwise the block runs without it, and is told so by False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a") as file:
            if not _locked(file, wait=wait):
                yield False
                return
            # Whoever held it before has removed the file: what was locked may be one that nobody else will find.
            if not _is_still_there(path, file.fileno()):
                continue
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)
            return


def _locked(file: IO[str], *, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling begins too late for a consistent read: take it over (see _begin_sqlite).
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_PATIENCE_S * 1000}")
    _switch_to_wal(cursor)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", f"cache_size=-{_CACHE_KIB}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Switch a new database to the write-ahead log; for this SQLite itself does not wait when another is just at it."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
        time.sleep(0.01)


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("dataengine_write", True)
    # A deferred transaction that turns into a writer fails at once when another writer was faster.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def insert_new(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose primary key is not there yet."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def upsert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; one whose primary key is there gets the new values of its other columns."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    statement = _insert(connection, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows))


def _insert(connection: Connection, table: sa.Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def chunks(values: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """Lists of at most ``size`` values."""
    left = iter(values)
    while chunk := list(islice(left, size)):
        yield chunk


def rows_where_in(connection: Connection, query: sa.Select[Any], column: Any, values: Iterable[Any]) -> Iterator[Any]:
    """Rows of ``query`` whose ``column`` is one of ``values``, in chunks that every database takes."""
    for chunk in chunks(values):
        yield from connection.execute(query.where(column.in_(chunk))).all()
