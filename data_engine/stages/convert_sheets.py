"""What every format of a conversion shares: the pictures with their boxes, what is counted, and the proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from data_engine.errors import DamagedInputError, DataEngineError, UsageError
from data_engine.formats.boxes import XYWH, clipped, far_apart
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, safe_file_name
from data_engine.formats.labelled import rotation_of
from data_engine.stages.training_folder import TrainingFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_engine.ports import Progress, Storage

SPLITS = ("train", "valid")

FindPicture = Callable[[CocoImage], str | None]
"""The storage key of an image's picture; None when it is not to be had."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion wrote into one split, and what it could not write."""

    images: int = 0
    boxes: int = 0
    """Boxes to learn from: without crowd regions and turned boxes."""
    backgrounds: int = 0
    """Pictures without a box to learn from, kept as such."""
    missing: int = 0
    """Pictures that are labelled but were not found."""
    missing_names: tuple[str, ...] = ()
    """The first ten of them."""
    crowds_dropped: int = 0
    """Crowd regions left out, because the format cannot mark them."""
    crowds_kept: int = 0
    turned_dropped: int = 0
    """Turned boxes left out, because the format cannot turn them and their unturned rectangle would be wrong."""
    turned_kept: int = 0
    clipped: int = 0
    """Boxes cut to their picture."""
    outside: int = 0
    """Boxes dropped because no part of them lies in their picture."""
    removed: int = 0
    """Files of an earlier conversion that no longer belong here."""
    per_class: Mapping[str, int] = field(default_factory=dict)
    """Boxes to learn from by class name, in the order of the class numbers."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One picture with the boxes that lie in it."""

    image: CocoImage
    boxes: tuple[CocoAnnotation, ...]
    crowds: tuple[CocoAnnotation, ...]
    turned: tuple[CocoAnnotation, ...]
    """Boxes with a rotation, as their unturned rectangle; not cut to the picture."""


def sheets_of(dataset: CocoDataset, split: str) -> tuple[list[Sheet], Converted]:
    """The pictures by file name with the boxes inside them, and what is known before anything is written.

    Crowd regions and turned boxes count as dropped: a format that keeps them says so.

    Raises:
        UsageError: another split.
        DamagedInputError: no class, two pictures of one name, a file name that climbs out of its folder.
    """
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
        if "/" in image.file_name:
            # ./a.jpg and cam//a.jpg are listed by a storage under their plain names.
            image = msgspec.structs.replace(image, file_name=PurePosixPath(image.file_name).as_posix())
        kept: tuple[list[CocoAnnotation], list[CocoAnnotation]] = ([], [])
        turned = []
        for annotation in by_image[image.id]:
            if rotation_of(annotation.attributes) and not annotation.iscrowd:
                turned.append(annotation)
                continue
            xywh = clipped(annotation.xywh, image.width, image.height)
            if xywh is None:
                outside += 1
                continue
            if xywh is not annotation.xywh:
                cut += far_apart(xywh, annotation.xywh)
                annotation = msgspec.structs.replace(annotation, xywh=xywh)
            kept[annotation.iscrowd].append(annotation)
        sheets.append(Sheet(image, tuple(kept[False]), tuple(kept[True]), tuple(turned)))
    if len({sheet.image.file_name for sheet in sheets}) != len(sheets):
        raise DamagedInputError("the data set holds a file name twice")
    totals = Counter(annotation.category_id for sheet in sheets for annotation in sheet.boxes)
    return sheets, Converted(
        images=len(sheets),
        boxes=totals.total(),
        backgrounds=sum(not sheet.boxes for sheet in sheets),
        crowds_dropped=sum(len(sheet.crowds) for sheet in sheets),
        turned_dropped=sum(len(sheet.turned) for sheet in sheets),
        clipped=cut,
        outside=outside,
        per_class={category.name: totals[category.id] for category in dataset.categories},
    )


def folders_of(storage: Storage, root: str, split: str) -> tuple[TrainingFolder, TrainingFolder]:
    """The split's own folder and the other one's."""
    (other,) = set(SPLITS) - {split}
    return TrainingFolder(storage, join(root, split)), TrainingFolder(storage, join(root, other))


def files_of(sheets: Sequence[Sheet], path_of: Callable[[str], str], what: str) -> dict[str, str]:
    """The file of every picture that ``path_of`` names, by the picture's file name.

    Raises:
        DamagedInputError: two pictures would share one; ``what`` says what kind of file it is.
    """
    owners: dict[str, str] = {}
    for sheet in sheets:
        name = sheet.image.file_name
        if (first := owners.setdefault(path_of(name), name)) != name:
            raise DamagedInputError(
                f"pictures {first!r} and {name!r} would share the {what} {path_of(name)!r}", hint="rename one of them"
            )
    return {name: file for file, name in owners.items()}


def placed(
    sheets: Sequence[Sheet],
    pictures: Mapping[str, str],
    folder: TrainingFolder,
    find_picture: FindPicture,
    progress: Progress,
    *,
    copy: bool,
) -> list[str]:
    """Bring the pictures into the folder; the names of those that were not found."""
    lost = []
    for sheet in sheets:
        name = sheet.image.file_name
        if not folder.place(find_picture(sheet.image), pictures[name], copy=copy):
            lost.append(name)
        progress.advance()
    return lost


def named(annotations: Sequence[CocoAnnotation], dataset: CocoDataset) -> list[tuple[str, XYWH]]:
    """Class name and box of each, for :func:`prove`."""
    return [(dataset.categories.name_of(a.category_id), a.xywh) for a in annotations]


def prove(written: Sequence[tuple[str, XYWH]], found: Sequence[tuple[str, XYWH]], file: str) -> None:
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
def told(progress: Progress, label: str, total: int) -> Iterator[None]:
    """Progress over images, ended whatever happens."""
    progress.start(label, total, "images")
    try:
        yield
    finally:
        progress.finish()


def join(folder: str, name: str) -> str:
    """The key of a file in a folder, which may be the storage's own."""
    folder = folder.rstrip("/")
    return name if folder in ("", ".") else f"{folder}/{name}"
