"""How a model's probabilities are to be read, by what became of its boxes in accepted jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_engine.app.models.model_classes import columns_now
from data_engine.app.models.models import stored_predictions
from data_engine.lineage import footage, held_out

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.app.engine import Engine
    from data_engine.selection.calibration import Calibration
    from data_engine.types import Model

MOST_FRAMES = 2000
"""The newest ones; a temperature is one number, and more boxes than these hold hardly move it."""


def fit_calibration(engine: Engine, model: Model) -> Calibration:
    """The calibration of a model on accepted frames that it was not trained on (:mod:`data_engine.lineage.held_out`).

    Its stored predictions count, from the floor of ``filter`` up; it is asked about nothing.
    """
    import numpy as np

    from data_engine.selection.calibration import fit

    pairs = list(_judged_boxes(engine, model))
    scores = np.concatenate([np.zeros(0, np.float32), *(score for score, _hit in pairs)])
    confirmed = np.concatenate([np.zeros(0, np.bool_), *(hit for _score, hit in pairs)])
    return fit(scores, confirmed)


def _judged_boxes(engine: Engine, model: Model) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """For each frame the probabilities of the model's boxes, and whether people confirmed them."""
    import numpy as np

    from data_engine.selection.calibration import judged
    from data_engine.selection.pool import FramePool
    from data_engine.selection.uncertainty import seen_boxes

    with engine.database.read() as connection:
        ids = held_out.frames(connection, model.dataset_version_id, MOST_FRAMES)
        truth = held_out.boxes_on(connection, ids)
        frames = footage.frames_by_id(connection, ids)
        names = columns_now(connection, model).names
    predictions = stored_predictions(engine, model, ids)
    pool = FramePool.of([frames[frame_id] for frame_id in ids if frame_id in predictions], predictions, names)
    if not len(pool):
        return []
    boxes = seen_boxes(pool, engine.settings.filter.floor)
    number = {name: column for column, name in enumerate(names)}
    found = []
    ends = np.searchsorted(boxes.frame, np.arange(len(pool) + 1))
    for row, frame_id in enumerate(pool.frame_ids):
        mine = slice(int(ends[row]), int(ends[row + 1]))
        true = [box for box in truth.get(frame_id, ()) if box.label in number]
        xywh = np.array([box.xywh for box in true], np.float32).reshape(-1, 4)
        hit, counts = judged(
            boxes.xyxy[mine],
            boxes.label[mine],
            boxes.best[mine],
            np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
            np.array([number[box.label] for box in true], np.int64),
            np.array([box.crowd for box in true], np.bool_),
        )
        found.append((boxes.best[mine][counts], hit[counts]))
    return found
