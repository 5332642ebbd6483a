"""The counts of a version's certificate, from its rows: how its sides are made up, and how far apart they lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_engine.lineage import certificate_rows, classes, datasets, purging, split_sources
from data_engine.lineage.certificate_rows import Boxes
from data_engine.lineage.database import Connection
from data_engine.lineage.ever_after import ever_after
from data_engine.lineage.split_sources import Ever
from data_engine.selection.kept_apart import GOLDEN, GUARD, SIDES, TRAIN, VALID
from data_engine.selection.near_index import NEAR
from data_engine.selection.separation import Distance, Seen, distance, near_duplicates, near_pairs
from data_engine.selection.splits import SplitPlan, moment, unit
from data_engine.types import DatasetVersion, Split

IntArray = NDArray[np.intp]
_NAMED = 10
"""Pairs that are named one by one."""


class _Axes:
    """Where every frame stands in time, by the plans of the sources as they are recorded."""

    def __init__(self, ever: Ever, plans: Mapping[str, SplitPlan]) -> None:
        found = [plans.get(name) for name in ever.names]
        numbers: dict[str, int] = {}
        names = [name if plan is None else plan.axis for name, plan in zip(ever.names, found, strict=True)]
        of_source = np.array([numbers.setdefault(name, len(numbers)) for name in names], np.intp)
        shift = np.array([0.0 if plan is None else plan.shift for plan in found])
        block = np.array([1.0 if plan is None else plan.block for plan in found])
        guard = np.array([0.0 if plan is None else plan.guard for plan in found])
        self.names = list(numbers)
        self.guards = np.full(len(numbers), np.inf)
        np.minimum.at(self.guards, of_source, guard)
        self.of_frame = of_source[ever.sources]
        self.at = ever.positions + shift[ever.sources]
        self.blocks = np.asarray(self.at // block[ever.sources], np.int64)


def counts(
    connection: Connection,
    version: DatasetVersion,
    before: Mapping[str, Any] | None = None,
    ever: Ever | None = None,
) -> dict[str, Any]:
    """The certificate of a version as plain JSON values; the same for ever, whatever is trained or exported later.

    Of frames that were purged nothing is counted but their number.

    Args:
        before: that of the version before: then boxes, and pairs of frames of which it found none wrong, are only
            counted where this version changed them.
        ever: all frames that the versions before it held, as their rows were before it was made: then only rows that
            it touched are read.
    """
    number = version.number
    ever = split_sources.ever_held(connection, number) if ever is None else ever_after(connection, ever, number)
    sides = ever.sides_at(number)
    stubs = purging.stubs(connection)
    gone = np.array([frame in stubs for frame in ever.ids], np.bool_) if stubs else np.zeros(len(sides), np.bool_)
    purged = int((gone & (sides >= 0)).sum())
    sides[gone] = -1
    plans = datasets.plans(connection, [name for name in ever.names if not name.startswith("picture:")])
    axes = _Axes(ever, plans)
    boxes = _boxes(connection, version, before)
    names = {c.id: c.name for c in classes.registry_at(connection, number).categories}
    moves = _moves(ever, sides)
    return {
        "version": version.label,
        "id": version.id,
        "frames_purged": purged,
        "sides": _sides(ever, sides, axes, boxes),
        "classes": [
            {"id": i, "class": names.get(i, str(i)), **{side: boxes[side, i] for side in SIDES}}
            for i in sorted(names.keys() | {category for _side, category in boxes})
        ],
        "time": _time(ever, sides, axes, plans),
        "near_duplicates": _looks(ever, sides, axes, version, before),
        "frames_that_changed_sides": sum(n for change, n in moves.items() if change in _FORBIDDEN),
        "frames_that_turned_golden": {SIDES[side]: n for (side, now), n in sorted(moves.items()) if now == GOLDEN},
    }


_FORBIDDEN = {
    (then, now)
    for then in range(len(SIDES))
    for now in range(len(SIDES))
    # Golden takes in frames, and a training frame beside a golden block goes to the guard; nothing else moves.
    if then != now and (now != GOLDEN or then == GUARD) and (then, now) != (TRAIN, GUARD)
}


def _boxes(connection: Connection, version: DatasetVersion, before: Mapping[str, Any] | None) -> Boxes:
    if before is None or before["id"] != version.parent_id:
        return certificate_rows.boxes(connection, version.number)
    known: Counter[tuple[Split, int]] = Counter(
        {(side, row["id"]): row[side] for row in before["classes"] for side in SIDES}
    )
    return certificate_rows.boxes_after(connection, version.number, known)


def _moves(ever: Ever, sides: NDArray[np.int8]) -> Counter[tuple[int, int]]:
    """How many frames of the version were on another side in a version before: (then, now)."""
    now = sides[ever.row_frames]
    moved = (now >= 0) & (ever.row_sides != now)
    changes = np.stack([ever.row_frames[moved], ever.row_sides[moved], now[moved]], axis=1)
    return Counter((then, after) for _frame, then, after in np.unique(changes, axis=0).tolist())


def _sides(ever: Ever, sides: NDArray[np.int8], axes: _Axes, boxes: Boxes) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for code, side in enumerate(SIDES):
        mine = sides == code
        found[side] = {
            "frames": int(mine.sum()),
            "boxes": sum(number for (of, _category), number in boxes.items() if of == side),
            "sources": len(np.unique(ever.sources[mine])),
            "blocks": len(np.unique(np.stack([axes.of_frame[mine], axes.blocks[mine]], axis=1), axis=0)),
        }
    return found


def _time(ever: Ever, sides: NDArray[np.int8], axes: _Axes, plans: Mapping[str, SplitPlan]) -> dict[str, Any]:
    """How near training frames come to judged ones of the same time axis."""
    training, judged = sides == TRAIN, (sides == VALID) | (sides == GOLDEN)
    shared = np.intersect1d(axes.of_frame[training], axes.of_frame[judged])
    placed = np.flatnonzero((training | judged) & np.isin(axes.of_frame, shared))
    order = placed[np.argsort(axes.of_frame[placed], kind="stable")]
    measured: dict[str, Distance] = {}
    for rows in np.split(order, np.flatnonzero(np.diff(axes.of_frame[order])) + 1) if len(order) else ():
        axis = int(axes.of_frame[rows[0]])
        at, mine = axes.at[rows], training[rows]
        measured[axes.names[axis]] = distance(at[mine], at[~mine], float(axes.guards[axis]))

    def smallest(numbered: bool) -> float | None:
        found = [
            d.smallest
            for axis, d in measured.items()
            if d.smallest is not None and axis.startswith("series:") is numbered
        ]
        return round(min(found), 6) if found else None

    held = sides >= 0
    met = np.unique(
        np.stack([ever.sources[held], np.where(training, 0, 1)[held]], axis=1)[sides[held] != GUARD], axis=0
    )
    met_sources = set(ever.sources[held].tolist())
    guards = axes.guards[shared]
    return {
        "sources": len(met_sources),
        "sources_on_both_sides": int((np.bincount(met[:, 0]) > 1).sum()),
        "sources_on_a_common_axis": sum(
            (plan := plans.get(ever.names[source])) is not None and plan.shares is not None for source in met_sources
        ),
        "smallest_distance_s": smallest(numbered=False),
        "smallest_distance_pictures": smallest(numbered=True),
        "smallest_guard": round(float(guards.min()), 6) if len(guards) else None,
        "training_frames_too_near": sum(d.too_near for d in measured.values()),
    }


def _looks(
    ever: Ever, sides: NDArray[np.int8], axes: _Axes, version: DatasetVersion, before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The near-duplicates on two sides, of all pairs of frames of different axes."""
    rows = np.flatnonzero(ever.hashed)
    of_source = np.array([moment(name) for name in ever.names], np.float64)
    in_units = np.array([unit(name) for name in ever.names], np.int8)
    seen = Seen(
        ever.hashes[rows],
        axes.of_frame[rows],
        ever.sources[rows],
        ever.positions[rows],
        of_source[ever.sources[rows]],
        in_units[ever.sources[rows]],
    )
    training, judged = _two_sides(sides[rows])
    touched, exempt = None, 0
    if before is not None and before["id"] == version.parent_id and not before["near_duplicates"]["across_sides"]:
        touched = _with(ever, ever.since == version.number)[rows]
        # Of pairs that were exempt those are left that this version did not touch; none becomes another.
        exempt = before["near_duplicates"]["exempt_pairs"]
        if exempt:
            earlier = ever.sides_at(version.number - 1)[rows]
            exempt -= near_pairs(seen, *_two_sides(earlier), _with(ever, ever.until == version.number)[rows])
    found = near_duplicates(seen, training, judged, touched)
    mine, others = (np.bincount(seen.axes[which], minlength=len(axes.names)) for which in (training, judged))
    named = sorted([ever.ids[rows[one]], ever.ids[rows[other]]] for one, other in found.across)
    return {
        "differing_bits_at_most": NEAR,
        "frames_compared": int(training.sum() + judged.sum()),
        "frames_without_a_look": int(((sides >= 0) & (sides != GUARD) & ~ever.hashed).sum()),
        "pairs_compared": int(training.sum()) * int(judged.sum()) - int((mine * others).sum()),
        "across_sides": len(found.across),
        "named": named[:_NAMED],
        "exempt_pairs": exempt + found.exempt,
    }


def _two_sides(sides: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which frames are trained on, and which models are judged by."""
    return sides == TRAIN, (sides == VALID) | (sides == GOLDEN)


def _with(ever: Ever, which: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The frames of these rows of the dataset."""
    found = np.zeros(len(ever.ids), np.bool_)
    found[ever.row_frames[which]] = True
    return found
