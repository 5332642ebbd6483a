"""How rare each class is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

RARE = 1.5
"""Weight from which people are told that a class is rare: less than about half of its fair share."""


def rarity_weights(
    class_names: Sequence[str],
    label_counts: Mapping[str, int],
    predicted_counts: Mapping[str, int] | None = None,
    cap: float = 4.0,
) -> NDArray[np.float64]:
    """``(classes,)`` the weight of each of the model's classes: 1 at its fair share, more when rarer.

    The weight is ``1 / sqrt(share * number of classes)`` within ``1 / cap`` .. ``cap``, with one imagined label more a
    class, so that a handful of labels decides little and no count is zero.  The square root is the middle between
    ignoring rarity and making all classes weigh the same in total (as in Mahajan et al., "Exploring the Limits of
    Weakly Supervised Pretraining", 2018).

    Args:
        class_names: the columns of the model's scores.
        label_counts: accepted labels of every class of the registry, 0 where there are none.  When it names any class,
            a class that it does not name is not one that people label, and weighs 1.
        predicted_counts: used instead, for the model's classes, while nobody has accepted a label.
        cap: the highest weight.

    Raises:
        ValueError: a negative count, or a cap below 1.
    """
    if cap < 1:
        raise ValueError(f"cap must be at least 1: got {cap}")
    counts = dict(label_counts)
    if not any(counts.values()):
        known = {**dict.fromkeys(class_names, 0), **(predicted_counts or {})}
        counts = {**counts, **known}
    if min(counts.values(), default=0) < 0:
        raise ValueError(f"counts of labels can't be negative: {counts}")
    smoothed = {name: count + 1 for name, count in counts.items()}
    fair = sum(smoothed.values()) / max(len(smoothed), 1)
    weights = [np.sqrt(fair / smoothed[name]) if name in smoothed else 1.0 for name in class_names]
    return np.clip(np.array(weights, np.float64), 1 / cap, cap)
