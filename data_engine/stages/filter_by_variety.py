"""The choice before there is a model, and the strategy ``diversity``: frames that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection import explain
from data_engine.selection.budget import shuffled
from data_engine.selection.diversity import FarthestFirst
from data_engine.stages.filter_places import Context, hunted_places, identity_of, places_of
from data_engine.types import SelectedFrame, Selection

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from data_engine.selection.budget import Places
    from data_engine.selection.pool import FramePool
    from data_engine.stages.filter_settings import FilterSettings

SIMILAR = " (looks like a chosen frame)"
"""Said of a frame that only an allowance for look-alikes let in."""


def choose_first(
    pool: FramePool,
    embeddings: NDArray[np.float32],
    labelled_embeddings: NDArray[np.float32] | None,
    settings: FilterSettings,
    *,
    embedder: str = "local",
    taken: Collection[str] = (),
    context: Context | None = None,
) -> Selection:
    """Choose before there is a model: always the frame farthest from all chosen and labelled ones.

    What is hunted has its share first.  Look-alikes are passed over, cameras and days keep to their shares and the
    budgets hold as in :func:`data_engine.stages.filter_by_model.choose`; there is no random share, but for the strategy
    ``random``, the control, which gives all places away by chance.

    Args:
        pool: candidates; predictions are not looked at.
        embeddings: ``(n, d)`` unit vectors, in the order of ``pool.frame_ids``.
        labelled_embeddings: ``(k, d)`` of frames labelled elsewhere, or None.
        settings: the settings.
        embedder: whose vectors they are.
        taken: ids of frames of the pool that were chosen before.
        context: what is hunted, and what labelling costs.

    Raises:
        ValueError: shapes that disagree, or numbers that are not finite.
    """
    vectors = np.asarray(embeddings, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(pool):
        raise ValueError(f"embeddings must be ({len(pool)}, d), one row a frame of the pool: got {vectors.shape}")
    done = frozenset(taken) & frozenset(pool.frame_ids)
    labelled = np.zeros((0, vectors.shape[1]), np.float32) if labelled_embeddings is None else labelled_embeddings
    context = context or Context()
    free = np.array([frame_id not in done for frame_id in pool.frame_ids], np.bool_)
    given = places_of(pool, free, settings, context, np.full(len(pool), context.usual_boxes))
    won: dict[int, tuple[float, str]] = {}
    if context.hunted is not None:
        for frame in hunted_places(_free_by_chance(pool, free, settings), context.hunted, given, settings.hunt_share):
            won[frame] = (float(context.hunted.value[frame]), context.hunted.reason(frame))
    passes = [(False, False), (True, False), *([(True, True)] if settings.allow_similar else [])]
    if settings.strategy == "random":
        _draw(given, passes, _free_by_chance(pool, free, settings), won)
    else:
        _spread(vectors, labelled, given, passes, free, won)
    frames = tuple(
        SelectedFrame(pool.frame_ids[frame], rank, round(score, 6), reason, {_part(reason): round(score, 6)})
        for rank, (frame, (score, reason)) in enumerate(won.items(), 1)
    )
    identity = identity_of(used_without_model(settings), pool, settings, done, frames, embedder, str(len(labelled)))
    return Selection(identity, None, frames)


def used_without_model(settings: FilterSettings) -> str:
    """The strategy that is used before there is a model."""
    return "random" if settings.strategy == "random" else "diversity"


def _free_by_chance(pool: FramePool, free: NDArray[np.bool_], settings: FilterSettings) -> NDArray[np.intp]:
    """The frames that were not chosen before, shuffled."""
    order = shuffled(pool, settings.seed)
    return order[free[order]]


def _spread(
    vectors: NDArray[np.float32],
    labelled: NDArray[np.float32],
    given: Places,
    passes: Sequence[tuple[bool, bool]],
    free: NDArray[np.bool_],
    won: dict[int, tuple[float, str]],
) -> None:
    """Give the places to frames that differ from all that are chosen or labelled."""
    for over_quota, similar in passes:
        if not given.free:
            break
        old = [*np.flatnonzero(~free).tolist(), *won]
        search = FarthestFirst(vectors, np.concatenate([labelled, vectors[old]]))
        for frame in old:
            search.drop(frame)
        while given.free and (found := search.next()) is not None:
            frame, distance = found
            if not given.offer(frame, over_quota=over_quota, similar=similar):
                search.drop(frame)
                continue
            typical = not won and not len(old) and not len(labelled)
            what = "the most typical frame" if typical else f"{distance:.2f} from the nearest chosen"
            won[frame] = (distance, f"{explain.DIVERSE}: {what}{SIMILAR if similar else ''}")
            search.add(frame)


def _draw(
    given: Places,
    passes: Sequence[tuple[bool, bool]],
    order: NDArray[np.intp],
    won: dict[int, tuple[float, str]],
) -> None:
    """Give the places away by chance: the control to compare with."""
    for over_quota, similar in passes:
        for frame in order.tolist():
            if given.free and frame not in won and given.offer(frame, over_quota=over_quota, similar=similar):
                won[frame] = (0.0, f"{explain.RANDOM}{SIMILAR if similar else ''}")


def _part(reason: str) -> str:
    return "likeness" if reason.startswith(explain.LIKE) else "distance"
