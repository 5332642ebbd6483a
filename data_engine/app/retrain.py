"""``retrain``: training folders -> a registered, evaluated model that the next round uses."""

from __future__ import annotations

from pathlib import Path

from data_engine.app.convert import FOLDER as TRAINING
from data_engine.app.convert import converted_version
from data_engine.app.engine import Engine, present
from data_engine.app.models import FOLDER as MODELS
from data_engine.app.models import champion_key
from data_engine.errors import MissingInputError
from data_engine.lineage import datasets, models
from data_engine.ports import Detector
from data_engine.types import ID_LENGTH, DatasetVersion, Model, Report

_NEXT_TO_NOTHING = 0.05
"""mAP50 below which a model's doubts and proposals are worth nothing."""


def retrain(engine: Engine, *, data: Path | None = None, output: Path | None = None) -> Report:
    """Train, evaluate on the validation split, register, and make the model the one in use.

    Args:
        data: the training folder of this kind; ``final_labels/<kind>`` by default.
        output: the folder for the models of this kind; ``models/<kind>`` by default.

    Raises:
        MissingInputError: no training folder, or no model to begin from.
    """
    from data_engine.media.images import sha256_of
    from data_engine.stages import retrain as stage

    settings = engine.settings.retrain
    source = engine.require(data, f"{TRAINING}/{settings.kind}", hint="run first: dataengine convert")
    version = _version(engine, source)
    parent, weights = _parent(engine)
    inputs = [version.id if version is not None else source]
    with engine.runner.run(
        "retrain", stage.VERSION, settings, inputs=inputs, scope=[source, parent.id if parent else ""]
    ) as run:
        home = f"{engine.key_of(output, f'{MODELS}/{settings.kind}')}/{run.id[:12]}"
        trained = stage.retrain(
            engine.storage.path(source),
            engine.storage.path(home),
            settings,
            trainer=engine.trainer(settings.kind),
            open_detector=lambda path, names: _opened(engine, path, names),
            progress=engine.progress,
            weights=weights,
        )
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
        # In use first: of a registered model nobody would ask again whether it is in use.
        engine.storage.link(key, champion_key(trained.kind))
        with engine.database.write() as connection:
            if not models.registry(connection):
                models.add_classes(connection, model.class_names)
            models.add_model(
                connection,
                model,
                run_id=run.id,
                weights_key=f"{home}/{trained.weights_key}",
                registered_at=engine.now(),
            )
            engine.runner.finish_input(connection, run, inputs)
    metrics = trained.metrics
    return Report(
        title=f"trained {trained.kind} on {'the data of ' + source if version is None else version.label}: "
        f"mAP {_shown(metrics.get('map'))}, mAP50 {_shown(metrics.get('map50'))}",
        data={
            "model": engine.shown(champion_key(trained.kind)),
            "model_id": model.id,
            "weights": engine.shown(f"{home}/{trained.weights_key}"),
            "dataset_version": None if version is None else version.label,
            "epochs": trained.epochs,
            "validation_images": metrics.get("images"),
            "map": metrics.get("map"),
            "map50": metrics.get("map50"),
            "ap50_per_class": metrics.get("ap50_per_class"),
        },
        notes=_remarks(metrics.get("map50")),
        next="dataengine filter",
    )


def _remarks(map50: float | None) -> tuple[str, ...]:
    if map50 is None or map50 >= _NEXT_TO_NOTHING:
        return ()
    return ("this model finds next to nothing: train longer (--epochs), or begin from --weights",)


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _version(engine: Engine, source: str) -> DatasetVersion | None:
    """The dataset version that a training folder holds; None for data from elsewhere."""
    identity = converted_version(engine, source)
    with engine.database.read() as connection:
        return next((version for version in datasets.versions(connection) if version.id == identity), None)


def _parent(engine: Engine) -> tuple[Model | None, Path | None]:
    """The model to begin from and its checkpoint, as the settings say."""
    settings = engine.settings.retrain
    if not settings.weights:
        return None, None
    if settings.weights != "champion":
        path = Path(settings.weights)
        if not present(path):
            raise MissingInputError(f"{path} is not there", hint="name the weights to begin from with --weights")
        return None, path
    with engine.database.read() as connection:
        trained = [model for model, _version in models.trained(connection) if model.kind == settings.kind]
        key = models.weights_of(connection, trained[-1].id) if trained else None
    if key is None or not engine.storage.exists(key):
        raise MissingInputError(
            f"no {settings.kind} model was trained here yet", hint="train the first one without --weights champion"
        )
    return trained[-1], engine.storage.path(key)


def _opened(engine: Engine, path: Path, names: tuple[str, ...]) -> Detector:
    from data_engine.detectors.loading import open_detector

    settings = engine.settings
    return open_detector(path, kind=settings.retrain.kind, device=settings.predict.device, class_names=names)
