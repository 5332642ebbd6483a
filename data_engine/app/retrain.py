"""``retrain``: training folders -> a registered, evaluated model that the next round uses."""

from __future__ import annotations

from pathlib import Path

from data_engine.app import canary
from data_engine.app.convert import FOLDER as TRAINING
from data_engine.app.convert import converted_version
from data_engine.app.engine import Engine, present
from data_engine.app.golden_metrics import on_golden, refuse_golden
from data_engine.app.models import FOLDER as MODELS
from data_engine.app.models import champion_key
from data_engine.errors import MissingInputError
from data_engine.lineage import datasets, models
from data_engine.ports import Detector
from data_engine.types import ID_LENGTH, DatasetVersion, Model, Report, content_id

_NEXT_TO_NOTHING = 0.05
"""mAP50 below which a model's doubts and proposals are worth nothing."""


def retrain(engine: Engine, *, data: Path | None = None, output: Path | None = None) -> Report:
    """Train, evaluate on the validation split, register, and make the model the one in use.

    Args:
        data: the training folder of this kind; ``final_labels/<kind>`` by default.
        output: the folder for the models of this kind; ``models/<kind>`` by default.

    Raises:
        MissingInputError: no training folder, or no model to begin from.
        DamagedInputError: the trained model numbers its classes otherwise than the registry.
    """
    from data_engine.media.images import sha256_of
    from data_engine.metrics.splits import read_split, read_training
    from data_engine.stages import retrain as stage

    settings = engine.settings.retrain
    source = engine.require(data, f"{TRAINING}/{settings.kind}", hint="run first: dataengine convert")
    version = _version(engine, source)
    refuse_golden(engine, source, version)
    parent, weights = begun_from(engine)
    folder = engine.storage.path(source)
    sides = (read_training(settings.kind, folder), read_split(settings.kind, folder, "valid"))
    # By content, not by path: data that changed in its place is another training, with a folder of its own.
    digests = [side.digest() for side in sides]
    begun = "scratch" if weights is None else sha256_of(weights)
    inputs = [version.id if version is not None else content_id("data", *digests)]
    with engine.runner.run("retrain", stage.VERSION, settings, inputs=inputs, scope=[*digests, begun]) as run:
        home = f"{engine.key_of(output, f'{MODELS}/{settings.kind}')}/{run.id[:12]}"
        trained = stage.retrain(
            folder,
            engine.storage.path(home),
            settings,
            trainer=engine.trainer(settings.kind),
            open_detector=lambda path, names: _opened(engine, path, names),
            progress=engine.progress,
            weights=weights,
        )
        key = f"{home}/{trained.onnx_key}"
        judged = on_golden(engine, lambda: _opened(engine, engine.storage.path(key), trained.class_names), trained)
        model = Model(
            id=sha256_of(engine.storage.path(key))[:ID_LENGTH],
            kind=trained.kind,
            key=key,
            class_names=trained.class_names,
            dataset_version_id=None if version is None else version.id,
            parent_id=None if parent is None else parent.id,
            metrics={**trained.metrics, **judged},
        )
        path = engine.storage.path(key)
        seen = canary.probe(engine, path, model, lambda: _opened(engine, path, trained.class_names))
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
            canary.record(engine, connection, model, seen)
            engine.runner.finish_input(connection, run, inputs)
            # Before it is registered for good: of a registered model nobody would ask again whether it is in use.
            engine.storage.link(key, champion_key(trained.kind))
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
            **judged,
        },
        notes=_remarks(engine, version, metrics.get("map50")),
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


def _version(engine: Engine, source: str) -> DatasetVersion | None:
    """The dataset version that a training folder holds; None for data from elsewhere."""
    identity = converted_version(engine, source)
    with engine.database.read() as connection:
        return next((version for version in datasets.versions(connection) if version.id == identity), None)


def begun_from(engine: Engine) -> tuple[Model | None, Path | None]:
    """The model to begin from and its checkpoint, as the settings say.

    Raises:
        MissingInputError: it is not there.
    """
    from data_engine.media.images import sha256_of

    settings = engine.settings.retrain
    if not settings.weights:
        return None, None
    if settings.weights != "champion":
        path = Path(settings.weights)
        if not present(path) or path.is_dir():
            raise MissingInputError(f"{path} is not there", hint="name the weights to begin from with --weights")
        return None, path
    used = champion_key(settings.kind)
    if not engine.storage.exists(used):
        raise MissingInputError(
            f"no {settings.kind} model was trained here yet", hint="train the first one without --weights champion"
        )
    identity = sha256_of(engine.storage.path(used))[:ID_LENGTH]
    with engine.database.read() as connection:
        champion = models.by_id(connection, identity)
        key = models.weights_of(connection, identity)
    if champion is None or key is None or not engine.storage.exists(key):
        raise MissingInputError(
            f"{engine.shown(used)} has no checkpoint of a training here to begin from",
            hint="name one with --weights, or train without",
        )
    return champion, engine.storage.path(key)


def _opened(engine: Engine, path: Path, names: tuple[str, ...]) -> Detector:
    from data_engine.detectors.loading import open_detector

    settings = engine.settings
    return open_detector(path, kind=settings.retrain.kind, device=settings.predict.device, class_names=names)
