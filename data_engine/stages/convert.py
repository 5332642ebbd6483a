"""Stage 6: a dataset version becomes the training folders of YOLO and RF-DETR.

What is written is read back and compared before anybody trains on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import structs
from pydantic import Field

from data_engine.errors import ConflictError, DamagedInputError, DataEngineError
from data_engine.formats import strict_json
from data_engine.formats.coco import CocoAnnotation, CocoDataset
from data_engine.formats.rfdetr import ANNOTATIONS, read_rfdetr, write_rfdetr
from data_engine.formats.yolo import DATA_YAML, IMAGES, data_yaml, label_path, line_writer, parse_data_yaml, parse_yolo
from data_engine.stages.base import StageSettings
from data_engine.stages.convert_sheets import (
    Converted,
    FindPicture,
    Sheet,
    files_of,
    folders_of,
    join,
    named,
    placed,
    prove,
    sheets_of,
    told,
)
from data_engine.stages.training_folder import TrainingFolder, write_if_changed

if TYPE_CHECKING:
    from data_engine.ports import Progress, Storage
    from data_engine.types import ClassRegistry

__all__ = ["VERSION", "ConvertSettings", "Converted", "FindPicture", "convert_rfdetr", "convert_yolo"]

VERSION = 4


class ConvertSettings(StageSettings):
    """Which training folders to write, and how the pictures get into them."""

    format: Literal["yolo", "rfdetr", "voc", "cvat", "all"] = Field(
        "all", description="the layout to write; all: the two that are trained on, yolo and rfdetr"
    )
    copy_pictures: bool = Field(
        False, description="copy the pictures instead of linking them, so that no trainer can change the originals"
    )


def convert_yolo(
    dataset: CocoDataset,
    split: str,
    *,
    storage: Storage,
    root: str,
    find_picture: FindPicture,
    progress: Progress,
    copy_pictures: bool = False,
) -> Converted:
    """Write ``root/<split>/images``, ``root/<split>/labels`` and ``root/data.yaml``, then read the labels back.

    Crowd regions and turned boxes are left out and counted, because the format has no mark for them; a picture
    without a box gets an empty label file.  Labels are written whether or not the picture is found.  Files that are
    right already are left alone, those that an earlier conversion of the split wrote and this one does not are removed.

    Args:
        dataset: the split's pictures and boxes; its categories give the class numbers.
        split: ``train`` or ``valid``.
        storage: where everything is read and written.
        root: storage key of the folder that holds ``train/`` and ``valid/``.
        find_picture: where an image's picture lies.
        progress: told about every image.
        copy_pictures: copy instead of linking.

    Raises:
        UsageError: another split.
        DamagedInputError: two pictures that would share a label file, a file name that climbs out of its folder.
        ConflictError: files in the folder that this stage did not write, or the other split has other class numbers.
        DataEngineError: the labels do not read back as they were written.
    """
    sheets, counts = sheets_of(dataset, split)
    names = dataset.categories.names
    labels = files_of(sheets, label_path, "label file")
    folder, other = folders_of(storage, root, split)
    description = join(root, DATA_YAML)
    if storage.exists(description):
        if not folder.used and not other.used:
            raise ConflictError(f"{description} was not written by convert", hint="choose another folder with --output")
        if other.used:
            text = storage.read_bytes(description).decode("utf-8", "replace")
            _refuse_renumbering(names, parse_data_yaml(text, name=description), other.key, root)
    pictures = {sheet.image.file_name: f"{IMAGES}/{sheet.image.file_name}" for sheet in sheets}
    folder.begin([*pictures.values(), *labels.values()])
    # After the claim, so that an interrupted first run does not leave a description that seems somebody else's.
    write_if_changed(storage, description, data_yaml(names).encode())
    with told(progress, f"convert to yolo/{split}", len(sheets)):
        lost = placed(sheets, pictures, folder, find_picture, progress, copy=copy_pictures)
    write_labels(sheets, labels, folder, dataset.categories)
    for name in lost:
        del pictures[name]
    removed = folder.finish([*pictures.values(), *labels.values()])
    for sheet in sheets:
        label = labels[sheet.image.file_name]
        text = folder.read(label).decode("utf-8", "replace")
        found = parse_yolo(text, sheet.image.width, sheet.image.height, names, name=folder.key_of(label))
        prove(named(sheet.boxes, dataset), [(box.label, box.xywh) for box in found], folder.key_of(label))
    return replace(counts, missing=len(lost), missing_names=tuple(lost[:10]), removed=removed)


def write_labels(
    sheets: Sequence[Sheet], labels: Mapping[str, str], folder: TrainingFolder, registry: ClassRegistry
) -> None:
    """Write the label files of pictures, where they do not lie there already.

    Args:
        sheets: the pictures with their boxes.
        labels: each one's label file in the folder, by the picture's file name.
        folder: begun.
        registry: gives the class numbers.
    """
    lines = line_writer(registry)
    folder.write_all((labels[sheet.image.file_name], lines(sheet.boxes, sheet.image).encode()) for sheet in sheets)


def convert_rfdetr(
    dataset: CocoDataset,
    split: str,
    *,
    storage: Storage,
    root: str,
    find_picture: FindPicture,
    progress: Progress,
    copy_pictures: bool = False,
) -> Converted:
    """Write ``root/<split>/_annotations.coco.json`` beside its pictures, then read it back.

    Crowd regions stay, marked as such; turned boxes are left out and counted; a picture without a box keeps its entry.
    Otherwise, and in arguments and errors, as :func:`convert_yolo`.
    """
    sheets, counts = sheets_of(dataset, split)
    sheets = _numbered(sheets)
    names = dataset.categories.names
    folder, other = folders_of(storage, root, split)
    if other.used and storage.exists(other.key_of(ANNOTATIONS)):
        existing = _category_names(other.read(ANNOTATIONS), other.key_of(ANNOTATIONS))
        _refuse_renumbering(names, existing, other.key, root)
    pictures = {sheet.image.file_name: sheet.image.file_name for sheet in sheets}
    folder.begin([*pictures, ANNOTATIONS])
    with told(progress, f"convert to rfdetr/{split}", len(sheets)):
        lost = placed(sheets, pictures, folder, find_picture, progress, copy=copy_pictures)
    inside = tuple(a for sheet in sheets for a in (*sheet.boxes, *sheet.crowds))
    images = tuple(sheet.image for sheet in sheets)
    folder.write(ANNOTATIONS, write_rfdetr(replace(dataset, images=images, annotations=inside)))
    removed = folder.finish([*sorted(set(pictures) - set(lost)), ANNOTATIONS])
    _prove_rfdetr(sheets, dataset, folder)
    return replace(
        counts,
        missing=len(lost),
        missing_names=tuple(lost[:10]),
        removed=removed,
        crowds_dropped=0,
        crowds_kept=counts.crowds_dropped,
    )


def forget_numbering(storage: Storage, root: str, names: Sequence[str]) -> None:
    """Where both splits are about to be written anew: remove what says that an earlier conversion numbered its classes
    otherwise, for one of them was renamed, merged or retired since, or somebody changed it.
    """
    folders = [folder for folder in folders_of(storage, root, "train") if folder.used]
    description = join(root, DATA_YAML)
    if folders and storage.exists(description):
        text = storage.read_bytes(description).decode("utf-8", "replace")
        try:
            alike = _numbered_alike(names, parse_data_yaml(text, name=description))
        except DamagedInputError:
            alike = False
        if not alike:
            storage.delete(description)
    for file in (folder.key_of(ANNOTATIONS) for folder in folders):
        if storage.exists(file) and not _numbered_alike(names, _category_names(storage.read_bytes(file), file)):
            storage.delete(file)


def _numbered_alike(names: Sequence[str], existing: Sequence[str]) -> bool:
    shared = min(len(names), len(existing))
    return tuple(names[:shared]) == tuple(existing[:shared])


def _refuse_renumbering(names: Sequence[str], existing: Sequence[str], other: str, root: str) -> None:
    """Both splits must number their classes alike; new classes at the end do no harm."""
    if not _numbered_alike(names, existing):
        raise ConflictError(
            f"{other} numbers its classes {', '.join(existing)}, this data set {', '.join(names)}",
            hint=f"remove {root} and convert both splits again",
        )


class _Category(msgspec.Struct):
    id: int
    name: str


class _Categories(msgspec.Struct):
    categories: list[_Category]


def _category_names(data: bytes, name: str) -> tuple[str, ...]:
    found = strict_json.decode(data, _Categories, name=name, what="a COCO file").categories
    return tuple(category.name for category in sorted(found, key=lambda category: category.id))


def _numbered(sheets: Sequence[Sheet]) -> list[Sheet]:
    """Images and annotations counted from 1: those of a version are large, and some trainers keep ids in 32 bits."""
    annotations = count(1)

    def of(image: int, boxes: Sequence[CocoAnnotation]) -> tuple[CocoAnnotation, ...]:
        return tuple(structs.replace(box, id=next(annotations), image_id=image) for box in boxes)

    return [
        replace(sheet, image=structs.replace(sheet.image, id=n), boxes=of(n, sheet.boxes), crowds=of(n, sheet.crowds))
        for n, sheet in enumerate(sheets, 1)
    ]


def _prove_rfdetr(sheets: Sequence[Sheet], dataset: CocoDataset, folder: TrainingFolder) -> None:
    file = folder.key_of(ANNOTATIONS)
    found = read_rfdetr(folder.read(ANNOTATIONS), name=file, registry=dataset.categories)
    by_image = found.by_image()
    sizes = {(image.id, image.file_name, image.width, image.height) for image in found.images}
    for sheet in sheets:
        image = sheet.image
        if (image.id, image.file_name, image.width, image.height) not in sizes or len(sheets) != len(sizes):
            raise DataEngineError(f"{file} does not read back as it was written: its pictures differ")
        written = sorted((*sheet.boxes, *sheet.crowds), key=lambda a: a.id)
        prove(named(written, dataset), named(by_image[image.id], dataset), file)
