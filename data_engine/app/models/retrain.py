"""``retrain``: training folders -> a registered, evaluated model, used from then on if it is shown to be fit."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_engine.app.dataset.convert import FOLDER as TRAINING
from data_engine.app.dataset.convert import converted_version
from data_engine.app.dataset.training_data import refuse_changed_data
from data_engine.app.engine import Engine
from data_engine.app.models import canary, retrain_record
from data_engine.app.models.golden_metrics import on_golden, refuse_golden
from data_engine.app.models.models import FOLDER as MODELS
from data_engine.app.models.models import champion_key
from data_engine.app.models.promote import consider, refuse_unknown_names
from data_engine.app.models.promote_report import remarks_on, told_of
from data_engine.app.models.retrain_parent import begun_from
from data_engine.errors import ConflictError
from data_engine.lineage import datasets, models
from data_engine.ports import Detector
from data_engine.trainers.options import resolve_device
from data_engine.trainers.workdir import RESULT_FILE
from data_engine.types import ID_LENGTH, DatasetVersion, Model, Report, content_id

_NEXT_TO_NOTHING = 0.05
"""mAP50 below which a model's doubts and proposals are worth nothing."""


def retrain(engine: Engine, *, data: Path | None = None, output: Path | None = None) -> Report:
    """Train, evaluate on the validation split, register, and use the model from now on if it has shown to be fit.

    Args:
        data: the training folder of this kind; ``final_labels/<kind>`` by default.
        output: the folder for the models of this kind; ``models/<kind>`` by default.

    Raises:
        UsageError: a GPU was asked for where there is none; the rule of promotion names a class or camera
            that there is not.
        MissingInputError: no training folder, or no model to begin from.
        ConflictError: the training folder was changed since it was converted; another process is at this training.
        DamagedInputError: the trained model numbers its classes otherwise than the registry.
    """
    from data_engine.media.images import sha256_of
    from data_engine.metrics.splits import read_split, read_training
    from data_engine.stages import retrain as stage

    settings = engine.settings.retrain
    if settings.device.startswith("cuda"):
        # Before anything is read or written.
        resolve_device(settings.device)
    if settings.promote:
        # Rather now than after the training.
        refuse_unknown_names(engine)
    source = engine.require(data, f"{TRAINING}/{settings.kind}", hint="run first: dataengine convert")
    version = _version(engine, source)
    refuse_golden(engine, source, version)
    refuse_changed_data(engine, source, version)
    parent, weights = begun_from(engine)
    folder = engine.storage.path(source)
    sides = (read_training(settings.kind, folder), read_split(settings.kind, folder, "valid"))
    # By content, not by path: data that changed in its place is another training, with a folder of its own.
    digests = [side.digest() for side in sides]
    begun = "scratch" if weights is None else sha256_of(weights)
    inputs = [version.id if version is not None else content_id("data", *digests)]
    record = {
        **retrain_record.circumstances(settings),
        "data": {"version": None if version is None else version.label, "id": inputs[0], "sides": digests},
        "begun": begun,
        "parent": None if parent is None else parent.id,
    }
    scope = [*digests, begun]
    with contextlib.ExitStack() as held:
        alone = engine.database.alone_if_free(f"training {content_id('training', settings.fingerprint(), *scope)}")
        if not held.enter_context(alone):
            raise ConflictError(
                "another process is at this very training", hint="wait for it: what it has trained is used then"
            )
        run = held.enter_context(
            engine.runner.run("retrain", stage.VERSION, settings, inputs=inputs, scope=scope, record=record)
        )
        home = f"{engine.key_of(output, f'{MODELS}/{settings.kind}')}/{run.id[:12]}"
        record |= {"run": run.id, "seed": settings.seed, "settings": settings.model_dump(mode="json")}
        if not engine.storage.exists(f"{home}/{RESULT_FILE}"):
            _tell_differences(engine, home, record)
            retrain_record.write(engine, home, record)
        trained = stage.retrain(
            folder,
            engine.storage.path(home),
            settings,
            trainer=engine.trainer(settings.kind),
            open_detector=lambda path, names: _opened(engine, path, names),
            progress=engine.progress,
            weights=weights,
        )
        retrain_record.write(engine, home, retrain_record.read(engine, home) or record)
        key = f"{home}/{trained.onnx_key}"
        model = Model(
            id=sha256_of(engine.storage.path(key))[:ID_LENGTH],
            kind=trained.kind,
            key=key,
            class_names=trained.class_names,
            dataset_version_id=None if version is None else version.id,
            parent_id=None if parent is None else parent.id,
            metrics=trained.metrics,
        )
        path = engine.storage.path(key)
        seen = canary.probe(engine, path, model, lambda: _opened(engine, path, trained.class_names))
        with engine.database.write() as connection:
            if not models.registry(connection):
                models.add_classes(connection, model.class_names)
            # As one from elsewhere, which can be asked: killed before the next step, no version was trained on yet.
            stranger = replace(model, dataset_version_id=None, parent_id=None)
            models.add_model(connection, stranger, run_id=None, weights_key=None, registered_at=engine.now())
            canary.record(engine, connection, model, seen)
        judged = on_golden(engine, model)
        model = replace(model, metrics={**trained.metrics, **judged})
        with engine.database.write() as connection:
            models.add_model(
                connection,
                model,
                run_id=run.id,
                weights_key=f"{home}/{trained.weights_key}",
                registered_at=engine.now(),
            )
            engine.runner.finish_input(connection, run, inputs)
    decision = consider(engine, model) if settings.promote else None
    metrics = trained.metrics
    return Report(
        title=f"trained {trained.kind} on {'the data of ' + source if version is None else version.label}: "
        f"mAP {_shown(metrics.get('map'))}, mAP50 {_shown(metrics.get('map50'))}",
        data={
            "model": engine.shown(champion_key(trained.kind) if decision is not None and decision.promoted else key),
            "model_id": model.id,
            **told_of(decision),
            "weights": engine.shown(f"{home}/{trained.weights_key}"),
            "dataset_version": None if version is None else version.label,
            "epochs": trained.epochs,
            "validation_images": metrics.get("images"),
            "map": metrics.get("map"),
            "map50": metrics.get("map50"),
            "ap50_per_class": metrics.get("ap50_per_class"),
            **judged,
        },
        notes=(*_remarks(engine, version, metrics.get("map50")), *remarks_on(decision)),
        next="dataengine filter",
    )


def _remarks(engine: Engine, version: DatasetVersion | None, map50: float | None) -> tuple[str, ...]:
    notes = []
    settings = engine.settings.retrain
    if settings.weights and settings.size is not None:
        notes.append(f"the weights bring their own architecture: size {settings.size} was not used")
    with engine.database.read() as connection:
        latest = datasets.latest(connection)
    if version is not None and latest is not None and latest.number > version.number:
        notes.append(f"there is a newer version, {latest.label}: dataengine convert brings it into the training folder")
    if map50 is not None and map50 < _NEXT_TO_NOTHING:
        notes.append("this model finds next to nothing: train longer (--epochs), or begin from --weights")
    return tuple(notes)


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _tell_differences(engine: Engine, home: str, record: dict[str, Any]) -> None:
    """Say where a training that goes on does so with other code or in another environment."""
    before = retrain_record.read(engine, home)
    told = [] if before is None else retrain_record.differences(before, record)
    if told:
        engine.progress.note(f"this training was begun otherwise, so another may not repeat it: {'; '.join(told)}")


def _version(engine: Engine, source: str) -> DatasetVersion | None:
    """The dataset version that a training folder holds; None for data from elsewhere."""
    identity = converted_version(engine, source)
    with engine.database.read() as connection:
        return next((version for version in datasets.versions(connection) if version.id == identity), None)


def _opened(engine: Engine, path: Path, names: tuple[str, ...]) -> Detector:
    from data_engine.detectors.loading import open_detector

    settings = engine.settings
    return open_detector(path, kind=settings.retrain.kind, device=settings.predict.device, class_names=names)
