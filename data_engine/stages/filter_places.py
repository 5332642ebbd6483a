"""The places that a choice has to give, and what is known when they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.budget import Places, exploration_places, places
from data_engine.selection.costs import Allowance, CostModel
from data_engine.selection.diversity import Apart
from data_engine.types import content_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from data_engine.selection.hunting import Hunted
    from data_engine.selection.pool import FramePool
    from data_engine.stages.filter_settings import FilterSettings
    from data_engine.types import SelectedFrame

USUAL_BOXES = 5.0
"""Boxes guessed in a frame before anything is labelled."""
Vectors = Callable[["NDArray[np.int64]"], "NDArray[np.float32]"]
"""Rows of a pool -> ``(k, d)`` unit vectors."""
VERSION = 3
"""Raised whenever the same input would be chosen differently."""


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What is known beside the predictions; nothing of it is needed."""

    embeddings: NDArray[np.float32] | Vectors | None = None
    """``(n, d)`` unit vectors, in the order of the pool's frames; or what makes them of some rows, when asked."""
    labelled: NDArray[np.float32] | None = None
    """``(k, d)`` of frames that are labelled and not in the pool."""
    other: FramePool | None = None
    """The frames with the predictions of a second model."""
    temperature: float = 1.0
    """Of the calibration of the model's probabilities."""
    hunted: Hunted | None = None
    """How much each frame looks like what is hunted, in the order of the pool's frames."""
    costs: CostModel | None = None
    """What labelling costs; the settings' figures when nothing was learned yet."""
    usual_boxes: float = USUAL_BOXES
    """Boxes expected in a frame that no model has looked at: the mean of what is labelled, or a guess."""

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(k, d)`` unit vectors of some rows of the pool."""
        assert self.embeddings is not None
        found = self.embeddings(rows) if callable(self.embeddings) else self.embeddings[rows]
        return np.asarray(found, np.float32)


def wanted_of(pool: FramePool, settings: FilterSettings, taken: Collection[str] = ()) -> int | None:
    """Frames that the settings ask for: the budget, or a tenth of the pool's frames that are not taken yet.

    None where only boxes or minutes are bounded.
    """
    if settings.budget is None and bounded_by_work(settings):
        return None
    free = len(pool) - len(set(taken) & set(pool.frame_ids))
    return settings.budget if settings.budget is not None else places(None, free)


def bounded_by_work(settings: FilterSettings) -> bool:
    """Whether boxes or minutes are bounded."""
    return settings.budget_boxes is not None or settings.budget_minutes is not None


def costs_of(settings: FilterSettings, context: Context) -> CostModel:
    """What labelling costs: as learned, else as the settings say."""
    return context.costs or CostModel.stated(settings.minutes_per_frame, settings.minutes_per_box)


def places_of(
    pool: FramePool,
    free: NDArray[np.bool_],
    settings: FilterSettings,
    context: Context,
    boxes: NDArray[np.float64],
) -> Places:
    """The places that there are to give, none of them given yet.

    Args:
        pool: the frames.
        free: ``(n,)`` whether a frame was not chosen in an earlier round.
        settings: the settings.
        context: what labelling costs.
        boxes: ``(n,)`` boxes expected in each frame.
    """
    apart = Apart(pool, settings.tolerance, settings.min_gap)
    for frame in np.flatnonzero(~free).tolist():
        apart.add(frame)
    candidates = int(free.sum())
    total = places(settings.budget, candidates)
    if not bounded_by_work(settings):
        return Places(pool, apart, total, settings.max_camera_share, day_share=settings.max_day_share)
    costs = costs_of(settings, context)
    mean = float(boxes[free].mean()) if candidates else 0.0
    most = [candidates if settings.budget is None else total]
    if settings.budget_boxes is not None and mean > 0:
        most.append(round(settings.budget_boxes / mean))
    if settings.budget_minutes is not None:
        most.append(round(settings.budget_minutes / max(float(costs.minutes(mean)), 1e-9)))
    return Places(
        pool,
        apart,
        most[0],
        settings.max_camera_share,
        day_share=settings.max_day_share,
        allowance=Allowance(boxes=settings.budget_boxes, minutes=settings.budget_minutes, costs=costs),
        boxes=boxes,
        usual=max(min(most), 1),
    )


def hunted_places(drawn: NDArray[np.int64], hunted: Hunted, given: Places, share: float) -> list[int]:
    """Give up to a share of the places to the frames that look most like what is hunted.

    Args:
        drawn: the frames to offer; of equals the earlier ones come first.
        hunted: how much each frame of the pool looks like it.
        given: the places.
        share: of the places.
    """
    likely = drawn[np.argsort(-np.round(hunted.value[drawn], 6), kind="stable")]
    likely = likely[hunted.value[likely] > 0]
    return given.fill(likely.tolist(), exploration_places(given.usual, share))


def prices(boxes: NDArray[np.float64], settings: FilterSettings, context: Context) -> NDArray[np.float64]:
    """``(n,)`` what a place costs in minutes or boxes, where these are bounded, in units of the mean; else ones."""
    if settings.budget_minutes is not None:
        cost = np.asarray(costs_of(settings, context).minutes(boxes), np.float64)
    elif settings.budget_boxes is not None:
        # A frame without a box takes a look, too.
        cost = 1.0 + boxes
    else:
        return np.ones(len(boxes))
    return cost / max(float(cost.mean()), 1e-9) if len(cost) else cost


def identity_of(
    by: str,
    pool: FramePool,
    settings: FilterSettings,
    done: Collection[str],
    chosen: Iterable[SelectedFrame],
    *parts: str,
) -> str:
    """The id of a selection: what went in, and what came out of it."""
    frames = (str(len(pool)), *pool.frame_ids, str(len(done)), *sorted(done))
    rows = [part for row in chosen for part in (row.frame_id, f"{row.score:.6f}", row.reason)]
    return content_id("selection", VERSION, by, settings.fingerprint(), *frames, *parts, *rows)
