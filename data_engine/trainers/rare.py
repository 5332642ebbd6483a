"""Repeat factors: pictures of rare classes are seen more often.

After Gupta, Dollár, Girshick, "LVIS: A Dataset for Large Vocabulary Instance Segmentation", 2019, section 4.1: a
class ``c`` in the share ``f(c)`` of the pictures has the factor ``r(c) = max(1, sqrt(t / f(c)))``, a picture the
largest of its classes'.  There a picture's fraction is drawn anew in every epoch, here once for the training: every
epoch sees the same pictures, in every library.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_engine.metrics.splits import LabelledSplit
    from data_engine.ports import Progress
    from data_engine.trainers.options import TrainOptions


@dataclass(frozen=True, slots=True)
class Repeated:
    """A training split with pictures of rare classes in it several times."""

    split: LabelledSplit
    factors: dict[str, float]
    """Of the classes whose factor is above 1, by name, in the order of their numbers."""

    @property
    def sentence(self) -> str:
        """What was done, for people."""
        if not self.factors:
            return "no class is rare: every picture is seen once an epoch"
        said = ", ".join(f"{name} x{factor:.2f}" for name, factor in self.factors.items())
        return f"pictures of rare classes are repeated ({said}): {len(self.split.images)} an epoch"


def class_factors(split: LabelledSplit, share: float) -> list[float]:
    """``r(c)`` of every class in the order of its number; 1 for one without a box.

    Args:
        split: the training pictures.
        share: ``t``: the share of the pictures under which a class is rare.
    """
    pictures = Counter(label for image in split.images for label in set(image.boxes.classes.tolist()))
    total = len(split.images)
    return [
        max(1.0, math.sqrt(share * total / pictures[number])) if pictures[number] else 1.0
        for number in range(len(split.class_names))
    ]


def repeated(split: LabelledSplit, share: float, seed: int) -> Repeated:
    """The split with every picture as often as its factor says, a fraction rounded up with its own probability."""
    factors = class_factors(split, share)
    draw = random.Random(f"repeat {seed}")
    images = []
    for image in split.images:
        factor = max((factors[label] for label in image.boxes.classes.tolist()), default=1.0)
        whole = int(factor)
        images += [image] * (whole + (draw.random() < factor - whole))
    named = {name: factor for name, factor in zip(split.class_names, factors, strict=True) if factor > 1.0}
    return Repeated(replace(split, images=tuple(images)), named)


def shown(training: LabelledSplit, options: TrainOptions, progress: Progress) -> LabelledSplit:
    """The pictures of an epoch, as the options ask."""
    if options.rare != "repeat":
        return training
    found = repeated(training, options.rare_share, options.seed)
    progress.note(found.sentence)
    return found.split
