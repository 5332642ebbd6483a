"""Stage 6: a dataset version becomes the training folders of YOLO and RF-DETR.

What is written is read back and compared before anybody trains on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import Field

from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, UsageError
from data_engine.formats import strict_json
from data_engine.formats.boxes import XYWH, clipped, far_apart
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, safe_file_name
from data_engine.formats.rfdetr import ANNOTATIONS, read_rfdetr, write_rfdetr
from data_engine.formats.yolo import DATA_YAML, IMAGES, data_yaml, label_path, parse_data_yaml, parse_yolo, yolo_lines
from data_engine.stages.base import StageSettings
from data_engine.stages.training_folder import TrainingFolder, write_if_changed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_engine.ports import Progress, Storage

VERSION = 2
SPLITS = ("train", "valid")

FindPicture = Callable[[CocoImage], str | None]
"""The storage key of an image's picture; None when it is not to be had."""


class ConvertSettings(StageSettings):
    """Which training folders to write, and how the pictures get into them."""

    format: Literal["yolo", "rfdetr", "all"] = Field("all", description="the training layout to write")
    copy_pictures: bool = Field(
        False, description="copy the pictures instead of linking them, so that no trainer can change the originals"
    )


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion wrote into one split, and what it could not write."""

    images: int = 0
    boxes: int = 0
    """Boxes to learn from: without crowd regions."""
    backgrounds: int = 0
    """Pictures without a box to learn from, kept as such."""
    missing: int = 0
    """Pictures that are labelled but were not found."""
    missing_names: tuple[str, ...] = ()
    """The first ten of them."""
    crowds_dropped: int = 0
    """Crowd regions left out, because the format cannot mark them."""
    crowds_kept: int = 0
    clipped: int = 0
    """Boxes cut to their picture."""
    outside: int = 0
    """Boxes dropped because no part of them lies in their picture."""
    removed: int = 0
    """Files of an earlier conversion that no longer belong here."""
    per_class: Mapping[str, int] = field(default_factory=dict)
    """Boxes to learn from by class name, in the order of the class numbers."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One picture with the boxes that lie in it."""

    image: CocoImage
    boxes: tuple[CocoAnnotation, ...]
    crowds: tuple[CocoAnnotation, ...]


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

    Crowd regions are left out and counted, because the format has no mark for them; a picture without a box gets an
    empty label file.  Labels are written whether or not the picture is found.  Files that are right already are left
    alone, those that an earlier conversion of the split wrote and this one does not are removed.

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
    sheets, counts = _sheets(dataset, split)
    names = dataset.categories.names
    labels = _labels(sheets)
    folder, other = _folders(storage, root, split)
    description = _join(root, DATA_YAML)
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
    lost = []
    with _told(progress, f"convert to yolo/{split}", len(sheets)):
        for sheet in sheets:
            name = sheet.image.file_name
            if not folder.place(find_picture(sheet.image), pictures[name], copy=copy_pictures):
                lost.append(name)
            folder.write(labels[name], yolo_lines(sheet.boxes, sheet.image, dataset.categories).encode())
            progress.advance()
    for name in lost:
        del pictures[name]
    removed = folder.finish([*pictures.values(), *labels.values()])
    for sheet in sheets:
        label = labels[sheet.image.file_name]
        text = folder.read(label).decode("utf-8", "replace")
        found = parse_yolo(text, sheet.image.width, sheet.image.height, names, name=folder.key_of(label))
        _prove(_named(sheet.boxes, dataset), [(box.label, box.xywh) for box in found], folder.key_of(label))
    dropped = sum(len(sheet.crowds) for sheet in sheets)
    return replace(counts, missing=len(lost), missing_names=tuple(lost[:10]), removed=removed, crowds_dropped=dropped)


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

    Crowd regions stay, marked as such; a picture without a box keeps its entry.  Otherwise, and in arguments and
    errors, as :func:`convert_yolo`.
    """
    sheets, counts = _sheets(dataset, split)
    names = dataset.categories.names
    folder, other = _folders(storage, root, split)
    if other.used and storage.exists(other.key_of(ANNOTATIONS)):
        existing = _category_names(other.read(ANNOTATIONS), other.key_of(ANNOTATIONS))
        _refuse_renumbering(names, existing, other.key, root)
    pictures = [sheet.image.file_name for sheet in sheets]
    folder.begin([*pictures, ANNOTATIONS])
    lost = []
    with _told(progress, f"convert to rfdetr/{split}", len(sheets)):
        for sheet in sheets:
            if not folder.place(find_picture(sheet.image), sheet.image.file_name, copy=copy_pictures):
                lost.append(sheet.image.file_name)
            progress.advance()
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
        crowds_kept=sum(len(sheet.crowds) for sheet in sheets),
    )


def _sheets(dataset: CocoDataset, split: str) -> tuple[list[_Sheet], Converted]:
    """The pictures by file name with the boxes inside them, and what is known before anything is written."""
    if split not in SPLITS:
        raise UsageError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    if not dataset.categories:
        raise DamagedInputError("the data set has no classes")
    by_image = dataset.by_image()
    cut = outside = 0
    sheets = []
    for image in sorted(dataset.images, key=lambda image: image.file_name):
        if not safe_file_name(image.file_name):
            raise DamagedInputError(f"the file name {image.file_name!r} climbs out of its folder")
        # ./a.jpg and cam//a.jpg are listed by a storage under their plain names.
        image = msgspec.structs.replace(image, file_name=PurePosixPath(image.file_name).as_posix())
        kept: tuple[list[CocoAnnotation], list[CocoAnnotation]] = ([], [])
        for annotation in by_image[image.id]:
            xywh = clipped(annotation.xywh, image.width, image.height)
            if xywh is None:
                outside += 1
                continue
            cut += far_apart(xywh, annotation.xywh)
            kept[annotation.iscrowd].append(msgspec.structs.replace(annotation, xywh=xywh))
        sheets.append(_Sheet(image, tuple(kept[False]), tuple(kept[True])))
    if len({sheet.image.file_name for sheet in sheets}) != len(sheets):
        raise DamagedInputError("the data set holds a file name twice")
    totals = Counter(annotation.category_id for sheet in sheets for annotation in sheet.boxes)
    return sheets, Converted(
        images=len(sheets),
        boxes=totals.total(),
        backgrounds=sum(not sheet.boxes for sheet in sheets),
        clipped=cut,
        outside=outside,
        per_class={category.name: totals[category.id] for category in dataset.categories},
    )


def _labels(sheets: Sequence[_Sheet]) -> dict[str, str]:
    """The label file of every picture, by file name."""
    owners: dict[str, str] = {}
    for sheet in sheets:
        name = sheet.image.file_name
        if (first := owners.setdefault(label_path(name), name)) != name:
            raise DamagedInputError(
                f"pictures {first!r} and {name!r} would share the label file {label_path(name)!r}",
                hint="rename one of them",
            )
    return {name: label for label, name in owners.items()}


def _folders(storage: Storage, root: str, split: str) -> tuple[TrainingFolder, TrainingFolder]:
    """The split's own folder and the other one's."""
    (other,) = set(SPLITS) - {split}
    return TrainingFolder(storage, _join(root, split)), TrainingFolder(storage, _join(root, other))


def _refuse_renumbering(names: Sequence[str], existing: Sequence[str], other: str, root: str) -> None:
    """Both splits must number their classes alike; new classes at the end do no harm."""
    shared = min(len(names), len(existing))
    if tuple(names[:shared]) != tuple(existing[:shared]):
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


def _named(annotations: Sequence[CocoAnnotation], dataset: CocoDataset) -> list[tuple[str, XYWH]]:
    return [(dataset.categories.name_of(a.category_id), a.xywh) for a in annotations]


def _prove_rfdetr(sheets: Sequence[_Sheet], dataset: CocoDataset, folder: TrainingFolder) -> None:
    file = folder.key_of(ANNOTATIONS)
    found = read_rfdetr(folder.read(ANNOTATIONS), name=file, registry=dataset.categories)
    by_image = found.by_image()
    sizes = {(image.id, image.file_name, image.width, image.height) for image in found.images}
    for sheet in sheets:
        image = sheet.image
        if (image.id, image.file_name, image.width, image.height) not in sizes or len(sheets) != len(sizes):
            raise DataEngineError(f"{file} does not read back as it was written: its pictures differ")
        written = sorted((*sheet.boxes, *sheet.crowds), key=lambda a: a.id)
        _prove(_named(written, dataset), _named(by_image[image.id], dataset), file)


def _prove(written: Sequence[tuple[str, XYWH]], found: Sequence[tuple[str, XYWH]], file: str) -> None:
    """Refuse a file that holds other boxes than it should, or moves one by more than a thousandth of a pixel."""
    if len(written) != len(found):
        wrong = f"{len(found)} boxes instead of {len(written)}"
    else:
        wrong = next(
            (
                f"{there[0]} at {there[1]} instead of {here[0]} at {here[1]}"
                for here, there in zip(written, found, strict=True)
                if here[0] != there[0] or far_apart(here[1], there[1])
            ),
            "",
        )
    if wrong:
        raise DataEngineError(f"{file} does not read back as it was written: {wrong}")


@contextmanager
def _told(progress: Progress, label: str, total: int) -> Iterator[None]:
    progress.start(label, total, "images")
    try:
        yield
    finally:
        progress.finish()


def _join(folder: str, name: str) -> str:
    folder = folder.rstrip("/")
    return name if folder in ("", ".") else f"{folder}/{name}"
