"""Taking frames and videos out of files of any kind that name them: JSON, lists, tables, CVAT's XML.

A file names a frame by its id, or by a name that holds the beginning of it (``gate_1200_0a1b2c3d.jpg``), or by a name
that no other frame has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any
from xml.sax.saxutils import unescape

GONE = "purged"
"""What stands in a text where a name stood."""
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_NAMED = re.compile(r"[^\s\"'<>/\\,;()\[\]]*_([0-9a-f]{8})(?![0-9a-f])[^\s\"'<>/\\,;()\[\]]*")
"""A name as frames have them in tasks and data sets; the group is the beginning of the id."""
_BREAK = re.compile(r"[\s\"'<>/\\,;()\[\]{}:]+")
"""What stands between the words of a text."""
_IMAGE = re.compile(rb"[ \t]*<image\b[^>]*?\bname=\"([^\"]*)\"[^>]*?(?:/>|>.*?</image>)[ \t]*\r?\n?", re.DOTALL)
_DROP = object()


class Marks:
    """What is to be taken out.

    Args:
        ids: of frames and videos.
        names: file names, each of a frame or video that is to go and of no other.
        keys: storage keys of their files.
    """

    def __init__(self, ids: Iterable[str], names: Iterable[str], keys: Iterable[str]) -> None:
        self.ids = frozenset(filter(None, ids))
        self.names = frozenset(filter(None, names))
        self.keys = frozenset(filter(None, keys))
        self._shorts = frozenset(identity[:8] for identity in self.ids)
        stems = {PurePosixPath(name).stem for name in self.names}
        self.stems = frozenset(stem for stem in stems if self._by_id(stem) != stem)
        """Names that hold the beginning of an id, without their suffixes: of label files."""
        # Those that hold the beginning of an id are found by that.
        plain = {name for name in self.names | self.keys if self._by_id(name) == name}
        self._words = frozenset(name for name in plain if not _BREAK.search(name))
        self._phrases = plain - self._words

    def is_one(self, text: str) -> bool:
        """Whether a text is the id, name or path of something that is to go."""
        path = PurePosixPath(text)
        return text in self.ids or text in self.keys or path.name in self.names or path.stem in self.stems

    def without(self, text: str) -> str:
        """The text with ``purged`` in the place of every id and name."""
        text = self._by_id(text)
        words = self._words.intersection(_BREAK.split(text)) if self._words else ()
        for name in (*words, *(phrase for phrase in self._phrases if phrase in text)):
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", GONE, text)
        return text

    def _by_id(self, text: str) -> str:
        text = _ID.sub(lambda found: GONE if found[0] in self.ids else found[0], text)
        return _NAMED.sub(lambda found: GONE if found[1] in self._shorts else found[0], text)

    def words_in(self, text: str) -> set[str]:
        """The ids, names and keys that stand in a text, as they stand there."""
        found = {hit[0] for hit in _ID.finditer(text) if hit[0] in self.ids}
        found |= {hit[0] for hit in _NAMED.finditer(text) if hit[1] in self._shorts}
        found |= self._words.intersection(_BREAK.split(text)) if self._words else set()
        return found | {phrase for phrase in self._phrases if phrase in text}

    def mentioned_in(self, text: str) -> bool:
        """Whether any id or name stands in a text."""
        return self.without(text) != text


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


def pruned_xml(data: bytes, marks: Marks) -> bytes:
    """CVAT's XML for images without the ``<image>`` elements of the frames."""

    def kept(found: re.Match[bytes]) -> bytes:
        name = unescape(found[1].decode("utf-8", "replace"), {"&quot;": '"', "&apos;": "'"})
        return b"" if marks.is_one(name) or marks.mentioned_in(name) else found[0]

    return _IMAGE.sub(kept, data)
