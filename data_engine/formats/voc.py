"""Pascal VOC, read and written: one XML file a picture.

Format: the annotations of the VOC2012 development kit, http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf

Its own files count pixels from 1, the last one included: a box over the first pixel is ``1, 1, 1, 1``.  CVAT and
Datumaro write edges from 0, where it is ``0, 0, 1, 1``; nothing in a file says which.  So files whose ``<database>`` is
one of VOC's own are read in the first way, all others in the second, and the second is written: it alone can hold a
fraction of a pixel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, Literal

from data_engine.errors import DamagedInputError
from data_engine.formats.coco_types import CocoAnnotation, CocoImage
from data_engine.formats.labelled import ROTATION, LabelledPicture, box_of, pieces_of, plain_name, rotation_of
from data_engine.formats.safe_xml import finite, parse, pixels
from data_engine.formats.xml_text import escaped, number, plain
from data_engine.types import Box, ClassRegistry

ANNOTATIONS, PICTURES, LISTS = "Annotations", "JPEGImages", "ImageSets/Main"
LIST_NAMES = {"train": "train", "valid": "val"}
"""What the development kit calls the two sides."""

LABEL_MAP = "labelmap.txt"
"""The classes, as CVAT and Datumaro name them beside ``Annotations``; the development kit knows its own by heart."""

Pixels = Literal["auto", "edges", "counted"]
"""How coordinates are meant: edges from 0, or pixels counted from 1 with the last included."""

_WHAT = "a Pascal VOC file"
_OFFICIAL = "The VOC"
"""How ``<database>`` begins in the files of VOC2007 to VOC2012."""
_FLAGS = ("truncated", "occluded", "difficult")
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_INSTEAD = {"robndbox": "rotated box", "polygon": "polygon", "mask": "mask"}
"""What some tools write in place of ``<bndbox>``."""
_TEXTS = frozenset(
    {"filename", "database", "width", "height", "name", "value", "pose", *_FLAGS, *_EDGES, "segmented", "deleted"}
)


def annotation_path(file_name: str) -> str:
    """Where the annotation of ``JPEGImages/<file_name>`` lies, below the data set's folder."""
    return str(PurePosixPath(ANNOTATIONS) / PurePosixPath(file_name).with_suffix(".xml"))


def label_map(names: Iterable[str]) -> str:
    """The class list, in order; without colours, which only masks have.

    Raises:
        DamagedInputError: a name with a mark of the list's own.
    """
    lines = ["# label:color_rgb:parts:actions"]
    for name in names:
        if ":" in name or "\n" in name or "\r" in name or name.lstrip().startswith("#") or name != name.strip():
            raise DamagedInputError(f"class {name!r} cannot stand in {LABEL_MAP}", hint="rename the class")
        lines.append(f"{name}:::")
    return "\n".join(lines) + "\n"


def parse_label_map(text: str) -> tuple[str, ...]:
    """The classes of such a list in its order, without ``background``, which is no class of boxes."""
    lines = (line.strip() for line in text.split("\n"))
    names = (line.split(":", 1)[0].strip() for line in lines if line and not line.startswith("#"))
    return tuple(dict.fromkeys(name for name in names if name and name != "background"))


def read_voc(
    data: bytes, *, name: str, size: tuple[int, int] | None = None, coordinates: Pixels = "auto"
) -> LabelledPicture:
    """Read the file of one picture and check everything in it.

    ``truncated``, ``occluded`` and ``difficult`` become attributes where they are set, a ``pose`` that says something
    and the ``<attributes>`` that CVAT writes as well.  Parts of a body, actions and polygons beside a box are passed
    over, objects that are only a polygon or a turned box left out; both are counted in ``left_out``.

    Args:
        data: the whole file.
        name: what to call it in a message.
        size: width and height of the picture in pixels, where the caller knows them.
        coordinates: how they are meant.

    Raises:
        DamagedInputError: with one exact sentence, whatever is wrong with the file; also another size than ``size``.
    """
    reader = _Reader(name, size, coordinates)
    for _ in parse(pieces_of(data), reader.start, reader.end, name=name, what=_WHAT, root="annotation", texts=_TEXTS):
        pass
    return reader.picture()


class _Reader:
    def __init__(self, name: str, size: tuple[int, int] | None, coordinates: Pixels) -> None:
        self._name, self._size, self._counted = name, size, coordinates == "counted"
        self._auto = coordinates == "auto"
        self._path: list[str] = []
        self._head: dict[str, str] = {}
        self._object: dict[str, str] = {}
        self._attributes: dict[str, Any] = {}
        self._key = ""
        self._objects: list[tuple[dict[str, str], dict[str, Any]]] = []
        self._left_out: Counter[str] = Counter()

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._path.append(tag)
        if self._path == ["object"]:
            self._object, self._attributes = {}, {}
        elif self._path == ["object", "part"]:
            self._left_out["part"] += 1
        elif len(self._path) == 2 and self._path[0] == "object":
            self._object.setdefault(tag, "")

    def end(self, tag: str, text: str) -> None:
        match self._path:
            case ["object"]:
                self._objects.append((self._object, self._attributes))
            case ["filename"] | ["size", "width" | "height"] | ["source", "database"]:
                self._head[tag] = text
            case ["object", _] | ["object", "bndbox", _]:
                self._object[tag] = text
            case ["object", "attributes", "attribute", "name"]:
                self._key = text
            case ["object", "attributes", "attribute", "value"] if self._key:
                self._attributes[self._key] = text
        self._path.pop()

    def picture(self) -> LabelledPicture:
        name = self._name
        file_name = plain_name(_unwrapped(self._head.get("filename", "")), name)
        width, height = self._checked_size()
        if self._auto:
            self._counted = self._head.get("database", "").startswith(_OFFICIAL)
        boxes = [
            box
            for position, (said, attributes) in enumerate(self._objects, 1)
            if (box := self._box(said, attributes, f"{name}: object {position}")) is not None
        ]
        return LabelledPicture(file_name, width, height, tuple(boxes), dict(self._left_out))

    def _checked_size(self) -> tuple[int, int]:
        width, height = self._head.get("width"), self._head.get("height")
        said = None
        # Some tools write a size of 0 x 0 for one they did not know.
        if not {width, height} <= {None, "", "0"}:
            said = pixels(width, f"{self._name}: its width"), pixels(height, f"{self._name}: its height")
        size = self._size or said
        if size is None:
            raise DamagedInputError(
                f"{self._name} does not say the size of its picture", hint="name the folder of the pictures"
            )
        if said is not None and said != size:
            raise DamagedInputError(
                f"{self._name} says {said[0]} x {said[1]} pixels, but its picture has {size[0]} x {size[1]}"
            )
        return size

    def _box(self, said: Mapping[str, str], attributes: Mapping[str, Any], where: str) -> Box | None:
        label = _unwrapped(said.get("name", ""))
        if not label.strip():
            raise DamagedInputError(f"{where} has no name")
        instead = next((what for tag, what in _INSTEAD.items() if tag in said), None)
        if "bndbox" not in said:
            if instead is None:
                raise DamagedInputError(f"{where} has no box")
            self._left_out[instead] += 1
            return None
        if instead is not None:
            self._left_out[f"boxed {instead}"] += 1
        left, top, right, bottom = (finite(said.get(edge), f"{where}: {edge}") for edge in _EDGES)
        if self._counted:
            # Pixel n, counted from 1, reaches from n - 1 to n.
            left, top = left - 1.0, top - 1.0
        xywh = box_of(left, top, right, bottom, where)
        told: dict[str, Any] = {key: value for key, value in attributes.items() if key not in _FLAGS}
        told |= {flag: True for flag in _FLAGS if said.get(flag, "").strip().lower() in ("1", "true", "yes")}
        if (pose := said.get("pose", "").strip()) and pose.lower() not in ("unspecified", "unknown"):
            told["pose"] = pose
        if not rotation_of(told):
            told.pop(ROTATION, None)
        return Box(label, xywh, attributes=told)


def _unwrapped(text: str) -> str:
    """The text without what a pretty-printer put around it; other white space is part of a name."""
    return text.strip() if "\n" in text else text


def write_voc(annotations: Iterable[CocoAnnotation], image: CocoImage, registry: ClassRegistry) -> bytes:
    """The file of one picture, the same bytes for the same content; without an object for a background picture.

    Edges from 0, with the fewest digits that read back to the same double.  ``<depth>`` is not known and 3, which
    other readers ask for.  No database and no person is made up.

    Args:
        annotations: its boxes, in the order in which to write them.
        image: its name and size.
        registry: the classes.

    Raises:
        ValueError: a crowd region or a turned box, for which the format has no mark: leave it out, and say so.
        KeyError: a category that the registry does not hold.
        DamagedInputError: a name that XML cannot hold.
    """
    name = PurePosixPath(image.file_name)
    lines = chain(
        ("<annotation>",),
        (f"  <folder>{escaped(PICTURES)}</folder>", f"  <filename>{escaped(name.as_posix())}</filename>"),
        (f"  <size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>",),
        ("  <segmented>0</segmented>",),
        chain.from_iterable(_object(a, registry.name_of(a.category_id)) for a in annotations),
        ("</annotation>", ""),
    )
    return "\n".join(lines).encode()


def _object(annotation: CocoAnnotation, label: str) -> Iterator[str]:
    told = dict(annotation.attributes)
    if annotation.iscrowd or rotation_of(told):
        kind = "crowd region" if annotation.iscrowd else "turned box"
        raise ValueError(f"annotation {annotation.id} is a {kind}, which Pascal VOC cannot say")
    told.pop(ROTATION, None)
    flags = {flag: _is_set(told.pop(flag, False)) for flag in _FLAGS}
    x, y, w, h = annotation.xywh
    yield "  <object>"
    yield f"    <name>{escaped(label)}</name>"
    yield f"    <pose>{escaped(plain(told.pop('pose', 'Unspecified')))}</pose>"
    for flag, value in flags.items():
        yield f"    <{flag}>{int(value)}</{flag}>"
    edges = zip(_EDGES, (x, y, x + w, y + h), strict=True)
    yield f"    <bndbox>{''.join(f'<{edge}>{number(value)}</{edge}>' for edge, value in edges)}</bndbox>"
    if told:
        yield "    <attributes>"
        for key, value in sorted(told.items()):
            pair = f"<name>{escaped(key)}</name><value>{escaped(plain(value))}</value>"
            yield f"      <attribute>{pair}</attribute>"
        yield "    </attributes>"
    yield "  </object>"


def _is_set(value: Any) -> bool:
    return value.strip().lower() in ("1", "true", "yes") if isinstance(value, str) else bool(value)
