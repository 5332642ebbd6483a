"""Whether anything was written to the database since, told without reading any of it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from data_engine.lineage.database import Database


def change_stamp(database: Database) -> str:
    """Another text after every transaction that wrote; it may differ where nothing changed, never the other way."""
    if database.dialect == "sqlite":
        name = database.url.database or ""
        return " ".join(_stamp(Path(f"{name}{suffix}")) for suffix in ("", "-wal"))
    with database.read() as connection:
        # The first transaction number that is not given out yet; readers take none.
        return str(connection.scalar(sa.text("select pg_snapshot_xmax(pg_current_snapshot())::text")))


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except FileNotFoundError:
        return "-"
    return f"{found.st_size}-{found.st_mtime_ns}"
