"""Bringing a lineage database to the schema of this release.

The migrations lie in ``migrations/`` of a checkout and travel inside the wheel.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from data_engine.errors import ConflictError, MissingInputError
from data_engine.lineage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0005"
"""The newest revision.  Known here so that opening a current database need not load Alembic; a test compares."""


def current(database: Database) -> str | None:
    """The database's revision, None for an empty one."""
    with database.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.scalar(sa.text("select version_num from alembic_version"))
        return revision


def ensure(database: Database) -> None:
    """Create or upgrade the schema when it is not current.

    Raises:
        ConflictError: the database was written by a newer release.
    """
    found = current(database)
    if found != HEAD:
        upgrade(database, found)


def upgrade(database: Database, found: str | None = None) -> None:
    """Run the migrations up to :data:`HEAD`, in one transaction."""
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise ConflictError(
            f"the lineage database is at revision {found}, which this release does not know",
            hint="install the release that wrote it, or a newer one",
        )
    # Writers are serialised by the transaction itself: of two commands that start at once, the second finds it done.
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def downgrade(database: Database, revision: str) -> None:
    """Run the migrations down to ``revision`` (``base`` removes everything)."""
    from alembic import command

    config = _config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


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
