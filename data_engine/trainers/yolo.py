"""YOLO by Ultralytics (AGPL-3.0): https://docs.ultralytics.com/modes/train."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.errors import DamagedInputError, MissingDependencyError, UsageError
from data_engine.metrics.splits import LabelledImage, LabelledSplit, read_split, read_training
from data_engine.trainers.options import TrainOptions, checked_weights, resolve_device
from data_engine.trainers.quiet import importing, talking_to
from data_engine.trainers.workdir import CSV_FILE, LOG_FILE, ONNX_FILE, WorkDir, link
from data_engine.types import TrainedModel
from data_engine.words import installing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data_engine.ports import Progress

VERSION = "1"
"""Of the recipe: another one makes another model from the same data."""
WEIGHTS_FILE = "model.pt"
PUBLISHED = ("n", "s", "m", "l", "x")
"""Sizes of YOLO11, built from the description that ultralytics carries."""

# Two detection levels and 0.6 million parameters, after YOLO11 at 0.15 of its width: learns from a few hundred
# pictures and on a CPU.  Rows are [from, repeats, module, arguments], as in the descriptions of ultralytics.
TINY: Mapping[str, Any] = {
    "backbone": [
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [24, 3, 2]],
        [-1, 1, "C3k2", [40, False, 0.25]],
        [-1, 1, "Conv", [40, 3, 2]],
        [-1, 1, "C3k2", [80, False, 0.25]],  # 4: 1/8 of the input
        [-1, 1, "Conv", [80, 3, 2]],
        [-1, 1, "C3k2", [80, True]],  # 6: 1/16
        [-1, 1, "Conv", [160, 3, 2]],
        [-1, 1, "SPPF", [160, 5]],  # 8: 1/32
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 1, "C3k2", [80, False]],  # 11
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 1, "C3k2", [40, False]],  # 14
        [-1, 1, "Conv", [40, 3, 2]],
        [[-1, 11], 1, "Concat", [1]],
        [-1, 1, "C3k2", [80, False]],  # 17
        [[14, 17], 1, "Detect", ["nc"]],
    ],
}

# For little data.  nbs is the batch after which the optimiser steps: its default of 64 would take too few steps to
# learn anything from a few hundred pictures.  amp probes with downloaded weights, so it stays off.
RECIPE: Mapping[str, Any] = {
    "optimizer": "AdamW",
    "warmup_epochs": 1,
    "mosaic": 0.0,
    "plots": False,
    "cache": "ram",
    "amp": False,
}
LEARNING_RATE = 0.004
_STRIDE = 32
_ENVIRONMENT = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "0", "ULTRALYTICS_SAFE_LOAD": "1"}


class YoloTrainer:
    """Trains YOLO; see :class:`data_engine.ports.Trainer` for the contract.

    ``size`` is ``tiny`` (see :data:`TINY`) or a size of YOLO11 (:data:`PUBLISHED`; default ``n``), built from
    scratch.  ``weights`` is a detection checkpoint (``.pt``) of any classes: its architecture is used, every layer
    whose shape fits is taken over, and of the classification layers the rows of classes with the same names.
    Checkpoints are read by torch's restricted loader, which builds no object but the layers of known models.

    The returned keys are paths relative to ``output``; metrics are left to the caller.
    """

    kind = "yolo"

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
            UsageError: an unknown option, size or device, or more than the GPU's memory holds.
            MissingInputError: no training pictures or labels, or no such weights.
            DamagedInputError: labels or weights that are none.
            MissingDependencyError: ultralytics is not installed.
            StorageFullError: the disk is full.
        """
        chosen = TrainOptions.of(options)
        training, validation = read_training(self.kind, data), read_split(self.kind, data, "valid")
        weights = checked_weights(weights, (".pt",))
        work = WorkDir.of(output, self.kind, VERSION, (training, validation), chosen, weights)
        if trained := work.finished():
            progress.note("already trained on this data with these options")
            return trained
        _import_ultralytics()
        device = resolve_device(chosen.device)
        work.begin()
        with work.translated(chosen.batch), talking_to(work.output / LOG_FILE, "ultralytics"):
            folder = _private_copy(work.scratch / "data", training, validation)
            checkpoint, epochs = _train(_model(chosen, weights, work.scratch), folder, work, chosen, device, progress)
            onnx = _export(checkpoint, chosen.image_size or 640)
        result = TrainedModel(self.kind, WEIGHTS_FILE, ONNX_FILE, training.class_names, {}, epochs)
        results = work.scratch / "run" / "results.csv"
        return work.finish(result, {WEIGHTS_FILE: checkpoint, ONNX_FILE: onnx, CSV_FILE: results})


def _import_ultralytics() -> None:
    """Import the package, told before to look nothing up, install nothing and unpickle nothing unknown."""
    if "ultralytics" not in sys.modules:
        # What its user set stays as it is.
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if "YOLO_CONFIG_DIR" not in os.environ:
            # Its settings file is of no use here, and a user's own would change what is trained.
            os.environ["YOLO_CONFIG_DIR"] = folder = tempfile.mkdtemp(prefix="dataengine-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with importing():
            import ultralytics
    except ImportError as error:
        raise MissingDependencyError(f"training YOLO needs ultralytics ({error})", hint=installing("yolo")) from None
    # Experiment trackers that happen to be installed must not begin to record (in memory only, not in the file).
    dict.update(ultralytics.settings, dict.fromkeys(("clearml", "comet", "dvc", "mlflow", "raytune"), False))


def _model(options: TrainOptions, weights: Path | None, scratch: Path) -> Any:
    from ultralytics import YOLO
    from ultralytics.nn.tasks import torch_safe_load

    if weights is not None:
        try:
            torch_safe_load(str(weights), safe_only=True)
            model = YOLO(str(weights))
        except Exception as error:
            # What ultralytics says ends in advice to download a model of its own.
            raise DamagedInputError(f"{weights} is not a YOLO checkpoint that ultralytics wrote") from error
        if model.task != "detect":
            raise DamagedInputError(f"{weights} is a model for the task {model.task!r}, not for detection")
        return model
    size = options.size or PUBLISHED[0]
    if size in PUBLISHED:
        return YOLO(f"yolo11{size}.yaml", task="detect")
    if size != "tiny":
        raise UsageError(f"size {size!r} is not one of tiny, {', '.join(PUBLISHED)}")
    description = scratch / "tiny.yaml"
    description.write_text(json.dumps({"nc": 80, **TINY}), "utf-8")
    return YOLO(str(description), task="detect")


def _private_copy(folder: Path, training: LabelledSplit, validation: LabelledSplit) -> Path:
    """A training folder of our own, its pictures linked and numbered; returns its ``data.yaml``.

    Ultralytics keeps a cache beside the labels that it believes as long as paths and file sizes agree: beside labels
    that people correct, it would go on training with the old ones.
    """
    if training.class_names != validation.class_names:
        raise DamagedInputError("the training and the validation side have different classes")
    # The library always validates once; without validation pictures it does so on what it has learned from.
    sides = {"train": training, "val": validation} if validation.images else {"train": training}
    for side, split in sides.items():
        listed = []
        for number, image in enumerate(split.images):
            picture = folder / side / "images" / f"{number:08d}{image.path.suffix}"
            link(image.path, picture)
            label = folder / side / "labels" / f"{number:08d}.txt"
            label.parent.mkdir(exist_ok=True)
            label.write_text(_lines(image), "utf-8")
            listed.append(f"{picture}\n")
        # A list of files, because the library takes brackets in a folder's name for a pattern.
        (folder / f"{side}.txt").write_text("".join(listed), "utf-8")
    yaml = folder / "data.yaml"
    content = {
        "path": str(folder),
        "names": dict(enumerate(training.class_names)),
        "train": str(folder / "train.txt"),
        "val": str(folder / f"{list(sides)[-1]}.txt"),
    }
    yaml.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return yaml


def _lines(image: LabelledImage) -> str:
    width, height = image.size_wh
    return "".join(
        f"{label} {(left + right) / 2 / width!r} {(top + bottom) / 2 / height!r}"
        f" {(right - left) / width!r} {(bottom - top) / height!r}\n"
        for (left, top, right, bottom), label in zip(
            image.boxes.xyxy.tolist(), image.boxes.classes.tolist(), strict=True
        )
    )


def _train(
    model: Any, data: Path, work: WorkDir, options: TrainOptions, device: str, progress: Progress
) -> tuple[Path, int]:
    """Train; the checkpoint and the number of epochs."""
    import torch
    from ultralytics.cfg import get_cfg

    decided = {
        "task": "detect",
        "cfg": None,
        "model": model.overrides["model"],
        "data": str(data),
        "epochs": options.epochs,
        "batch": options.batch,
        "nbs": options.batch,
        "imgsz": options.image_size or 640,
        "lr0": options.learning_rate or LEARNING_RATE,
        "seed": options.seed,
        "device": device.removeprefix("cuda:"),
        "workers": options.workers,
        "patience": options.patience,
        "val": options.patience > 0,
        "resume": False,
        "save": True,
        "single_cls": False,
        "project": str(work.scratch),
        "name": "run",
        "exist_ok": True,
        "verbose": False,
    }
    options.refuse(decided)
    arguments = {**RECIPE, **options.extra, **decided}
    try:
        get_cfg(overrides=arguments)
    except (SyntaxError, TypeError, ValueError) as error:
        raise UsageError(f"ultralytics refuses a setting: {str(error).strip().splitlines()[0]}") from error

    done = 0

    def on_train_start(trainer: Any) -> None:
        if device == "cpu":
            torch.set_num_threads(options.threads)
        used, there = (
            len(trainer.train_loader.dataset),
            len((data.parent / "train.txt").read_text("utf-8").splitlines()),
        )
        if used < there:
            progress.note(f"{there - used} of {there} training pictures cannot be read and are left out")

    def on_model_save(trainer: Any) -> None:
        nonlocal done
        done = trainer.epoch + 1
        losses = ", ".join(f"{name} {float(value):.3f}" for name, value in trainer.tloss.items())
        progress.note(f"epoch {done}/{options.epochs}: {losses}")
        progress.advance()

    model.add_callback("on_train_start", on_train_start)
    model.add_callback("on_model_save", on_model_save)
    threads = torch.get_num_threads()
    progress.start("train", options.epochs, "epochs")
    try:
        model.train(**arguments)
    finally:
        torch.set_num_threads(threads)
        progress.finish()
    weights = work.scratch / "run" / "weights"
    # Only with patience was every epoch validated, so only then is there a best one to choose.
    checkpoint = weights / ("best.pt" if options.patience else "last.pt")
    _forget_circumstances(checkpoint)
    return checkpoint, done


def _forget_circumstances(checkpoint: Path) -> None:
    """Take out of a checkpoint when, how fast and in which folders it was made: the same model is the same bytes."""
    import torch
    from ultralytics.nn.tasks import torch_safe_load

    content, _ = torch_safe_load(str(checkpoint), safe_only=True)
    content |= {"date": None, "git": None, "train_results": None}
    content["model"].yaml["yaml_file"] = Path(content["model"].yaml["yaml_file"]).name
    for arguments in (content["train_args"], content["model"].args):
        arguments |= {
            name: None for name in ("data", "model", "project", "save_dir", "pretrained") if name in arguments
        }
    torch.save(content, checkpoint)


def _export(checkpoint: Path, image_size: int) -> Path:
    """Export to ONNX: any batch, pictures of one size; class names and input size are in the metadata."""
    import onnx
    from ultralytics import YOLO

    side = -(-image_size // _STRIDE) * _STRIDE
    path = Path(YOLO(str(checkpoint)).export(format="onnx", dynamic=True, simplify=False, imgsz=side, device="cpu"))
    model = onnx.load(str(path))
    # The library frees the batch and the two sides together; only the batch is wanted.
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.Clear()
        dimension.dim_value = side
    # When and in which folder: nothing that a model needs, and the same model is the same bytes without.
    kept = [entry for entry in model.metadata_props if entry.key not in ("date", "description")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, str(path))
    return path
