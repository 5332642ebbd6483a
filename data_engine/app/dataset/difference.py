"""Two versions beside one another: their frames that differ, and what is said of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from data_engine.lineage import classes, footage
from data_engine.lineage import version_changes as changes
from data_engine.lineage.database import Connection, chunks
from data_engine.lineage.former_lives import FormerLives
from data_engine.stages.dataset_diff import BoxChange, FrameChange, Kind, compare
from data_engine.stages.export import dataset_name
from data_engine.types import Annotation, ClassRegistry, DatasetVersion, Frame
from data_engine.words import counted

KINDS: tuple[Kind, ...] = ("changed", "removed", "added")
"""What people did to frames that were there is told before what came."""
_NAMED_AT_ONCE = 500


class Difference:
    """Two versions, and the names of the classes in each."""

    def __init__(self, connection: Connection, first: DatasetVersion, second: DatasetVersion) -> None:
        self.first, self.second = first, second
        self.before = classes.registry_at(connection, first.number)
        self.after = classes.registry_at(connection, second.number)

    @property
    def numbers(self) -> tuple[int, int]:
        """Of the versions."""
        return self.first.number, self.second.number

    def frames(self, connection: Connection, kinds: tuple[Kind, ...] = KINDS) -> Iterator[tuple[Frame, FrameChange]]:
        """The frames that differ, with their boxes: those that changed, are gone and came, each by their names."""
        former = FormerLives(connection)
        for kind in kinds:
            for chunk in chunks(changes.steps(connection, kind, *self.numbers), _NAMED_AT_ONCE):
                frames = footage.frames_by_id(connection, [step.frame_id for step in chunk])
                began = former.of(box for step in chunk if kind == "changed" for box in (*step.before, *step.after))
                for step in chunk:
                    boxes = compare(step.before, step.after, began=began)
                    yield frames[step.frame_id], FrameChange(step.frame_id, step.side_before, step.side_after, boxes)

    def name_before(self, box: Annotation) -> str:
        """What the class of a box of the first version is called there."""
        return class_name(self.before, box.category_id)

    def name_after(self, box: Annotation) -> str:
        """What the class of a box of the second version is called there."""
        return class_name(self.after, box.category_id)


def class_name(registry: ClassRegistry, category_id: int) -> str:
    """The name of a class; of one that the version does not list its number."""
    try:
        return registry.name_of(category_id)
    except KeyError:
        return f"class {category_id}"


def described(pair: Difference, box: BoxChange) -> tuple[str, str]:
    """What happened to a box, in a word, and the rest of it."""
    if box.after is None:
        return "box removed", "" if box.before is None else pair.name_before(box.before)
    now = pair.name_after(box.after)
    if box.before is None:
        return "box added", now
    moved = f"{box.moved_px:.3g} px" if box.moved_px > 0 else ""
    if box.reclassified:
        return "reclassified", ", ".join(filter(None, (f"{pair.name_before(box.before)} -> {now}", moved)))
    if moved:
        return "moved", f"{now}, {moved}"
    return "crowd" if box.after.iscrowd else "no crowd", now


def table_rows(pair: Difference, frame: Frame, change: FrameChange) -> Iterator[Mapping[str, Any]]:
    """The rows of the table for one frame: a frame that came or went is one."""

    def row(what: str, detail: str, by: str | None = None) -> Mapping[str, Any]:
        return {"frame": dataset_name(frame), "camera": frame.camera, "change": what, "detail": detail, "by": by}

    if change.kind != "changed":
        side = change.side_after or change.side_before
        yield row(f"frame {change.kind}", f"{counted(len(change.boxes), 'box')}, {side}")
        return
    if change.changed_sides:
        yield row("side", f"{change.side_before} -> {change.side_after}")
    for box in change.boxes:
        what, detail = described(pair, box)
        yield row(what, detail, None if box.after is None else box.after.annotator)
