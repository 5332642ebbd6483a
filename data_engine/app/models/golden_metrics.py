"""What a trained model reaches on the golden set, which no training folder may hold."""

from __future__ import annotations

from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.models.evaluation_matches import look
from data_engine.app.models.evaluation_sets import GOLDEN, evaluation_set
from data_engine.errors import ConflictError, MissingInputError
from data_engine.lineage import certificate_rows, datasets
from data_engine.types import DatasetVersion, Model
from data_engine.words import counted


def refuse_golden(engine: Engine, folder: str, version: DatasetVersion | None) -> None:
    """Frames of the training side may have turned golden since a folder was converted.

    Raises:
        ConflictError: some have.
    """
    if version is None:
        return
    with engine.database.read() as connection:
        newest = datasets.latest(connection)
        number = 0 if newest is None else newest.number
        kept = certificate_rows.trained_on_golden(connection, number, version.number)
    if kept:
        raise ConflictError(
            f"{engine.shown(folder)} is of dataset version {version.label}, and {counted(kept, 'frame')} of its "
            "training side are golden by now: a model that was trained on them could not be judged by them",
            hint="run first: dataengine convert",
        )


def on_golden(engine: Engine, model: Model) -> dict[str, Any]:
    """``golden``: the COCO metrics of a registered model on the golden frames of the newest version; nothing without
    any.  What it says of them is kept, so that who judges it next asks it nothing.

    Raises:
        DamagedInputError: it numbers its classes otherwise than the registry.
    """
    import numpy as np

    from data_engine.metrics.measuring import measure

    try:
        on = evaluation_set(engine, GOLDEN)
    except MissingInputError:
        return {}
    try:
        looked = look(engine, model, on)
    except MissingInputError as error:
        engine.notes.append(f"not measured on the golden set: {error.message}")
        return {}
    found = measure(looked.matches, np.zeros(len(looked.frames), np.intp), None)
    by_class = {name: found.scores(1.0, place).map50.value for place, name in enumerate(looked.names)}
    whole = found.scores(1.0)
    return {
        "golden": {
            "map": whole.map.value,
            "map50": whole.map50.value,
            "ap50_per_class": by_class,
            "images": len(looked.frames),
        }
    }
