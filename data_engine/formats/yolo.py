"""YOLO detection data sets: label lines and ``data.yaml``, as Ultralytics reads them.

Format: https://docs.ultralytics.com/datasets/detect/ - one text file a picture, one line a box:
``class x y width height``, the centre and size as parts of the picture's width and height.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from pathlib import PurePosixPath

from data_engine.errors import DamagedInputError
from data_engine.formats.coco_types import CocoAnnotation, CocoImage
from data_engine.types import Box, ClassRegistry

DATA_YAML = "data.yaml"
IMAGES, LABELS = "images", "labels"
_OVER = 1e-6
"""How far a normalised number may lie outside 0..1: six digits are what most tools write."""


def label_path(file_name: str) -> str:
    """Where Ultralytics looks for the labels of the picture ``images/<file_name>``, below the split's folder.

    It replaces the *last* folder named ``images`` of the path, and what follows the last dot.

    Raises:
        DamagedInputError: the name has no suffix, so training would pass over the picture in silence.
    """
    if not PurePosixPath(file_name).suffix:
        raise DamagedInputError(f"picture {file_name!r} has no suffix: YOLO would not see it", hint="rename the file")
    path = f"/{LABELS}/".join(f"/{IMAGES}/{file_name}".rsplit(f"/{IMAGES}/", 1))
    return path[1:].rsplit(".", 1)[0] + ".txt"


def yolo_lines(annotations: Iterable[CocoAnnotation], image: CocoImage, registry: ClassRegistry) -> str:
    """The label file of one picture; empty for a background picture.

    Nine digits keep a coordinate of a picture 8192 pixels wide to 0.00001 px; the usual five or six move it by 0.04.

    Args:
        annotations: boxes inside the picture, in the order in which to write them.
        image: its size.
        registry: the class number is the category's position in it.

    Raises:
        ValueError: a crowd region, for which the format has no mark: leave it out, and say so.
        KeyError: a category that the registry does not hold.
    """
    return line_writer(registry)(annotations, image)


def line_writer(registry: ClassRegistry) -> Callable[[Iterable[CocoAnnotation], CocoImage], str]:
    """:func:`yolo_lines` of many pictures with the same classes."""
    numbers = {category.id: number for number, category in enumerate(registry)}

    def lines(annotations: Iterable[CocoAnnotation], image: CocoImage) -> str:
        width, height = image.width, image.height
        found = []
        for annotation in annotations:
            if annotation.iscrowd:
                raise ValueError(f"annotation {annotation.id} is a crowd region, which YOLO labels cannot say")
            x, y, w, h = annotation.xywh
            centre = f"{(x + w / 2) / width:.9g} {(y + h / 2) / height:.9g}"
            found.append(f"{numbers[annotation.category_id]} {centre} {w / width:.9g} {h / height:.9g}\n")
        return "".join(found)

    return lines


def parse_yolo(text: str, width: int, height: int, names: Sequence[str], *, name: str = "label file") -> list[Box]:
    """The boxes of one label file, in its order.

    Args:
        text: the file; blank lines do not count.
        width: of the picture, pixels.
        height: of the picture, pixels.
        names: class names by their number.
        name: what to call the file in a message.

    Raises:
        DamagedInputError: a line that is not five numbers, an unknown class number, a number outside 0..1.
    """
    boxes = []
    for number, line in enumerate(text.splitlines(), 1):
        if fields := line.split():
            boxes.append(_box(fields, width, height, names, f"{name}: line {number}"))
    return boxes


def _box(fields: list[str], width: int, height: int, names: Sequence[str], where: str) -> Box:
    if len(fields) != 5:
        raise DamagedInputError(f"{where} has {len(fields)} fields, not 5: class, centre x and y, width, height")
    try:
        x, y, w, h = (float(field) for field in fields[1:])
    except ValueError:
        raise DamagedInputError(f"{where} holds something that is not a number") from None
    if not fields[0].isdecimal() or int(fields[0]) >= len(names):
        raise DamagedInputError(f"{where} has the class {fields[0]!r}: the classes are 0 to {len(names) - 1}")
    if not all(isfinite(value) and -_OVER <= value <= 1 + _OVER for value in (x, y, w, h)) or w <= 0 or h <= 0:
        raise DamagedInputError(f"{where} has coordinates outside 0..1 or a box without area")
    w, h = w * width, h * height
    return Box(names[int(fields[0])], (x * width - w / 2, y * height - h / 2, w, h))


def data_yaml(names: Sequence[str]) -> str:
    """The data set's description, to lie beside ``train/`` and ``valid/``.

    There is no ``path``: Ultralytics then takes the folder of this very file, wherever the data set is moved and
    whatever the current folder is.

    Raises:
        ValueError: no class.
    """
    if not names:
        raise ValueError("a YOLO data set needs at least one class")
    classes = "".join(f"  {number}: {_quoted(name)}\n" for number, name in enumerate(names))
    return f"train: train/{IMAGES}\nval: valid/{IMAGES}\nnames:\n{classes}"


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar, so that ``no``, ``1.0``, ``a: b`` and line breaks stay what they are."""
    escaped = []
    for character in text:
        if character in '"\\':
            escaped.append("\\" + character)
        elif character.isprintable():
            escaped.append(character)
        else:
            escaped.append(f"\\U{ord(character):08x}")
    return f'"{"".join(escaped)}"'


def parse_data_yaml(text: str, *, name: str = DATA_YAML) -> tuple[str, ...]:
    """The class names by number, from a ``data.yaml`` of this or another tool (a list, or a mapping of numbers).

    Raises:
        DamagedInputError: not YAML, no ``names``, numbers that are not 0..N-1.
    """
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedInputError(f"{name} is not YAML: {reason}") from None
    names = document.get("names") if isinstance(document, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DamagedInputError(f"{name} has no class 'names'")
    if set(names) != set(range(len(names))):
        raise DamagedInputError(f"{name}: its class numbers are not 0 to {len(names) - 1}")
    return tuple(str(names[number]) for number in range(len(names)))
