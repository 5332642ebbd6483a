"""RF-DETR by Roboflow (Apache-2.0): https://rfdetr.roboflow.com, PyTorch Lightning underneath."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.errors import DamagedInputError, MissingDependencyError, UsageError
from data_engine.formats.coco_types import CocoAnnotation, CocoDataset, CocoImage
from data_engine.formats.rfdetr import ANNOTATIONS, write_rfdetr
from data_engine.metrics.splits import LabelledSplit, read_split, read_training
from data_engine.trainers.options import TrainOptions, checked_weights, resolve_device
from data_engine.trainers.quiet import importing, talking_to
from data_engine.trainers.workdir import CSV_FILE, LOG_FILE, ONNX_FILE, WorkDir, link
from data_engine.types import ClassRegistry, TrainedModel
from data_engine.words import installing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data_engine.ports import Progress

VERSION = "1"
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
            MissingDependencyError: rfdetr is not installed.
            StorageFullError: the disk is full.
        """
        chosen = TrainOptions.of(options)
        training, validation = read_training(self.kind, data), read_split(self.kind, data, "valid")
        weights = checked_weights(weights, (".pth", ".ckpt", ".pt"))
        work = WorkDir.of(output, self.kind, VERSION, (training, validation), chosen, weights)
        if trained := work.finished():
            progress.note("already trained on this data with these options")
            return trained
        _import_rfdetr()
        device = resolve_device(chosen.device)
        work.begin()
        with work.translated(chosen.batch), talking_to(work.output / LOG_FILE, *_LOGGERS):
            folder = _private_copy(work.scratch / "data", training, validation)
            start = _private_weights(weights, work.scratch) if weights else None
            model = _model(chosen, start, weights, len(training.class_names), device)
            checkpoint, epochs = _train(model, folder, work, chosen, device, progress)
            onnx = _export(checkpoint, list(training.class_names), work.scratch / "onnx")
        result = TrainedModel(self.kind, WEIGHTS_FILE, ONNX_FILE, training.class_names, {}, epochs)
        metrics = work.scratch / "run" / "metrics.csv"
        return work.finish(result, {WEIGHTS_FILE: checkpoint, ONNX_FILE: onnx, CSV_FILE: metrics})


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


def _private_copy(folder: Path, training: LabelledSplit, validation: LabelledSplit) -> Path:
    """A training folder of our own: linked pictures, and classes renumbered 1..N without a gap."""
    if training.class_names != validation.class_names:
        raise DamagedInputError("the training and the validation side have different classes")
    # The library always validates once; without validation pictures it does so on what it has learned from.
    for name, split in (("train", training), ("valid", validation if validation.images else training)):
        images: list[CocoImage] = []
        annotations: list[CocoAnnotation] = []
        for number, image in enumerate(split.images, 1):
            images.append(CocoImage(number, f"pictures/{image.name}", *image.size_wh))
            for (left, top, right, bottom), label, crowd in zip(
                image.boxes.xyxy.tolist(), image.boxes.classes.tolist(), image.boxes.crowd.tolist(), strict=True
            ):
                box = (left, top, right - left, bottom - top)
                annotations.append(CocoAnnotation(len(annotations) + 1, number, label + 1, box, crowd))
        dataset = CocoDataset(tuple(images), tuple(annotations), ClassRegistry.of(split.class_names))
        pictures = split.images[0].path.parents[split.images[0].name.count("/")]
        link(pictures, folder / name / "pictures")
        (folder / name / ANNOTATIONS).write_bytes(write_rfdetr(dataset))
    return folder


def _private_weights(weights: Path, scratch: Path) -> Path:
    """The same file under a name of ours.

    A file that is named like published weights without being them is one that the library downloads again.
    """
    start = scratch / f"start-{weights.name}"
    try:
        os.link(weights, start)
    except OSError:
        shutil.copyfile(weights, start)
    return start


def _model(options: TrainOptions, start: Path | None, weights: Path | None, classes: int, device: str) -> Any:
    import rfdetr
    from pydantic import ValidationError
    from rfdetr.training import seed_everything

    # What is not loaded is drawn at random, before the library's own seeding at the start of the training.
    seed_everything(options.seed, workers=True, verbose=False)
    decided: dict[str, Any] = {"num_classes": classes, "device": device}
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


def _train(
    model: Any, data: Path, work: WorkDir, options: TrainOptions, device: str, progress: Progress
) -> tuple[Path, int]:
    """Train; the checkpoint and the number of epochs."""
    import torch
    from pydantic import ValidationError
    from pytorch_lightning import Callback
    from rfdetr.training import RFDETRDataModule, RFDETRModelModule, build_trainer

    run = work.scratch / "run"
    rate = options.learning_rate or LEARNING_RATE
    decided = {
        "lr": rate,
        "dataset_file": "roboflow",
        "dataset_dir": str(data),
        "output_dir": str(run),
        "epochs": options.epochs,
        "batch_size": options.batch,
        "num_workers": 0 if device == "cpu" else options.workers,
        "seed": options.seed,
        # Validation at the end only, unless it decides when to stop.
        "eval_interval": 1 if options.patience else options.epochs,
        "early_stopping": options.patience > 0,
        "early_stopping_patience": options.patience or 1,
        # An archive of every tenth epoch would fill the disk: the last one replaces the one before.
        "checkpoint_interval": options.epochs + 1,
        "dont_save_weights": False,
        "use_ema": True,
        "resume": None,
        "run_test": False,
    }
    options.refuse(decided)
    extra = {name: value for name, value in options.extra.items() if not _is_of_model(type(model), name)}
    arguments = {**RECIPE, "lr_encoder": rate * _ENCODER_SHARE, **extra, **decided}
    try:
        config = model.get_train_config(**arguments)
    except ValidationError as error:
        raise UsageError(f"rfdetr refuses a setting: {_first(error)}") from error

    done = 0

    class Report(Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
            nonlocal done
            done = trainer.current_epoch + 1
            loss = trainer.callback_metrics.get("train/loss")
            progress.note(f"epoch {done}/{options.epochs}" + (f": loss {float(loss):.3f}" if loss is not None else ""))
            progress.advance()

    threads = torch.get_num_threads()
    progress.start("train", options.epochs, "epochs")
    try:
        if device == "cpu":
            torch.set_num_threads(options.threads)
        place = {"accelerator": "cpu"} if device == "cpu" else {"accelerator": "gpu", "devices": [int(device[5:])]}
        trainer = build_trainer(config, model.model_config, **place)
        trainer.callbacks.append(Report())
        trainer.fit(RFDETRModelModule(model.model_config, config), RFDETRDataModule(model.model_config, config))
    finally:
        torch.set_num_threads(threads)
        progress.finish()
    # Only with patience was every epoch validated, so only then is there a best one to choose.
    checkpoint = run / ("checkpoint_best_total.pth" if options.patience else "last_ema.pth")
    _forget_circumstances(checkpoint)
    return checkpoint, done


def _forget_circumstances(checkpoint: Path) -> None:
    """Take out of a checkpoint in which folders it was made: the same model is the same bytes."""
    import torch

    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    content["args"] |= {"dataset_dir": None, "output_dir": None}
    content.pop("callbacks", None)
    torch.save(content, checkpoint)


def _export(checkpoint: Path, class_names: list[str], folder: Path) -> Path:
    """Export to ONNX: any batch, pictures of one size; class names are in the metadata ``rfdetr_notes``."""
    import rfdetr

    model = rfdetr.RFDETR.from_checkpoint(checkpoint, device="cpu")
    return Path(
        model.export(
            output_dir=str(folder),
            format="onnx",
            verbose=False,
            dynamic_batch=True,
            notes={"class_names": class_names},
        )
    )


def _is_of_model(variant: Any, name: str) -> bool:
    """Whether a setting belongs to the architecture, not to the training."""
    return name in variant._model_config_class.model_fields


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # pydantic: a headline, the field, what is wrong with it.
    return ": ".join(lines[1:3]) if type(error).__name__ == "ValidationError" else (lines or [type(error).__name__])[0]
