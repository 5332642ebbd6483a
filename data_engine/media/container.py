"""Opening a video file and following its packets, with a clear error for whatever is no video."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from data_engine.errors import DamagedInputError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Without this list a text file may pass for something else: a playlist that opens other files, ANSI art, subtitles.
_CONTAINERS = (
    "asf,av1,avi,dhav,dv,flv,h261,h263,h264,hevc,ivf,m4v,matroska,webm,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,"
    "mxf,nut,obu,ogg,rm,vc1,wtv"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# Bytes that Matroska's own headers may take between two packets.
_MOST_OVERHEAD = 1024
# A broken index may fail at every read: give up after so many failures without a packet between them.
_MOST_READ_ERRORS = 16


def open_video(path: Path, key: str) -> Any:
    """Open a file as an ``av`` input container, never as a playlist or anything else that leads to other files.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it cannot be read, is empty, or is not a video; ``key`` names it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError:
        raise MissingInputError(f"{key} is not there") from None
    except OSError as error:
        raise DamagedInputError(f"{key} cannot be read: {(error.strerror or 'unknown error').lower()}") from None
    if not head:
        raise DamagedInputError(f"{key} is empty (0 bytes)")
    try:
        return av.open(os.path.abspath(path), options=dict(_OPTIONS), metadata_errors="replace")
    except av.FFmpegError:
        if head[4:8] == b"ftyp":
            raise DamagedInputError(f"{key} is damaged: its index is missing, the recording was cut off") from None
        raise DamagedInputError(f"{key} is not a video: its content is of no known video format") from None


def video_stream(container: Any, key: str) -> Any:
    """The container's first ``av`` video stream; a sound file's cover picture is none.

    Raises:
        DamagedInputError: there is no such stream, or no decoder for it.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise DamagedInputError(f"{key} holds video of a kind that cannot be decoded")
            return stream
    raise DamagedInputError(f"{key} holds no video stream" + (", only sound" if container.streams.audio else ""))


def stated_duration(stream: Any) -> Fraction | None:
    """Seconds that the video should last by what is written about its own stream; None where nothing is."""
    stated = []
    if stream.duration:
        stated.append(stream.duration * Fraction(stream.time_base))
    if stream.frames and stream.average_rate and (not stated or stream.container.format.name == "avi"):
        # The header of a truncated AVI still knows how many frames there were; FFmpeg's duration only what is left.
        stated.append(stream.frames / Fraction(stream.average_rate))
    if clock := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
        stated.append(int(clock[1]) * 3600 + int(clock[2]) * 60 + Fraction(clock[3]))
    return max(stated, default=None)


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets, then the empty one that flushes the decoder; None where something could not be read.

    After damage FFmpeg looks for the next intact cluster of a Matroska file and says nothing of what it skipped, so
    there the packets of all streams are followed through the file, and bytes that belong to none count as damage.
    """
    followed = "matroska" in container.format.name
    end: int | None = None
    errors = 0
    while errors < _MOST_READ_ERRORS:
        try:
            for packet in container.demux() if followed else container.demux(stream):
                errors = 0
                if followed and packet.size and packet.pos is not None:
                    if end is not None and packet.pos - end > _MOST_OVERHEAD:
                        yield None
                    end = packet.pos + packet.size
                if packet.stream.index == stream.index:
                    yield packet
            return
        except av.FFmpegError:
            errors += 1
            yield None
