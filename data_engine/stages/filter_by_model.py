"""The choice among frames that a model has looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection import explain
from data_engine.selection.budget import exploration_places, shuffled
from data_engine.selection.costs import expected_boxes
from data_engine.selection.diversity import weighted_farthest
from data_engine.selection.refusals import MOST as MOST_REFUSED
from data_engine.selection.refusals import Refusals
from data_engine.stages.filter_by_variety import SIMILAR, choose_first
from data_engine.stages.filter_places import Context, hunted_places, identity_of, places_of, prices
from data_engine.stages.filter_scores import look
from data_engine.types import RefusedFrame, SelectedFrame, Selection, content_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from data_engine.selection.budget import Places
    from data_engine.selection.pool import FramePool
    from data_engine.stages.filter_settings import FilterSettings

SHORTLIST = 4
"""Times the places: so many of the strongest frames are put in an order in which they differ."""
SPARE = 2
"""Times the places: so many are put in that order, for some are then turned away as look-alikes or for their camera."""
_GROUPS = {explain.LIKE: 0, explain.EXPLORATION: 2, explain.RANDOM: 3}
"""Order of the list by the first word of a reason; hard frames are 1, the next best 3."""


def choose(
    pool: FramePool,
    *,
    label_counts: Mapping[str, int],
    settings: FilterSettings,
    model_id: str,
    taken: Collection[str] = (),
    context: Context | None = None,
) -> Selection:
    """Choose among frames that a model has looked at.

    Places are given in this order, look-alikes (:class:`~data_engine.selection.diversity.Apart`) always passed over:

    1. frames with something that looks like what is hunted, up to the hunt's share;
    2. hard frames by the strategy's score, up to the budget without its exploration share and to the shares of each
       camera and day; ``hybrid`` prefers, of these, those that differ from chosen and labelled ones (where embeddings
       are known);
    3. exploration: frames drawn at random from all that are left;
    4. what is still free: hard frames again, then the next best, ranked by the entropy of their confident boxes;
    5. the same beyond the shares of cameras and days, which by now no other can use;
    6. only with ``allow_similar``: the same again, look-alikes included.

    ``only_hard`` gives all places to hard frames and leaves the rest empty.  Where boxes or minutes are bounded, scores
    count by what a frame is expected to cost, and frames that don't fit into what is left are passed over.

    Args:
        pool: candidates with predictions.
        label_counts: accepted labels of every class of the registry, 0 where there are none.
        settings: the settings.
        model_id: whose predictions they are.
        taken: ids of frames of the pool that were chosen before: never chosen again, nor what looks like them, but
            still neighbours in time.
        context: what else is known.

    Returns:
        hunted frames first, then hard ones by falling score, then exploration, then next best; fewer than the budget
        where there are no more.

    Raises:
        ValueError: the pool holds no predictions; ``diversity`` without embeddings.
    """
    context = context or Context()
    done = frozenset(taken) & frozenset(pool.frame_ids)
    free = np.array([frame_id not in done for frame_id in pool.frame_ids], np.bool_)
    if settings.strategy == "diversity":
        if context.embeddings is None:
            raise ValueError("choosing by diversity needs embeddings")
        vectors = context.vectors(np.arange(len(pool)))
        first = choose_first(pool, vectors, context.labelled, settings, taken=taken, context=context)
        return replace(first, id=content_id("selection", first.id, model_id), model_id=model_id)
    views = look(pool, label_counts, settings, temperature=context.temperature, other=context.other)
    boxes = expected_boxes(pool, settings.floor, context.temperature)
    given = places_of(pool, free, settings, context, boxes)
    order = shuffled(pool, settings.seed)
    drawn = order[free[order]]
    worth = np.round(views.score / prices(boxes, settings, context), 9)
    ranked = drawn[np.argsort(-worth[drawn], kind="stable")].tolist()
    hard = [frame for frame in ranked if views.hard[frame]]
    rest = [] if settings.only_hard else [frame for frame in ranked if not views.hard[frame]]
    won = _given(given, drawn, _varied(hard, worth, given, settings, context, free), rest, settings, context)

    place = {frame: number for number, frame in enumerate(ranked)}
    group = {
        frame: _GROUPS.get(said.split(":", 1)[0].split(" ", 1)[0], 1 if views.hard[frame] else 3)
        for frame, said in won.items()
    }
    likeness = {frame: number for number, frame in enumerate(won) if group[frame] == 0}
    rows = sorted(won, key=lambda frame: (group[frame], likeness.get(frame, place[frame])))

    def parts(frame: int) -> dict[str, float]:
        alike = {} if context.hunted is None else {"likeness": round(float(context.hunted.value[frame]), 6)}
        return {**views.parts(frame), **alike, "boxes": round(float(boxes[frame]), 3)}

    frames = tuple(
        SelectedFrame(
            frame_id=pool.frame_ids[frame],
            rank=rank,
            score=round(float(views.score[frame]), 6),
            reason=won[frame] if won[frame] and won[frame] != SIMILAR else views.reason(frame, pool) + won[frame],
            parts=parts(frame),
        )
        for rank, frame in enumerate(rows, 1)
    )
    why = Refusals(pool, rows, np.flatnonzero(~free), settings.tolerance, settings.min_gap)
    close = [frame for frame in hard if frame not in won][:MOST_REFUSED]
    refused = tuple(
        RefusedFrame(
            frame_id=pool.frame_ids[frame],
            score=round(float(views.score[frame]), 6),
            reason=views.reason(frame, pool),
            refusal=why.reason(frame, pool.frame_ids, full=given.free < 1),
            parts=parts(frame),
        )
        for frame in close
    )
    counts = (part for name, count in sorted(label_counts.items()) for part in (name, str(count)))
    identity = identity_of("model", pool, settings, done, frames, model_id, *counts)
    return Selection(identity, model_id, frames, refused)


def _given(
    given: Places,
    drawn: NDArray[np.int64],
    hard: list[int],
    rest: list[int],
    settings: FilterSettings,
    context: Context,
) -> dict[int, str]:
    """Give the places, in the order that :func:`choose` says.

    Args:
        given: the places.
        drawn: all free frames in a random order.
        hard: the hard ones among them, the most wanted first.
        rest: the others that may be taken.
        settings: the settings.
        context: what is hunted.

    Returns:
        rows of the pool, each with its reason where that is not what was seen in it.
    """
    won: dict[int, str] = {}
    if context.hunted is not None:
        found = hunted_places(drawn, context.hunted, given, settings.hunt_share)
        won.update((frame, context.hunted.reason(frame)) for frame in found)
    random = settings.strategy == "random"
    chance = 0 if settings.only_hard or random else exploration_places(given.usual, settings.exploration)
    won.update(dict.fromkeys(given.fill(hard, max(given.usual - chance - len(won), 0)), ""))
    won.update(dict.fromkeys(given.fill(drawn.tolist(), chance), explain.EXPLORATION))
    note = explain.RANDOM if random else ""
    won.update(dict.fromkeys(given.fill(hard + rest), note))
    won.update(dict.fromkeys(given.fill(hard + rest, over_quota=True), note))
    if settings.allow_similar:
        won.update(dict.fromkeys(given.fill(hard + rest, over_quota=True, similar=True), f"{note}{SIMILAR}"))
    return won


def _varied(
    hard: list[int],
    worth: NDArray[np.float64],
    given: Places,
    settings: FilterSettings,
    context: Context,
    free: NDArray[np.bool_],
) -> list[int]:
    """The strongest of the hard frames in an order in which they differ; the others behind them."""
    variety = settings.variety
    if context.embeddings is None or settings.strategy != "hybrid" or variety == 0 or len(hard) < 2:
        return hard
    first = hard[: max(SHORTLIST * given.usual, 1)]
    rows = np.array([*first, *np.flatnonzero(~free)], np.int64)
    vectors = context.vectors(rows)
    seeds = vectors[len(first) :]
    if context.labelled is not None:
        seeds = np.concatenate([context.labelled, seeds])
    # The exponent leaves half and half at a product of both, and goes to the one or the other alone.
    weights = worth[first] ** ((1 - variety) / variety)
    order = weighted_farthest(vectors[: len(first)], weights, seeds, SPARE * given.usual).tolist()
    others = np.setdiff1d(np.arange(len(first)), order).tolist()
    return [first[row] for row in [*order, *others]] + hard[len(first) :]
