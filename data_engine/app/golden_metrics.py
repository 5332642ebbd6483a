"""What a trained model reaches on the golden set, which no training folder may hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from data_engine.app.engine import Engine
from data_engine.app.evaluation_matches import true_boxes
from data_engine.app.evaluation_sets import GOLDEN, evaluation_set
from data_engine.errors import ConflictError, MissingInputError
from data_engine.lineage import certificate_rows, datasets
from data_engine.ports import Detector
from data_engine.types import DatasetVersion, TrainedModel
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.metrics.splits import LabelledSplit


def refuse_golden(engine: Engine, folder: str, version: DatasetVersion | None) -> None:
    """Frames of the training side may have turned golden since a folder was converted.

    Raises:
        ConflictError: some have.
    """
    if version is None:
        return
    with engine.database.read() as connection:
        newest = datasets.latest(connection)
        number = 0 if newest is None else newest.number
        kept = certificate_rows.trained_on_golden(connection, number, version.number)
    if kept:
        raise ConflictError(
            f"{engine.shown(folder)} is of dataset version {version.label}, and {counted(kept, 'frame')} of its "
            "training side are golden by now: a model that was trained on them could not be judged by them",
            hint="run first: dataengine convert",
        )


def on_golden(engine: Engine, open_detector: Callable[[], Detector], trained: TrainedModel) -> dict[str, Any]:
    """``golden``: the COCO metrics of the model on the golden frames of the newest version; nothing without any."""
    from data_engine.stages.retrain import evaluate_on

    split = golden_split(engine, trained.class_names)
    if not split.images:
        return {}
    metrics = evaluate_on(split, open_detector(), trained.class_names, engine.progress)
    told = ("map", "map50", "ap50_per_class", "images")
    return {"golden": {name: metrics[name] for name in told if name in metrics}}


def golden_split(engine: Engine, class_names: tuple[str, ...]) -> LabelledSplit:
    """The golden frames of the newest version whose pictures are there, with their boxes of these classes."""
    from data_engine.metrics.splits import LabelledImage, LabelledSplit

    try:
        on = evaluation_set(engine, GOLDEN)
    except MissingInputError:
        return LabelledSplit(class_names, ())
    images = [
        LabelledImage(frame.name, engine.storage.path(frame.key), (frame.width, frame.height), true)
        for frame, true in zip(on.frames, true_boxes(on, on.frames, class_names), strict=True)
    ]
    return LabelledSplit(class_names, tuple(images), on.missing)
