"""What speaks for every frame of a pool, and how it is put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection import explain
from data_engine.selection.balance import rarity_weights
from data_engine.selection.evidence import KINDS, Evidence
from data_engine.selection.strategies import STRATEGIES, Look, confidence_entropy
from data_engine.selection.uncertainty import seen_boxes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool
    from data_engine.stages.filter_settings import FilterSettings


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What was seen in every frame of a pool of ``n``."""

    evidence: Evidence
    """That a frame is hard."""
    sure: Evidence
    """The confident boxes, by which frames that are not hard are ranked."""
    by_kind: NDArray[np.float64]
    """``(n, kinds)``."""
    hard: NDArray[np.bool_]
    score: NDArray[np.float64]
    weights: NDArray[np.float64]
    """``(classes,)``."""

    def reason(self, frame: int, pool: FramePool) -> str:
        """Why the frame was taken, for people."""
        if self.hard[frame]:
            return explain.reason_of(self.evidence, frame, pool.class_names, self.weights)
        seen = explain.reason_of(self.sure, frame, pool.class_names, self.weights)
        return f"{explain.NEXT_BEST}: {seen.removeprefix(f'{KINDS[0]}: ')}" if seen else f"{explain.NEXT_BEST}: no box"

    def parts(self, frame: int) -> dict[str, float]:
        """The parts of the frame's score, and the confidence and rarity of its strongest piece of evidence."""
        evidence = self.evidence if self.hard[frame] else self.sure
        named = dict(zip(KINDS, self.by_kind[frame].tolist(), strict=True))
        parts = {name: round(value, 6) for name, value in named.items() if value > 0}
        first = next(iter(evidence.of_frame(frame)), None)
        if first is not None:
            parts["confidence"] = round(float(evidence.score[first]), 6)
            parts["rarity"] = round(float(self.weights[evidence.label[first]]), 6)
        return parts


def look(
    pool: FramePool,
    label_counts: Mapping[str, int],
    settings: FilterSettings,
    *,
    temperature: float = 1.0,
    other: FramePool | None = None,
) -> Views:
    """Score the frames by the settings' strategy; one that ranks without predictions leaves all scores at 0.

    Raises:
        ValueError: the pool holds no predictions.
    """
    boxes = seen_boxes(pool, settings.floor)
    confident = boxes.best >= settings.confidence_threshold
    predicted = np.bincount(boxes.label[confident], minlength=len(pool.class_names)).tolist()
    weights = rarity_weights(
        pool.class_names,
        label_counts,
        dict(zip(pool.class_names, predicted, strict=True)),
        settings.rarity_cap,
        settings.targets,
    )
    looked = Look(
        pool,
        boxes,
        weights,
        settings.confidence_threshold,
        settings.floor,
        settings.max_gap,
        temperature,
        other,
    )
    nothing = np.zeros((len(pool), len(KINDS)))
    if settings.strategy not in STRATEGIES:
        return Views(
            Evidence.none(),
            Evidence.none(),
            nothing,
            np.zeros(len(pool), np.bool_),
            np.zeros(len(pool)),
            weights,
        )
    scores = STRATEGIES[settings.strategy](looked)
    sure = confidence_entropy(looked)
    hard = scores.total > 0
    return Views(
        scores.evidence, sure.evidence, scores.by_kind, hard, np.where(hard, scores.total, sure.total), weights
    )
