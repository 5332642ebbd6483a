"""Small and reduced copies of frames for pages: made once, kept in the state folder by the frame's id.

A frame's id stands for its pixels, so a copy is never made again.  Damage is not kept: a picture that was mended shows.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.errors import MissingInputError
from data_engine.lineage import footage, tombstones
from data_engine.types import Frame

Size = Literal["thumb", "shown"]

FOLDER = f"{STATE_FOLDER}/renditions"
"""``<size>/<first two digits>/<frame id>.jpg`` below it."""
THUMB_SIDE = 320
"""Pixels of a thumbnail's longer side."""
THUMB_BYTES = 24_000
MOST_PIXELS = 16_000_000
"""Of a picture that is handed to a browser as it is: it holds four bytes of each, and two or three pictures at once."""
_QUALITY = 90
_SHOWN_BY_BROWSERS = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}
_JPEG = "image/jpeg"
_ID = re.compile(r"[0-9a-f]{32}")

# One request makes a copy, those that ask for it meanwhile wait: by the frame, in a fixed number of locks.
_LOCKS = tuple(threading.Lock() for _ in range(64))
# A picture of a hundred megapixels takes 300 MB while it is decoded.
_DECODERS = threading.BoundedSemaphore(4)


@dataclass(frozen=True, slots=True)
class Rendition:
    """A file that a browser shows."""

    path: Path
    media_type: str
    tag: str
    """Tells this content from any other that goes by the same address."""


def shown_size(width: int, height: int) -> tuple[int, int]:
    """Width and height at which a picture of ``width`` x ``height`` pixels is handed to a browser."""
    if width * height <= MOST_PIXELS:
        return width, height
    side = _side(width, height)
    longer = max(width, height)
    return max(1, round(width * side / longer)), max(1, round(height * side / longer))


def rendition(engine: Engine, frame_id: str, size: Size) -> Rendition:
    """The file that shows a frame: a thumbnail, or the picture itself, reduced where it is too large for a browser.

    Raises:
        MissingInputError: no such frame is on record, or its file is gone.
        DamagedInputError: its file cannot be decoded.
    """
    if not _ID.fullmatch(frame_id):
        raise MissingInputError("no such frame is on record")
    key = f"{FOLDER}/{size}/{frame_id[:2]}/{frame_id}.jpg"
    kept = engine.storage.path(key)
    if kept.is_file():
        return Rendition(kept, _JPEG, f"{size}-{frame_id}")
    frame = _frame(engine, frame_id)
    original = engine.storage.path(frame.key)
    if size == "shown" and (media_type := _as_it_is(frame)):
        from data_engine.media.images import size_of

        size_of(original, name=frame.name)  # that it is there, and a picture
        return Rendition(original, media_type, f"{frame_id}-{engine.storage.stamp(frame.key)}")
    with _LOCKS[int(frame.id[:8], 16) % len(_LOCKS)]:
        if not kept.is_file():
            with _DECODERS:
                data = _drawn(frame, original, size)
            engine.storage.write_bytes(key, data)
            _check_not_purged(engine, frame_id, key)
    return Rendition(kept, _JPEG, f"{size}-{frame_id}")


def kept(engine: Engine) -> tuple[int, int]:
    """How many copies there are, and how many bytes they take; removed, they are made again."""
    sizes = [path.stat().st_size for path in engine.storage.path(FOLDER).glob("*/*/*.jpg")]
    return len(sizes), sum(sizes)


def _frame(engine: Engine, frame_id: str) -> Frame:
    with engine.database.read() as connection:
        found = footage.frames_by_id(connection, [frame_id]).get(frame_id)
    if found is None:
        raise MissingInputError("no such frame is on record")
    return found


def _as_it_is(frame: Frame) -> str | None:
    """The media type of a picture that needs no copy."""
    if frame.width * frame.height > MOST_PIXELS:
        return None
    return _SHOWN_BY_BROWSERS.get(PurePosixPath(frame.key).suffix.lower())


def _side(width: int, height: int) -> int:
    return math.floor(max(width, height) * math.sqrt(MOST_PIXELS / (width * height)))


def _drawn(frame: Frame, original: Path, size: Size) -> bytes:
    from data_engine.media.images import encode_jpeg, read_fitting_rgb, thumbnail

    if size == "thumb":
        return thumbnail(original, THUMB_SIDE, THUMB_BYTES, name=frame.name)
    side = max(shown_size(frame.width, frame.height))
    return encode_jpeg(read_fitting_rgb(original, side, name=frame.name), _QUALITY)


def _check_not_purged(engine: Engine, frame_id: str, key: str) -> None:
    """Take a copy back whose frame was purged while it was made.

    A purge sets its tombstone up before it removes copies: either it finds this one, or this sees the tombstone.
    """
    with engine.database.read() as connection:
        gone = tombstones.gone(connection, [frame_id])
    if gone:
        engine.storage.delete(key)
        raise MissingInputError("no such frame is on record")
