"""The frames to choose from, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from data_engine.types import Detections, Frame


@dataclass(frozen=True, slots=True, eq=False)
class FramePool:
    """Candidate frames with, when there is a model, what it saw in them.

    The frames are put in the order of (camera, video, time, id) when the pool is made, so that a pool does not depend
    on the order in which its frames were found.  Read :attr:`frame_ids` back before computing anything row by row.

    Raises:
        ValueError: lengths or shapes that disagree, a frame id twice, boxes or scores that are not finite, scores
            outside 0..1.
    """

    frame_ids: tuple[str, ...]
    cameras: tuple[str, ...]
    video_ids: tuple[str | None, ...]
    """None for a lone picture, which has no neighbours in time."""
    times_s: NDArray[np.float64]
    """``(n,)`` seconds from the beginning of the video; NaN where unknown."""
    dhashes: NDArray[np.uint64]
    """``(n,)`` 64-bit difference hashes."""
    hashed: NDArray[np.bool_] | None = None
    """``(n,)`` whether the frame has a hash at all (one without looks like no other); None says that all have."""
    offsets: NDArray[np.int64] | None = None
    """``(n + 1,)`` frame ``i`` has the boxes ``offsets[i]:offsets[i + 1]``; None when there is no model yet."""
    xyxy: NDArray[np.float32] | None = None
    """``(m, 4)`` corners in pixels."""
    scores: NDArray[np.float32] | NDArray[np.float16] | None = None
    """``(m, classes)`` probabilities after the sigmoid, float16 or float32."""
    class_names: tuple[str, ...] = ()
    """Names of the columns of :attr:`scores`."""
    days: tuple[str, ...] | None = None
    """The day each frame was filmed (``2026-11-28``), empty where unknown; None says that no day is known."""
    camera_of: NDArray[np.int64] = field(init=False)
    """``(n,)`` each frame's camera as a number."""
    video_of: NDArray[np.int64] = field(init=False)
    """``(n,)`` each frame's (camera, video) as a number; -1 for a lone picture."""
    day_of: NDArray[np.int64] = field(init=False)
    """``(n,)`` each frame's day as a number; -1 where unknown."""

    def __post_init__(self) -> None:
        count = len(self.frame_ids)
        columns: dict[str, NDArray[np.generic]] = {
            "times_s": np.asarray(self.times_s, np.float64),
            "dhashes": np.asarray(self.dhashes, np.uint64),
            "hashed": np.ones(count, np.bool_) if self.hashed is None else np.asarray(self.hashed, np.bool_),
        }
        days = ("",) * count if self.days is None else tuple(self.days)
        lengths = {"cameras": len(self.cameras), "video_ids": len(self.video_ids), "days": len(days)}
        for name, column in columns.items():
            if column.shape != (count,):
                raise ValueError(f"{name} must have the shape ({count},), one entry a frame: got {column.shape}")
        if set(lengths.values()) != {count}:
            raise ValueError(f"{count} frame ids, but {lengths}")
        if len(set(self.frame_ids)) != count:
            raise ValueError("a frame id is in the pool twice")
        order = self._canonical_order(columns["times_s"])
        predictions = self._checked_predictions(order)
        places = order.tolist()
        for name in ("frame_ids", "cameras", "video_ids"):
            values = getattr(self, name)
            object.__setattr__(self, name, tuple(values[i] for i in places))
        for name, column in (*columns.items(), *predictions.items()):
            object.__setattr__(self, name, column[order] if name in columns else column)
        object.__setattr__(self, "class_names", tuple(self.class_names))
        days = tuple(days[i] for i in places)
        object.__setattr__(self, "days", None if self.days is None else days)
        object.__setattr__(self, "day_of", _codes(day or None for day in days))
        object.__setattr__(self, "camera_of", _codes(self.cameras))
        pairs = zip(self.cameras, self.video_ids, strict=True)
        object.__setattr__(self, "video_of", _codes(pair if pair[1] is not None else None for pair in pairs))

    def _canonical_order(self, times_s: NDArray[np.generic]) -> NDArray[np.int64]:
        times = np.where(np.isnan(times_s), np.inf, times_s)
        lone = np.fromiter((video is None for video in self.video_ids), np.bool_, len(times))
        keys = (times, _ranks([video or "" for video in self.video_ids]), lone, _ranks(self.cameras))
        order = np.lexsort(keys)
        # Ids decide between equals only: as a rule few, as two frames of one video have two times.
        same = np.ones(max(len(order) - 1, 0), np.bool_)
        for key in keys:
            same &= key[order][1:] == key[order][:-1]
        tied = order[np.append(same, False) | np.append(False, same)] if len(order) else order
        if not len(tied):
            return order
        ids = np.zeros(len(order), np.int64)
        ids[sorted(tied.tolist(), key=self.frame_ids.__getitem__)] = np.arange(len(tied))
        return np.lexsort((ids, *keys))

    def _checked_predictions(self, order: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
        """The predictions with their boxes moved along with their frames."""
        if self.offsets is None and self.xyxy is None and self.scores is None:
            return {}
        if self.offsets is None or self.xyxy is None or self.scores is None:
            raise ValueError("offsets, xyxy and scores come together or not at all")
        offsets = np.asarray(self.offsets, np.int64)
        xyxy = np.asarray(self.xyxy, np.float32)
        scores = np.asarray(self.scores)
        if scores.dtype not in (np.float16, np.float32):
            scores = scores.astype(np.float32)
        boxes = len(xyxy)
        if (
            offsets.shape != (len(order) + 1,)
            or offsets[0] != 0
            or offsets[-1] != boxes
            or (np.diff(offsets) < 0).any()
        ):
            raise ValueError(f"offsets must climb from 0 to {boxes} in {len(order) + 1} steps: got {offsets.shape}")
        if xyxy.shape != (boxes, 4) or scores.shape != (boxes, len(self.class_names)):
            raise ValueError(
                f"xyxy must be (m, 4) and scores (m, {len(self.class_names)}): got {xyxy.shape} and {scores.shape}"
            )
        if not np.isfinite(xyxy).all() or not np.isfinite(scores).all():
            raise ValueError("predictions hold NaN or infinite numbers")
        if scores.size and (scores.min() < 0.0 or scores.max() > 1.0):
            raise ValueError(f"scores must lie in 0..1: got {scores.min()}..{scores.max()}")
        if (order != np.arange(len(order))).any():
            counts = np.diff(offsets)[order]
            new = np.concatenate(([0], np.cumsum(counts)))
            rows = np.repeat(offsets[order] - new[:-1], counts) + np.arange(boxes)
            offsets, xyxy, scores = new.astype(np.int64), xyxy[rows], scores[rows]
        return {"offsets": offsets, "xyxy": xyxy, "scores": scores}

    @classmethod
    def of(
        cls,
        frames: Iterable[Frame],
        predictions: Mapping[str, Detections] | None = None,
        class_names: tuple[str, ...] = (),
        days: Mapping[str, str] | None = None,
    ) -> FramePool:
        """The pool of ``frames``, with ``predictions`` by frame id when there is a model, and ``days`` by frame id.

        Raises:
            ValueError: a frame that has no prediction (leave such frames out), a frame twice, or predictions of
                another number of classes than ``class_names``.
        """
        listed = list(frames)
        seen: list[Detections] = []
        if predictions is not None:
            missing = [frame.name for frame in listed if frame.id not in predictions]
            if missing:
                raise ValueError(f"{len(missing)} frames have no prediction, the first is {missing[0]}")
            seen = [predictions[frame.id] for frame in listed]
            for frame, found in zip(listed, seen, strict=True):
                if found.scores.shape[1] != len(class_names):
                    raise ValueError(
                        f"{frame.name}: predicted for {found.scores.shape[1]} classes, the model has {len(class_names)}"
                    )
        none = predictions is None
        return cls(
            frame_ids=tuple(frame.id for frame in listed),
            cameras=tuple(frame.camera for frame in listed),
            video_ids=tuple(frame.video_id for frame in listed),
            times_s=np.array([np.nan if f.time_s is None else f.time_s for f in listed], np.float64),
            dhashes=np.array([frame.dhash or 0 for frame in listed], np.uint64),
            hashed=np.array([frame.dhash is not None for frame in listed], np.bool_),
            offsets=None if none else np.cumsum([0, *(len(found) for found in seen)], dtype=np.int64),
            xyxy=None if none else np.concatenate([np.zeros((0, 4), np.float32), *(f.xyxy for f in seen)]),
            scores=None
            if none
            else np.concatenate([np.zeros((0, len(class_names)), np.float32), *(f.scores for f in seen)]),
            class_names=class_names,
            days=None if days is None else tuple(days.get(frame.id, "") for frame in listed),
        )

    def __len__(self) -> int:
        return len(self.frame_ids)

    @property
    def neighbour_gap_s(self) -> NDArray[np.float64]:
        """``(n,)`` seconds to the next frame of the same video; infinite where there is none or its time is unknown."""
        gap = np.full(len(self), np.inf)
        if len(self) > 1:
            same = (self.video_of[1:] == self.video_of[:-1]) & (self.video_of[1:] >= 0)
            step = np.diff(self.times_s)
            gap[:-1] = np.where(same & (step > 0), step, np.inf)
        return gap


def _ranks(values: Sequence[str]) -> NDArray[np.int64]:
    """Values as numbers in their order."""
    numbers = {value: number for number, value in enumerate(sorted(set(values)))}
    return np.fromiter(map(numbers.__getitem__, values), np.int64, len(values))


def _codes(values: Iterable[Hashable]) -> NDArray[np.int64]:
    """Values as numbers by first appearance, None as -1."""
    numbers: dict[Hashable, int] = {}
    coded = [-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values]
    return np.array(coded, np.int64)
