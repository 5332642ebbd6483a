"""Does a model number its classes as the registry does?  What it calls the boxes of known pictures decides.  Pure.

A model can find every thing in its place and still give it a neighbour's name: its outputs were numbered from 1 and are
read from 0, or its names were given in another order.  So boxes are matched by place alone, and for each true class it
is asked whether the model calls *most* of its boxes by one name.

``shifted`` takes two classes or more that are each mostly called by another class's name, no two of them by the same.
A weak model that calls everything person has one favourite for all classes and can't look like that: only one name can
be the most frequent of a favourite's draws, so for any model whose names do not depend on what is there a false alarm
needs a name of at most half the draws to win at least one class by luck, which :data:`CHANCE` bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from data_engine.selection.overlap import echoes, iou
from data_engine.types import Detections

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from data_engine.types import FloatArray

Verdict = Literal["agrees", "shifted", "unclear"]
SAME_PLACE = 0.5
"""Intersection over union from which two boxes are the same thing."""
CHANCE = 0.001
"""How often a name that is right half of the time may pass for most of a class's boxes: 10 of 10 do, 9 of 10 do not."""
BOXES_A_PICTURE = 4
"""Boxes of one class that count in one picture: what a model calls a crowd is hardly more than one opinion."""
SURE, SURER = 0.1, 2.0
"""Probability from which a model's name for a box counts, and how many times that of the next name it must be: what a
head that has learned nothing says depends on what is there too, but it says it at the floor, and hardly."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownBoxes:
    """What is to be seen on one picture."""

    xyxy: FloatArray
    """``(n, 4)`` float32, pixels of the full picture."""
    classes: NDArray[np.intp]
    """``(n,)`` columns of the model's scores."""


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """What a model calls the boxes of each class."""

    table: NDArray[np.int64]
    """``(classes, classes)`` boxes, by true class and by the name that the model gives them."""

    @property
    def mostly(self) -> Mapping[int, int]:
        """The name by which most boxes of a class go, by class, where that is beyond chance (see :data:`CHANCE`)."""
        found = {}
        for true, row in enumerate(self.table.tolist()):
            name, total = int(np.argmax(row)), sum(row)
            if _luck(row[name], total) <= CHANCE:
                found[true] = name
        return found

    @property
    def moved(self) -> Mapping[int, int]:
        """Those of :attr:`mostly` that go by another class's name."""
        return {true: name for true, name in self.mostly.items() if true != name}

    @property
    def verdict(self) -> Verdict:
        """``shifted``: see the module; ``agrees``: two classes (of a model of one: that one) go by their own names."""
        mostly, moved = self.mostly, self.moved
        if len(moved) >= 2 and len(set(mostly.values())) == len(mostly):
            return "shifted"
        return "agrees" if len(mostly) - len(moved) >= min(2, len(self.table)) else "unclear"

    @property
    def step(self) -> int | None:
        """By how many places, up to half around, all names are shifted alike; None where they are not."""
        classes = len(self.table)
        steps = {(name - true) % classes for true, name in self.mostly.items()}
        if len(steps) != 1 or 0 in steps:
            return None
        (step,) = steps
        return step if step <= classes // 2 else step - classes


def calls(pictures: Iterable[tuple[KnownBoxes, Detections]], classes: int) -> Calls:
    """Count what the model calls the known boxes that it finds.

    A box is called by the surest detection that overlaps it by :data:`SAME_PLACE` and no other known box more, if that
    is sure enough (see :data:`SURE`).  Boxes that share their place with one of another class are left out: place does
    not tell which of them was found.
    """
    table = np.zeros((classes, classes), np.int64)
    for known, seen in pictures:
        if not len(known.xyxy) or not len(seen):
            continue
        among = _overlaps(known.xyxy, known.xyxy)
        alone = ~((among >= SAME_PLACE) & (known.classes[:, None] != known.classes)).any(axis=1)
        place = _overlaps(known.xyxy, seen.xyxy)
        place[np.arange(len(place))[:, None] != place.argmax(axis=0)] = 0.0
        sure = np.where(place >= SAME_PLACE, seen.best, -1.0)
        first, surest = sure.argmax(axis=1), sure.max(axis=1)
        heard = (surest >= SURE) & _outspoken(seen.scores)[first] & alone
        counted = np.zeros(classes, np.int64)
        for box in np.argsort(-surest, kind="stable"):
            true = known.classes[box]
            if heard[box] and counted[true] < BOXES_A_PICTURE:
                counted[true] += 1
                table[true, seen.labels[first[box]]] += 1
    return Calls(table)


def own_answer(seen: Detections) -> KnownBoxes:
    """What a model said itself, as something to compare a later answer with: its sure boxes, one a place."""
    group = np.zeros(len(seen), np.int64)
    sure = (seen.best >= SURE) & ~echoes(group, np.asarray(seen.best, np.float32), seen.xyxy, SAME_PLACE)
    return KnownBoxes(seen.xyxy[sure], seen.labels[sure])


def _outspoken(scores: FloatArray) -> NDArray[np.bool_]:
    """``(n,)`` whether each box's best name is so much more probable than the next."""
    if scores.shape[1] < 2:
        return np.ones(len(scores), np.bool_)
    ranked = np.sort(scores, axis=1)
    return np.asarray(ranked[:, -1] >= SURER * ranked[:, -2])


def _overlaps(a: FloatArray, b: FloatArray) -> FloatArray:
    """``(len(a), len(b))`` intersection over union."""
    pairs = iou(np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1)))
    return pairs.reshape(len(a), len(b))


def _luck(hits: int, total: int) -> float:
    """Probability that of ``total`` fair coins at least ``hits`` show heads."""
    return sum(math.comb(total, k) for k in range(hits, total + 1)) / (1 << total)
