"""What speaks for a frame: places where the model is likely to be wrong, and how they add up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNCERTAIN, MISSED, SWITCH, FLASH, DISAGREEMENT, RARE = range(6)
KINDS = ("uncertain", "missed", "switch", "flash", "disagreement", "rare")
"""Names of the kinds: a doubtful box; a box seen before and after but not here; one that changes its class only here;
one seen only here; one that only one of two models sees; one that may be of a class that is short of its share."""

TOP = 3
"""Pieces of evidence that count for a frame.  Without this limit a crowd, which costs most to label, always wins."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Pieces of evidence, one a row; all arrays have the length ``k``."""

    frame: NDArray[np.int64]
    """Row of the pool."""
    kind: NDArray[np.int64]
    """Position in :data:`KINDS`."""
    label: NDArray[np.int64]
    """Column of the class it is about."""
    other: NDArray[np.int64]
    """Column of the class it was taken for (:data:`SWITCH`, :data:`DISAGREEMENT`), else -1."""
    score: NDArray[np.float64]
    """The model's probability of ``label``; for a missed box that of the weaker of its two neighbours."""
    value: NDArray[np.float64]
    """How much it speaks for labelling the frame: bits of entropy or lost probability, times the class's rarity."""
    centre: NDArray[np.float64]
    """``(k, 2)`` where, in pixels."""

    @classmethod
    def of(
        cls,
        kind: int,
        frame: NDArray[np.int64],
        label: NDArray[np.int64],
        score: NDArray[np.float64],
        value: NDArray[np.float64],
        xyxy: NDArray[np.float32],
        other: NDArray[np.int64] | None = None,
    ) -> Evidence:
        """Evidence of one kind; rows without value are left out."""
        keep = value > 0
        return cls(
            frame=frame[keep],
            kind=np.full(int(keep.sum()), kind, np.int64),
            label=label[keep],
            other=np.full(int(keep.sum()), -1, np.int64) if other is None else other[keep],
            score=score[keep].astype(np.float64),
            value=value[keep],
            centre=(xyxy[keep, :2].astype(np.float64) + xyxy[keep, 2:]) / 2,
        )

    @classmethod
    def none(cls) -> Evidence:
        """Nothing speaks for anything."""
        return cls(*(np.zeros(0, np.int64),) * 4, *(np.zeros(0),) * 2, centre=np.zeros((0, 2)))

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """All parts in one table, by frame and falling value; equal values in an order that only content decides."""
        names = ("frame", "kind", "label", "other", "score", "value", "centre")
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        # Rounded, so that the last bit of a sum done in another order can't change who comes first.
        falling = -np.round(columns["value"], 9)
        frame, centre = columns["frame"], columns["centre"]
        order = np.lexsort((falling, frame))
        # Few are equal so far: the other columns decide among these only.
        same = (frame[order][1:] == frame[order][:-1]) & (falling[order][1:] == falling[order][:-1])
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same)) if len(order) else order
        rest = (centre[:, 1], centre[:, 0], columns["label"], columns["kind"], falling, frame)
        order[tied] = order[tied][np.lexsort([key[order[tied]] for key in rest])]
        return cls(**{name: column[order] for name, column in columns.items()})

    def __len__(self) -> int:
        return len(self.frame)

    def discounted(self, factor: float) -> Evidence:
        """The ``r``-th strongest piece of one kind and class in a frame, from 0, worth ``factor ** r`` of its value.

        Doubts of one kind about one class in one frame are answered by the same look: labelling the first teaches most
        of what labelling all would (the redundancy that entropy-based non-maximum suppression takes out; Wu, Chen and
        Huang, "Entropy-based active learning for object detection with progressive diversity constraint", 2022).
        """
        order = np.lexsort((-np.round(self.value, 9), self.label, self.kind, self.frame))
        same = np.ones(len(order), np.bool_)
        for column in (self.frame, self.kind, self.label):
            same[1:] &= column[order][1:] == column[order][:-1]
        place = np.arange(len(order))
        first = np.maximum.accumulate(np.where(same, 0, place)) if len(order) else place
        rank = np.empty(len(order), np.int64)
        # The very first row begins a group whatever ``same`` says of it.
        rank[order] = place - first
        return replace(self, value=self.value * factor**rank)

    def of_frame(self, frame: int) -> range:
        """The rows of one frame, strongest first; only for a table made by :meth:`joined`."""
        first, last = np.searchsorted(self.frame, (frame, frame + 1))
        return range(int(first), int(last))


def frame_scores(evidence: Evidence, frames: int, top: int = TOP) -> NDArray[np.float64]:
    """``(frames, kinds)`` how much each kind adds to a frame's score; the score is the sum of a row.

    Only the ``top`` strongest pieces of a frame count, each for one ``top``-th: one doubtful box in an empty hall
    scores a third of its value, a crowd of forty never more than its three best.
    """
    rank = np.arange(len(evidence)) - np.searchsorted(evidence.frame, evidence.frame)
    counted = rank < top
    cell = evidence.frame[counted] * len(KINDS) + evidence.kind[counted]
    total = np.bincount(cell, weights=evidence.value[counted], minlength=frames * len(KINDS))
    return np.asarray(total / top, np.float64).reshape(frames, len(KINDS))
