"""A training folder of our own for ultralytics: linked pictures, written labels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError
from data_engine.trainers.workdir import link

if TYPE_CHECKING:
    from pathlib import Path

    from data_engine.metrics.splits import LabelledImage, LabelledSplit


def private_copy(folder: Path, training: LabelledSplit, validation: LabelledSplit) -> Path:
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
