"""The whole state of a workspace, so that two of them can be compared: every file, and every row of every table.

What is left out, because it says when or how often something was done and never what came of it:

* ``logs/``, and a training's own ``training.log``, ``training.csv``, ``metrics.jsonl`` and ``tensorboard/``: they
  tell times;
* the database's file (its tables are compared) and what SQLite and the locks keep beside it;
* columns of times (``started_at``, ``finished_at``, ``registered_at``, ``checked_at``, ``created_at``, ``at``,
  ``updated_at``, ``frames_at``, and those of boxes, also in the dataset's files), and ``runs.attempts``; of
  ``jobs.merged_at`` it is kept whether it is empty, now or earlier than the job's last change;
* of ``rounds`` when they began and ended, and the minutes and CPU seconds that they took;
* ``reviews.id``, ``job_changes.id`` and ``acceptances.id`` (of ``annotations.acceptance_id`` it is kept whether there
  is one), which are made of the time of a job's change;
* of ``files.stamp`` (size and time), and of the stamps in ``.dataengine/version_files.json``, it is kept whether it is
  that of the file as it lies there, or of none;
* the marks in a training folder's ``.converted.json`` of files that hold those times, and of those of pictures, which
  are stamps, it is kept whether they are theirs;
* ``updated_at`` and ``created_at`` in the annotation tasks' ``job.json`` and in ``.dataengine/jobs/``, and of the ids
  of ``export``'s inputs the same time.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

DATABASE = ".dataengine/lineage.db"
TIMED = {"training.log", "training.csv", "metrics.jsonl", "tensorboard"}
TEMPORARY = (".dataengine-tmp-", ".new", ".training")
_TIMES = {"started_at", "finished_at", "registered_at", "checked_at", "created_at", "at", "updated_at", "attempts"}
_TIMES |= {"frames_at", "proposed_at", "submitted_at", "accepted_at", "merged_at"}
_OF_BOXES = re.compile(rb'("(?:proposed|submitted|accepted|merged)_at":")[^"]*')
_ISO = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00")

State = dict[str, Any]
"""``file <path>`` -> SHA-256 or content, ``table <name>`` -> sorted rows."""


def state_of(workspace: Path) -> State:
    """Everything in a workspace that has to be the same however often the work was interrupted."""
    return {**_files(workspace), **_tables(workspace)}


def differences(expected: State, found: State) -> list[str]:
    """What distinguishes two states, a line each; empty when nothing does."""
    told = []
    for name in sorted({*expected, *found}):
        one, other = expected.get(name), found.get(name)
        if one == other:
            continue
        if isinstance(one, list) and isinstance(other, list):
            told += [f"{name}: lacks {row}" for row in one if row not in other]
            told += [f"{name}: has also {row}" for row in other if row not in one]
        told.append(f"{name}: {'missing' if other is None else 'too much' if one is None else 'differs'}")
    return told


def leftovers(workspace: Path) -> list[str]:
    """What work that was cut off left half-written."""
    return sorted(str(path.relative_to(workspace)) for path in workspace.rglob("*") if path.name.startswith(TEMPORARY))


def _files(workspace: Path) -> State:
    found: State = {}
    for path in sorted(workspace.rglob("*")):
        key = path.relative_to(workspace).as_posix()
        if key.startswith(("logs/", DATABASE)) or TIMED.intersection(path.relative_to(workspace).parts):
            continue
        if path.is_dir():
            found[f"file {key}/"] = "a folder"
        elif key == ".dataengine/version_files.json":
            noted = json.loads(path.read_text("utf-8"))
            noted["stamps"] = {name: stamp == _stamp(workspace / name) for name, stamp in noted["stamps"].items()}
            found[f"file {key}"] = noted
        elif path.name == ".converted.json":
            noted = json.loads(path.read_text("utf-8"))
            noted["marks"] |= {name: "<times>" for name in noted["marks"] if name.endswith(".json")}
            pictures = [name for name in noted["marks"] if not name.endswith((".json", ".txt"))]
            noted["marks"] |= {name: noted["marks"][name] == _stamp(path.parent / name) for name in pictures}
            found[f"file {key}"] = noted
        elif path.name == "job.json" or key.startswith(".dataengine/jobs/"):
            found[f"file {key}"] = _timeless(json.loads(path.read_text("utf-8")))
        else:
            data = path.read_bytes()
            found[f"file {key}"] = hashlib.sha256(
                _OF_BOXES.sub(rb"\1<time>", data) if path.suffix == ".json" else data
            ).hexdigest()
    return found


def _stamp(path: Path) -> str:
    there = path.stat()
    return f"{there.st_size}-{there.st_mtime_ns}"


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(inner) for name, inner in value.items() if name not in _TIMES}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def _tables(workspace: Path) -> State:
    if not (workspace / DATABASE).exists():
        return {}
    connection = sqlite3.connect(workspace / DATABASE)
    connection.row_factory = sqlite3.Row
    try:
        assert connection.execute("pragma integrity_check").fetchone()[0] == "ok"
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        return {
            f"table {name}": sorted(
                json.dumps(_row(workspace, name, dict(row)), sort_keys=True, ensure_ascii=False, default=bytes.hex)
                for row in connection.execute(f'select * from "{name}"')
            )
            for name in names
        }
    finally:
        connection.close()


def _row(workspace: Path, table: str, row: dict[str, Any]) -> dict[str, Any]:
    if table == "jobs":
        merged = row.pop("merged_at")
        row["merged"] = "no" if merged is None else "now" if merged == row["updated_at"] else "before"
    if table == "files":
        path = workspace / row["key"]
        found = path.stat() if path.is_file() else None
        current = found is not None and row["stamp"] == f"{found.st_size}-{found.st_mtime_ns}"
        row["stamp"] = "current" if current else "gone" if found is None else "stale"
    if table in ("reviews", "job_changes", "acceptances"):
        del row["id"]
    if table == "annotations":
        row["acceptance_id"] = row["acceptance_id"] is not None
    if table == "rounds":
        for timed in ("begun_at", "ended_at", "minutes", "cpu_s"):
            del row[timed]
    if table == "work":
        row["input_id"] = _ISO.sub("<time>", row["input_id"])
    return {name: value for name, value in row.items() if name not in _TIMES}
