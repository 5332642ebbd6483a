"""Bringing a lineage database to the schema of this release.

The migrations lie in ``migrations/`` of a checkout and travel inside the wheel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from data_engine.errors import ConflictError, MissingInputError
from data_engine.lineage.database import Connection, Database

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0008"
"""The newest revision.  Known here so that opening a current database need not load Alembic; a test compares."""


def current(database: Database) -> str | None:
    """The database's revision, None for an empty one."""
    with database.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.scalar(sa.text("select version_num from alembic_version"))
        return revision


def ensure(database: Database, told: Callable[[str], None] = lambda _text: None) -> None:
    """Create or upgrade the schema when it is not current.

    Args:
        told: what is done to a database that is there, before it is: with a million boxes it takes a while.

    Raises:
        ConflictError: the database was written by a newer release.
    """
    found = current(database)
    if found != HEAD:
        if found is not None and found in revisions():
            told(f"the lineage database is brought from revision {found} to {HEAD}: dataengine db downgrade goes back")
        upgrade(database, found)


def upgrade(database: Database, found: str | None = None) -> None:
    """Run the migrations up to :data:`HEAD`, in one transaction."""
    from alembic import command

    config = _config()
    if found is not None and found not in revisions():
        raise ConflictError(
            f"the lineage database is at revision {found}, which this release does not know",
            hint="install the release that wrote it, or a newer one",
        )
    # Writers are serialised by the transaction itself: of two commands that start at once, the second finds it done.
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def downgrade(database: Database, revision: str) -> None:
    """Run the migrations down to ``revision`` (``base`` removes everything), in one transaction."""
    with database.write() as connection:
        _down(connection, revision)


def _down(connection: Connection, revision: str) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def revisions() -> list[str]:
    """All revisions that this release knows, oldest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that an older schema has no place for."""

    what: str
    """A table, a column as ``table.column``, or what is changed in one."""
    rows: int
    """How many rows there are, or say something there."""


class _UndoneError(Exception):
    """Ends a transaction whose work is only looked at."""


def losses(database: Database, revision: str) -> list[Loss]:
    """What goes for good with a downgrade to ``revision``; found by doing it in a transaction that is taken back."""
    before: dict[str, dict[str, str | None]] = {}
    after: dict[str, dict[str, str | None]] = {}
    with contextlib.suppress(_UndoneError), database.write() as connection:
        before = _columns(connection)
        _down(connection, revision)
        after = _columns(connection)
        raise _UndoneError
    found: list[Loss] = []
    with database.read() as connection:
        for table, columns in sorted(before.items()):
            rows = sa.select(sa.func.count()).select_from(sa.table(table))
            if table not in after:
                found.append(Loss(table, connection.scalar(rows) or 0))
                continue
            for column, default in columns.items():
                if column not in after[table]:
                    value: sa.ColumnClause[Any] = sa.column(column)
                    said = value.is_not(None) if default is None else value != sa.literal_column(default)
                    found.append(Loss(f"{table}.{column}", connection.scalar(rows.where(said)) or 0))
        found += [
            Loss(what, connection.scalar(sa.text(query)) or 0)
            for what, query in _said_by(connection, revision, "REWRITTEN")
        ]
    return [loss for loss in found if loss.rows]


def harm(database: Database, revision: str) -> list[str]:
    """What a downgrade to ``revision`` does that going up again does not mend."""
    with database.read() as connection:
        said = _said_by(connection, revision, "HARM")
        return [what for what, query in said if connection.scalar(sa.text(query))]


def _said_by(connection: Connection, revision: str, name: str) -> list[tuple[str, str]]:
    """What the migrations on the way back say of themselves under that name, with the queries that count it."""
    from alembic.script import ScriptDirectory

    now = connection.scalar(sa.text("select version_num from alembic_version"))
    way = ScriptDirectory.from_config(_config()).iterate_revisions(now, revision)
    return [entry for script in way for entry in getattr(script.module, name, ())]


def _columns(connection: Connection) -> dict[str, dict[str, str | None]]:
    """The columns of each table with what stands in them where nothing was said."""
    inspected = sa.inspect(connection)
    tables = [name for name in inspected.get_table_names() if name != "alembic_version"]
    return {name: {c["name"]: c.get("default") for c in inspected.get_columns(name)} for name in tables}


def differences(database: Database) -> list[str]:
    """What distinguishes the database's tables from those that this release expects; empty when nothing does."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from data_engine.lineage.tables import metadata

    with database.read() as connection:
        context = MigrationContext.configure(connection)
        found: list[Any] = compare_metadata(context, metadata)
    return [_told(difference) for difference in found]


def _told(difference: Any) -> str:
    """One of Alembic's differences as a sentence: it says what would have to be done to the database."""
    match difference:
        case ("add_table", table):
            return f"table {table.name} is missing"
        case ("remove_table", table):
            return f"table {table.name} is unknown"
        case ("add_column", _, table, column):
            return f"column {table}.{column.name} is missing"
        case ("remove_column", _, table, column):
            return f"column {table}.{column.name} is unknown"
        case ("add_index", index):
            return f"index {index.name} is missing"
        case _:
            return str(difference)


def _config() -> Config:
    from alembic.config import Config

    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            config = Config()
            config.set_main_option("script_location", str(folder).replace("%", "%%"))
            return config
    raise MissingInputError("the migrations are not installed with the package", hint="reinstall dataengine")
