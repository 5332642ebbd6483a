"""Stage 2: which frames are worth a person's time.

With a model, a frame is hard when a box is doubtful (its best score lies between the floor and the confidence
threshold) or blinks between neighbouring frames; hard frames are ranked by how much speaks for them, rare classes
first.  Without one, frames are chosen to differ from each other and from what is labelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from data_engine.selection import explain
from data_engine.selection.balance import rarity_weights
from data_engine.selection.budget import Places, exploration_places, places, shuffled
from data_engine.selection.diversity import Apart, FarthestFirst
from data_engine.selection.evidence import KINDS, Evidence, frame_scores
from data_engine.selection.explain import header_lines, reasons_csv, summary, why_counts
from data_engine.selection.temporal import blinks
from data_engine.selection.uncertainty import box_evidence, seen_boxes
from data_engine.stages.base import StageSettings
from data_engine.types import SelectedFrame, Selection, content_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool

__all__ = [
    "VERSION",
    "FilterSettings",
    "choose",
    "choose_first",
    "header_lines",
    "reasons_csv",
    "summary",
    "wanted_of",
    "why_counts",
]

VERSION = 1
"""Raised whenever the same input would be chosen differently."""


class FilterSettings(StageSettings):
    """Settings of ``filter``."""

    confidence_threshold: float = Field(
        0.4, gt=0, le=1, description="Best score from which a box counts as seen; below it the box is doubtful."
    )
    floor: float = Field(
        0.05, ge=0.01, lt=1, description="Best score below which a box is noise; lower than the confidence threshold."
    )
    budget: int | None = Field(None, ge=1, description="Frames to choose; a tenth of the frames when not given.")
    exploration: float = Field(0.1, ge=0, le=1, description="Share of the budget for frames drawn at random.")
    only_hard: bool = Field(
        False,
        description="Take hard frames only, even when they are fewer than the budget: no random ones, no next best.",
    )
    tolerance: int = Field(
        2, ge=0, le=64, description="Bits of the difference hash up to which two frames of one camera look alike."
    )
    min_gap: float = Field(0.5, ge=0, description="Least seconds between two chosen frames of one video.")
    allow_similar: bool = Field(
        False, description="Fill what is left of the budget with frames that look like chosen ones."
    )
    max_gap: float = Field(
        1.0, gt=0, description="Most seconds between neighbouring frames in which a box is expected to be seen again."
    )
    max_camera_share: float = Field(
        0.5, gt=0, le=1, description="Share of the budget that one camera may take while others offer frames too."
    )
    rarity_cap: float = Field(4.0, ge=1, le=100, description="Most times that the rarest class weighs more than usual.")
    seed: int = Field(0, ge=0, description="Seed of the random frames and of ties.")

    @model_validator(mode="after")
    def _floor_below_threshold(self) -> FilterSettings:
        if self.floor >= self.confidence_threshold:
            raise ValueError(
                f"floor ({self.floor}) must be lower than the confidence threshold ({self.confidence_threshold})"
            )
        return self


def wanted_of(pool: FramePool, settings: FilterSettings, taken: Collection[str] = ()) -> int:
    """Frames that the settings ask for: the budget, or a tenth of the pool's frames that are not taken yet."""
    free = len(pool) - len(set(taken) & set(pool.frame_ids))
    return settings.budget if settings.budget is not None else places(None, free)


def choose(
    pool: FramePool,
    *,
    label_counts: Mapping[str, int],
    settings: FilterSettings,
    model_id: str,
    taken: Collection[str] = (),
) -> Selection:
    """Choose among frames that a model has looked at.

    Places are given in this order, look-alikes (:class:`~data_engine.selection.diversity.Apart`) always passed over:

    1. hard frames by score, up to the budget without its exploration share and to each camera's share;
    2. exploration: frames drawn at random from all that are left;
    3. what is still free: hard frames again, then the next best, ranked by the entropy of their confident boxes;
    4. the same beyond the cameras' shares, which by now no other camera can use;
    5. only with ``allow_similar``: the same again, look-alikes included.

    ``only_hard`` gives all places to hard frames and leaves the rest empty.

    Args:
        pool: candidates with predictions.
        label_counts: accepted labels of every class of the registry, 0 where there are none.
        settings: the settings.
        model_id: whose predictions they are.
        taken: ids of frames of the pool that were chosen before: never chosen again, nor what looks like them, but
            still neighbours in time.

    Returns:
        hard frames by falling score, then exploration, then next best; fewer than the budget where there are no more.

    Raises:
        ValueError: the pool holds no predictions.
    """
    done = frozenset(taken) & frozenset(pool.frame_ids)
    identity = _identity("model", pool, settings, done, model_id, *_items(label_counts))
    free = np.array([frame_id not in done for frame_id in pool.frame_ids], np.bool_)
    views = _look(pool, label_counts, settings)

    order = shuffled(pool, settings.seed)
    drawn = order[free[order]]
    ranked = drawn[np.argsort(-np.round(views.score[drawn], 9), kind="stable")].tolist()
    hard = [frame for frame in ranked if views.hard[frame]]
    rest = [] if settings.only_hard else [frame for frame in ranked if not views.hard[frame]]

    apart = _apart(pool, free, settings)
    given = Places(pool, apart, places(settings.budget, int(free.sum())), settings.max_camera_share)
    share = 0 if settings.only_hard else exploration_places(given.total, settings.exploration)
    won: dict[int, str] = dict.fromkeys(given.fill(hard, given.total - share), "")
    won.update(dict.fromkeys(given.fill(drawn.tolist(), share), explain.EXPLORATION))
    won.update(dict.fromkeys(given.fill(hard + rest), ""))
    won.update(dict.fromkeys(given.fill(hard + rest, over_quota=True), ""))
    if settings.allow_similar:
        similar = given.fill(hard + rest, over_quota=True, similar=True)
        won.update(dict.fromkeys(similar, " (looks like a chosen frame)"))

    place = {frame: number for number, frame in enumerate(ranked)}
    groups = {frame: 1 if note == explain.EXPLORATION else 0 if views.hard[frame] else 2 for frame, note in won.items()}
    rows = sorted(won, key=lambda frame: (groups[frame], place[frame]))
    return Selection(
        id=identity,
        model_id=model_id,
        frames=tuple(
            SelectedFrame(
                frame_id=pool.frame_ids[frame],
                rank=rank,
                score=round(float(views.score[frame]), 6),
                reason=won[frame] if won[frame] == explain.EXPLORATION else views.reason(frame, pool) + won[frame],
                parts=views.parts(frame),
            )
            for rank, frame in enumerate(rows, 1)
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
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
        if self.hard[frame]:
            return explain.reason_of(self.evidence, frame, pool.class_names, self.weights)
        seen = explain.reason_of(self.sure, frame, pool.class_names, self.weights)
        return f"{explain.NEXT_BEST}: {seen.removeprefix(f'{KINDS[0]}: ')}" if seen else f"{explain.NEXT_BEST}: no box"

    def parts(self, frame: int) -> dict[str, float]:
        evidence = self.evidence if self.hard[frame] else self.sure
        named = dict(zip(KINDS, self.by_kind[frame].tolist(), strict=True))
        parts = {name: round(value, 6) for name, value in named.items() if value > 0}
        first = next(iter(evidence.of_frame(frame)), None)
        if first is not None:
            parts["confidence"] = round(float(evidence.score[first]), 6)
            parts["rarity"] = round(float(self.weights[evidence.label[first]]), 6)
        return parts


def _look(pool: FramePool, label_counts: Mapping[str, int], settings: FilterSettings) -> _Views:
    boxes = seen_boxes(pool, settings.floor)
    confident = boxes.best >= settings.confidence_threshold
    predicted = np.bincount(boxes.label[confident], minlength=len(pool.class_names)).tolist()
    weights = rarity_weights(
        pool.class_names, label_counts, dict(zip(pool.class_names, predicted, strict=True)), settings.rarity_cap
    )
    doubtful = box_evidence(pool, boxes.only(~confident), weights, settings.floor)
    blinking = blinks(pool, boxes, weights, settings.confidence_threshold, settings.max_gap)
    evidence = Evidence.joined([doubtful, blinking])
    sure = Evidence.joined([box_evidence(pool, boxes.only(confident), weights, settings.floor)])
    by_kind = frame_scores(evidence, len(pool))
    hard = by_kind.sum(axis=1) > 0
    score = np.where(hard, by_kind.sum(axis=1), frame_scores(sure, len(pool)).sum(axis=1))
    return _Views(evidence, sure, by_kind, hard, score, weights)


def choose_first(
    pool: FramePool,
    embeddings: NDArray[np.float32],
    labelled_embeddings: NDArray[np.float32] | None,
    settings: FilterSettings,
    *,
    embedder: str = "local",
    taken: Collection[str] = (),
) -> Selection:
    """Choose before there is a model: always the frame farthest from all chosen and labelled ones.

    Look-alikes are passed over and cameras keep to their shares as in :func:`choose`; there is no random share.

    Args:
        pool: candidates; predictions are not looked at.
        embeddings: ``(n, d)`` unit vectors, in the order of ``pool.frame_ids``.
        labelled_embeddings: ``(k, d)`` of frames labelled elsewhere, or None.
        settings: the settings.
        embedder: whose vectors they are.
        taken: ids of frames of the pool that were chosen before.

    Raises:
        ValueError: shapes that disagree, or numbers that are not finite.
    """
    vectors = np.asarray(embeddings, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(pool):
        raise ValueError(f"embeddings must be ({len(pool)}, d), one row a frame of the pool: got {vectors.shape}")
    done = frozenset(taken) & frozenset(pool.frame_ids)
    labelled = np.zeros((0, vectors.shape[1]), np.float32) if labelled_embeddings is None else labelled_embeddings
    identity = _identity("diversity", pool, settings, done, embedder, str(len(labelled)))
    free = np.array([frame_id not in done for frame_id in pool.frame_ids], np.bool_)
    given = Places(
        pool, _apart(pool, free, settings), places(settings.budget, int(free.sum())), settings.max_camera_share
    )
    won: dict[int, tuple[float, str]] = {}
    passes = [(False, False), (True, False), *([(True, True)] if settings.allow_similar else [])]
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
            note = " (looks like a chosen frame)" if similar else ""
            typical = not won and not len(old) and not len(labelled)
            what = "the most typical frame" if typical else f"{distance:.2f} from the nearest chosen"
            won[frame] = (distance, f"{explain.DIVERSE}: {what}{note}")
            search.add(frame)
    return Selection(
        id=identity,
        model_id=None,
        frames=tuple(
            SelectedFrame(pool.frame_ids[frame], rank, round(distance, 6), reason, {"distance": round(distance, 6)})
            for rank, (frame, (distance, reason)) in enumerate(won.items(), 1)
        ),
    )


def _apart(pool: FramePool, free: NDArray[np.bool_], settings: FilterSettings) -> Apart:
    apart = Apart(pool, settings.tolerance, settings.min_gap)
    for frame in np.flatnonzero(~free).tolist():
        apart.add(frame)
    return apart


def _items(counts: Mapping[str, int]) -> list[str]:
    return [part for name, count in sorted(counts.items()) for part in (name, str(count))]


def _identity(by: str, pool: FramePool, settings: FilterSettings, done: frozenset[str], *parts: str) -> str:
    frames = (str(len(pool)), *pool.frame_ids, str(len(done)), *sorted(done))
    return content_id("selection", VERSION, by, settings.fingerprint(), *frames, *parts)
