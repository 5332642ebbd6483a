"""Retrain: a training folder in, an evaluated model out.

The trainer learns and exports; the exported file, run as it will be run in the next round, is what is measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from data_engine.errors import DamagedInputError, UsageError
from data_engine.stages.base import StageSettings
from data_engine.stages.retrain_sections import Augment, AugmentSettings, Trackers, TrackerSettings
from data_engine.types import Detections, TrainedModel, content_id

if TYPE_CHECKING:
    from data_engine.metrics.splits import LabelledSplit
    from data_engine.ports import Detector, Progress, Trainer

VERSION = 2
"""Raised whenever the same input would make another model or other metrics."""
_PICTURES_AT_ONCE = 16

OpenDetector = Callable[[Path, tuple[str, ...]], "Detector"]
"""Opens an exported model file; the second argument are the class names in the order of its outputs."""


class RetrainSettings(StageSettings):
    """Settings of ``retrain``.  None leaves a choice to the trainer, which knows what suits its architecture."""

    # YOLO learns something from a few hundred pictures, from scratch and on a CPU; RF-DETR needs weights for that.
    kind: Literal["yolo", "rfdetr"] = Field(
        "yolo", description="What to train: yolo learns from scratch on little data, rfdetr wants --weights."
    )
    size: str | None = Field(
        None,
        description="Architecture built from scratch: yolo n (tiny, s, m, l, x), rfdetr nano (small, medium, large).",
    )
    weights: str = Field("", description="Begin from a file, 'champion', or a name such as yolo11n.pt.")
    epochs: int = Field(50, ge=1, le=10_000, description="Times that every training picture is seen.")
    batch: int = Field(8, ge=1, le=1024, description="Pictures a step.")
    image_size: int | None = Field(
        None, ge=64, le=4096, multiple_of=32, description="Side of the model's square input in pixels (yolo: 640)."
    )
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="Learning rate at the beginning (yolo: 0.004, rfdetr: 0.0001)."
    )
    patience: int = Field(
        0,
        ge=0,
        description="Stop after so many epochs without a better validation and take the best; 0 takes the last epoch.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of everything random.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+(,\d+)*)?)$",
        description="Where to train: auto, cpu, cuda:N or several, cuda:0,1.",
    )
    rare: Literal["none", "repeat", "weights"] = Field(
        "none", description="Rare classes: repeat their pictures, or weigh them (yolo)."
    )
    rare_share: float = Field(0.1, gt=0, le=1, description="With repeat: rare is what less than this share shows.")
    threads: int = Field(
        1, ge=1, le=256, description="CPU threads of the arithmetic; more than 1 pays on idle cores only."
    )
    workers: int = Field(4, ge=0, le=64, description="Processes that load pictures for a GPU (on a CPU: none).")
    checkpoint_seconds: float = Field(
        30.0, ge=0, description="Keep a checkpoint about so often, at an epoch's end; 0: each."
    )
    extra: tuple[str, ...] = Field(
        (), description="Further settings by the training library's own names, as name=value."
    )
    augment: Augment = AugmentSettings()
    trackers: Trackers = TrackerSettings()
    promote: bool = Field(True, description="Use the model from now on, if it is shown to be fit: as promote does.")

    def fingerprint(self) -> str:
        """As of every stage, without what the model does not depend on.

        ``weights`` says where they lie, and what counts is what they hold: that is for the caller to add.
        """
        idle = {"weights", "checkpoint_seconds", "trackers", "promote"}
        idle |= {"workers"} if self.device == "cpu" else set()
        idle |= {"rare_share"} if self.rare != "repeat" else set()
        decisive = self.model_dump(mode="json", exclude=idle)
        return content_id("settings", type(self).__name__, json.dumps(decisive, sort_keys=True))

    def options(self) -> dict[str, Any]:
        """The options of :meth:`data_engine.ports.Trainer.train`.

        Raises:
            UsageError: an ``extra`` setting that is not ``name=value``.
        """
        chosen = self.model_dump(exclude={"kind", "weights", "extra", "augment", "trackers", "promote"})
        extra = dict(_parsed(text) for text in self.extra)
        return {**chosen, "extra": extra, "augment": self.augment.chosen(), "trackers": self.trackers.chosen()}


def retrain(
    data: Path,
    output: Path,
    settings: RetrainSettings,
    *,
    trainer: Trainer,
    open_detector: OpenDetector,
    progress: Progress,
    weights: Path | None = None,
) -> TrainedModel:
    """Train on a training folder and measure the exported model on its validation split.

    Safe to run again: an unfinished training goes on from its last checkpoint, a finished one of the same data and
    settings is reused and measured again.

    Args:
        data: the folder that ``convert`` made for ``settings.kind``.
        output: a folder of its own for this training.
        settings: what to train; ``settings.weights`` is for the caller, who knows where it lies.
        trainer: of that kind.
        open_detector: opens the exported file.
        progress: told of the epochs, then of the pictures that are measured.
        weights: the checkpoint that ``settings.weights`` means.

    Returns:
        the model, its files relative to ``output``; ``metrics`` as :func:`data_engine.metrics.coco.evaluate` gives
        them, with ``notes`` for people.  Without validation pictures every average is None.

    Raises:
        UsageError: an option that the trainer refuses.
        MissingInputError: no training pictures, or no such weights.
        DamagedInputError: labels, pictures or weights that are none; an export whose classes are others.
        MissingDependencyError: the trainer's package is not installed.
        StorageFullError: the disk is full.
    """
    from data_engine.metrics.splits import read_split

    if trainer.kind != settings.kind:
        raise ValueError(f"a trainer of {trainer.kind} was handed in to train {settings.kind}")
    trained = trainer.train(data, output, settings.options(), weights=weights, progress=progress)
    validation = read_split(settings.kind, data, "valid")
    detector = open_detector(output / trained.onnx_key, trained.class_names) if validation.images else None
    metrics = evaluate_on(validation, detector, trained.class_names, progress)
    for note in metrics["notes"]:
        progress.note(note)
    return replace(trained, metrics=metrics)


def evaluate_on(
    split: LabelledSplit, detector: Detector | None, class_names: tuple[str, ...], progress: Progress
) -> dict[str, Any]:
    """COCO metrics of a detector on a labelled split, and ``notes`` on what they don't say.

    Raises:
        DamagedInputError: the detector or the split names other classes, or a picture cannot be read.
    """
    from data_engine.metrics.coco import evaluate

    if split.images and split.class_names != class_names:
        raise DamagedInputError(
            f"the validation pictures have the classes {_listed(split.class_names)}, not the model's"
        )
    found = _predicted(split, detector, class_names, progress) if detector is not None else []
    metrics = evaluate([image.boxes for image in split.images], found, class_names)
    notes = []
    if not split.images:
        notes.append("there are no validation pictures: the model was not measured")
    elif absent := [name for name, count in metrics["boxes_per_class"].items() if not count]:
        notes.append(f"no validation picture has a box of {_listed(absent)}: no average precision for it")
    if split.missing:
        notes.append(f"{split.missing} labelled validation pictures are not in the folder and were left out")
    return {**metrics, "notes": notes}


def _predicted(
    split: LabelledSplit, detector: Detector, class_names: tuple[str, ...], progress: Progress
) -> list[Detections]:
    from data_engine.media.images import read_rgb

    if sorted(detector.class_names) != sorted(class_names):
        raise DamagedInputError(
            f"the exported model names the classes {_listed(detector.class_names)}, trained were {_listed(class_names)}"
        )
    columns = [detector.class_names.index(name) for name in class_names]
    found: list[Detections] = []
    progress.start("evaluate", len(split.images), "images")
    try:
        for start in range(0, len(split.images), _PICTURES_AT_ONCE):
            pictures = [read_rgb(image.path) for image in split.images[start : start + _PICTURES_AT_ONCE]]
            found += [Detections(seen.xyxy, seen.scores[:, columns]) for seen in detector.predict(pictures)]
            progress.advance(len(pictures))
    finally:
        progress.finish()
    return found


def _parsed(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise UsageError(f"extra setting {text!r} is not name=value")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


def _listed(names: Mapping[str, Any] | tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
