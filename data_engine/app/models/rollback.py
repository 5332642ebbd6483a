"""``promote --rollback``: the model that was in use before is in use again."""

from __future__ import annotations

from data_engine.app.engine import Engine
from data_engine.app.models.adopted import LOCK, model_in_use
from data_engine.app.models.fitness import numbered_rightly, purged_with
from data_engine.app.models.in_use import SHORT, champion_key, is_model, place, refuse_changed
from data_engine.errors import DataEngineError, MissingInputError
from data_engine.lineage import champions, models
from data_engine.lineage.champions import ChampionRow
from data_engine.types import Model, Report


def rollback(engine: Engine, *, reason: str | None = None, actor: str | None = None) -> Report:
    """Put the model back in use that was in use before the present one; called again, the one before that.

    Where the file in use is no model's, whose place it took comes back, and nothing is taken out of use.

    Raises:
        MissingInputError: none is in use, or none was before; its weights are gone.
        DamagedInputError: somebody wrote over its file.
        DataEngineError: it may not come back: it was trained on footage that was purged, or names its classes wrongly.
    """
    with engine.database.alone(LOCK):
        used, _remarks = model_in_use(engine)
        with engine.database.read() as connection:
            line = champions.line(connection)
        if not line:
            raise MissingInputError("no model is in use yet", hint="run first: dataengine retrain")
        if used is not None and not is_model(engine, engine.storage.path(champion_key(used.kind)), used):
            return _restored(engine, used)
        if len(line) < 2:
            raise MissingInputError(
                f"no model was in use before {line[0].model_id[:SHORT]}", hint="dataengine models list"
            )
        model = _back_to(engine, line[1])
        with engine.database.write() as connection:
            champions.roll_back(
                connection,
                line[1],
                at=engine.now(),
                over_id=line[0].model_id,
                decision={},
                actor=actor,
                reason=reason,
            )
        place(engine)
    left = None if used is None else used.id
    return Report(
        title=f"{model.kind} {model.id[:SHORT]} is in use again, as it was from {line[1].at[:10]}",
        data={
            "model": engine.shown(champion_key(model.kind)),
            "model_id": model.id,
            "kind": model.kind,
            "taken_out_of_use": left,
            "reason": reason,
        },
        notes=(f"{str(left)[:SHORT]} does not come into use again unasked",) if left else (),
        next="dataengine filter",
    )


def _restored(engine: Engine, model: Model) -> Report:
    """Put the file of the model in use back in the place of one that is no model's."""
    numbered_rightly(engine, model)
    place(engine)
    return Report(
        title=f"{model.kind} {model.id[:SHORT]} is in use again: what lay in the place of its file was no model",
        data={
            "model": engine.shown(champion_key(model.kind)),
            "model_id": model.id,
            "kind": model.kind,
            "taken_out_of_use": None,
            "reason": None,
        },
        next="dataengine filter",
    )


def _back_to(engine: Engine, row: ChampionRow) -> Model:
    """The model of an earlier row, fit to be used again."""
    short = row.model_id[:SHORT]
    with engine.database.read() as connection:
        (known,) = [one for one in models.registered(connection) if one.model.id == row.model_id]
        purged = purged_with(connection, row.model_id)
    if known.thinned_at is not None or not engine.storage.exists(known.model.key):
        why = "are gone" if known.thinned_at is None else f"were thinned out on {known.thinned_at[:10]}"
        raise MissingInputError(
            f"the weights of {short}, which was in use before, {why}",
            hint='another one can be used: dataengine promote MODEL --force --reason "why"',
        )
    if purged:
        raise DataEngineError(
            f"{short}, which was in use before, does not come back: {purged[0]}",
            hint=f'to use it all the same: dataengine promote {short} --force --reason "why"',
        )
    refuse_changed(engine, known.model)
    # Libraries may have changed since.
    numbered_rightly(engine, known.model)
    return known.model
