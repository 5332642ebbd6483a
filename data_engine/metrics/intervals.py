"""How sure a mean difference between pairs is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval."""

    mean: float
    low: float
    high: float
    pairs: int

    @property
    def above(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low > 0

    @property
    def below(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_interval(differences: Sequence[float], level: float = LEVEL) -> Interval | None:
    """The mean of paired differences and its two-sided interval by Student's t (Student, 1908); None without a pair.

    It takes the differences for normally distributed, which those between means over many pictures nearly are.  A
    single pair has no interval: it reaches from minus to plus infinity.

    Raises:
        ValueError: the level is not between 0 and 1, or a difference is not finite.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1: got {level}")
    if not all(map(math.isfinite, differences)):
        raise ValueError("a difference is not finite")
    count = len(differences)
    if not count:
        return None
    mean = math.fsum(differences) / count
    if count == 1:
        return Interval(mean, -math.inf, math.inf, 1)
    from scipy.stats import t

    variance = math.fsum((value - mean) ** 2 for value in differences) / (count - 1)
    half = float(t.ppf((1 + level) / 2, count - 1)) * math.sqrt(variance / count)
    return Interval(mean, mean - half, mean + half, count)
