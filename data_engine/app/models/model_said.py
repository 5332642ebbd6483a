"""What thinned models said about frames: it goes with their weights, but for the frames that a dataset version holds.

On those models are measured, and held against each other and against the labels, also after their weights are gone.  Of
all other frames nobody asks again what an old model thought, and there are so many that it takes more room than the
weights did.
"""

from __future__ import annotations

import contextlib
from collections import Counter

from data_engine.app.engine import Engine
from data_engine.app.lineage.purge_rewriting import take_rows
from data_engine.app.models.models import PREDICTIONS
from data_engine.errors import DamagedInputError
from data_engine.lineage import models


def unneeded(engine: Engine, model_id: str) -> dict[str, list[str]]:
    """The column files of a model that hold frames of no dataset version, each with these frames."""
    with engine.database.read() as connection:
        return models.predicted_beside_datasets(connection, model_id)


def forget(engine: Engine, model_id: str) -> int:
    """Remove what a model said about frames of no dataset version; how many bytes that frees.

    Killed and called again, it does the rest.
    """
    before = _size(engine, model_id)
    for part, ids in unneeded(engine, model_id).items():
        path = engine.storage.path(part)
        # One that cannot be read tells nobody anything, and asked anew its model would be.
        with contextlib.suppress(DamagedInputError):
            if path.exists():
                take_rows(engine, part, path, frozenset(ids), Counter(), Counter())
    with engine.database.read() as connection:
        named = models.prediction_parts(connection, model_id)
    for path in engine.storage.path(f"{PREDICTIONS}/{model_id}").glob("*.npz"):
        if (key := engine.storage.key_of(path)) not in named:
            engine.storage.delete(key)
    return before - _size(engine, model_id)


def _size(engine: Engine, model_id: str) -> int:
    return sum(path.stat().st_size for path in engine.storage.path(f"{PREDICTIONS}/{model_id}").glob("*.npz"))
