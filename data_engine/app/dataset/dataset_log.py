"""``dataset log``: every version, what made it and what it changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from data_engine.app.engine import Engine
from data_engine.lineage import tombstones
from data_engine.lineage import version_history as history
from data_engine.lineage.database import Connection
from data_engine.lineage.former_lives import FormerLives
from data_engine.lineage.tombstones import Tombstone
from data_engine.lineage.version_history import VersionRecord
from data_engine.stages.dataset_diff import compare
from data_engine.types import Report
from data_engine.words import counted


def log(engine: Engine) -> Report:
    """List the versions, newest first, each with what it changed against the one before it.

    Counts are those of when a version was made; what was purged of it since stands beside them.
    """
    with engine.database.read() as connection:
        known = history.records(connection)
        frames = history.frame_moves(connection)
        boxes = _boxes(connection)
        stones = tombstones.known(connection)
    purged = tombstones.taken_from(stones)
    _add_purged(boxes, known, stones)
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
            **(_purged(purged.get(record.version.number, (0, 0))) if purged else {}),
        }
        for record in reversed(known)
    )
    title = counted(len(rows), "dataset version")
    if not rows:
        return Report(title, next="dataengine export")
    return Report(title, rows=tuple(map(_narrow, rows)), every_row=lambda: rows)


def _purged(taken: tuple[int, int]) -> dict[str, int]:
    return {"frames_purged": taken[0], "boxes_purged": taken[1]}


def _add_purged(boxes: Counter[tuple[int, str]], known: Sequence[VersionRecord], stones: Sequence[Tombstone]) -> None:
    """Count the boxes that were purged where they came and went: of them only the sums of each version are left."""
    for stone in stones:
        before = 0
        for record in known:
            number = record.version.number
            held = stone.detail["versions"].get(str(number), {"boxes": 0})["boxes"]
            boxes[number, "added" if held > before else "removed"] += abs(held - before)
            before = held


def made_by(record: VersionRecord) -> str:
    """The stage that made a version, with those of its settings that are not what they are by default."""
    usual: Mapping[str, Any] = {}
    if record.stage == "export":
        from data_engine.stages.export import ExportSettings

        usual = ExportSettings().model_dump(mode="json")
    elif record.stage == "import":
        usual = {"split": "own", "on_conflict": "held"}
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
    former = FormerLives(connection)
    for number, (ended, begun) in history.changed_boxes(connection):
        for change in compare(ended, begun, began=former.of((*ended, *begun))):
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
        **({"purged": _purged_of(row)} if "frames_purged" in row else {}),
    }


def _purged_of(row: Mapping[str, Any]) -> str:
    """What of a version was purged since, of all its frames and boxes."""
    if not row["frames_purged"]:
        return ""
    return f"{counted(row['frames_purged'], 'frame')}, {counted(row['boxes_purged'], 'box')}"
