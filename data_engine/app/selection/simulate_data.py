"""Labelled pictures to replay: what was accepted here, or any COCO data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine, present
from data_engine.app.footage.pictures import existing, register
from data_engine.app.models.models import registered_classes
from data_engine.errors import MissingInputError
from data_engine.lineage import datasets, footage
from data_engine.stages.simulate import Labelled
from data_engine.types import Frame, content_id
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.formats.coco import CocoDataset


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Pictures with known boxes."""

    names: tuple[str, ...]
    """The classes."""
    pool: tuple[Labelled, ...]
    """What is chosen from."""
    test: tuple[Labelled, ...]
    """What models are measured on."""
    notes: tuple[str, ...] = field(default=())


def from_history(engine: Engine) -> LabelledSet:
    """The newest dataset version: its training side to choose from, its validation side to measure on.

    Raises:
        MissingInputError: nothing was accepted yet.
    """
    hint = "export what was accepted first: dataengine export; or name a labelled data set with --coco"
    with engine.database.read() as connection:
        version = datasets.latest(connection)
        if version is None:
            raise MissingInputError("nothing was accepted yet, so there is nothing to replay", hint=hint)
        sides = datasets.frames_of(connection, version.number)
        boxes = datasets.boxes_of(connection, version.number)
        frames = footage.frames_by_id(connection, sides)
    there, gone = existing(engine, sorted(frames.values(), key=lambda frame: frame.id))
    classes = registered_classes(engine)
    labelled: dict[str, list[Labelled]] = {}
    for frame in there:
        found = tuple(
            (classes.name_of(box.category_id), box.xywh) for box in boxes.get(frame.id, ()) if not box.iscrowd
        )
        labelled.setdefault(sides[frame.id].split, []).append(Labelled(frame, found))
    notes = (f"{counted(gone, 'picture')} of {version.label} left out: no longer on the disk",) if gone else ()
    return LabelledSet(classes.names, tuple(labelled.get("train", ())), tuple(labelled.get("valid", ())), notes)


def from_coco(engine: Engine, file: Path, images: Path | None) -> LabelledSet:
    """A COCO data set; by its own split where its images name one (``train`` to choose from), else by chance.

    Raises:
        MissingInputError: the file, or all of its pictures, are not there.
        DamagedInputError: it is no COCO file.
    """
    from data_engine.formats.coco import read_coco

    key = engine.require(file, "", hint="name a labelled COCO file")
    folder = images or _pictures_of(file)
    if not present(folder):
        raise MissingInputError(f"{folder} is not there", hint="name the folder of the pictures with --images")
    dataset = read_coco(engine.storage.read_bytes(key), name=str(file))
    if images is None and dataset.images and not present(folder / dataset.images[0].file_name):
        # Names that hold the folder themselves: images/gate.jpg.
        folder = file.parent
    below = engine.storage.key_of(folder)
    keys = {image.id: engine.storage.key_of(folder / image.file_name) for image in dataset.images}
    frames, failed = register(engine, list(keys.values()), below=below)
    if not frames:
        raise MissingInputError(f"no picture of {file.name} is in {folder}", hint="name their folder with --images")
    labelled = _labelled(dataset, {frame.key: frame for frame in frames}, keys)
    split = {keys[image.id]: image.extra.get("split") for image in dataset.images}
    own = any(side == "train" for side in split.values())
    share = engine.settings.simulate.test_share

    def in_pool(picture: Labelled) -> bool:
        if own:
            return split.get(picture.frame.key) == "train"
        return int(content_id("test", picture.frame.id)[:8], 16) >= share * 2**32

    notes = [f"{counted(len(failed), 'picture')} of {file.name} could not be read"] if failed else []
    notes += dataset.repairs.sentences
    return LabelledSet(
        dataset.categories.names,
        tuple(picture for picture in labelled if in_pool(picture)),
        tuple(picture for picture in labelled if not in_pool(picture)),
        tuple(notes),
    )


def _pictures_of(file: Path) -> Path:
    """Where the pictures of a COCO file lie: in ``images/`` beside it, or beside it."""
    beside = file.parent / "images"
    return beside if present(beside) else file.parent


def _labelled(dataset: CocoDataset, frames: dict[str, Frame], keys: dict[int, str]) -> Sequence[Labelled]:
    boxes: dict[int, list[tuple[str, tuple[float, float, float, float]]]] = {}
    for box in dataset.annotations:
        if not box.iscrowd:
            boxes.setdefault(box.image_id, []).append((dataset.categories.name_of(box.category_id), box.xywh))
    return [
        Labelled(frames[keys[image.id]], tuple(boxes.get(image.id, ())))
        for image in dataset.images
        if keys[image.id] in frames
    ]
