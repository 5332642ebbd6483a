"""The labelled pictures of a training folder, as ``convert`` lays them out for YOLO and for RF-DETR.

YOLO: ``data.yaml`` with the class names, ``<split>/images`` and ``<split>/labels``.  RF-DETR:
``<split>/_annotations.coco.json`` beside its pictures, classes numbered by ascending category id.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.formats.coco import read_coco
from data_engine.formats.rfdetr import ANNOTATIONS
from data_engine.formats.yolo import DATA_YAML, IMAGES, LABELS, label_path, parse_data_yaml, parse_yolo
from data_engine.media.picture_names import IMAGE_SUFFIXES
from data_engine.metrics.coco import TrueBoxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SplitName = Literal["train", "valid"]
_CONVERT = "dataengine convert"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """A picture with the boxes that people accepted on it (none: a background picture)."""

    name: str
    """Relative to the folder of its split's pictures, ``/``-separated."""
    path: Path
    size_wh: tuple[int, int]
    """Pixels."""
    boxes: TrueBoxes


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSplit:
    """One side of a training folder, in the order of the pictures' names."""

    class_names: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    missing: int = 0
    """Labelled pictures that are not in the folder, and so of no use."""

    @property
    def boxes(self) -> int:
        """How many boxes the pictures have together."""
        return sum(len(image.boxes) for image in self.images)

    def digest(self) -> str:
        """A content id of the class names and of every picture's name, bytes and boxes."""
        digest = hashlib.sha256(json.dumps(self.class_names).encode())
        for image in self.images:
            with image.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(json.dumps([image.name, content, len(image.boxes)]).encode())
            for array in (image.boxes.xyxy, image.boxes.classes.astype(np.int64), image.boxes.crowd):
                digest.update(array.tobytes())
        return digest.hexdigest()


def read_split(kind: str, folder: Path, split: SplitName) -> LabelledSplit:
    """One split of the training folder of a model kind (``yolo`` or ``rfdetr``); without pictures when it has none.

    Raises:
        MissingInputError: the folder is not a training folder of that kind.
        DamagedInputError: a label file or picture that cannot be read, a box that is none; the message names it.
    """
    return _READERS[kind](folder, split)


def read_training(kind: str, folder: Path) -> LabelledSplit:
    """The training split, which must have pictures and at least one box.

    Raises:
        MissingInputError: it has not; the hint names the command that makes it.
        DamagedInputError: as :func:`read_split`.
    """
    split = read_split(kind, folder, "train")
    if not split.images:
        lost = f": {split.missing} are labelled, but not in the folder" if split.missing else ""
        raise MissingInputError(f"{folder} has no training pictures{lost}", hint=_CONVERT)
    if not split.boxes:
        raise MissingInputError(f"the training pictures of {folder} have no box", hint=_CONVERT)
    return split


def _read_yolo(folder: Path, split: SplitName) -> LabelledSplit:
    from data_engine.media.images import size_of

    names = parse_data_yaml(_text(folder / DATA_YAML), name=str(folder / DATA_YAML))
    pictures = folder / split / IMAGES
    images, used = [], set()
    for name, path in _files(pictures, IMAGE_SUFFIXES):
        size = size_of(path, name=str(path))
        label = folder / split / label_path(name)
        used.add(label)
        # A picture without a label file is background, as one with an empty file.
        boxes = parse_yolo(_text(label), *size, names, name=str(label)) if label.is_file() else []
        numbers = [names.index(box.label) for box in boxes]
        images.append(LabelledImage(name, path, size, _true_boxes([box.xywh for box in boxes], numbers, size)))
    missing = sum(path not in used for _, path in _files(folder / split / LABELS, {".txt"}))
    return LabelledSplit(names, tuple(images), missing)


def _read_rfdetr(folder: Path, split: SplitName) -> LabelledSplit:
    file = folder / split / ANNOTATIONS
    if split != "train" and not file.exists():
        return LabelledSplit(_read_rfdetr(folder, "train").class_names, ())
    try:
        dataset = read_coco(file.read_bytes(), name=str(file))
    except (FileNotFoundError, NotADirectoryError):
        raise MissingInputError(f"{file} is not there", hint=_CONVERT) from None
    annotations = dataset.by_image()
    images = []
    for image in sorted(dataset.images, key=lambda image: image.file_name):
        path = file.parent / image.file_name
        if path.is_file():
            rows = annotations[image.id]
            numbers = [dataset.categories.index_of(row.category_id) for row in rows]
            size = image.width, image.height
            boxes = _true_boxes([row.xywh for row in rows], numbers, size, [row.iscrowd for row in rows])
            images.append(LabelledImage(image.file_name, path, size, boxes))
    return LabelledSplit(dataset.categories.names, tuple(images), len(dataset.images) - len(images))


def _true_boxes(
    xywh: list[tuple[float, float, float, float]],
    numbers: list[int],
    size: tuple[int, int],
    crowd: list[bool] | None = None,
) -> TrueBoxes:
    boxes = np.asarray(xywh, np.float64).reshape(-1, 4)
    # Rounded shares may reach a hair over the edge of their picture.
    xyxy = np.clip(np.hstack((boxes[:, :2], boxes[:, :2] + boxes[:, 2:])), 0.0, np.array(size * 2))
    kept = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)
    flags = np.zeros(len(boxes), np.bool_) if crowd is None else np.asarray(crowd, np.bool_)
    return TrueBoxes(xyxy[kept], np.asarray(numbers, np.intp)[kept], flags[kept])


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise MissingInputError(f"{file} is not there", hint=_CONVERT) from None
    except UnicodeDecodeError:
        raise DamagedInputError(f"{file} is not a text file", hint=_CONVERT) from None


def _files(folder: Path, suffixes: Iterable[str]) -> list[tuple[str, Path]]:
    """Files below a folder with their relative names, by name; hidden ones left out."""
    named = ((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    return sorted((n, path) for n, path in named if path.suffix.lower() in suffixes and not f"/{n}".count("/."))


_READERS: dict[str, Callable[[Path, SplitName], LabelledSplit]] = {"yolo": _read_yolo, "rfdetr": _read_rfdetr}
