"""Pictures with the boxes that another tool drew on them, and how they become a data set."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import XYWH, clipped, far_apart
from data_engine.formats.coco_records import safe_file_name
from data_engine.formats.coco_types import CocoAnnotation, CocoDataset, CocoImage, Repairs
from data_engine.types import Box, ClassRegistry

ROTATION = "rotation"
"""The attribute, in degrees, that makes of a box's rectangle a turned one; as CVAT names it in COCO."""


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture as an annotation file describes it, checked; its boxes are not cut to it yet."""

    file_name: str
    """Relative and safe; ``/``-separated."""
    width: int
    """Pixels."""
    height: int
    boxes: tuple[Box, ...]
    """In the file's order; a turned one has the attribute :data:`ROTATION`."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What was drawn and is no box, counted by what it is: ``polygon``, ``mask``, ``tag`` …"""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """For :attr:`~data_engine.formats.coco_types.CocoImage.extra`."""


def rotation_of(attributes: Mapping[str, Any]) -> float:
    """By how many degrees a box is turned, 0 to 360; 0 for an upright one, and when it does not say."""
    try:
        value = float(attributes.get(ROTATION) or 0.0)
    except (TypeError, ValueError):
        return 0.0
    return value % 360.0


def box_of(left: float, top: float, right: float, bottom: float, where: str) -> XYWH:
    """A box by its edges.

    Raises:
        DamagedInputError: reversed or without area; ``where`` begins the sentence.
    """
    if right < left or bottom < top:
        edges = f"{left:g}, {top:g}, {right:g}, {bottom:g}"
        raise DamagedInputError(f"{where} has its edges reversed: left, top, right, bottom are {edges}")
    if right == left or bottom == top:
        raise DamagedInputError(f"{where} has a box of {right - left:g} x {bottom - top:g} pixels")
    return left, top, right - left, bottom - top


def plain_name(file_name: str, where: str) -> str:
    """A picture's name as its data set knows it.

    Raises:
        DamagedInputError: missing, or it climbs out of its folder; ``where`` begins the sentence.
    """
    if not file_name.strip():
        raise DamagedInputError(f"{where} has no file name")
    if not safe_file_name(file_name):
        raise DamagedInputError(f"{where}: the file name {file_name!r} climbs out of its folder")
    return PurePosixPath(file_name).as_posix()


def gathered(
    pictures: Iterable[LabelledPicture],
    *,
    name: str,
    labels: Sequence[str] = (),
    registry: ClassRegistry | None = None,
    allow_unknown_labels: bool = False,
    clip: bool = True,
    rotated: bool = False,
) -> CocoDataset:
    """A data set of the pictures, numbered from 1 in their order.

    Args:
        pictures: of one file or folder.
        name: what to call it in a message.
        labels: the classes that it declares, in its order; asked after the pictures were read.
        registry: the classes to map to by name; without it those of ``labels``, then the others by name, from 1.
        allow_unknown_labels: give labels that the registry does not hold its next free ids, instead of refusing them.
        clip: cut boxes to their picture and drop those with nothing left, counted in ``repairs``; else keep them.
        rotated: keep turned boxes as their unturned rectangle with the attribute ``rotation``; else leave them out,
            because as a plain box the rectangle would be wrong.

    Raises:
        DamagedInputError: two pictures of one name, a label that the registry does not hold.
    """
    images: list[CocoImage] = []
    drawn: deque[tuple[int, Box]] = deque()
    left_out: Counter[str] = Counter()
    cut = outside = 0
    subsets: dict[str, Any] = {}
    for number, picture in enumerate(pictures, 1):
        subset = picture.extra.get("subset")
        if picture.file_name in subsets:
            apart = _apart(subsets[picture.file_name], subset)
            raise DamagedInputError(f"{name}: two pictures have the file name {picture.file_name!r}{apart}")
        subsets[picture.file_name] = subset
        images.append(CocoImage(number, picture.file_name, picture.width, picture.height, picture.extra))
        left_out.update(picture.left_out)
        for box in picture.boxes:
            xywh: XYWH | None = box.xywh
            if rotation_of(box.attributes):
                if not rotated:
                    left_out["rotated box"] += 1
                    continue
            elif clip:
                xywh = clipped(box.xywh, picture.width, picture.height)
                if xywh is None:
                    outside += 1
                    continue
                cut += far_apart(xywh, box.xywh)
            drawn.append((number, box if xywh is box.xywh else _moved(box, xywh)))
    own = _classes({box.label for _, box in drawn}, labels, registry, allow_unknown_labels, name)
    annotations = tuple(_annotations(drawn, own))
    repairs = Repairs(clipped=cut, outside=outside, left_out=dict(sorted(left_out.items())))
    return CocoDataset(tuple(images), annotations, own, {}, repairs)


def _annotations(drawn: deque[tuple[int, Box]], own: ClassRegistry) -> Iterator[CocoAnnotation]:
    """Each box is let go as its annotation is made, so that a million of them are not held twice."""
    number = 0
    while drawn:
        number += 1
        image, box = drawn.popleft()
        yield CocoAnnotation(number, image, own.id_of(box.label), box.xywh, box.iscrowd, box.score, box.attributes)


def _moved(box: Box, xywh: XYWH | None) -> Box:
    assert xywh is not None
    return Box(box.label, xywh, box.score, box.proposal_id, box.iscrowd, box.attributes)


def _apart(one: Any, other: Any) -> str:
    """In which subsets two pictures of one name are, where they differ."""
    return "" if one == other else f", in the subsets {one!r} and {other!r}"


def _classes(
    used: set[str], declared: Sequence[str], registry: ClassRegistry | None, allow_unknown: bool, name: str
) -> ClassRegistry:
    everything = [*dict.fromkeys(declared), *sorted(used.difference(declared))]
    if registry is None:
        return ClassRegistry.of(everything)
    if allow_unknown:
        return registry.extended(everything)
    for label in everything:
        # A label without a box cannot do harm: many files list more classes than they use.
        if label in used and label not in registry:
            known = ", ".join(registry.names) or "none"
            raise DamagedInputError(f"{name}: unknown label {label!r}: the known labels are {known}")
    return registry


def pieces_of(data: bytes, size: int = 1 << 18) -> Iterator[bytes]:
    """The bytes, cut for :func:`data_engine.formats.safe_xml.parse`."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
