"""``models thin``: remove weights that nobody needs any more; what is recorded of their models stays.

Kept are the model in use of each kind, those that the next rollback would return to, what these were begun from, the
newest ones, those of which nothing was decided yet, and those whose choice or proposals people still have before them.
With the weights goes what a model said about frames of no dataset version (:mod:`data_engine.app.models.model_said`).
"""

from __future__ import annotations

from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.models.adopted import LOCK
from data_engine.app.models.in_use import FOLDER, KINDS, champion_key, current_model
from data_engine.app.models.model_said import forget, unneeded
from data_engine.lineage import champions, models
from data_engine.lineage.database import Connection
from data_engine.lineage.models import Registered
from data_engine.types import Report
from data_engine.words import counted

KEEP = 5


def thin(engine: Engine, *, keep: int = KEEP, dry_run: bool = False) -> Report:
    """Remove the weights of all models but those that are kept.

    Args:
        engine: the workspace.
        keep: how many of the newest stay whatever became of them.
        dry_run: only tell.
    """
    current_model(engine, None)
    with engine.database.alone(LOCK):
        with engine.database.read() as connection:
            known = models.registered(connection)
            why = kept(connection, known, keep)
        there = [one for one in known if _files(engine, one)]
        going = [one for one in there if one.model.id not in why]
        rows = [_row(engine, one, why.get(one.model.id)) for one in reversed(there)]
        freed = sum(engine.storage.size(key) for one in going for key in _files(engine, one))
        gone = [one for one in known if one in going or one.thinned_at is not None]
        said = sum(len(ids) for one in gone for ids in unneeded(engine, one.model.id).values())
        if going and not dry_run:
            # The record first: of weights that are gone without one nobody would know why.
            with engine.database.write() as connection:
                models.set_thinned(connection, [one.model.id for one in going], engine.now())
            for one in going:
                for key in _files(engine, one):
                    engine.storage.delete(key)
        # Also of models that were thinned before, by a run that was killed or by an earlier release.
        freed_said = 0 if dry_run else sum(forget(engine, one.model.id) for one in gone)
    done = f"{'would be ' if dry_run else ''}removed, {(freed + freed_said) / 1e6:.1f} MB"
    notes = (
        [f"what they said about {counted(said, 'frame')} of no dataset version {done.partition(',')[0]}"]
        if said
        else []
    )
    return Report(
        title=f"weights of {counted(len(going), 'model')} {done}; {len(there) - len(going)} kept",
        data={
            "thinned": [one.model.id for one in going],
            "kept": len(there) - len(going),
            "bytes": freed,
            "predictions": said,
            "prediction_bytes": freed_said,
            "dry_run": dry_run,
        },
        rows=tuple(rows),
        notes=tuple(notes),
    )


def kept(connection: Connection, known: list[Registered], newest: int) -> dict[str, str]:
    """Which models keep their weights, by id, each with the first reason for it."""
    found: dict[str, str] = {}
    in_use = [row for kind in KINDS if (row := champions.champion(connection, kind)) is not None]
    for row in in_use:
        found.setdefault(row.model_id, "in use")
    for row in champions.line(connection)[1:2]:
        found.setdefault(row.model_id, "a rollback returns to it")
    for one in known:
        if one.model.id in found and one.model.parent_id is not None:
            found.setdefault(one.model.parent_id, f"{one.model.id[:8]} was begun from it")
    for one in known[len(known) - newest :] if newest else ():
        found.setdefault(one.model.id, "one of the newest")
    for model_id in models.needed(connection, "acceptance"):
        found.setdefault(model_id, "people still have its choice or its proposals")
    if (undecided := champions.undecided(connection)) is not None:
        found.setdefault(undecided, "nothing was decided about it yet")
    return found


def _files(engine: Engine, one: Registered) -> list[str]:
    """The files with the weights of a model that are there and the workspace's own, but for those in use."""
    keys = dict.fromkeys(key for key in (one.model.key, one.weights_key) if key)
    spared = {champion_key(kind) for kind in KINDS}
    return [
        key
        for key in keys
        if key not in spared and (key.startswith(f"{FOLDER}/") or one.run_id) and engine.storage.exists(key)
    ]


def _row(engine: Engine, one: Registered, why: str | None) -> dict[str, Any]:
    return {
        "model": one.model.id[:12],
        "kind": one.model.kind,
        "version": None if one.version is None else f"v{one.version}",
        "registered": one.registered_at[:16],
        "mb": round(sum(engine.storage.size(key) for key in _files(engine, one)) / 1e6, 1),
        "kept": why,
    }
