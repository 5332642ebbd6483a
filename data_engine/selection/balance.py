"""How rare each class is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

RARE = 1.5
"""Weight from which people are told that a class is rare: less than about half of its fair share."""
BLIND_AP50 = 0.2
"""Average precision below which a model hardly finds a class: what it doubts is then something else."""
LEAST_EXAMPLES = 3
"""Accepted boxes from which it is known what a class looks like."""


def rarity_weights(
    class_names: Sequence[str],
    label_counts: Mapping[str, int],
    predicted_counts: Mapping[str, int] | None = None,
    cap: float = 4.0,
    targets: Mapping[str, float] | None = None,
) -> NDArray[np.float64]:
    """``(classes,)`` the weight of each of the model's classes: 1 at its target share, more when rarer.

    The weight is ``sqrt(target / share)`` within ``1 / cap`` .. ``cap``, with one imagined label more a class, so that
    a handful of labels decides little and no count is zero.  A class without a target shall have what the others leave,
    in equal parts; without any target that is a fair share each.  The square root is the middle between ignoring rarity
    and making all classes weigh the same in total (as in Mahajan et al., "Exploring the Limits of Weakly Supervised
    Pretraining", 2018).

    Args:
        class_names: the columns of the model's scores.
        label_counts: accepted labels of every class of the registry, 0 where there are none.  When it names any class,
            a class that it does not name is not one that people label, and weighs 1.
        predicted_counts: used instead, for the model's classes, while nobody has accepted a label.
        cap: the highest weight.
        targets: the share of all labels that a class shall have (0..1), for some of the classes.

    Raises:
        ValueError: a negative count, a cap below 1, targets that leave nothing for the other classes.
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
    wanted = _shares(tuple(smoothed), targets or {})
    total = sum(smoothed.values())
    weights = [np.sqrt(wanted[name] * total / smoothed[name]) if name in smoothed else 1.0 for name in class_names]
    return np.clip(np.array(weights, np.float64), 1 / cap, cap)


def unseen(
    ap50_per_class: Mapping[str, float | None], label_counts: Mapping[str, int], targets: Mapping[str, float]
) -> tuple[str, ...]:
    """The rare classes that a model hardly finds though people have shown it some; the rarest first.

    A class that it was never measured on counts as not found.  A model of which nothing was measured says nothing.

    Args:
        ap50_per_class: what was measured of the model.
        label_counts: accepted labels of every class of the registry.
        targets: the share of all labels that some classes shall have.
    """
    names = [name for name in label_counts if name in ap50_per_class]
    weights = dict(zip(names, rarity_weights(names, label_counts, targets=targets), strict=True))
    blind = [
        name
        for name in names
        if weights[name] >= RARE
        and label_counts[name] >= LEAST_EXAMPLES
        and (ap50_per_class[name] is None or (ap50_per_class[name] or 0.0) < BLIND_AP50)
    ]
    return tuple(sorted(blind, key=lambda name: (-weights[name], name)))


def _shares(names: Sequence[str], targets: Mapping[str, float]) -> dict[str, float]:
    """The share that every class shall have; they add up to 1 unless every class has a target."""
    others = [name for name in names if name not in targets]
    left = 1.0 - sum(share for name, share in targets.items() if name in names)
    if others and left <= 0:
        raise ValueError(f"the target shares leave nothing for {', '.join(others)}: they add up to {1.0 - left:g}")
    return {name: targets[name] if name in targets else left / len(others) for name in names}
