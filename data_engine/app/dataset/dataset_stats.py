"""``dataset stats``: the boxes of a version, counted every way that a detector cares for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.engine import Engine
from data_engine.lineage import classes, version_counts
from data_engine.lineage.version_counts import ClassGroup, FrameGroup
from data_engine.types import ClassRegistry, Report
from data_engine.words import counted, listed

SIDES = ("train", "valid", "golden", "guard")
_SIZES = ("small", "medium", "large")
_STEPS = (0, 1, 2, 3, 5, 10, 20, 50, 100)
"""Boxes on a frame from which on a row of the table begins."""
_MOST_DAYS = 40
"""Rows of cameras and days in the text; the JSON has all."""


def stats(engine: Engine, version: str | None = None) -> Report:
    """Count the boxes of a version, the newest unless one is named.

    Raises:
        MissingInputError: there is no such version.
    """
    with engine.database.read() as connection:
        found = version_named(connection, version)
        registry = classes.registry_at(connection, found.number)
        frames = version_counts.frame_groups(connection, found.number)
        of_class = version_counts.class_groups(connection, found.number)
        sizes = version_counts.size_counts(connection, found.number)
    by_class = _classes(registry, of_class, sizes)
    days = _days(frames)
    notes = []
    if len(days) > _MOST_DAYS:
        notes.append(f"{len(days) - _MOST_DAYS} more cameras and days: --json tells all")
    without = [row["class"] for row in by_class if not row["boxes"]]
    if without:
        notes.append(f"{counted(len(without), 'class')} without a box: {listed(without)}")
    return Report(
        title=f"dataset version {found.label}: {counted(found.frames, 'frame')}, {counted(found.boxes, 'box')}",
        data={
            "version": found.label,
            "version_id": found.id,
            "frames": found.frames,
            "boxes": found.boxes,
            **_per_frame(frames),
            **balance({row["class"]: row["boxes"] for row in by_class}),
        },
        tables={
            "classes": by_class,
            "sides": _sides(frames),
            "boxes_on_a_frame": _histogram(frames),
            "picture_sizes": _pictures(frames),
        },
        rows=days[:_MOST_DAYS],
        every_row=lambda: days,
        notes=tuple(notes),
    )


@dataclass(slots=True)
class Sum:
    """Frames and the boxes on them."""

    frames: int = 0
    boxes: int = 0
    empty: int = 0
    """Frames without a box."""

    def add(self, group: FrameGroup) -> None:
        """Count a group in."""
        self.frames += group.frames
        self.boxes += group.frames * group.boxes
        self.empty += 0 if group.boxes else group.frames

    def columns(self) -> Mapping[str, int]:
        """As columns of a table."""
        return {"frames": self.frames, "boxes": self.boxes, "empty_frames": self.empty}


def summed(groups: Iterable[FrameGroup], names: Sequence[str]) -> dict[tuple[Any, ...], Sum]:
    """Frames and boxes by the attributes of these names."""
    sums: dict[tuple[Any, ...], Sum] = {}
    for group in groups:
        sums.setdefault(tuple(getattr(group, name) for name in names), Sum()).add(group)
    return sums


def side_order(side: str) -> tuple[int, str]:
    """Where a side stands in tables."""
    return (SIDES.index(side) if side in SIDES else len(SIDES), side)


def balance(boxes: Mapping[str, int]) -> dict[str, Any]:
    """How rare the rarest class that has a box is, and how many boxes of the commonest there are to one of it."""
    some = {name: number for name, number in boxes.items() if number}
    if not some:
        return {"rarest_class": None}
    name, least = min(some.items(), key=lambda item: (item[1], item[0]))
    return {
        "rarest_class": name,
        "rarest_boxes": least,
        "rarest_share": least / sum(some.values()),
        "commonest_to_rarest": max(some.values()) / least,
    }


def _classes(
    registry: ClassRegistry, groups: Iterable[ClassGroup], sizes: Mapping[tuple[int, str], int]
) -> tuple[dict[str, Any], ...]:
    boxes: dict[int, Counter[str]] = {category.id: Counter() for category in registry}
    on: Counter[int] = Counter()
    for group in groups:
        boxes.setdefault(group.category_id, Counter())[group.split] += group.boxes
        on[group.category_id] += group.frames
    total = sum(found.total() for found in boxes.values()) or 1
    sides = sorted({side for found in boxes.values() for side in found} | {"train", "valid"}, key=side_order)
    names = {category.id: category.name for category in registry}
    return tuple(
        {
            "class": names.get(number, f"class {number}"),
            "boxes": found.total(),
            "share": found.total() / total,
            "frames": on[number],
            **{side: found[side] for side in sides},
            **{size: sizes.get((number, size), 0) for size in _SIZES},
        }
        for number, found in sorted(boxes.items(), key=lambda item: (-item[1].total(), item[0]))
    )


def _sides(groups: Iterable[FrameGroup]) -> tuple[Mapping[str, Any], ...]:
    sums = summed(groups, ("split",))
    return tuple(
        {"side": side, **sums[side,].columns()} for (side,) in sorted(sums, key=lambda key: side_order(key[0]))
    )


def _per_frame(groups: Sequence[FrameGroup]) -> dict[str, Any]:
    on = Counter[int]()
    for group in groups:
        on[group.boxes] += group.frames
    total = on.total()
    boxes = sum(number * count for number, count in on.items())
    return {
        "empty_frames": on[0],
        "boxes_a_frame": boxes / total if total else None,
        "median_a_frame": _median(on),
        "most_on_a_frame": max(on, default=None),
    }


def _median(on: Mapping[int, int]) -> float | None:
    """The median of values that come so often."""
    ordered = sorted(on.items())
    total = sum(on.values())

    def at(place: int) -> int:
        for value, count in ordered:
            place -= count
            if place < 0:
                return value
        raise IndexError(place)

    return (at((total - 1) // 2) + at(total // 2)) / 2 if total else None


def _histogram(groups: Iterable[FrameGroup]) -> tuple[Mapping[str, Any], ...]:
    counts: Counter[int] = Counter()
    for group in groups:
        counts[max(step for step in _STEPS if step <= group.boxes)] += group.frames
    ends = [*(step - 1 for step in _STEPS[1:]), None]
    names = {
        step: str(step) if end == step else f"{step}-{end}" if end is not None else f"{step}-"
        for step, end in zip(_STEPS, ends, strict=True)
    }
    return tuple({"boxes": names[step], "frames": counts[step]} for step in sorted(counts))


def _pictures(groups: Iterable[FrameGroup]) -> tuple[Mapping[str, Any], ...]:
    sums = summed(groups, ("size",))
    ordered = sorted(sums.items(), key=lambda item: (-item[1].frames, item[0]))
    return tuple({"size": f"{size[0]} x {size[1]}", "frames": found.frames} for (size,), found in ordered)


def _days(groups: Iterable[FrameGroup]) -> tuple[Mapping[str, Any], ...]:
    sums = summed(groups, ("camera", "day"))
    ordered = sorted(sums.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    return tuple({"camera": camera, "day": day, **found.columns()} for (camera, day), found in ordered)
