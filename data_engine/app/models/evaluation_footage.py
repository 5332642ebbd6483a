"""How the pictures of a set hang together: which are of one stretch of footage, of one camera, of one day."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.lineage import datasets, evaluations
from data_engine.selection.splits import SplitPlan, moment, place
from data_engine.types import Frame

if TYPE_CHECKING:
    from data_engine.stages.evaluate import Footage

UNKNOWN = "unknown"
"""The day of what nobody knows when it was filmed."""
LEAST_BLOCKS = 10
"""Blocks of the split below which moments are resampled in their place."""


def footage_of(engine: Engine, frames: Sequence[Frame], digest: str) -> tuple[Footage, str]:
    """The stretches, cameras and days of a set's frames, and what the stretches are.

    A stretch is a block of the split, inside which pictures are taken to show the same; of a set of a few blocks only a
    moment (:func:`data_engine.selection.splits.moment`), from which on two frames of a camera show two.

    Args:
        frames: in the order of the set.
        digest: of the set; the resamples are made of it.
    """
    import numpy as np

    from data_engine.stages.evaluate import Footage

    places = [place(frame) for frame in frames]
    with engine.database.read() as connection:
        plans = datasets.plans(connection, {source for source, _position in places})
        began = evaluations.captured(connection, {frame.video_id for frame in frames if frame.video_id is not None})
    units, what = stretches(places, plans)
    numbers = {unit: number for number, unit in enumerate(sorted(set(units)))}
    return (
        Footage(
            np.array([numbers[unit] for unit in units], np.intp),
            len(numbers),
            int(digest[:16], 16),
            [frame.camera for frame in frames],
            [day(frame, began) for frame in frames],
        ),
        what,
    )


def stretches(places: Sequence[tuple[str, float]], plans: Mapping[str, SplitPlan]) -> tuple[list[tuple[str, int]], str]:
    """The stretch of each place, and what they are: ``blocks of the split`` or ``moments``.

    Args:
        places: source and position, as of :func:`data_engine.selection.splits.place`.
        plans: the split plans by source; a source without one is cut into moments.
    """

    def of_moment(source: str, position: float) -> tuple[str, int]:
        plan = plans.get(source)
        at = position if plan is None else position + plan.shift
        return (source if plan is None else plan.axis), math.floor(at / moment(source))

    blocks = [
        (plans[source].axis, plans[source].block_of(position)) if source in plans else of_moment(source, position)
        for source, position in places
    ]
    if len(set(blocks)) >= LEAST_BLOCKS:
        return blocks, "blocks of the split"
    return [of_moment(source, position) for source, position in places], "moments"


def day(frame: Frame, began: Mapping[str, str]) -> str:
    """The date on which a frame was filmed, by its recording's own clock; ISO 8601, or :data:`UNKNOWN`.

    Args:
        frame: of a video or not.
        began: when recordings began, ISO 8601, by video id.
    """
    text = None if frame.video_id is None else began.get(frame.video_id)
    if text is None or frame.time_s is None:
        return UNKNOWN
    try:
        return (datetime.fromisoformat(text) + timedelta(seconds=frame.time_s)).date().isoformat()
    except (ValueError, OverflowError):
        return UNKNOWN
