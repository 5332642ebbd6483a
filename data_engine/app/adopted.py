"""The model in use as lineage knows it, also where its file came there by other means."""

from __future__ import annotations

from data_engine.app.engine import Engine
from data_engine.app.in_use import current_model, is_model, keep
from data_engine.app.models import register_model
from data_engine.errors import DamagedInputError, UsageError
from data_engine.lineage import champions, models
from data_engine.types import Model

LOCK = "champions"
"""Under this name one process at a time decides which model is in use, or removes weights."""


def model_in_use(engine: Engine) -> tuple[Model | None, list[str]]:
    """The model in use, recorded as such where its file came there by other means; and remarks."""
    path = current_model(engine, None)
    if path is None:
        return None, []
    with engine.database.read() as connection:
        row = champions.newest(connection)
        known = None if row is None else models.by_id(connection, row.model_id)
    if known is not None and is_model(engine, path, known):
        return known, []
    try:
        found = register_model(engine, path).model
    except (DamagedInputError, UsageError) as error:
        return None, [f"{engine.shown(engine.storage.key_of(path))}, which is in use, is of no use: {error.message}"]
    found = keep(engine, found, path)
    with engine.database.write() as connection:
        over = None if row is None else row.model_id
        row = champions.crown(
            connection, found.id, found.kind, at=engine.now(), decision={}, action="found", over_id=over
        )
        champions.set_placed(connection, row.number)
    return found, []
