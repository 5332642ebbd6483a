"""Stored predictions: what a model saw in many frames, as a compressed column file of a few kB a frame.

A file is a NumPy ``.npz`` with the members

=================  ====================================================================================
``meta.json``      format number, model id and frame ids
``offsets.npy``    ``(frames + 1,)`` int64: frame ``i`` owns the rows ``offsets[i]`` to ``offsets[i + 1]``
``xyxy.npy``       ``(n, 4)`` float32, corners in pixels of the full frame
``scores.npy``     ``(n, classes)`` float16, the probability of every class
=================  ====================================================================================

Its zip entries carry no time, so equal predictions are equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from data_engine.errors import DamagedInputError
from data_engine.formats.columns import packed, rows_fit, unpacked
from data_engine.types import MOST_BOXES, SCORE_FLOOR, Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1

_COLUMNS = {"offsets": ("<i8", 1), "xyxy": ("<f4", 2), "scores": ("<f2", 2)}


class _Meta(msgspec.Struct):
    format: int
    model_id: str
    frame_ids: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predictions of one model on many frames; a frame's :class:`Detections` are made when asked for."""

    model_id: str
    frame_ids: tuple[str, ...]
    offsets: NDArray[np.int64]
    """``(frames + 1,)``: frame ``i`` owns the rows ``offsets[i]`` to ``offsets[i + 1]``."""
    xyxy: NDArray[np.float32]
    """``(n, 4)``, corners in pixels of the full frame; read-only."""
    scores: NDArray[np.float16]
    """``(n, classes)``, columns in the order of the model's class names; read-only."""
    _rows: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {frame_id: row for row, frame_id in enumerate(self.frame_ids)})

    def of(self, frame_id: str) -> Detections:
        """What the model saw in a frame, best first; the corners are a view.  KeyError for an unknown frame."""
        row = self._rows[frame_id]
        part = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        return Detections(self.xyxy[part], self.scores[part].astype(np.float32))

    def __contains__(self, frame_id: object) -> bool:
        return frame_id in self._rows

    def __iter__(self) -> Iterator[tuple[str, Detections]]:
        return ((frame_id, self.of(frame_id)) for frame_id in self.frame_ids)

    def __len__(self) -> int:
        return len(self.frame_ids)


def pack(model_id: str, frame_ids: Sequence[str], detections: Sequence[Detections]) -> bytes:
    """The predictions of one model on ``frame_ids``, as bytes; scores lose what float16 loses (0.0005 at most).

    Raises:
        ValueError: as many frames as detections are asked for, a frame id twice, a model that changes its number of
            classes, a frame with more than 100 boxes, a box whose best score is below 0.01.
    """
    if len(frame_ids) != len(detections) or len(set(frame_ids)) != len(frame_ids):
        raise ValueError(f"{len(frame_ids)} frame ids, which must differ, for the detections of {len(detections)}")
    classes = {found.scores.shape[1] for found in detections}
    if len(classes) > 1:
        raise ValueError(f"the detections have different numbers of classes: {sorted(classes)}")
    for frame_id, found in zip(frame_ids, detections, strict=True):
        if len(found) > MOST_BOXES or (found.best < SCORE_FLOOR).any():
            raise ValueError(
                f"frame {frame_id}: keep at most {MOST_BOXES} boxes, each with a score of {SCORE_FLOOR} or more"
            )
    width = classes.pop() if classes else 0
    offsets = np.cumsum([0, *(len(found) for found in detections)], dtype=np.int64)
    xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(found.xyxy for found in detections)])
    scores = np.concatenate([np.zeros((0, width), np.float32), *(found.scores for found in detections)])
    return packed(
        _Meta(FORMAT, model_id, list(frame_ids)),
        {"offsets": offsets, "xyxy": xyxy, "scores": scores.astype(np.float16)},
    )


def unpack(data: bytes, *, name: str = "predictions") -> Predictions:
    """Read what :func:`pack` wrote, and check it.

    Raises:
        DamagedInputError: truncated or changed bytes, another kind of file, columns that do not fit together.
    """
    meta, columns = unpacked(data, _Meta, _COLUMNS, name=name, what="stored predictions")
    offsets, xyxy, scores = columns["offsets"], columns["xyxy"], columns["scores"]
    if meta.format != FORMAT:
        raise DamagedInputError(f"{name} has the format {meta.format}; this version reads {FORMAT}")
    fits = (
        rows_fit(meta.frame_ids, offsets, xyxy, scores)
        and (np.diff(offsets) <= MOST_BOXES).all()
        and xyxy.shape[1] == 4
        and np.isfinite(xyxy).all()
        and ((scores >= 0) & (scores <= 1)).all()
    )
    if not fits:
        raise DamagedInputError(f"{name}: its columns do not fit together")
    return Predictions(meta.model_id, tuple(meta.frame_ids), offsets, xyxy, scores)
