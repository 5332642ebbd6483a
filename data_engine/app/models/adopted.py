"""The model in use as lineage knows it, also where its file came there by other means."""

from __future__ import annotations

from data_engine.app.engine import Engine
from data_engine.app.models.in_use import SHORT, current_model, is_model, keep, refuse_changed
from data_engine.app.models.models import register_model
from data_engine.errors import DamagedInputError, UsageError
from data_engine.lineage import champions, models
from data_engine.types import Model

LOCK = "champions"
"""Under this name one process at a time decides which model is in use, or removes weights."""


def model_in_use(engine: Engine) -> tuple[Model | None, list[str]]:
    """The model in use, recorded as such where its file came there by other means; and remarks.

    Where that file is no model that could be used, the one that came into use last is meant, if its own is whole.
    """
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
        shown = engine.shown(engine.storage.key_of(path))
        broken = f"{shown}, which somebody put there, is of no use: {error.message}"
        # That it is used was said of it before it was looked into.
        engine.notes[:] = [note for note in engine.notes if not note.startswith(f"{shown} is not model ")]
        if row is None or known is None or not _whole(engine, known):
            return None, [broken]
        since = f"{known.id[:SHORT]}, in use since {row.at[:10]}, is meant"
        return known, [f"{broken}; {since}: dataengine promote --rollback puts its file back"]
    found = keep(engine, found, path)
    with engine.database.write() as connection:
        over = None if row is None else row.model_id
        row = champions.crown(
            connection, found.id, found.kind, at=engine.now(), decision={}, action="found", over_id=over
        )
        champions.set_placed(connection, row.number)
    return found, []


def _whole(engine: Engine, model: Model) -> bool:
    """Whether a model's own file is there, with its bytes."""
    try:
        refuse_changed(engine, model)
    except DamagedInputError:
        return False
    return engine.storage.exists(model.key)
