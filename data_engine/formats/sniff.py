"""Which format a file, a folder or an archive of labels is, by its names and the first bytes of some of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from data_engine.errors import DamagedInputError
from data_engine.formats.rfdetr import ANNOTATIONS as RFDETR_FILE
from data_engine.formats.safe_xml import root_of
from data_engine.formats.voc import LABEL_MAP
from data_engine.words import listed

Kind = Literal["coco", "yolo", "voc", "cvat"]

HEAD_BYTES = 4096
"""How much of a file :func:`sniff` asks for."""

LOOKED_FOR = (
    "a COCO file (JSON with images, annotations and categories), CVAT's annotations/instances_*.json, "
    f"*/{RFDETR_FILE}, a data.yaml or obj.names with label files, Pascal VOC's XML files, CVAT's annotations.xml"
)

_SIDES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_COCO_KEY = re.compile(rb'\s*\{\s*"(info|licenses|images|annotations|categories|type)"\s*:')
_NOT_COCO = re.compile(rb'"dm_format_version"\s*:|"categories"\s*:\s*\{')
"""Datumaro's own JSON begins as COCO may."""
_INSTANCES = re.compile(r"instances_(?P<subset>.+)\.json$")
_DESCRIPTIONS = ("data.yaml", "data.yml", "obj.names")
_MARKS = "\ufeff".encode()


@dataclass(frozen=True, slots=True)
class Part:
    """The annotation files of one side."""

    split: str | None
    """``train``, ``valid``, ``test`` or another subset's name; None when nothing says."""
    files: tuple[str, ...]
    """Sorted."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder or archive of labels is."""

    kind: Kind
    parts: tuple[Part, ...]
    """By their names; the one without a name first."""
    description: str | None = None
    """The file that lists the classes, where they are not in the annotations: YOLO's, and VOC's where there is one."""


def sniff(names: Iterable[str], head: Callable[[str, int], bytes], *, name: str, only: Kind | None = None) -> Found:
    """What it is.

    Args:
        names: its files, relative, ``/``-separated; of a single file its own.
        head: the first bytes of one of them, as many as asked for.
        name: what to call it in a message.
        only: pass over everything that is another format.

    Raises:
        DamagedInputError: none of the formats, or more than one; it says what was looked for and what was found.
    """
    files = sorted(path for path in names if not PurePosixPath(path).name.startswith((".", "__MACOSX")))
    found = [
        candidate
        for kind, look in _LOOKS.items()
        if only in (None, kind) and (candidate := look(files, head)) is not None
    ]
    if not found:
        wanted = LOOKED_FOR if only is None else f"a data set in the format {only}"
        raise DamagedInputError(f"{name} holds no labels that are known; looked for {wanted}")
    if len(found) > 1:
        seen = " or ".join(f"{one.kind} ({listed([f for part in one.parts for f in part.files], 1)})" for one in found)
        raise DamagedInputError(f"{name} could be {seen}", hint="say which with --format")
    return found[0]


def _coco(files: Sequence[str], head: Callable[[str, int], bytes]) -> Found | None:
    return _parted("coco", [path for path in files if path.endswith(".json") and _like_coco(head(path, HEAD_BYTES))])


def _like_coco(head: bytes) -> bool:
    return _COCO_KEY.match(head.removeprefix(_MARKS)) is not None and _NOT_COCO.search(head) is None


def _yolo(files: Sequence[str], _head: Callable[[str, int], bytes]) -> Found | None:
    description = next((path for path in files if PurePosixPath(path).name in _DESCRIPTIONS), None)
    if description is None:
        return None
    base = PurePosixPath(description).parent
    below = [path for path in files if path.endswith(".txt") and base in PurePosixPath(path).parents]
    folders = ("labels",) if not description.endswith("obj.names") else ("obj_", "labels")
    labels = [path for path in below if any(part.startswith(folders) for part in _folders(path))]
    return _parted("yolo", labels, description)


def _voc(files: Sequence[str], head: Callable[[str, int], bytes]) -> Found | None:
    labels = [path for path in files if path.endswith(".xml") and root_of(head(path, HEAD_BYTES)) == "annotation"]
    classes = next((path for path in files if PurePosixPath(path).name == LABEL_MAP), None)
    return _parted("voc", labels, classes)


def _cvat(files: Sequence[str], head: Callable[[str, int], bytes]) -> Found | None:
    return _parted(
        "cvat", [path for path in files if path.endswith(".xml") and root_of(head(path, HEAD_BYTES)) == "annotations"]
    )


_LOOKS: dict[Kind, Callable[[Sequence[str], Callable[[str, int], bytes]], Found | None]] = {
    "coco": _coco,
    "yolo": _yolo,
    "voc": _voc,
    "cvat": _cvat,
}


def _parted(kind: Kind, files: Sequence[str], description: str | None = None) -> Found | None:
    if not files:
        return None
    sides: dict[str | None, list[str]] = {}
    for path in files:
        sides.setdefault(split_of(path), []).append(path)
    parts = (Part(side, tuple(sides[side])) for side in sorted(sides, key=lambda side: (side is not None, side or "")))
    return Found(kind, tuple(parts), description)


def side_named(word: str) -> str:
    """``valid`` for ``val`` and ``validation``; another word as it is."""
    return _SIDES.get(word.lower(), word)


def split_of(path: str) -> str | None:
    """Which side an annotation file is of, by its own name or the innermost folder that says one.

    ``val`` and ``validation`` are ``valid``; CVAT's ``instances_<subset>.json`` is the side of that name, whatever it
    is.
    """
    pure = PurePosixPath(path)
    if match := _INSTANCES.match(pure.name):
        subset = match["subset"]
        subset = re.sub(r"^(train|val|test)\d{4}$", r"\1", subset)  # instances_val2017.json
        return None if subset == "default" else side_named(subset)
    said = (pure.stem.lower(), *(_plain(folder) for folder in reversed(_folders(path))))
    return next((_SIDES[word] for word in said if word in _SIDES), None)


def _plain(folder: str) -> str:
    """``train`` of CVAT's ``obj_train_data``."""
    return re.sub(r"^obj_(.+)_data$", r"\1", folder.lower())


def _folders(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]
