"""What a video file is, found by opening it, reading its bytes and decoding its first frame."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from data_engine.media.decode import VideoReader
from data_engine.media.images import sha256_of
from data_engine.types import ID_LENGTH, Video

# fmt: off
VIDEO_SUFFIXES = frozenset([
    ".264", ".265", ".3gp", ".asf", ".avi", ".dav", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg",
    ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv",
])
# fmt: on
"""Suffixes of the files that are looked at as videos, in lower case."""


def is_video(name: str) -> bool:
    """Whether a file's name says that it is a video; its content may still say otherwise."""
    return PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES


def probe(path: Path, *, key: str, camera: str) -> Video:
    """Describe a video file.

    Width and height are those of the first sound frame, as displayed (turned as the rotation metadata says).

    Args:
        path: the file.
        key: its storage key, kept in the record and used in errors.
        camera: the camera that filmed it.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it is empty, not a video, cut off before its index, has no video stream, or none of its
            frames can be decoded.
    """
    with VideoReader(path, key=key) as reader:
        width, height = next(iter(reader)).size_wh
        return Video(
            id=sha256_of(path)[:ID_LENGTH],
            key=key,
            name=PurePosixPath(key).stem,
            camera=camera,
            size_bytes=path.stat().st_size,
            width=width,
            height=height,
            codec=reader.codec,
            frame_rate=reader.frame_rate,
            duration_s=None if reader.duration_s is None else float(reader.duration_s),
        )
