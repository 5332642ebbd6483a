"""What a video file is, found by opening it, reading its bytes once, and decoding its first frames."""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from data_engine.media.container import open_video, packets, video_stream
from data_engine.media.decode import VideoReader
from data_engine.media.images import sha256_of
from data_engine.types import ID_LENGTH, Video

if TYPE_CHECKING:
    from collections.abc import Mapping

# fmt: off
VIDEO_SUFFIXES = frozenset([
    ".264", ".265", ".3gp", ".asf", ".avi", ".dav", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg",
    ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv",
])
# fmt: on
"""Suffixes of the files that are looked at as videos, in lower case."""

# How many frames say whether a video is interlaced: some recorders mark only the second one.
_FIRST_FRAMES = 4
# How many packets and bytes are read, and index entries seen, to tell a variable rate from a constant one.
_MOST_PACKETS = 3000
_MOST_BYTES = 64 << 20
_MOST_ENTRIES = 100_000
# The latest times of an unfinished run of packets are left out: pictures between them may still be to come.
_REORDERED = 32
# Share of the usual interval by which one may differ at a constant rate.
_JITTER = Fraction(1, 4)

_ZONED_KEYS = ("com.apple.quicktime.creationdate", "creation_time", "date_recorded", "date", "creationdate")
# What containers write for "unknown": their clocks' zero (MP4's is 1904, Unix' 1970, Matroska's 2001).
_OLDEST_YEAR = 1980
_ZERO = datetime(2001, 1, 1)

_TIME = re.compile(
    r"(?<![0-9])(?P<year>(?:19|20)[0-9]{2})(?P<d>[-_.]?)(?P<month>[0-9]{2})(?P=d)(?P<day>[0-9]{2})"
    r"(?P<between>[T_ .-]| at |)"
    r"(?P<hour>[0-9]{2})(?P<t>[-_.:h]?)(?P<minute>[0-9]{2})(?:(?:(?P=t)|(?<=h[0-9]{2})m)(?P<second>[0-9]{2})"
    r"(?:[.]?[0-9]{3})?)?(?![0-9])"
)
"""20261120_080000, 2026-11-20T08-00-00, 20261120080000, 2026-11-20 08.00, 20261120_080000123."""


def is_video(name: str) -> bool:
    """Whether a file's name says that it is a video; its content may still say otherwise."""
    return PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES


def probe(path: Path, *, key: str, camera: str) -> Video:
    """Describe a video file.

    Width and height are those of the first sound frame, as displayed (turned as the rotation metadata says).  The file
    is read in full only for its hash; memory does not grow with its length.  The venue, the event and the crop are left
    open.

    Args:
        path: the file.
        key: its storage key, kept in the record and used in errors; the time in its name counts where the container
            states none.
        camera: the camera that filmed it.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it is empty, not a video, cut off before its index, has no video stream, or none of its
            frames can be decoded.
    """
    with VideoReader(path, key=key) as reader:
        frames = iter(reader)
        first = next(frames)
        width, height = first.size_wh
        pixel_format = str(first.picture.format.name)
        rotation = int(round(first.picture.rotation / 90) * 90 % 360)
        interlaced = bool(first.picture.interlaced_frame) or any(
            frame.picture.interlaced_frame for frame in islice(frames, _FIRST_FRAMES - 1)
        )
        frame_rate, duration_s = reader.frame_rate, reader.duration_s
    with open_video(path, key) as container:
        stream = video_stream(container, key)
        name = PurePosixPath(key).stem
        return Video(
            id=sha256_of(path, name=key)[:ID_LENGTH],
            key=key,
            name=name,
            camera=camera,
            size_bytes=path.stat().st_size,
            width=width,
            height=height,
            # Not the decoder's name: AV1 has several.
            codec=str(stream.codec_context.codec.canonical_name),
            frame_rate=None if frame_rate is None else Fraction(frame_rate),
            duration_s=None if duration_s is None else float(duration_s),
            pixel_format=pixel_format,
            variable_rate=_variable_rate(container, stream),
            audio=bool(container.streams.audio),
            rotation=rotation,
            interlaced=interlaced,
            captured_at=_stated_time(container.metadata, stream.metadata) or time_in_name(name),
        )


def time_in_name(name: str) -> str | None:
    """When a recording began, by its file's name: ``cam1_20261120_080000`` gives ``2026-11-20T08:00:00``.

    The date comes first, year foremost, then the time, at least to the minute; the first such time in the name counts,
    for exports are named from begin to end.  A name never tells the zone.  None for a name without a time, or with
    digits that are no date.
    """
    for found in _TIME.finditer(name):
        if not found["between"] and (found["d"] or found["t"] or not found["second"]):
            continue
        try:
            year, month, day, hour, minute = (int(found[part]) for part in ("year", "month", "day", "hour", "minute"))
            return datetime(year, month, day, hour, minute, int(found["second"] or 0)).isoformat()
        except ValueError:
            continue
    return None


def _stated_time(*metadata: Mapping[str, str]) -> str | None:
    """The time of capture by the container's own words, or the stream's; Apple's first, for it knows the zone."""
    stated = [{key.lower(): value for key, value in one.items()} for one in metadata]
    for key in _ZONED_KEYS:
        for values in stated:
            if time := _iso(values.get(key, "")):
                return time
    return None


def _iso(text: str) -> str | None:
    """A date with a time of day as ISO 8601; None for anything else and for a clock that was never set."""
    text = text.strip()
    if len(text) <= len("2026-11-20"):
        return None
    try:
        time = datetime.fromisoformat(text.removesuffix(" UTC") + ("+00:00" if text.endswith(" UTC") else ""))
    except ValueError:
        return None
    if time.year < _OLDEST_YEAR or time.replace(tzinfo=None) == _ZERO:
        return None
    return time.isoformat()


def _variable_rate(container: Any, stream: Any) -> bool | None:
    """Whether intervals between frames differ by more than rounding, by the index or by the first packets.

    Packets are not decoded.  None where they carry no times, or are too few to tell.
    """
    index = stream.index_entries
    if stream.frames and len(index) == stream.frames:
        times = [int(entry.timestamp) for entry in islice(index, _MOST_ENTRIES)]
    else:
        times = []
        read = 0
        for packet in packets(container, stream):
            if packet is None:  # after damage the intervals tell nothing
                break
            if packet.pts is not None:
                times.append(packet.pts)
            read += packet.size
            if len(times) == _MOST_PACKETS or read > _MOST_BYTES:
                times = sorted(times)[:-_REORDERED]
                break
        times.sort()
    gaps = sorted(b - a for a, b in pairwise(times))
    if len(gaps) < 2:
        return None
    usual = gaps[len(gaps) // 2]
    # Times are rounded to the container's ticks (milliseconds in Matroska): an interval by two of them at most.  Where
    # an interval is a tick or so, ticks are made for the rate, and nothing is rounded.
    room = max(usual * _JITTER, min(Fraction(2), Fraction(usual, 2)))
    return usual - gaps[0] > room or gaps[-1] - usual > room
