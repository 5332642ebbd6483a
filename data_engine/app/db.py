"""``db``: the lineage database itself."""

from __future__ import annotations

from data_engine.app.engine import Engine
from data_engine.errors import ConflictError, MissingInputError
from data_engine.lineage import migrate
from data_engine.types import Report


def upgrade(engine: Engine) -> Report:
    """Bring the schema to this release's."""
    engine.make_state_folder()
    before = migrate.current(engine.database)
    migrate.upgrade(engine.database, before)
    return Report(
        title="the lineage database is up to date" if before == migrate.HEAD else "the lineage database was upgraded",
        data={"database": engine.database.shown, "before": before, "revision": migrate.HEAD},
    )


def check(engine: Engine) -> Report:
    """Compare the database with what this release expects.

    Raises:
        MissingInputError: there is no schema yet.
        ConflictError: it differs; the first difference is named.
    """
    # To ask an embedded database that is not there would make its file.
    found = migrate.current(engine.database) if engine.database.exists() else None
    if found is None:
        raise MissingInputError(f"{engine.database.shown} holds no lineage yet", hint="dataengine db upgrade")
    if found != migrate.HEAD:
        raise ConflictError(
            f"the lineage database is at revision {found}, this release at {migrate.HEAD}", hint="dataengine db upgrade"
        )
    differences = migrate.differences(engine.database)
    if differences:
        raise ConflictError(f"the lineage database differs from its revision: {differences[0]}")
    return Report(
        title="the lineage database is sound",
        data={"database": engine.database.shown, "revision": found, "dialect": engine.database.dialect},
    )
