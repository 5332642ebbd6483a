"""Copies of the lineage database that somebody made: known by what is in them, whatever they are called."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path

_HEADER = b"SQLite format 3\0"
_OURS = ("frames", "videos", "dataset_frames")


def is_sqlite(path: Path) -> bool:
    """Whether a file is a database of SQLite."""
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def holds(path: Path, ids: Collection[str]) -> bool | None:
    """Whether a database file is one of this program and holds one of these frames or videos.

    Returns:
        None where it is another program's, or cannot be read.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        known = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        if not known.issuperset(_OURS):
            return None
        return any(
            row[0] in ids
            for query in ("select id from frames", "select id from videos", "select frame_id from dataset_frames")
            for row in connection.execute(query)
        )
    except sqlite3.Error:
        return None
    finally:
        connection.close()
