"""What labelling costs: minutes a frame and a box, and budgets of boxes and minutes.

Until finished jobs tell, figures are stated in the settings.  Their defaults: 0.12 minutes a box are the 7 seconds that
Papadopoulos et al. measured for drawing one by its extreme points ("Extreme clicking for efficient object annotation",
2017); 0.2 minutes to look over a frame are an assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from data_engine.selection.calibration import calibrated
from data_engine.selection.uncertainty import seen_boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool

Boxes = TypeVar("Boxes", float, "NDArray[np.float64]")
_TIE = 0.003
"""How much the stated proportion of frames and boxes counts; enough where all jobs have the same proportion, hardly
anything where they differ."""
_ROUNDS = 20
_HUBER = 1.345
"""Residual, in standard deviations, from which a job counts less (Huber's usual constant)."""
_LEAST_SPREAD = 0.02
"""Relative residual that every job may have: learned from few jobs, the spread can be nought by chance."""
_LEAST_MINUTES = 1 / 60
"""A job that took less a frame was handed in by a script: nobody looks at a picture in less than a second."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class JobTime:
    """What a finished job took."""

    frames: int
    boxes: int
    """Accepted boxes in it."""
    minutes: float


@dataclass(frozen=True, slots=True)
class CostModel:
    """Minutes of a person's work as a straight line over boxes."""

    minutes_per_frame: float
    minutes_per_box: float
    jobs: int = 0
    """Finished jobs that it was learned from; 0 when it is merely stated."""

    @classmethod
    def stated(cls, minutes_per_frame: float, minutes_per_box: float) -> CostModel:
        """Figures that nobody has measured here."""
        return cls(minutes_per_frame, minutes_per_box)

    def minutes(self, boxes: Boxes) -> Boxes:
        """Minutes that a frame with so many boxes takes; one number or an array."""
        return self.minutes_per_frame + self.minutes_per_box * boxes

    @property
    def told(self) -> str:
        """What to tell people about it."""
        figures = f"{self.minutes_per_frame:.2f} min a frame and {self.minutes_per_box:.2f} min a box"
        if not self.jobs:
            return f"{figures}, as the settings say: no finished job has shown yet what people need"
        return f"{figures}, learned from {self.jobs} finished job{'' if self.jobs == 1 else 's'}"


def learned(jobs: Sequence[JobTime], stated: CostModel) -> CostModel:
    """The cost model that fits finished jobs: non-negative least squares of relative residuals, outliers weighing less.

    One job, or jobs that all have the same boxes a frame, scale the stated figures; the more jobs differ, the less
    the stated ones matter.  Jobs without frames, or that took less time than looking does, are left out.
    """
    told = [job for job in jobs if job.minutes >= _LEAST_MINUTES * job.frames > 0]
    if not told:
        return stated
    scale = np.maximum([stated.minutes_per_frame, stated.minutes_per_box], 1e-3)
    counts = np.array([(job.frames, job.boxes) for job in told], np.float64)
    minutes = np.array([job.minutes for job in told], np.float64)
    # In units of what the stated figures say, corrected as a whole, both factors are about 1.
    scale *= float(np.median(minutes / (counts @ scale)))
    parts = counts * scale
    factors, weight = np.ones(2), np.ones(len(told))
    for _ in range(_ROUNDS):
        # Long jobs vary more than short ones, by about what they are longer.
        foreseen = np.maximum(parts @ factors, 1e-3 * parts.sum(axis=1))
        rows, target = parts / foreseen[:, None], minutes / foreseen
        factors = _non_negative(rows, target, weight)
        off = np.abs(rows @ factors - target)
        spread = max(1.4826 * float(np.median(off)), _LEAST_SPREAD)
        weight = np.minimum(1.0, _HUBER * spread / np.maximum(off, 1e-12))
    per_frame, per_box = (factors * scale).tolist()
    return CostModel(per_frame, per_box, len(told))


def _non_negative(
    rows: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``(2,)`` the two factors, none below nought, of least weighted squares, drawn a little towards each other."""
    normal = (rows * weight[:, None]).T @ rows + _TIE * np.array([[1.0, -1.0], [-1.0, 1.0]])
    right = (rows * weight[:, None]).T @ target
    factors = np.linalg.solve(normal, right)
    if (factors >= 0).all():
        return np.asarray(factors, np.float64)
    # The minimum lies on an edge: the better of the two.
    alone = np.diag(np.maximum(right, 0) / np.diag(normal))
    gain = [float(2 * right @ one - one @ normal @ one) for one in alone]
    return np.asarray(alone[int(np.argmax(gain))], np.float64)


class Allowance:
    """What may be spent on a choice, and what was.

    Frames come in the order of their claim; one that does not fit is passed over, and a cheaper one may still fit.

    Args:
        frames: most frames; None for any number.
        boxes: most expected boxes.
        minutes: most minutes, by ``costs``.
        costs: what a frame takes.
    """

    def __init__(
        self,
        *,
        frames: int | None = None,
        boxes: float | None = None,
        minutes: float | None = None,
        costs: CostModel,
    ) -> None:
        self._most = {"frames": frames, "boxes": boxes, "minutes": minutes}
        self._costs = costs
        self.spent: dict[str, float] = {"frames": 0.0, "boxes": 0.0, "minutes": 0.0}
        """Frames, boxes and minutes so far."""

    def admits(self, boxes: float) -> bool:
        """Whether a frame with so many expected boxes still fits; False for all once it is so for 0 boxes."""
        return all(
            most is None or self.spent[unit] + more <= most + _ROUNDING
            for (unit, most), more in zip(self._most.items(), self._price(boxes), strict=True)
        )

    def spend(self, boxes: float) -> None:
        """Take a frame with so many expected boxes."""
        for unit, more in zip(self.spent, self._price(boxes), strict=True):
            self.spent[unit] += more

    def _price(self, boxes: float) -> tuple[float, float, float]:
        return 1.0, boxes, self._costs.minutes(boxes)


def expected_boxes(pool: FramePool, floor: float, temperature: float = 1.0) -> NDArray[np.float64]:
    """``(n,)`` boxes that people are expected to keep, correct or draw in each frame.

    The sum of the calibrated best probabilities of its boxes from ``floor`` up, each thing counted once (see
    :func:`~data_engine.selection.uncertainty.seen_boxes`).

    Raises:
        ValueError: the pool holds no predictions.
    """
    boxes = seen_boxes(pool, floor)
    weights = calibrated(boxes.best, temperature)
    return np.asarray(np.bincount(boxes.frame, weights=weights, minlength=len(pool)), np.float64)
