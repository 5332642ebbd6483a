"""What an import does to boxes: added, changed, removed or had before, counted box by box as ``dataset diff`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_engine.app.merge.export_plan import Plan
from data_engine.app.merge.merge_spool import Spool, Spooled
from data_engine.lineage import merge_bases
from data_engine.lineage.database import Connection, chunks
from data_engine.lineage.datasets import annotation_of
from data_engine.stages.dataset_diff import compare
from data_engine.types import Annotation, BoxRow

_AT_ONCE = 500
"""Frames whose boxes are in memory at once."""


@dataclass(slots=True)
class BoxCounts:
    """Of the frames that an import names."""

    added: int = 0
    """Boxes that the dataset did not have."""
    changed: int = 0
    """Boxes that it has with another place or class now."""
    removed: int = 0
    """Boxes that it has no longer."""
    same: int = 0
    """Boxes of the import that it had as they are."""


def box_counts(
    connection: Connection,
    plan: Plan,
    spool: Spool,
    given: Mapping[str, Sequence[Spooled]],
    drawn: Mapping[str, int],
) -> BoxCounts:
    """Count what a plan makes of boxes.

    Args:
        connection: to read what is held from.
        plan: of the import's merge.
        spool: where its boxes are.
        given: their places, by frame id; also of frames that the plan leaves as they are.
        drawn: how many they are.
    """
    counts = BoxCounts()
    differ: list[str] = []
    for frame_id, sides in given.items():
        held = plan.held.get(frame_id)
        if held is None:
            counts.added += drawn[frame_id] if frame_id in plan.changed else 0
        elif held.content == sides[-1].content:
            counts.same += drawn[frame_id]
        else:
            differ.append(frame_id)
    if plan.latest is None:
        return counts
    for part in chunks(differ, _AT_ONCE):
        before = merge_bases.boxes_now(connection, plan.latest.number, part)
        for frame_id in part:
            there = _annotations(before[frame_id])
            theirs = _annotations(_rows(spool, given[frame_id][-1]))
            news = Counter(change.kind for change in compare(there, theirs))
            counts.same += len(theirs) - news["added"] - news["changed"]
            if frame_id not in plan.changed:
                continue
            after = plan.changed[frame_id].boxes
            if not isinstance(after, Spooled):
                news = Counter(change.kind for change in compare(there, _annotations(after)))
            counts.added += news["added"]
            counts.changed += news["changed"]
            counts.removed += news["removed"]
    return counts


def _rows(spool: Spool, kept: Spooled) -> list[BoxRow]:
    return spool.get(kept, since=0, acceptance=None)


def _annotations(rows: Sequence[BoxRow]) -> list[Annotation]:
    return [annotation_of(row) for row in rows]
