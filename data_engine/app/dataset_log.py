"""``dataset log``: every version, what made it and what it changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from data_engine.app.engine import Engine
from data_engine.lineage import tombstones
from data_engine.lineage import version_history as history
from data_engine.lineage.database import Connection
from data_engine.lineage.version_history import VersionRecord
from data_engine.stages.dataset_diff import compare
from data_engine.types import Report
from data_engine.words import counted


def log(engine: Engine) -> Report:
    """List the versions, newest first, each with what it changed against the one before it."""
    with engine.database.read() as connection:
        known = history.records(connection)
        frames = history.frame_moves(connection)
        boxes = _boxes(connection)
        purged = tombstones.taken_from(tombstones.known(connection))
    label_of = {record.version.id: record.version.label for record in known}
    rows = tuple(
        {
            "version": record.version.label,
            "id": record.version.id,
            "parent": label_of.get(record.version.parent_id or ""),
            "made": record.created_at,
            "by": made_by(record),
            "frames": record.version.frames,
            "boxes": record.version.boxes,
            "frames_added": (moves := frames[record.version.number]).begun - moves.both,
            "frames_changed": moves.changed,
            "frames_removed": moves.ended - moves.both,
            **{f"boxes_{kind}": boxes[record.version.number, kind] for kind in ("added", "changed", "removed")},
            **({"purged_frames": purged[record.version.number][0]} if record.version.number in purged else {}),
        }
        for record in reversed(known)
    )
    title = counted(len(rows), "dataset version")
    if not rows:
        return Report(title, next="dataengine export")
    return Report(title, rows=tuple(map(_narrow, rows)), every_row=lambda: rows)


def made_by(record: VersionRecord) -> str:
    """The stage that made a version, with those of its settings that are not what they are by default."""
    usual: Mapping[str, Any] = {}
    if record.stage == "export":
        from data_engine.stages.export import ExportSettings

        usual = ExportSettings().model_dump(mode="json")
    told = [
        f"{name} {value}"
        for name, value in record.settings.items()
        # Those two only keep runs apart.
        if name not in ("scope", "version")
        and not isinstance(value, (list, dict))
        and value not in (None, usual.get(name))
    ]
    return f"{record.stage} ({', '.join(told)})" if told else record.stage


def _boxes(connection: Connection) -> Counter[tuple[int, str]]:
    counts: Counter[tuple[int, str]] = Counter()
    for number, moves in history.box_moves(connection).items():
        counts[number, "added"] = moves.begun
        counts[number, "removed"] = moves.ended
    for number, (ended, begun) in history.changed_boxes(connection):
        for change in compare(ended, begun):
            counts[number, change.kind] += 1
    return counts


def _narrow(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row as it fits a terminal."""
    changes = {
        what: f"+{row[f'{what}_added']} ~{row[f'{what}_changed']} -{row[f'{what}_removed']}"
        for what in ("frames", "boxes")
    }
    return {
        "version": row["version"],
        "id": row["id"][:8],
        "made": row["made"][:16].replace("T", " "),
        "by": row["by"],
        "frames": row["frames"],
        "frames_changed": changes["frames"],
        "boxes": row["boxes"],
        "boxes_changed": changes["boxes"],
        **({"purged": counted(row["purged_frames"], "frame")} if "purged_frames" in row else {}),
    }
