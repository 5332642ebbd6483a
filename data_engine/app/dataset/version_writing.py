"""The files of dataset versions written: any of them from what lineage knows, or from those of the version before.

Both ways give the same bytes.  A frame's number and its annotations' ids are the same in every version, so of a version
that changed little most of the text stands in the file before it already.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import msgspec

from data_engine.lineage import classes, version_rows
from data_engine.lineage.box_dates import Calendar, calendar
from data_engine.lineage.database import Connection, chunks
from data_engine.stages.export import name_in_dataset
from data_engine.stages.version_coco import ROOM, History, Picture, first_id, version_info
from data_engine.types import ClassRegistry, DatasetVersion, Split

if TYPE_CHECKING:
    from data_engine.formats.coco_stream import CocoStream

_AT_ONCE = 2_000
"""Frames whose boxes are in memory at once."""


class Compared:
    """Takes what would be written into a file, and tells whether the one that is there says the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.same = False

    def open(self, _mode: str) -> Compared:
        """Begin, as a file is opened for writing."""
        self._file = self._path.open("rb")
        self.same = True
        return self

    def write(self, data: bytes) -> None:
        """The next bytes that would be written."""
        self.same = self.same and self._file.read(len(data)) == data

    def __enter__(self) -> Compared:
        return self

    def __exit__(self, *error: object) -> None:
        self.same = self.same and not self._file.read(1)
        self._file.close()


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file of a version."""

    path: Path | Compared
    """Where it is written, or what it is compared with."""
    side: Split | None = None
    """Which side of the split it holds; None for all of it."""
    before: Path | None = None
    """The same file of the version before, where that is known to be as it was written."""


class Line(NamedTuple):
    """A frame of a version, as its files need it: there may be a hundred thousand."""

    number: int
    """As of :class:`~data_engine.stages.version_coco.VersionFrame`."""
    frame_id: str
    split: Split
    file_name: str
    text: bytes
    """Its record among the images."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a version without its boxes: less than a kilobyte a frame."""

    version: DatasetVersion
    frames: Sequence[Line]
    """In order of their numbers."""
    numbers: version_rows.Numbers
    registry: ClassRegistry
    """The classes as they were then."""


def outline(connection: Connection, version: DatasetVersion) -> Outline:
    """What a version's files say but for the boxes."""
    known = version_rows.numbers(connection, version.number)
    place = {identity: number for number, identity in enumerate(known.order, 1)}
    encode = msgspec.json.Encoder().encode
    frames = []
    rows = version_rows.picture_rows(connection, version.number)
    for identity, split, name, key, width, height, camera, video_id, pts, base, video in rows:
        number, file_name = place[identity], name_in_dataset(name, identity)
        unit = version_rows.fraction_of(base)
        # As Frame.time_s.
        time_s = None if pts is None or unit is None else pts * unit.numerator / unit.denominator
        text = encode(Picture(camera, file_name, identity, height, number, key, split, time_s, video, video_id, width))
        frames.append(Line(number, identity, split, file_name, text))
    frames.sort()
    return Outline(version, frames, known, classes.registry_at(connection, version.number))


def write_whole(connection: Connection, held: Outline, sheets: Sequence[Sheet]) -> None:
    """Write files of a version from lineage alone, in one pass over its boxes."""
    with _begun(held, sheets) as streams:
        for texts in _texts(connection, held, held.frames):
            for sheet, stream in zip(sheets, streams, strict=True):
                stream.records(b",".join(text for entry, text in texts if text and sheet.side in (None, entry.split)))


def write_from_before(
    connection: Connection, held: Outline, sheets: Sequence[Sheet], differ: Collection[str] | None = None
) -> None:
    """Write files of a version from those of the version before: boxes are read of the frames that differ.

    Args:
        differ: ids of these frames; by default those that the version changed.

    Raises:
        ValueError: a file before is not as it is written here.
    """
    moved = version_rows.touched(connection, held.version.number) if differ is None else differ
    spots = [number for number, identity in enumerate(held.numbers.order, 1) if identity in moved]
    now = {entry.number: entry for entry in held.frames if entry.frame_id in moved}
    with contextlib.ExitStack() as stack:
        befores = [_Before(stack.enter_context(sheet.before.open("rb")), spots) for sheet in sheets if sheet.before]
        streams = stack.enter_context(_begun(held, sheets))
        for part in chunks(spots, _AT_ONCE):
            here = [now[number] for number in part if number in now]
            texts = {entry.number: text for some in _texts(connection, held, here) for entry, text in some}
            for sheet, stream, before in zip(sheets, streams, befores, strict=True):
                for number in part:
                    stream.copied(before.file, next(before.parts))
                    if number in now and sheet.side in (None, now[number].split):
                        stream.records(texts[number])
        for stream, before in zip(streams, befores, strict=True):
            stream.copied(before.file, next(before.parts))


class _Before:
    """A file of the version before: what of it is kept between the frames that differ."""

    def __init__(self, file: BinaryIO, spots: Sequence[int]) -> None:
        from data_engine.formats.coco_stream import kept_parts

        self.file = file
        with mmap(file.fileno(), 0, access=ACCESS_READ) as text:
            self.parts = iter(kept_parts(text, [(n * ROOM, (n + 1) * ROOM) for n in spots]))


@contextlib.contextmanager
def _begun(held: Outline, sheets: Sequence[Sheet]) -> Iterator[list[CocoStream]]:
    """The files with their images, open for the annotations; the end is written when the block ends well."""
    from data_engine.formats.coco_stream import CocoStream

    with contextlib.ExitStack() as stack:
        files: list[BinaryIO] = [stack.enter_context(cast("BinaryIO", sheet.path.open("wb"))) for sheet in sheets]
        streams = [CocoStream(f, version_info(held.version, s.side)) for f, s in zip(files, sheets, strict=True)]
        for part in chunks(sorted(held.frames, key=_by_name), _AT_ONCE):
            for sheet, stream in zip(sheets, streams, strict=True):
                stream.records(b",".join([entry.text for entry in part if sheet.side in (None, entry.split)]))
        for stream in streams:
            stream.annotate()
        yield streams
        for stream in streams:
            stream.end(held.registry)


_by_name = operator.attrgetter("file_name", "number")
"""The order of a file's images."""


def _texts(connection: Connection, held: Outline, frames: Iterable[Line]) -> Iterator[list[tuple[Line, bytes]]]:
    """The annotations of these frames as text, some frames at a time."""
    text_of = _teller(calendar(connection))
    for part in chunks(frames, _AT_ONCE):
        boxes = version_rows.box_rows(connection, held.version.number, [entry.frame_id for entry in part])
        yield [(entry, text_of(entry, boxes.get(entry.frame_id, ()))) for entry in part]


def _teller(dates: Calendar) -> Callable[[Line, Sequence[tuple[Any, ...]]], bytes]:
    """What tells the annotations of a frame, with commas between them and none around."""
    from data_engine.formats.coco import AnnotationOut

    uploads, acceptances, versions = dates.uploads, dates.acceptances, dates.versions
    encode = msgspec.json.Encoder().encode

    def text(entry: Line, boxes: Sequence[tuple[Any, ...]]) -> bytes:
        image = entry.number
        told = []
        first = first_id(image, entry.file_name, len(boxes))
        for number, row in enumerate(boxes, first):
            box, _, category, x, y, w, h, crowd, job, proposal, model, change, by, reviewer, acceptance, since = row
            if not isfinite(x + y + w + h):
                raise ValueError(f"annotation {number} holds a number that is not finite: {(x, y, w, h)}")
            submitted_at, accepted_at = acceptances.get(acceptance, _NEVER)
            proposed_at = None if proposal is None else uploads.get(job)
            merged_at = versions.get(since)
            known = History(
                accepted_at, by, change, box, job, merged_at, model, proposal, proposed_at, reviewer, submitted_at
            )
            # Adding 0.0 turns -0.0 into 0.0: equal boxes must give equal bytes.
            xywh = x + 0.0, y + 0.0, w + 0.0, h + 0.0
            told.append(AnnotationOut(number, image, category, xywh, w * h, 1 if crowd else 0, (), None, known))
        return encode(told)[1:-1]

    return text


_NEVER = (None, None)
