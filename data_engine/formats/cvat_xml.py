"""CVAT's own XML, *CVAT for images 1.1*, read picture by picture and written piece by piece.

Format: https://docs.cvat.ai/docs/manual/advanced/xml_format/ - edges from 0 in pixels.  CVAT itself writes two digits;
here it is as many as read back to the same double.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import inf, nan
from pathlib import PurePosixPath
from sys import intern
from typing import Any

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import XYWH
from data_engine.formats.coco_types import CocoAnnotation, CocoDataset, CocoImage
from data_engine.formats.labelled import ROTATION, LabelledPicture, box_of, gathered, plain_name, rotation_of
from data_engine.formats.safe_xml import finite, parse, pixels
from data_engine.formats.xml_text import escaped, number, plain
from data_engine.types import Box, ClassRegistry

ANNOTATIONS, PICTURES = "annotations.xml", "images"
"""Where CVAT's zip has them."""

_WHAT = "a file of CVAT for images"
_NO_BOX = {tag: tag for tag in ("polygon", "polyline", "mask", "ellipse", "cuboid", "skeleton", "tag")}
_NO_BOX["points"] = "points shape"
_EDGES = ("xtl", "ytl", "xbr", "ybr")
_NUMBERS = ("z_order", "group_id")
"""What CVAT says of a box beside its attributes, kept under the same name where it is not 0."""
_SHORT = 32
"""Characters: a value that is no longer is one of few, and a million boxes share it."""
_TEXTS = frozenset({"name", "parent", "attribute"})


class CvatPictures:
    """The pictures of a file, one after the other: iterate once.  Memory is that of one picture, whatever the size.

    Args:
        pieces: the file, in order; 64 KiB to 1 MiB each.
        name: what to call it in a message.
        subset: of a project's file, the only one to read.
        refused: where given, a picture of which something is wrong is left out, and what it is is added here; else
            the file is refused.

    Raises:
        DamagedInputError: while iterating, with one exact sentence, whatever is wrong with the file.
    """

    def __init__(
        self,
        pieces: Iterable[bytes],
        *,
        name: str,
        subset: str | None = None,
        refused: list[str] | None = None,
    ) -> None:
        self.labels: list[str] = []
        """The classes that the file declares, in its order; complete with the first picture."""
        self.tracks = 0
        """Tracks met so far: a picture's file has none."""
        self._name, self._subset = name, subset
        self._refused, self._wrong = refused, ""
        self._path: list[str] = []
        self._done: list[LabelledPicture] = []
        self._image: dict[str, str] = {}
        self._boxes: list[Box] = []
        self._left_out: Counter[str] = Counter()
        self._box: dict[str, str] = {}
        self._told: dict[str, Any] = {}
        self._key = ""
        self._label: str | None = None
        self._count = 0
        self._events = parse(pieces, self._start, self._end, name=name, what=_WHAT, root="annotations", texts=_TEXTS)

    def __iter__(self) -> Iterator[LabelledPicture]:
        for _ in self._events:
            yield from self._done
            self._done.clear()
        if self.tracks and not self._count:
            raise DamagedInputError(
                f"{self._name} is CVAT for video: its boxes are on {self.tracks} tracks, not on pictures",
                hint="export it from CVAT as 'CVAT for images 1.1'",
            )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        path = self._path
        path.append(tag)
        if path[0] == "image":
            if len(path) == 1:
                self._image, self._boxes, self._left_out, self._wrong = attributes, [], Counter(), ""
            elif len(path) == 2 and tag == "box":
                self._box, self._told = attributes, {}
            elif len(path) == 2 and tag in _NO_BOX:
                self._left_out[_NO_BOX[tag]] += 1
            elif tag == "attribute":
                self._key = attributes.get("name", "")
        elif tag == "track" and len(path) == 1:
            self.tracks += 1
        elif tag == "label":
            self._label = None

    def _end(self, tag: str, text: str) -> None:
        path = self._path
        if path[0] == "image":
            if tag == "attribute" and self._key and path[1] == "box":
                self._told[intern(self._key)] = intern(text) if len(text) <= _SHORT else text
            elif len(path) == 2 and tag == "box":
                self._unless_wrong(self._add_box)
            elif len(path) == 1:
                self._unless_wrong(self._add_picture)
                if self._wrong and self._refused is not None:
                    self._refused.append(self._wrong)
        elif path[-2:] == ["label", "name"]:
            self._label = text
        elif path[-2:] == ["label", "parent"]:
            self._label = None  # a joint of a skeleton
        elif path[-2:] == ["labels", "label"] and self._label and self._label not in self.labels:
            self.labels.append(self._label)
        path.pop()

    def _unless_wrong(self, add: Callable[[], None]) -> None:
        if self._wrong:
            return
        try:
            add()
        except DamagedInputError as error:
            if self._refused is None:
                raise
            self._wrong = error.message

    def _where(self) -> str:
        return f"{self._name}: image {self._image.get('id', '')} ({self._image.get('name', '')})"

    def _add_box(self) -> None:
        said, told = self._box, self._told
        try:
            left, top, right, bottom = float(said["xtl"]), float(said["ytl"]), float(said["xbr"]), float(said["ybr"])
        except (KeyError, ValueError):
            left = top = right = bottom = nan
        # False for what is missing, not a number, not finite, reversed or empty; which, is asked only then.
        sound = -inf < left < right < inf and -inf < top < bottom < inf and said.get("label", "").strip()
        xywh = (left, top, right - left, bottom - top) if sound else self._refused_box()
        if said.get("occluded") == "1":
            told["occluded"] = True
        for key in _NUMBERS:
            if said.get(key, "0") != "0":
                told[key] = int(finite(said[key], f"{self._box_place()}: {key}"))
        if "rotation" in said and (turned := finite(said["rotation"], f"{self._box_place()}: rotation") % 360.0):
            told[ROTATION] = turned
        self._boxes.append(Box(intern(said["label"]), xywh, attributes=told))

    def _box_place(self) -> str:
        return f"{self._where()}: box {len(self._boxes) + 1}"

    def _refused_box(self) -> XYWH:
        where = self._box_place()
        if not self._box.get("label", "").strip():
            raise DamagedInputError(f"{where} has no label")
        left, top, right, bottom = (finite(self._box.get(edge), f"{where}: {edge}") for edge in _EDGES)
        return box_of(left, top, right, bottom, where)

    def _add_picture(self) -> None:
        said = self._image
        self._count += 1
        subset = said.get("subset")
        if self._subset is not None and subset != self._subset:
            return
        where = self._where()
        self._done.append(
            LabelledPicture(
                plain_name(said.get("name", ""), where),
                pixels(said.get("width"), f"{where}: its width"),
                pixels(said.get("height"), f"{where}: its height"),
                tuple(self._boxes),
                dict(self._left_out),
                {} if subset is None else {"subset": subset},
            )
        )


def read_cvat(
    pieces: Iterable[bytes],
    *,
    name: str,
    registry: ClassRegistry | None = None,
    allow_unknown_labels: bool = False,
    clip: bool = True,
    rotated: bool = False,
    subset: str | None = None,
) -> CocoDataset:
    """The whole file as a data set; its classes are those that it declares, in their order.

    Args, where they are not those of :class:`CvatPictures`, and errors as
    :func:`data_engine.formats.labelled.gathered`.
    """
    pictures = CvatPictures(pieces, name=name, subset=subset)
    found = gathered(
        pictures,
        name=name,
        labels=pictures.labels,
        registry=registry,
        allow_unknown_labels=allow_unknown_labels,
        clip=clip,
        rotated=rotated,
    )
    if pictures.tracks:
        left_out = dict(sorted({**found.repairs.left_out, "track": pictures.tracks}.items()))
        found = replace(found, repairs=replace(found.repairs, left_out=left_out))
    return found


def write_cvat(dataset: CocoDataset) -> Iterator[bytes]:
    """The file in pieces, the same bytes for the same content in whatever order it is held.

    Pictures are sorted by file name and numbered from 0, boxes by id.  Turned boxes keep their rotation; no task,
    person or date is made up.

    Raises:
        ValueError: a crowd region, for which the format has no mark: leave it out, and say so.
        KeyError: a category that the data set does not hold.
        DamagedInputError: a name that XML cannot hold.
    """
    names = {category.id: escaped(category.name) for category in dataset.categories}
    by_image = dataset.by_image()
    yield b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
    yield f"      <size>{len(dataset.images)}</size>\n      <mode>annotation</mode>\n      <labels>\n".encode()
    for name in names.values():
        yield f"        <label>\n          <name>{name}</name>\n          <type>rectangle</type>\n".encode()
        yield b"          <attributes>\n          </attributes>\n        </label>\n"
    yield b"      </labels>\n    </task>\n  </meta>\n"
    ordered = sorted(dataset.images, key=lambda image: (image.file_name, image.id))
    for position, image in enumerate(ordered):
        boxes = sorted(by_image[image.id], key=lambda a: a.id)
        yield "".join(_image(position, image, boxes, names)).encode()
    yield b"</annotations>\n"


def _image(position: int, image: CocoImage, boxes: Iterable[CocoAnnotation], names: dict[int, str]) -> Iterator[str]:
    file_name = escaped(PurePosixPath(image.file_name).as_posix())
    subset = image.extra.get("subset")
    inside = "" if subset is None else f' subset="{escaped(str(subset))}"'
    yield f'  <image id="{position}" name="{file_name}"{inside} width="{image.width}" height="{image.height}">\n'
    for box in boxes:
        yield from _box(box, names[box.category_id])
    yield "  </image>\n"


def _box(box: CocoAnnotation, label: str) -> Iterator[str]:
    if box.iscrowd:
        raise ValueError(f"annotation {box.id} is a crowd region, which CVAT's XML cannot say")
    told = dict(box.attributes)
    occluded = str(told.pop("occluded", "")).lower() in ("true", "1")
    order, group = (_whole(told.pop(key, 0)) for key in _NUMBERS)
    turned = rotation_of(told)
    told.pop(ROTATION, None)
    x, y, w, h = box.xywh
    edges = " ".join(f'{e}="{number(v)}"' for e, v in zip(_EDGES, (x, y, x + w, y + h), strict=True))
    more = (f' rotation="{number(turned)}"' if turned else "") + f' z_order="{order}"'
    more += f' group_id="{group}"' if group else ""
    yield f'    <box label="{label}" source="manual" occluded="{int(occluded)}" {edges}{more}>\n'
    for key, value in sorted(told.items()):
        yield f'      <attribute name="{escaped(key)}">{escaped(plain(value))}</attribute>\n'
    yield "    </box>\n"


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
