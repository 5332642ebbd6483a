"""``retrain --like``: a training again from its record alone, to see that it ends in the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.app.dataset.convert import FOLDER as TRAINING
from data_engine.app.models import retrain_record
from data_engine.app.models.in_use import FOLDER as MODELS
from data_engine.app.models.model_registry import model_named
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import models, work
from data_engine.types import Report
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.lineage.models import Registered
    from data_engine.stages.retrain import RetrainSettings

_AGAIN = "-again"


def repeat(engine: Engine, name: str, *, data: Path | None = None) -> Report:
    """Train again as a run, or the run of a model, and compare the files.

    The settings are those of the record, whatever is set now.  Nothing is registered, and nothing comes into use.

    Args:
        engine: the workspace.
        name: the beginning of a run's or a model's id, a model file, ``champion`` or ``newest``.
        data: the training folder; that of the kind by default.

    Raises:
        UsageError: settings were given beside the record's.
        MissingInputError: no such training, or its data or beginning is not there.
        ConflictError: the training folder, or what it began from, holds something else by now.
    """
    from data_engine.media.images import sha256_of
    from data_engine.metrics.splits import read_split, read_training

    if given := sorted(engine.overrides.get("retrain", {})):
        raise UsageError(
            f"--like takes every setting from the record, and --{given[0].replace('_', '-')} was given too",
            hint="leave one of them out",
        )
    row = _run_of(engine, name)
    settings = _settings_of(row.settings)
    source = engine.require(data, f"{TRAINING}/{settings.kind}", hint="run first: dataengine convert")
    folder = engine.storage.path(source)
    sides = (read_training(settings.kind, folder), read_split(settings.kind, folder, "valid"))
    *digests, begun = row.settings["scope"]
    if [side.digest() for side in sides] != digests:
        version = row.settings.get("record", {}).get("data", {}).get("version")
        hint = f"dataengine dataset checkout {version} brings it back; name its training folder with --data"
        raise ConflictError(
            f"{engine.shown(source)} does not hold what run {row.id[:12]} was trained on",
            hint=hint if version else "name the folder that does with --data",
        )
    weights = None if begun == "scratch" else _beginning(engine, row.settings, begun)
    home = f"{MODELS}/{settings.kind}/{row.id[:12]}{_AGAIN}"
    place = engine.storage.path(home)
    (place / "result.json").unlink(missing_ok=True)
    trained = engine.trainer(settings.kind).train(
        folder, place, settings.options(), weights=weights, progress=engine.progress
    )
    original = _registered(engine, row.id)
    onnx = sha256_of(place / trained.onnx_key)
    same = original is not None and onnx.startswith(original.model.id)
    told = retrain_record.differences(row.settings.get("record", {}), retrain_record.circumstances(settings))
    if same:
        # The same bytes lie in the folder of the training that was repeated.
        shutil.rmtree(place, ignore_errors=True)
    elif original is None:
        told = ["that run ended in no model, so there is nothing to compare", *told]
    return Report(
        title=f"repeated run {row.id[:12]}: {'the same bytes' if same else 'other bytes'}",
        data={
            "run": row.id,
            "model_id": None if original is None else original.model.id,
            "same": same,
            "sha256": onnx,
            "model": engine.shown(original.model.key if same and original else f"{home}/{trained.onnx_key}"),
            "differences": told,
        },
        notes=() if same else tuple(told) or ("nothing that is recorded differs: the library does not repeat itself",),
    )


def _run_of(engine: Engine, name: str) -> Any:
    with engine.database.read() as connection:
        found = work.beginning_with(connection, "retrain", name)
    if len(found) > 1:
        raise UsageError(f"{counted(len(found), 'run')} begin with {name!r}", hint="name more of its id")
    if found:
        return found[0]
    one = _registered(engine, model_named(engine, name).id, by_model=True)
    with engine.database.read() as connection:
        rows = work.beginning_with(connection, "retrain", one.run_id) if one is not None and one.run_id else []
    if not rows:
        raise MissingInputError(f"{name} was not trained here", hint="dataengine models list shows those that were")
    return rows[0]


def _registered(engine: Engine, identity: str, *, by_model: bool = False) -> Registered | None:
    """The model of a run, or of an id of its own."""
    with engine.database.read() as connection:
        known = models.registered(connection)
    return next((one for one in known if (one.model.id if by_model else one.run_id) == identity), None)


def _settings_of(recorded: Mapping[str, Any]) -> RetrainSettings:
    from data_engine.stages.retrain import RetrainSettings

    known = {name: value for name, value in recorded.items() if name in RetrainSettings.model_fields}
    return RetrainSettings.model_validate(known)


def _beginning(engine: Engine, recorded: Mapping[str, Any], digest: str) -> Path:
    """The checkpoint that a training began from, found by its bytes."""
    from data_engine.media.images import sha256_of

    with engine.database.read() as connection:
        keys = [one.weights_key for one in models.registered(connection) if one.weights_key]
    given = recorded.get("weights") or ""
    named = [Path(given), engine.storage.path(f"{MODELS}/published") / given] if given else []
    for path in (*named, *(engine.storage.path(key) for key in keys)):
        if path.is_file() and sha256_of(path) == digest:
            return path
    raise MissingInputError(f"the weights that it began from ({given}) are not there any more")
