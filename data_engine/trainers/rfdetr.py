"""RF-DETR by Roboflow (Apache-2.0): https://rfdetr.roboflow.com, PyTorch Lightning underneath."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.errors import DamagedInputError, MissingDependencyError, UsageError
from data_engine.metrics.splits import read_split, read_training
from data_engine.trainers import augment, memory
from data_engine.trainers.carried import told_carried
from data_engine.trainers.checkpoints import read_state
from data_engine.trainers.epochs import METRICS_FILE, EpochLog
from data_engine.trainers.options import TrainOptions, checked_weights, gpus_of, resolve_device
from data_engine.trainers.published import downloaded
from data_engine.trainers.quiet import importing, talking_to
from data_engine.trainers.rare import shown
from data_engine.trainers.rfdetr_data import private_copy
from data_engine.trainers.rfdetr_files import export, forget_circumstances
from data_engine.trainers.rfdetr_weights import private_weights
from data_engine.trainers.trackers import opened
from data_engine.trainers.workdir import CSV_FILE, LOG_FILE, ONNX_FILE, WorkDir
from data_engine.types import TrainedModel
from data_engine.words import installing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data_engine.ports import Progress

VERSION = "2"
"""Of the recipe: another one makes another model from the same data."""
WEIGHTS_FILE = "model.pth"
SIZES = {"nano": "RFDETRNano", "small": "RFDETRSmall", "medium": "RFDETRMedium", "large": "RFDETRLarge"}
"""Without ``RFDETRBase``, which looks for backbone weights on a hub when it is built without weights of its own."""
LEARNING_RATE = 1e-4
_ENCODER_SHARE = 1.5
"""The library's own ratio of the backbone's learning rate to the rest's."""

# Torchvision is pinned because the library would take whichever augmentation package happens to be installed.
RECIPE: Mapping[str, Any] = {
    "multi_scale": False,
    "augmentation_backend": "torchvision",
    "progress_bar": None,
    "tensorboard": False,
}
_STATE = "last.ckpt"
_LOGGERS = ("rf-detr", "rfdetr", "lightning", "lightning_fabric", "pytorch_lightning")


class RfDetrTrainer:
    """Trains RF-DETR; see :class:`data_engine.ports.Trainer` for the contract.

    ``size`` is one of :data:`SIZES` (default ``nano``), built from scratch, which needs far more pictures than a
    YOLO does.  ``weights`` is an RF-DETR checkpoint (``.pth``, ``.ckpt``) of any classes: its architecture is used and
    everything is taken over, the classification layer cut or grown to the number of classes.  Checkpoints are read
    with ``weights_only``: a file that would need unpickling of other objects is refused.

    The returned keys are paths relative to ``output``; metrics are left to the caller.
    """

    kind = "rfdetr"

    def train(
        self,
        data: Path,
        output: Path,
        options: Mapping[str, Any],
        *,
        weights: Path | None,
        progress: Progress,
    ) -> TrainedModel:
        """Train and export.

        Raises:
            UsageError: an unknown option, size, image size or device, or more than the GPU's memory holds.
            MissingInputError: no training pictures or labels, or no such weights.
            DamagedInputError: labels or weights that are none.
            MissingDependencyError: rfdetr, or a package of a tracker or of ``augment``, is not installed.
            ServiceError: a tracker does not answer.
            StorageFullError: the disk is full.
        """
        chosen = TrainOptions.of(options)
        training, validation = read_training(self.kind, data), read_split(self.kind, data, "valid")
        weights = checked_weights(weights, (".pth", ".ckpt", ".pt"))
        work = WorkDir.of(output, self.kind, VERSION, (training, validation), chosen, weights)
        if trained := work.finished():
            progress.note("already trained on this data with these options")
            return trained
        if chosen.rare == "weights":
            raise UsageError("RF-DETR's loss takes no weights for classes", hint="use --rare repeat, or train yolo")
        _import_rfdetr()
        if chosen.augment and importlib.util.find_spec("albumentations") is None:
            raise MissingDependencyError(
                "[retrain.augment] of RF-DETR needs albumentations", hint="pip install 'albumentations<3'"
            )
        device = resolve_device(chosen.device)
        work.begin()
        with work.translated(), talking_to(work.output / LOG_FILE, *_LOGGERS):
            names = training.class_names
            folder = private_copy(work.fresh("data"), shown(training, chosen, progress), validation)
            start = None
            if weights is not None:
                start = work.fresh(f"start-{weights.name}")
                parent = private_weights(weights, start, names, chosen.seed)
                told_carried(progress, [name for name in parent or () if name], names)
            model = _model(chosen, start, weights, len(names), device)
            config = _config(model, folder, names, work, chosen, device)
            epochs = _train(model, config, work, chosen, device, progress)
            run = work.scratch / "run"
            # Only with patience was every epoch validated, so only then is there a best one to choose.
            checkpoint = run / ("checkpoint_best_total.pth" if chosen.patience else "last_ema.pth")
            forget_circumstances(checkpoint)
            onnx = export(checkpoint, list(names), work.fresh("onnx"))
            result = TrainedModel(self.kind, WEIGHTS_FILE, ONNX_FILE, names, {}, epochs)
            return work.finish(result, {WEIGHTS_FILE: checkpoint, ONNX_FILE: onnx, CSV_FILE: run / "metrics.csv"})

    def published(self, name: str, folder: Path) -> Path | None:
        """See the port: ``rfdetr-nano`` and the other sizes, also as ``rf-detr-nano.pth``."""
        _import_rfdetr()
        from rfdetr.assets.model_weights import ModelWeights, download_pretrain_weights

        size = name.removesuffix(".pth").removeprefix("rf-detr-").removeprefix("rfdetr-")
        file = f"rf-detr-{size}.pth"
        if name not in (f"rfdetr-{size}", f"rf-detr-{size}", file) or ModelWeights.from_filename(file) is None:
            return None
        return downloaded(file, folder, lambda path: download_pretrain_weights(str(path)), *_LOGGERS)


def _import_rfdetr() -> None:
    # Before transformers is imported: nothing is looked up on a hub.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        with importing():
            import rfdetr.training  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"training RF-DETR needs rfdetr[train] ({error})", hint=installing("rfdetr")
        ) from None


def _model(options: TrainOptions, start: Path | None, weights: Path | None, classes: int, device: str) -> Any:
    import rfdetr
    from pydantic import ValidationError
    from rfdetr.training import seed_everything

    # What is not loaded is drawn at random, before the library's own seeding at the start of the training.
    seed_everything(options.seed, workers=True, verbose=False)
    gpus = gpus_of(device)
    decided: dict[str, Any] = {"num_classes": classes, "device": f"cuda:{gpus[0]}" if gpus else "cpu"}
    if options.image_size is not None:
        decided["resolution"] = options.image_size
    options.refuse({*decided, "resolution", "pretrain_weights"})
    size = options.size or "nano"
    if size not in SIZES:
        raise UsageError(f"size {size!r} is not one of {', '.join(SIZES)}")
    variant = getattr(rfdetr, SIZES[size])
    # Thirteen groups of queries learn in parallel on a GPU; on a CPU they only cost thirteen times.
    recipe = {"group_detr": 1} if device == "cpu" else {}
    extra = {name: value for name, value in options.extra.items() if _is_of_model(variant, name)}
    arguments = {**recipe, **extra, **decided}
    try:
        if start is None:
            model = variant(pretrain_weights=None, **arguments)
        else:
            model = rfdetr.RFDETR.from_checkpoint(start, **arguments)
    except ValidationError as error:
        raise UsageError(f"rfdetr refuses a setting: {_first(error)}") from error
    except Exception as error:
        if start is None and extra and isinstance(error, ValueError):
            raise UsageError(f"rfdetr refuses a setting of {', '.join(extra)}: {_first(error)}") from error
        if start is None:
            raise
        raise DamagedInputError(f"{weights} is not an RF-DETR checkpoint: {_first(error)}") from error
    block = model.model_config.patch_size * model.model_config.num_windows
    if model.model_config.resolution % block:
        raise UsageError(f"image size {model.model_config.resolution} is not a multiple of {block}")
    model.model_config.model_name = type(model).__name__
    return model


def _train(model: Any, config: Any, work: WorkDir, options: TrainOptions, device: str, progress: Progress) -> int:
    """Train, from the last checkpoint on if there is one; the number of epochs."""
    import torch

    from data_engine.trainers.rfdetr_loop import Epochs, fit, nobody

    gpus = gpus_of(device)
    state, metrics = work.scratch / _STATE, work.output / METRICS_FILE
    work.write_arguments({**model.model_config.model_dump(), **config.model_dump()})
    before = read_state(state)
    if before is None:
        state.unlink(missing_ok=True)
        work.fresh("run")
    done = 0 if before is None else before["epoch"] + 1
    del before
    if done:
        progress.note(f"going on after epoch {done} of {options.epochs}")
    place: dict[str, Any] = {"accelerator": "gpu", "devices": gpus} if gpus else {"accelerator": "cpu"}
    threads = torch.get_num_threads()
    wanted = {"kind": "rfdetr", **options.decisive()}
    with opened(work.output, options.trackers, wanted, kind="rfdetr", done=done) as trackers:
        log = EpochLog(metrics, options.epochs, progress, trackers, done=done)

        several = len(gpus) > 1

        def train(size: int) -> None:
            smaller = config.model_copy(
                update={"batch_size": size, "grad_accum_steps": options.batch // size, "resume": str(state)}
            )
            # Processes of their own cannot tell this one's progress: their lines are followed.
            told = nobody if several else log.catch_up
            with log.following() if several else contextlib.nullcontext():
                epochs = Epochs(metrics, state, options.checkpoint_seconds, told)
                fit(model.model_config, smaller, epochs, state, place)

        progress.start("train", options.epochs, "epochs", done=done)
        try:
            if not gpus:
                torch.set_num_threads(options.threads)
            memory.fitting(train, memory.Room(options.batch, progress))
        finally:
            torch.set_num_threads(threads)
            progress.finish()
    return log.done


def _config(model: Any, data: Path, names: tuple[str, ...], work: WorkDir, options: TrainOptions, device: str) -> Any:
    """The library's settings of a training.

    Raises:
        UsageError: one that the library refuses, or that an option decides.
    """
    from pydantic import ValidationError

    rate = options.learning_rate or LEARNING_RATE
    decided = {
        "lr": rate,
        "dataset_file": "roboflow",
        "dataset_dir": str(data),
        "output_dir": str(work.scratch / "run"),
        "class_names": list(names),
        "epochs": options.epochs,
        "batch_size": options.batch,
        "num_workers": 0 if device == "cpu" else options.workers,
        "seed": options.seed,
        # Validation at the end only, unless it decides when to stop.
        "eval_interval": 1 if options.patience else options.epochs,
        "early_stopping": options.patience > 0,
        "early_stopping_patience": options.patience or 1,
        "dont_save_weights": False,
        "use_ema": True,
        "resume": None,
        "run_test": False,
        # Lightning's other way starts the whole command again for every GPU.
        "strategy": "ddp_spawn" if len(gpus_of(device)) > 1 else "auto",
        **augment.for_rfdetr(options.augment),
    }
    options.refuse(decided)
    extra = {name: value for name, value in options.extra.items() if not _is_of_model(type(model), name)}
    try:
        return model.get_train_config(**{**RECIPE, "lr_encoder": rate * _ENCODER_SHARE, **extra, **decided})
    except ValidationError as error:
        raise UsageError(f"rfdetr refuses a setting: {_first(error)}") from error


def _is_of_model(variant: Any, name: str) -> bool:
    """Whether a setting belongs to the architecture, not to the training."""
    return name in variant._model_config_class.model_fields


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # pydantic: a headline, the field, what is wrong with it.
    return ": ".join(lines[1:3]) if type(error).__name__ == "ValidationError" else (lines or [type(error).__name__])[0]
