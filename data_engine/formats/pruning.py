"""Taking frames and videos out of files of any kind that name them: JSON, lists, tables, CVAT's XML.

A file names a frame by its id or the beginning of it (twelve digits or more), or by a name that holds eight digits of
it (``gate_1200_0a1b2c3d.jpg``), or by a name that no other frame has; boxes of it by their ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import unescape

GONE = "purged"
"""What stands in a text where a name stood."""
_SHOWN = 12
"""Digits of an id that people are shown."""
_ID = re.compile(rf"(?<![0-9a-f])[0-9a-f]{{{_SHOWN},32}}(?![0-9a-f])")
_DRAWN = re.compile(r"\A(?:```mermaid\n)?flowchart LR\n|^(?:comes from|led to)$", re.MULTILINE)
"""What a lineage that was written as a flowchart or as a tree looks like."""
_SHORT = re.compile(r"_([0-9a-f]{8})(?![0-9a-f])")
"""The beginning of an id in a name as frames have them in tasks and data sets."""
_ENDS = frozenset("\"'<>/\\,;()[]")
"""What a name ends at, besides space."""
_BREAK = re.compile(r"[\s\"'<>/\\,;()\[\]{}:]+")
"""What stands between the words of a text."""
_FEW = 64
"""Words that are looked for one by one."""
_IMAGE = re.compile(rb"[ \t]*<image\b[^>]*?\bname=\"([^\"]*)\"[^>]*?(?:/>|>.*?</image>)[ \t]*\r?\n?", re.DOTALL)
_HEAD = ("time", "level", "command", "process", "logger")
"""What a line of a log begins with, whatever it is about."""
_DROP = object()


class Marks:
    """What is to be taken out.

    Args:
        ids: of frames and videos.
        names: file names, each of a frame or video that is to go and of no other.
        keys: storage keys of their files.
        boxes: ids of their boxes and of what was proposed.
    """

    def __init__(
        self, ids: Iterable[str], names: Iterable[str], keys: Iterable[str], boxes: Iterable[str] = ()
    ) -> None:
        self.ids = frozenset(filter(None, ids))
        self.names = frozenset(filter(None, names))
        self.keys = frozenset(filter(None, keys))
        self.boxes = frozenset(filter(None, boxes))
        self._shorts = frozenset(identity[:8] for identity in self.ids)
        self._begins = frozenset(identity[:_SHOWN] for known in (self.ids, self.boxes) for identity in known)
        stems = {PurePosixPath(name).stem for name in self.names}
        self.stems = frozenset(stem for stem in stems if self._by_id(stem) != stem)
        """Names that hold the beginning of an id, without their suffixes: of label files."""
        # Those that hold the beginning of an id are found by that.
        plain = {name for name in self.names | self.keys if self._by_id(name) == name}
        plain |= {spelled for name in plain for spelled in (json.dumps(name)[1:-1], escape(name), quote(name))}
        self._words = frozenset(name for name in plain if not _BREAK.search(name))
        self._phrases = plain - self._words

    def is_one(self, text: str) -> bool:
        """Whether a text is the id, name or path of something that is to go; ids may have their kind before them."""
        path, identity = PurePosixPath(text), text.rpartition(":")[2]
        if identity in self.ids or identity in self.boxes or text in self.keys:
            return True
        return path.name in self.names or path.stem in self.stems

    def without(self, text: str) -> str:
        """The text with ``purged`` in the place of every id and name."""
        text = self._by_id(text)
        for name in self._names_in(text):
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", GONE, text)
        return text

    def _by_id(self, text: str) -> str:
        text = _ID.sub(lambda found: GONE if self._is_id(found[0]) else found[0], text)
        parts, end = [], 0
        for hit in _SHORT.finditer(text):
            if hit[1] not in self._shorts or hit.start() < end:
                continue
            begin, stop = hit.start(), hit.end()
            while begin > end and not _is_end(text[begin - 1]):
                begin -= 1
            while stop < len(text) and not _is_end(text[stop]):
                stop += 1
            parts += [text[end:begin], GONE]
            end = stop
        return "".join(parts) + text[end:]

    def _is_id(self, word: str) -> bool:
        return word in self.ids or word in self.boxes if len(word) == 32 else word[:_SHOWN] in self._begins

    def mentioned_in(self, text: str) -> bool:
        """Whether any id or name stands in a text."""
        if any(self._is_id(found[0]) for found in _ID.finditer(text)):
            return True
        if any(found[1] in self._shorts for found in _SHORT.finditer(text)):
            return True
        return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text) for name in self._names_in(text))

    def _names_in(self, text: str) -> list[str]:
        """The names and keys without a part of an id that may stand in a text."""
        few = len(self._words) <= _FEW
        words = (word for word in self._words if word in text) if few else self._words.intersection(_BREAK.split(text))
        return [*words, *(phrase for phrase in self._phrases if phrase in text)]


def _is_end(letter: str) -> bool:
    return letter in _ENDS or letter.isspace()


def pruned(value: Any, marks: Marks) -> Any:
    """A JSON value without the frames: None where nothing is left of it.

    An object that is told by one of the names goes as a whole, in an object the members of such names; of COCO also the
    annotations of the images that went.  In other texts the names are replaced.
    """
    found = _pruned(value, marks)
    return None if found is _DROP else found


def _pruned(value: Any, marks: Marks) -> Any:
    if isinstance(value, str):
        return _DROP if marks.is_one(value) else marks.without(value)
    if isinstance(value, list):
        return [kept for item in value if (kept := _pruned(item, marks)) is not _DROP]
    if not isinstance(value, dict):
        return value
    if any(isinstance(item, str) and marks.is_one(item) for item in value.values()):
        return _DROP
    if isinstance(value.get("images"), list) and isinstance(value.get("annotations"), list):
        value = _pruned_coco(value, marks)
    return {
        name: kept
        for name, item in value.items()
        if not marks.is_one(name) and (kept := _pruned(item, marks)) is not _DROP
    }


def _pruned_coco(value: dict[str, Any], marks: Marks) -> dict[str, Any]:
    def number(record: Any, name: str) -> Any:
        return record.get(name) if isinstance(record, dict) else None

    kept = [image for image in value["images"] if _pruned(image, marks) is not _DROP]
    left = {number(image, "id") for image in value["images"]} - {number(image, "id") for image in kept}
    annotations = [record for record in value["annotations"] if number(record, "image_id") not in left]
    return {**value, "images": kept, "annotations": annotations}


def pruned_lines(text: str, marks: Marks) -> str:
    """A list or table without the lines that name one of the frames; remarks (``#``) stay without the names."""
    lines = []
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if bare.startswith("#"):
            lines.append(marks.without(line))
        elif not marks.is_one(bare) and not marks.mentioned_in(line):
            lines.append(line)
    return "".join(lines)


def is_drawn_lineage(text: str) -> bool:
    """Whether a text is a lineage as ``lineage show`` draws it: what is said of a thing stands in several lines."""
    return _DRAWN.search(text) is not None


def pruned_log(line: bytes, marks: Marks) -> bytes:
    """A line of a log in as many bytes, for others write to its end: of one about something that is to go the head.

    Args:
        line: without its end.
        marks: what is to go.
    """
    text = line.decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not marks.mentioned_in(text) and pruned(said, marks) == said:
        return line
    if isinstance(said, dict):
        head = {name: said[name] for name in _HEAD if isinstance(said.get(name), (str, int))} | {"message": GONE}
        told = json.dumps(head, ensure_ascii=False).encode()
        if not marks.mentioned_in(told.decode()) and len(told) <= len(line):
            return told.ljust(len(line))
    return b"x" * len(line)


def pruned_xml(data: bytes, marks: Marks) -> bytes:
    """CVAT's XML for images without the ``<image>`` elements of the frames."""

    def kept(found: re.Match[bytes]) -> bytes:
        name = unescape(found[1].decode("utf-8", "replace"), {"&quot;": '"', "&apos;": "'"})
        return b"" if marks.is_one(name) or marks.mentioned_in(name) else found[0]

    return _IMAGE.sub(kept, data)
