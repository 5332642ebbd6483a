"""What distinguishes the boxes of a frame in one version of the dataset from those in another.  Pure.

A box of the one is the same as a box of the other when it has the same id; else when nothing of it differs; else when
it began as the same proposal, or as the other one itself; else where the two overlap best, those of one class first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from data_engine.formats.boxes import XYWH, overlap
from data_engine.types import Annotation, Split

LEAST_OVERLAP = 0.5
"""Intersection over union from which on two boxes without anything else in common are the same, changed."""
Kind = Literal["added", "removed", "changed"]
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BoxChange:
    """A box that is not in both alike."""

    before: Annotation | None
    """None where it is new."""
    after: Annotation | None
    """None where it is gone."""

    @property
    def kind(self) -> Kind:
        """What became of it."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    @property
    def moved_px(self) -> float:
        """By how many pixels the edge moved that moved farthest; 0 for one that is only in one of the two."""
        return 0.0 if self.before is None or self.after is None else displacement(self.before.xywh, self.after.xywh)

    @property
    def reclassified(self) -> bool:
        """Whether it is of another class now."""
        pair = self.before, self.after
        return pair[0] is not None and pair[1] is not None and pair[0].category_id != pair[1].category_id


@dataclass(frozen=True, slots=True)
class FrameChange:
    """A frame that is not in both versions alike."""

    frame_id: str
    side_before: Split | None
    """None where the frame is new."""
    side_after: Split | None
    """None where it is gone."""
    boxes: tuple[BoxChange, ...] = ()

    @property
    def kind(self) -> Kind:
        """What became of it."""
        return "added" if self.side_before is None else "removed" if self.side_after is None else "changed"

    @property
    def changed_sides(self) -> bool:
        """Whether it is in both, on different sides of the split."""
        return self.kind == "changed" and self.side_before != self.side_after


def compare(
    before: Sequence[Annotation],
    after: Sequence[Annotation],
    least: float = LEAST_OVERLAP,
    *,
    began: Mapping[str, str] = _NOTHING,
) -> tuple[BoxChange, ...]:
    """What became of the boxes of one frame: those that changed, then those that are gone, then those that are new.

    Args:
        least: overlap from which on two boxes with nothing else in common are one.
        began: what proposals first began as that were boxes once, by their ids.
    """

    def _origin(box: Annotation) -> Hashable:
        return box.id if box.proposal_id is None else began.get(box.proposal_id, box.proposal_id)

    old, new = sorted(before, key=_order), sorted(after, key=_order)
    pairs: list[tuple[Annotation, Annotation]] = []
    for key in (_identity, _look, _origin):
        pairs += _paired(old, new, key)
    pairs += _overlapping(old, new, least)
    changed = [BoxChange(was, now) for was, now in pairs if _look(was) != _look(now)]
    changed.sort(key=lambda change: _order(change.after))
    return (*changed, *(BoxChange(box, None) for box in old), *(BoxChange(None, box) for box in new))


def displacement(a: XYWH, b: XYWH) -> float:
    """Pixels between the edges of two boxes that are farthest from one another."""
    if a == b:  # the sums below may round
        return 0.0
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]), abs(a[0] + a[2] - b[0] - b[2]), abs(a[1] + a[3] - b[1] - b[3]))


def _identity(box: Annotation) -> Hashable:
    return box.id


def _look(box: Annotation) -> tuple[int, XYWH, bool]:
    return box.category_id, box.xywh, box.iscrowd


def _order(box: Annotation | None) -> tuple[object, ...]:
    return () if box is None else (box.category_id, box.xywh, box.iscrowd, box.id)


def _paired(
    old: list[Annotation], new: list[Annotation], key: Callable[[Annotation], Hashable]
) -> list[tuple[Annotation, Annotation]]:
    """Take out of both those with the same key, in the order of the second; None is no key."""
    waiting: dict[Hashable, list[Annotation]] = {}
    for box in reversed(old):
        if key(box) is not None:
            waiting.setdefault(key(box), []).append(box)
    pairs = [(waiting[key(box)].pop(), box) for box in new if waiting.get(key(box))]
    if pairs:
        _remove(old, [was for was, _now in pairs])
        _remove(new, [now for _was, now in pairs])
    return pairs


def _overlapping(old: list[Annotation], new: list[Annotation], least: float) -> list[tuple[Annotation, Annotation]]:
    candidates = sorted(
        (was.category_id != now.category_id, -shared, i, j)
        for i, was in enumerate(old)
        for j, now in enumerate(new)
        if (shared := overlap(was.xywh, now.xywh)) >= least
    )
    taken_old: set[int] = set()
    taken_new: set[int] = set()
    pairs = []
    for _other_class, _shared, i, j in candidates:
        if i not in taken_old and j not in taken_new:
            taken_old.add(i)
            taken_new.add(j)
            pairs.append((old[i], new[j]))
    _remove(old, [was for was, _now in pairs])
    _remove(new, [now for _was, now in pairs])
    return pairs


def _remove(boxes: list[Annotation], gone: Sequence[Annotation]) -> None:
    numbers = {id(box) for box in gone}
    boxes[:] = [box for box in boxes if id(box) not in numbers]
