"""What of a read source enters the master, on which side and from which camera.  Pure."""

from __future__ import annotations

import os.path
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from data_engine.errors import UsageError
from data_engine.formats.coco_types import CocoAnnotation
from data_engine.stages.dataset_import import Imported
from data_engine.types import Box, Failed, Split, content_id

Sides = Literal["own", "keep"]
"""``own``: the sides by this project's rule; ``keep``: those that the source says."""
SIDES_SAID: Mapping[str, Split] = {"train": "train", "valid": "valid", "test": "golden"}
"""The side here of each that a source may name: what it keeps for testing, models are judged on and never chosen by."""
_LAYOUT = re.compile(
    r"(train|valid|val|validation|test|trainval|all)(\d{4})?|images?|labels?|annotations?|data|default|"
    r"obj(_\w+)?_data|jpegimages|imagesets|final_labels|yolo|coco|voc|rfdetr|cvat",
    re.IGNORECASE,
)
"""Folders that name a side or belong to a format: they tell nothing of who filmed a picture."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture of a source with the boxes on it."""

    path: str
    """In the source."""
    name: str
    """File name without folders."""
    width: int
    """Pixels."""
    height: int
    said: str | None
    """The side that the source says."""
    camera: str
    boxes: tuple[Box, ...]
    doubled: int = 0
    """Boxes left out, for another class in the same place is called the same here."""


def class_map(text: str) -> dict[str, str]:
    """``old=new,other=new``: what classes of a source are called here.  An old name may have commas, no new one has.

    Raises:
        UsageError: a pair without ``=``, an empty name, a class twice.
    """
    names: dict[str, str] = {}
    pairs: list[str] = []
    begun = ""
    for piece in text.split(","):
        begun += piece
        if "=" in piece:
            pairs.append(begun)
            begun = ""
        else:
            begun += ","
    for pair in (*pairs, begun[:-1]) if begun else pairs:
        old, equals, new = (part.strip() for part in pair.partition("="))
        if not (equals and old and new):
            raise UsageError(
                f"--classes-map {text}: {pair.strip()!r} is not OLD=NEW", hint="--classes-map person=human"
            )
        if old in names:
            raise UsageError(f"--classes-map {text}: {old!r} stands in it twice")
        names[old] = new
    return names


def cameras(paths: Iterable[str], name: str) -> dict[str, str]:
    """The camera of each picture of a source, by its path there.

    It is the source's name, with those folders that not all pictures share and that name neither a side nor a part of
    a format: pictures of two deliveries are of two cameras, those of ``train/`` and ``valid/`` are not.
    """
    folders = {path: PurePosixPath(path).parent.as_posix() for path in paths}
    shared = len(PurePosixPath(os.path.commonpath(folders.values())).parts) if folders else 0
    told: dict[str, str] = {}
    found: dict[str, str] = {}
    for path, folder in folders.items():
        if folder not in told:
            own = [part for part in PurePosixPath(folder).parts[shared:] if not _LAYOUT.fullmatch(part)]
            told[folder] = "/".join((name, *own))
        found[path] = told[folder]
    return found


def labelled(read: Imported, name: str, *, renamed: Mapping[str, str], camera: str | None = None) -> Iterator[Labelled]:
    """The pictures that were found, in the source's order.

    Args:
        read: the source.
        name: of the import, which is the camera where nothing else tells one.
        renamed: what its classes are called here.
        camera: of all pictures; else what the annotation file says of one, else as of :func:`cameras`.
    """
    known = cameras((path for side in read.sides for path in side.pictures.values()), name)
    for side in read.sides:
        drawn = side.dataset.by_image()
        labels = {c.id: renamed.get(c.name, c.name) for c in side.dataset.categories}
        for image in side.dataset.images:
            path = side.pictures.get(image.file_name)
            if path is not None:
                filmed = camera or _said_camera(image.extra) or known[path]
                found = drawn[image.id]
                boxes = tuple(_box(annotation, labels) for annotation in _apart(found, labels))
                said, doubled = PurePosixPath(image.file_name).name, len(found) - len(boxes)
                yield Labelled(path, said, image.width, image.height, side.split, filmed, boxes, doubled)


def _apart(found: Sequence[CocoAnnotation], labels: Mapping[int, str]) -> Sequence[CocoAnnotation]:
    """The boxes; where two classes have one in the same place that are called the same here, those of the first."""
    if len(set(labels.values())) == len(labels):
        return found
    first: dict[object, int] = {}
    return [
        a for a in found if first.setdefault((labels[a.category_id], a.xywh, a.iscrowd), a.category_id) == a.category_id
    ]


def _said_camera(extra: Mapping[str, object]) -> str:
    said = extra.get("camera")
    return said.strip() if isinstance(said, str) else ""


def _box(annotation: CocoAnnotation, labels: Mapping[int, str]) -> Box:
    return Box(labels[annotation.category_id], annotation.xywh, iscrowd=annotation.iscrowd)


@dataclass(slots=True)
class OneEach:
    """A picture's labels once for each frame, whatever it is called and wherever it lies in the source."""

    frames: dict[str, Labelled] = field(default_factory=dict)
    """By frame id."""
    twice: int = 0
    """Pictures that are there again with the same boxes."""
    failures: list[Failed] = field(default_factory=list)
    """Pictures that are there again with other boxes."""

    def add(self, frame_id: str, picture: Labelled) -> None:
        """Take a picture; of the sides that it is on, the one that is judged with counts."""
        first = self.frames.setdefault(frame_id, picture)
        if first is picture:
            return
        if drawn(first.boxes) != drawn(picture.boxes):
            reason = f"{picture.path} is the same picture as {first.path}, whose boxes are others and are kept"
            self.failures.append(Failed(picture.path, reason))
            return
        self.twice += 1
        if _JUDGED.get(picture.said or "", 0) > _JUDGED.get(first.said or "", 0):
            self.frames[frame_id] = picture


_JUDGED = {"valid": 1, "test": 2}


def drawn(boxes: Sequence[Box]) -> str:
    """Content id of boxes, whatever their order and whoever drew them."""
    return content_id("drawn", *sorted(f"{box.label}\n{box.xywh!r} {int(box.iscrowd)}" for box in boxes))


def digest(pictures: Mapping[str, Labelled]) -> str:
    """Content id of all that a source says, by which the same one is known however it is packed."""
    return content_id("imported", *(f"{frame} {drawn(pictures[frame].boxes)}" for frame in sorted(pictures)))


def counts(pictures: Collection[Labelled]) -> dict[str, tuple[int, int]]:
    """How many boxes of each class there are, and on how many pictures; the most frequent first."""
    boxes: dict[str, int] = {}
    on: dict[str, int] = {}
    for picture in pictures:
        for box in picture.boxes:
            boxes[box.label] = boxes.get(box.label, 0) + 1
        for label in {box.label for box in picture.boxes}:
            on[label] = on.get(label, 0) + 1
    return {label: (boxes[label], on[label]) for label in sorted(boxes, key=lambda name: (-boxes[name], name))}
