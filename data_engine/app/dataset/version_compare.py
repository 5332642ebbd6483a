"""Whether a dataset version's file is what it was, told by bytes in pieces."""

from __future__ import annotations

import re
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from data_engine.stages.version_coco import ROOM

_PIECE = 1 << 20
_ANNOTATIONS = b'],"annotations":['
"""No quotes stand in a JSON string but with a backslash before them: this is no part of a name."""
_FIRST = re.compile(rb'\],"annotations":\[\{"id":(\d+),')
_PLACES = frozenset(["key", "camera", "video"])
"""What of an image may change after a version was made: pictures are moved, and cameras and videos renamed."""


def older_layout(path: Path) -> bool:
    """Whether a version's file was written by a release that numbered annotations from 1, not by their images."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return False
        with mmap(file.fileno(), 0, access=ACCESS_READ) as text:
            at = text.find(_ANNOTATIONS)
            first = _FIRST.match(text[at : at + 100]) if at >= 0 else None
    return first is not None and int(first[1]) < ROOM


def same_but_for_places(one: Path, other: Path) -> bool:
    """Whether two files of a version differ only in where its pictures lay and what their sources were called then."""
    left, right = _head(one), _head(other)
    if left is None or right is None or left[1:] != right[1:]:
        return False
    with one.open("rb") as a, other.open("rb") as b:
        a.seek(left[0])
        b.seek(right[0])
        while piece := a.read(_PIECE):
            if b.read(len(piece)) != piece:
                return False
        return not b.read(1)


def _head(path: Path) -> tuple[int, dict[str, Any], list[dict[str, Any]]] | None:
    """Where the annotations of a version's file begin, and what stands before them, without places and names."""
    import msgspec

    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
            at = text.find(_ANNOTATIONS)
            head = b"" if at < 0 else text[:at] + b"]}"
        read = msgspec.json.decode(head, type=dict[str, Any])
        images = [{name: image[name] for name in image if name not in _PLACES} for image in read.pop("images")]
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError):
        return None  # empty, or no such file any more
    return at, read, images


def first_difference(one: Path, other: Path) -> int:
    """The first byte, from 0, in which two files differ; the length of both where none does."""
    at = 0
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            a, b = left.read(_PIECE), right.read(_PIECE)
            if a != b:
                shared = min(len(a), len(b))
                return at + next((i for i in range(shared) if a[i] != b[i]), shared)
            if not a:
                return at
            at += len(a)
