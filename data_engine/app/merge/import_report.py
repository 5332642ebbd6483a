"""What an import tells: what came in, what did not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_engine.app.merge.import_counts import BoxCounts
from data_engine.app.merge.import_merge import OnConflict, Outcome
from data_engine.app.merge.import_pictures import Taken
from data_engine.stages.import_plan import counts
from data_engine.types import Failed, Report
from data_engine.words import counted, listed

if TYPE_CHECKING:
    from data_engine.stages.dataset_import import Imported

BOXED = "boxed "
"""How the name of a shape begins that lies beside a box of the same thing."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The classes of an import that there is something to say of."""

    new: list[str]
    """Registered with it."""
    restored: list[str]
    """Those of them that were retired, and are classes again."""
    unoffered: list[str]
    """Retired with their boxes kept: nobody labels them any more."""


def told(
    name: str,
    read: Imported,
    taken: Taken,
    outcome: Outcome,
    labels: Labels,
    *,
    camera: str | None,
    on_conflict: OnConflict,
    dry_run: bool,
    command: str,
) -> Report:
    """The report of an import.

    Args:
        name: of the import.
        read: what the source says.
        taken: its frames.
        outcome: what came of it.
        labels: classes to be told of.
        camera: that was asked for.
        on_conflict: whose boxes count where the dataset says something else.
        dry_run: whether all of that only would be.
        command: that makes it so.
    """
    came = outcome.added + outcome.changed
    version = outcome.version
    boxes = outcome.boxes
    asks = len(outcome.disputes) if dry_run and on_conflict == "ask" else 0
    what_came = f"{counted(came, 'frame')}, {_moves(boxes)}"
    if outcome.made:
        label = "" if version is None else version.label
        title = f"would import {name}: {what_came}" if dry_run else f"imported {name} as {label}: {what_came}"
    elif outcome.again:
        title = f"{name} was imported before: nothing to do"
    else:
        title = f"nothing of {name} {'came in' if outcome.kept else 'is new'}"
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
        "same_boxes": boxes.same,
        "conflicts": len(outcome.kept) + len(outcome.replaced),
        "pictures_twice": taken.found.twice,
        "pictures_unlabelled": read.unlabelled,
        "pictures_missing": len(read.missing),
        "boxes_clipped": clipped,
        "boxes_outside": outside,
        "outlines_left_out": sum(number for shape, number in left_out.items() if _beside(shape)),
        "shapes_left_out": sum(number for shape, number in left_out.items() if not _beside(shape)),
        "frames_to_be_asked_about": asks,
        "frames_changed_by_others": len(outcome.apart),
        "frames_deleted_by_others": len(outcome.deleted),
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
            "boxes_added": boxes.added,
            "boxes_changed": boxes.changed,
            "boxes_removed": boxes.removed,
            **outcome.sides,
            **{key: number for key, number in numbers.items() if number},
            **({"left_out": left_out} if left_out else {}),
            **({"conflicting": sorted(outcome.kept + outcome.replaced)} if outcome.kept or outcome.replaced else {}),
            "new_classes": labels.new,
        },
        rows=tuple(
            {"class": label, "boxes": boxes, "frames": on, "new": label in labels.new}
            for label, (boxes, on) in drawn.items()
        ),
        notes=(
            *_of_frames(name, outcome, asks, dry_run=dry_run),
            *_of_labels(labels, outcome.doubled, {label: number for label, (number, _on) in drawn.items()}),
            *_of_cameras(taken, camera),
            *_of_source(read, taken, left_out, clipped, outside),
            *_of_sides(outcome),
        ),
        failures=(*read.failures, *taken.failures, *lost),
        next=command if dry_run and came else "dataengine convert" if version else "",
    )


def _moves(boxes: BoxCounts) -> str:
    """``3 boxes added, 1 changed``."""
    counts = {"added": boxes.added, "changed": boxes.changed, "removed": boxes.removed}
    (what, number), *more = [(what, number) for what, number in counts.items() if number] or [("added", 0)]
    return ", ".join([f"{counted(number, 'box')} {what}", *(f"{number} {what}" for what, number in more)])


def _beside(shape: str) -> bool:
    """Whether a shape lies beside a box that comes in."""
    return shape.startswith(BOXED)


def _of_frames(name: str, outcome: Outcome, asks: int, *, dry_run: bool) -> Iterator[str]:
    keep, take = ("would keep", "would take") if dry_run else ("kept", "took")
    if asks:
        others = _frames(outcome.kept, "would be asked about, for the dataset has other boxes of them")
        yield f"{others} (without a terminal the import stops there)"
    elif outcome.kept:
        others = _frames(outcome.kept, f"{keep} the boxes that the dataset has of them, though these are others")
        yield f"{others} (--on-conflict newest takes these)"
    if outcome.replaced:
        yield _frames(outcome.replaced, f"{take} these boxes for the others that the dataset had of them")
    if outcome.apart:
        apart = _frames(outcome.apart, "changed by others since, and left so")
        yield f"{apart} (to take these, import them under another name than {name} with --on-conflict newest)"
    if outcome.deleted:
        yield _frames(outcome.deleted, "deleted by people since, and not taken again")
    if outcome.elsewhere:
        yield _frames(outcome.elsewhere, "not on the side that the source says, for a frame never changes its side")


def _frames(names: Sequence[str], what: str) -> str:
    return f"{counted(len(names), 'frame')} {what}: {listed(names, 3)}"


def _of_sides(outcome: Outcome) -> Iterator[str]:
    if outcome.added and not outcome.sides.get("valid"):
        yield "no frame of it lies on the validation side"


def _of_labels(labels: Labels, doubled: int, drawn: Mapping[str, int]) -> Iterator[str]:
    if doubled:
        yield f"{counted(doubled, 'box')} in the place of another that is of the same class here left out"
    if labels.restored:
        yield f"retired before, and offered again with this import: {listed(labels.restored)}"
    if labels.unoffered:
        said = listed([f"{counted(drawn[label], 'box')} of {label!r}" for label in labels.unoffered])
        yield f"retired with their boxes kept, so nobody is offered them, and these count all the same: {said}"


def _of_cameras(taken: Taken, camera: str | None) -> Iterator[str]:
    others = sorted({frame.camera or "none" for frame in taken.frames.values()} - {camera})
    if camera is not None and others:
        number = sum(frame.camera != camera for frame in taken.frames.values())
        yield f"{counted(number, 'picture')} known before and left with the camera that it has: {listed(others, 3)}"


def _of_source(read: Imported, taken: Taken, left_out: Mapping[str, int], clipped: int, outside: int) -> Iterator[str]:
    for shape, number in sorted(left_out.items()):
        if _beside(shape):
            kind = shape.removeprefix(BOXED)
            yield f"{counted(number, 'box')} came with a {kind} as well: the box comes in, its {kind} does not"
    if alone := [counted(number, shape) for shape, number in sorted(left_out.items()) if not _beside(shape)]:
        yield f"{listed(alone)} left out whole, for a dataset holds upright boxes only"
    if clipped:
        yield f"{counted(clipped, 'box')} over the edge of a picture cut to it"
    if outside:
        yield f"{counted(outside, 'box')} outside their picture left out"
    if read.unlabelled:
        count = counted(read.unlabelled, "picture")
        usable = "annotation that can be used" if read.failures else "annotation"
        yield f"{count} that no {usable} names left out, for nobody says that they show nothing"
    if taken.found.twice:
        yield f"{counted(taken.found.twice, 'picture')} there twice, taken once"
