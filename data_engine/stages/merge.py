"""The boxes of one frame merged three ways: what came back, what the dataset holds, and what both began from.

Pure, and of the kind that version control does with lines: a box that one side changed is taken from that side, one
that both changed to the same is taken once, and one that they changed otherwise is a conflict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from data_engine.formats.boxes import XYWH, overlap, unmoved

Kind = Literal["edited by both", "edited and removed", "removed and edited", "drawn by both"]
"""What the two sides made of a box; theirs is told first."""


class Placed(Protocol):
    """A box with its class."""

    @property
    def category_id(self) -> int: ...

    @property
    def xywh(self) -> XYWH: ...

    @property
    def iscrowd(self) -> bool: ...

    @property
    def proposal_id(self) -> str | None:
        """What it began as; boxes of two sides that began as the same are the same box."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A box that a side began from: see :class:`Placed`."""

    category_id: int
    xywh: XYWH
    iscrowd: bool = False
    proposal_id: str | None = None


B = TypeVar("B", bound=Placed)


@dataclass(frozen=True, slots=True)
class Conflict(Generic[B]):
    """One box of which the two sides say something else."""

    kind: Kind
    theirs: B | None
    """None where they removed it."""
    ours: B | None


@dataclass(frozen=True, slots=True)
class FrameMerge(Generic[B]):
    """What becomes of a frame."""

    boxes: tuple[B, ...]
    """What nobody contradicts: those that both sides have are ours."""
    conflicts: tuple[Conflict[B], ...]

    @property
    def newest(self) -> tuple[B, ...]:
        """All boxes where what came back wins."""
        return (*self.boxes, *(c.theirs for c in self.conflicts if c.theirs is not None))


def three_way(base: Sequence[Placed], theirs: Sequence[B], ours: Sequence[B], *, least: float) -> FrameMerge[B]:
    """Merge the boxes of a frame.

    Args:
        base: what both sides began from; empty where there was nothing, so that all boxes were drawn.
        theirs: what came back.
        ours: what the dataset holds.
        least: overlap (intersection over union) from which two boxes are one that was moved.
    """
    from_theirs, from_ours = pairs(base, theirs, least), pairs(base, ours, least)
    boxes: list[B] = []
    conflicts: list[Conflict[B]] = []
    for index, was in enumerate(base):
        one = theirs[from_theirs[index]] if index in from_theirs else None
        other = ours[from_ours[index]] if index in from_ours else None
        _settle(was, one, other, boxes, conflicts)
    drawn = [box for index, box in enumerate(theirs) if index not in from_theirs.values()]
    there = [box for index, box in enumerate(ours) if index not in from_ours.values()]
    same = pairs(there, drawn, least)
    for index, other in enumerate(there):
        if index not in same or alike(drawn[same[index]], other):
            boxes.append(other)
        else:
            conflicts.append(Conflict("drawn by both", drawn[same[index]], other))
    boxes += [box for index, box in enumerate(drawn) if index not in same.values()]
    return FrameMerge(tuple(boxes), tuple(conflicts))


def _settle(was: Placed, one: B | None, other: B | None, boxes: list[B], conflicts: list[Conflict[B]]) -> None:
    """One box that both sides began from: ``one`` is theirs and ``other`` ours, None where it was removed."""
    if one is None and other is None:
        return
    if other is None:
        assert one is not None
        if not alike(one, was):
            conflicts.append(Conflict("edited and removed", one, None))
    elif one is None:
        if not alike(other, was):
            conflicts.append(Conflict("removed and edited", None, other))
    elif alike(one, other) or alike(one, was):
        boxes.append(other)
    elif alike(other, was):
        boxes.append(one)
    else:
        conflicts.append(Conflict("edited by both", one, other))


def alike(one: Placed, other: Placed) -> bool:
    """Whether two boxes say the same: class, crowd mark, and coordinates up to what tools round."""
    return one.category_id == other.category_id and one.iscrowd == other.iscrowd and unmoved(one.xywh, other.xywh)


def pairs(before: Sequence[Placed], after: Sequence[Placed], least: float) -> dict[int, int]:
    """Which box of ``after`` each of ``before`` is, by positions: by what they began as, then the best overlap."""
    found: dict[int, int] = {}
    began: dict[str, int] = {}
    for index, box in enumerate(after):
        if box.proposal_id is not None:
            began.setdefault(box.proposal_id, index)
    for index, box in enumerate(before):
        if box.proposal_id is not None and box.proposal_id in began:
            found[index] = began.pop(box.proposal_id)
    taken = set(found.values())
    near = sorted(
        (-shared, one.category_id != other.category_id, index, place)
        for index, one in enumerate(before)
        if index not in found
        for place, other in enumerate(after)
        if place not in taken and (shared := overlap(one.xywh, other.xywh)) >= least
    )
    for _shared, _other_class, index, place in near:
        if index not in found and place not in taken:
            found[index] = place
            taken.add(place)
    return found
