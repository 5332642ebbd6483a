"""The crops of frames: described once, stored, and read back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.footage.embed import without_vectors
from data_engine.app.models.models import OpenedModel
from data_engine.errors import DamagedInputError
from data_engine.lineage import embeddings, models
from data_engine.lineage.database import Connection
from data_engine.runner import settings_of
from data_engine.types import Failed, Frame, content_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.formats.crops import Crops
    from data_engine.formats.predictions import Predictions
    from data_engine.stages.crops import FrameCrops

FOLDER = f"{STATE_FOLDER}/crops"
PART = 64
"""Frames in one column file."""


def crops_name(embedder: str, opened: OpenedModel | None) -> str:
    """Under which name the crops are stored: who describes them, and around whose boxes they are cut."""
    from data_engine.stages.crops import VERSION

    return f"{embedder}/crops-{VERSION}/{'moving' if opened is None else opened.model.id}"


def describe_missing(
    engine: Engine, frames: Sequence[Frame], opened: OpenedModel | None
) -> tuple[int, tuple[Failed, ...]]:
    """Describe the crops of the frames that are not described yet, and store them.

    A frame whose predictions by the model are not stored is passed over.

    Returns:
        how many frames were looked through now, and those that could not be read.
    """
    from data_engine.executors.processes import usable_cpus
    from data_engine.formats.crops import pack
    from data_engine.stages import crops as stage

    embedder = engine.embedder()
    name = crops_name(embedder.name, opened)
    predicted = _Predicted(engine, opened, [frame.id for frame in frames])
    known = [frame for frame in frames if frame.id in predicted]
    missing = {frame.id for frame in without_vectors(engine, name, known)}
    sought = stage.sought_among(frames) if missing else {}
    todo = [one for frame_id, one in sought.items() if frame_id in missing]

    def record(connection: Connection, group: Sequence[FrameCrops]) -> None:
        ids = [one.frame_id for one in group]
        key = f"{FOLDER}/{name}/{content_id('part', name, *ids)}.npz"
        data = pack(name, ids, [one.xyxy for one in group], [one.vectors for one in group])
        engine.storage.write_bytes(key, data)
        embeddings.record(connection, name, ids, key)

    with engine.runner.run(
        "crops", stage.VERSION, settings_of({"crops": name}), inputs=[frame.id for frame in known]
    ) as run:
        if not todo:
            return 0, ()
        outcomes = stage.describe_crops(
            todo,
            predicted,
            embedder,
            storage=engine.storage,
            readers=engine.settings.embed.workers or usable_cpus(),
            progress=engine.progress,
        )
        summary = engine.runner.stream(run, outcomes, input_id=lambda one: one.frame_id, record=record, batch=PART)
    return summary.done, tuple(Failed(sought[failed.input_id].frame.key, failed.reason) for failed in summary.failed)


class _Predicted:
    """Tells the boxes of a frame, best first; it holds a few column files of predictions, never all.

    Args:
        engine: where they are stored.
        opened: the model; of None no frame has a box.
        frame_ids: the frames that may be asked about.
    """

    def __init__(self, engine: Engine, opened: OpenedModel | None, frame_ids: Sequence[str]) -> None:
        self._places: dict[str, tuple[str, int]] | None = None
        if opened is not None:
            with engine.database.read() as connection:
                self._places = models.predicted(connection, opened.model.id, frame_ids)
        self._part = lru_cache(maxsize=8)(lambda part: _predictions(engine, part))

    def __contains__(self, frame_id: str) -> bool:
        return self._places is None or frame_id in self._places

    def __call__(self, frame_id: str) -> NDArray[np.float32]:
        import numpy as np

        if self._places is None:
            return np.zeros((0, 4), np.float32)
        return self._part(self._places[frame_id][0]).of(frame_id).xyxy


def _predictions(engine: Engine, part: str) -> Predictions:
    from data_engine.formats.predictions import unpack

    return unpack(engine.storage.read_bytes(part), name=part)


def unpacked(engine: Engine, part: str, rows: dict[str, int]) -> Crops:
    """The crops of a column file, which must hold these frames in these rows.

    Raises:
        DamagedInputError: it does not, or is damaged.
    """
    from data_engine.formats.crops import unpack

    again = "delete it and run again: its crops are described anew"
    try:
        stored = unpack(engine.storage.read_bytes(part), name=part)
    except DamagedInputError as error:
        raise DamagedInputError(error.message, hint=again) from error
    for frame_id, row in rows.items():
        if row >= len(stored.frame_ids) or stored.frame_ids[row] != frame_id:
            raise DamagedInputError(f"{part} does not hold what lineage says", hint=again)
    return stored
