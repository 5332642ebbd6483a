"""YOLO by Ultralytics (AGPL-3.0): https://docs.ultralytics.com/modes/train."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from data_engine.errors import UsageError
from data_engine.metrics.splits import read_split, read_training
from data_engine.trainers import augment, memory
from data_engine.trainers.carried import told_carried
from data_engine.trainers.checkpoints import read_state
from data_engine.trainers.epochs import METRICS_FILE, EpochLog
from data_engine.trainers.options import TrainOptions, checked_weights, gpus_of, resolve_device
from data_engine.trainers.published import downloaded
from data_engine.trainers.quiet import talking_to
from data_engine.trainers.rare import shown
from data_engine.trainers.trackers import opened
from data_engine.trainers.workdir import CSV_FILE, LOG_FILE, ONNX_FILE, WorkDir
from data_engine.trainers.yolo_data import private_copy
from data_engine.trainers.yolo_files import export
from data_engine.trainers.yolo_model import import_ultralytics, opened_model, parent_names
from data_engine.types import TrainedModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from data_engine.ports import Progress

VERSION = "2"
"""Of the recipe: another one makes another model from the same data."""
WEIGHTS_FILE = "model.pt"

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
CLASS_WEIGHT_POWER = 0.5
"""With ``rare="weights"``: a class weighs as the square root of its rarity, as repeat factors do."""
_STATE = "state.pt"


class YoloTrainer:
    """Trains YOLO; see :class:`data_engine.ports.Trainer` for the contract.

    ``size`` is ``tiny`` (0.6 million parameters) or a size of YOLO11 (n, s, m, l, x; default ``n``), built from
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
            UsageError: an unknown option, size or device, more than the GPU's memory holds, or a loss of no number.
            MissingInputError: no training pictures or labels, or no such weights.
            DamagedInputError: labels or weights that are none.
            MissingDependencyError: ultralytics, or a package of a tracker, is not installed.
            ServiceError: a tracker does not answer.
            StorageFullError: the disk is full.
        """
        chosen = TrainOptions.of(options)
        training, validation = read_training(self.kind, data), read_split(self.kind, data, "valid")
        weights = checked_weights(weights, (".pt",))
        work = WorkDir.of(output, self.kind, VERSION, (training, validation), chosen, weights)
        if trained := work.finished():
            progress.note("already trained on this data with these options")
            return trained
        import_ultralytics()
        device = resolve_device(chosen.device)
        work.begin()
        with work.translated():
            with talking_to(work.output / LOG_FILE, "ultralytics"):
                model = opened_model(chosen.size, weights, work.scratch)
                if weights is not None:
                    told_carried(progress, parent_names(model), training.class_names)
                folder = private_copy(work.fresh("data"), shown(training, chosen, progress), validation)
                epochs = _train(model, folder, work, chosen, device, progress)
                run = work.scratch / "run"
                # Only with patience was every epoch validated, so only then is there a best one to choose.
                checkpoint = run / "weights" / ("best.pt" if chosen.patience else "last.pt")
                onnx = export(checkpoint, chosen.image_size or 640)
            result = TrainedModel(self.kind, WEIGHTS_FILE, ONNX_FILE, training.class_names, {}, epochs)
            return work.finish(result, {WEIGHTS_FILE: checkpoint, ONNX_FILE: onnx, CSV_FILE: run / "results.csv"})

    def published(self, name: str, folder: Path) -> Path | None:
        """See the port: ``yolo11n.pt`` and whatever else ultralytics publishes for detection."""
        import_ultralytics()
        from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

        if name not in GITHUB_ASSETS_NAMES or not name.endswith(".pt"):
            return None
        return downloaded(name, folder, lambda path: attempt_download_asset(path), "ultralytics")


def _train(model: Any, data: Path, work: WorkDir, options: TrainOptions, device: str, progress: Progress) -> int:
    """Train, from the last checkpoint on if there is one; the number of epochs."""
    import torch

    from data_engine.trainers.yolo_loop import Loop, ResumableTrainer

    several = len(gpus_of(device)) > 1
    arguments = _arguments(model, data, work, options, device)
    work.write_arguments(arguments | {"pretrained": None})
    state, metrics = work.scratch / _STATE, work.output / METRICS_FILE
    Loop(str(state), str(metrics), options.checkpoint_seconds, 0 if gpus_of(device) else options.threads).write(
        work.scratch
    )
    before = read_state(state)
    done, batch = (0, options.batch) if before is None else (before["epoch"] + 1, before["batch"])
    del before
    if done:
        progress.note(f"going on after epoch {done} of {options.epochs}")
    threads = torch.get_num_threads()
    wanted = {"kind": "yolo", **options.decisive()}
    with opened(work.output, options.trackers, wanted, kind="yolo", done=done) as trackers:
        log = EpochLog(metrics, options.epochs, progress, trackers, done=done)
        room = memory.Room(batch, progress)
        if not several:
            _listen(model, log, data, room)

        def train(size: int) -> None:
            work.fresh("run")
            with log.following() if several else contextlib.nullcontext():
                model.train(trainer=ResumableTrainer, **arguments | {"batch": size})

        progress.start("train", options.epochs, "epochs", done=done)
        try:
            memory.fitting(train, room)
        finally:
            torch.set_num_threads(threads)
            progress.finish()
    return log.done


def _arguments(model: Any, data: Path, work: WorkDir, options: TrainOptions, device: str) -> dict[str, Any]:
    """Every setting for the library.

    Raises:
        UsageError: one that the library refuses, or that an option decides.
    """
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
        **augment.for_yolo(options.augment),
        **({"cls_pw": CLASS_WEIGHT_POWER} if options.rare == "weights" else {}),
    }
    options.refuse(decided)
    arguments = {**RECIPE, **options.extra, **decided}
    try:
        resolved = vars(get_cfg(overrides=arguments))
    except (SyntaxError, TypeError, ValueError) as error:
        raise UsageError(f"ultralytics refuses a setting: {str(error).strip().splitlines()[0]}") from error
    return {**resolved, **arguments}


def _listen(model: Any, log: EpochLog, data: Path, room: memory.Room) -> None:
    """Tell what happens in a training of this process."""
    there = len((data.parent / "train.txt").read_text("utf-8").splitlines())

    def on_train_start(trainer: Any) -> None:
        used = len(trainer.train_loader.dataset)
        if used < there:
            room.progress.note(f"{there - used} of {there} training pictures cannot be read and are left out")

    def on_model_save(trainer: Any) -> None:
        if trainer.batch_size < room.size:
            # The library halves the batch by itself in the first epoch.
            room.shrink(trainer.batch_size)
        log.catch_up()

    model.add_callback("on_train_start", on_train_start)
    model.add_callback("on_model_save", on_model_save)
