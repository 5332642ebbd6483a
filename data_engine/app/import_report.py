"""What an import tells: what came in, what did not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from data_engine.app.import_merge import Outcome
from data_engine.app.import_pictures import Taken
from data_engine.stages.import_plan import counts
from data_engine.types import Failed, Report
from data_engine.words import counted, listed

if TYPE_CHECKING:
    from data_engine.stages.dataset_import import Imported


def told(
    name: str, read: Imported, taken: Taken, outcome: Outcome, new: list[str], *, dry_run: bool, command: str
) -> Report:
    """The report of an import.

    Args:
        name: of the import.
        read: what the source says.
        taken: its frames.
        outcome: what came of it.
        new: classes that are registered with it.
        dry_run: whether all of that only would be.
        command: that makes it so.
    """
    came = outcome.added + outcome.changed
    version = outcome.version
    what_came = f"{counted(came, 'frame')}, {counted(outcome.boxes, 'box')}"
    if outcome.made:
        label = "" if version is None else version.label
        title = f"would import {name}: {what_came}" if dry_run else f"imported {name} as {label}: {what_came}"
    elif outcome.again:
        title = f"{name} was imported before: nothing to do"
    else:
        title = f"nothing of {name} is new"
    drawn = counts(taken.found.frames.values())
    left_out: dict[str, int] = {}
    clipped = outside = 0
    for side in read.sides:
        repairs = side.dataset.repairs
        clipped, outside = clipped + repairs.clipped, outside + repairs.outside
        for what, number in repairs.left_out.items():
            left_out[what] = left_out.get(what, 0) + number
    few = listed(read.missing, 3)
    lost = [Failed(name, f"{counted(len(read.missing), 'labelled picture')} not there: {few}")] if read.missing else []
    numbers = {
        "same_frames": outcome.same,
        "conflicts": len(outcome.kept) + len(outcome.replaced),
        "pictures_twice": taken.found.twice,
        "pictures_unlabelled": read.unlabelled,
        "pictures_missing": len(read.missing),
        "boxes_clipped": clipped,
        "boxes_outside": outside,
        "shapes_left_out": sum(left_out.values()),
    }
    return Report(
        title=title,
        data={
            "name": name,
            "format": read.kind,
            "version": None if version is None or dry_run else version.label,
            "new": outcome.made and not dry_run,
            "dry_run": dry_run,
            "frames_added": outcome.added,
            "frames_changed": outcome.changed,
            "boxes_added": outcome.boxes,
            **outcome.sides,
            **{key: number for key, number in numbers.items() if number},
            **({"left_out": left_out} if left_out else {}),
            **({"conflicting": sorted(outcome.kept + outcome.replaced)} if outcome.kept or outcome.replaced else {}),
            "new_classes": new,
        },
        rows=tuple(
            {"class": label, "boxes": boxes, "frames": on, "new": label in new} for label, (boxes, on) in drawn.items()
        ),
        notes=_notes(read, taken, outcome, left_out, clipped, outside),
        failures=(*read.failures, *taken.failures, *lost),
        next=command if dry_run and came else "dataengine convert" if version else "",
    )


def _notes(
    read: Imported, taken: Taken, outcome: Outcome, left_out: Mapping[str, int], clipped: int, outside: int
) -> tuple[str, ...]:
    notes = []
    for names, what in (
        (outcome.kept, "kept the boxes that the dataset has of them, though these are others"),
        (outcome.replaced, "took these boxes for the others that the dataset had of them"),
    ):
        if names:
            notes.append(f"{counted(len(names), 'frame')} {what}: {listed(names, 3)}")
    if left_out:
        what = ", ".join(counted(number, shape) for shape, number in sorted(left_out.items()))
        notes.append(f"left out, for only upright boxes are learned from: {what}")
    if clipped:
        notes.append(f"{counted(clipped, 'box')} over the edge of a picture cut to it")
    if outside:
        notes.append(f"{counted(outside, 'box')} outside their picture left out")
    if read.unlabelled:
        count = counted(read.unlabelled, "picture")
        notes.append(f"{count} that no annotation names left out, for nobody says that they show nothing")
    if taken.found.twice:
        notes.append(f"{counted(taken.found.twice, 'picture')} there twice, taken once")
    if outcome.made and not outcome.sides.get("valid"):
        notes.append("no frame of it lies on the validation side")
    return tuple(notes)
