"""Who may make a dataset version, or write the files of one: one process at a time, whatever command it is."""

from __future__ import annotations

from contextlib import AbstractContextManager

from data_engine.lineage.database import Database

_NAME = "dataset versions"


def alone_with_versions(database: Database) -> AbstractContextManager[None]:
    """Wait until no other process makes, restores or removes versions, and keep it so.

    Versions are a line: of two that read the newest one at the same moment, the second would undo the first.
    """
    return database.alone(_NAME)
