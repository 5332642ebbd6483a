"""A COCO file written piece by piece, byte for byte as :func:`~data_engine.formats.coco.write_coco` writes it whole.

And the places of annotations in such a file, so that another can take over what did not change as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from mmap import mmap
from typing import Any, BinaryIO

import msgspec

from data_engine.formats.coco import category_records, image_record
from data_engine.formats.coco_types import CocoImage
from data_engine.types import ClassRegistry

Range = tuple[int, int]
"""First byte and the one after the last."""

_OPENED, _MIDDLE, _LISTED = b',"images":[', b'],"annotations":[', b'],"categories":'
_FIRST, _NEXT = b'{"id":', b'},{"id":'


class CocoStream:
    """One file: first all images by file name, then all annotations by id, then the end.

    Args:
        file: open for writing, at its beginning.
        info: the file's ``info``.
    """

    def __init__(self, file: BinaryIO, info: Mapping[str, Any]) -> None:
        self._file = file
        self._begun = False
        file.write(b'{"info":' + msgspec.json.encode(info, order="deterministic") + _OPENED)

    def images(self, images: Sequence[CocoImage]) -> None:
        """Add images."""
        self.records(b",".join(map(image_text, images)))

    def annotate(self) -> None:
        """End the images; what comes is annotations."""
        self._file.write(_MIDDLE)
        self._begun = False

    def records(self, text: bytes) -> None:
        """Add records as text, with commas between them and none around; empty is none."""
        if text:
            self._file.write(b"," + text if self._begun else text)
            self._begun = True

    def copied(self, source: BinaryIO, part: Range) -> None:
        """Add records that stand in another file."""
        start, end = part
        if start < end:
            if self._begun:
                self._file.write(b",")
            self._begun = True
            copy_range(source, self._file, start, end)

    def end(self, categories: ClassRegistry) -> None:
        """Close the annotations and list the classes."""
        self._file.write(_LISTED + msgspec.json.encode(category_records(categories), order="deterministic") + b"}")


def image_text(image: CocoImage) -> bytes:
    """An image as it stands in a file."""
    return msgspec.json.encode(image_record(image), order="deterministic")


def kept_parts(text: mmap | bytes, gone: Iterable[Range]) -> list[Range]:
    """Where the annotations of a file stand that are kept, before, between and after those that go.

    Args:
        text: a file that :class:`CocoStream` wrote.
        gone: ids of annotations in ascending order, each the first one and that after the last.

    Returns:
        one range more than ``gone`` has; an empty one where nothing lies between.

    Raises:
        ValueError: it is no such file.
    """
    start, end = _section(text)
    parts: list[Range] = []
    for first, last in gone:
        cut = _place(text, start, end, first)
        parts.append((start, max(start, cut - 1)))
        start = _place(text, cut, end, last)
    parts.append((start, max(start, end)))
    return parts


def _section(text: mmap | bytes) -> Range:
    """Where the annotations begin and end, without the brackets."""
    # A quote that is part of a text is written with a backslash before it: these stand nowhere else.
    begins, ends = text.find(_MIDDLE), text.rfind(_LISTED)
    if begins < 0 or ends < begins:
        raise ValueError("no COCO file as it is written here")
    return begins + len(_MIDDLE), ends


def _place(text: mmap | bytes, start: int, end: int, number: int) -> int:
    """Where the first record begins whose id is at least ``number``; one after ``end`` where there is none.

    Args:
        text: the file.
        start: where a record begins, or ``end`` (or one after it) where none does.
        end: of the section.
        number: an id.
    """
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        before = text.rfind(_NEXT, low, middle + len(_NEXT))
        record = low if before < 0 else before + 2
        if _id_at(text, record) >= number:
            high = record
        else:
            after = text.find(_NEXT, record, end)
            low = end if after < 0 else after + 2
    # Every place is where a record begins, as if the last one had a comma behind it too.
    return end + 1 if low >= end else low


def _id_at(text: mmap | bytes, record: int) -> int:
    begins = record + len(_FIRST)
    if text[record:begins] != _FIRST:
        raise ValueError("no COCO file as it is written here")
    return int(text[begins : text.find(b",", begins)])


def copy_range(source: BinaryIO, target: BinaryIO, start: int, end: int) -> None:
    """Append a part of one open file to another, without bringing it through this process where the system can."""
    import os

    target.flush()
    at = start
    copy = getattr(os, "copy_file_range", None)
    while copy is not None and at < end:
        try:
            done = copy(source.fileno(), target.fileno(), end - at, at)
        except OSError:
            break  # another disk, or one that cannot
        if not done:
            break
        at += done
    # What the system copied went past the buffer of ``target``.
    target.seek(0, os.SEEK_END)
    source.seek(at)
    while at < end:
        piece = source.read(min(end - at, 1 << 20))
        if not piece:
            raise ValueError("the file became shorter")
        target.write(piece)
        at += len(piece)
