"""Stage 1: videos -> the frames in which something changed.

A frame is kept by its structural similarity to the frame kept before it, tile by tile on static cameras, or at fixed
intervals of time.  What is kept depends on the video and the settings alone, never on the number of workers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.stages.base import StageSettings
from data_engine.types import Failed, Frame, Sampled, SampledFrame, Video, content_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from data_engine.media.decode import DecodedFrame
    from data_engine.media.picking import Picker
    from data_engine.ports import Executor, Progress, Storage

VERSION = 1
"""Raised whenever the same video would be sampled differently."""

_ONLY_FOR = {
    "threshold": "scene-change",
    "interval": "interval",
    "tile_change": "tiles",
    "tile_seconds": "tiles",
}
_LONGEST_NAME = 120  # bytes of UTF-8 left to the video's part: file systems take 255 for the whole name


class SampleSettings(StageSettings):
    """Settings of ``sample``."""

    method: Literal["scene-change", "tiles", "interval"] = Field(
        "scene-change",
        description="How frames are chosen: when the picture as a whole changed, when some tiles of it did (static "
        "cameras), or at fixed intervals.",
    )
    threshold: float = Field(
        0.85,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="scene-change: mean structural similarity from which on a frame counts as the same as the last "
        "kept one.",
    )
    interval: float = Field(1.0, gt=0, allow_inf_nan=False, description="interval: seconds from frame to frame.")
    tile_change: float = Field(
        0.4,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="tiles: change from which on a tile counts as changed; 0 is none, 1 unrelated content.",
    )
    tile_seconds: float = Field(
        3.0,
        gt=0,
        allow_inf_nan=False,
        description="tiles: changed tiles times seconds that make a frame worth keeping; higher keeps fewer.",
    )
    min_gap: float = Field(0.0, ge=0, allow_inf_nan=False, description="Least seconds between two kept frames.")
    limit: int | None = Field(None, ge=1, description="Most frames in all, over all videos.")
    quality: int = Field(92, ge=1, le=100, description="JPEG quality of the saved frames.")
    names: Literal["stamped", "sequential"] = Field(
        "stamped",
        description="File names: video, time in ms and a short id, the same on every run; or frame_00001.jpg onwards.",
    )
    workers: int = Field(0, ge=0, description="Videos read at the same time; 0 for as many as there are cores.")

    def fingerprint(self) -> str:
        """A content id of the values that can change the result: not the workers, nor another method's settings."""
        idle = {name for name, method in _ONLY_FOR.items() if method != self.method}
        values = self.model_dump(mode="json", exclude=idle | {"workers"})
        return content_id("settings", type(self).__name__, *(f"{name}={values[name]!r}" for name in sorted(values)))


def sample(
    videos: Sequence[Video],
    settings: SampleSettings,
    *,
    storage: Storage,
    executor: Executor,
    progress: Progress,
    output: str,
    first_number: int = 1,
    remaining: int | None = None,
) -> Generator[Sampled | Failed, None, None]:
    """Sample videos into pictures below ``output``; one outcome a video, in the order of the videos.

    A video that cannot be read is one Failed outcome.  Videos are read in parallel where none has to know what the
    ones before it gave, so without a limit and with stamped names.

    Args:
        videos: what to sample.
        settings: how.
        storage: where the videos are and the pictures go.
        executor: where the work is done.
        progress: told of each video done.
        output: key of the folder for the pictures.
        first_number: number of the first picture where names are sequential.
        remaining: frames that may still be kept; ``settings.limit`` when not given.  When none is left, the videos
            that were not begun have no outcome.

    Raises:
        StorageFullError: the disk is full.
    """
    left = settings.limit if remaining is None else remaining
    progress.start("sampling", len(videos), "videos")
    try:
        if left is None and settings.names == "stamped":
            work = (_Work(video, settings, storage, output) for video in videos)
            outcomes = executor.map(_outcome, work)
        else:
            outcomes = _in_turn(videos, settings, storage, output, first_number, left)
        with ExitStack() as stack:
            # Whatever happens to the one who listens, no worker outlives this.
            if isinstance(outcomes, Generator):
                stack.callback(outcomes.close)
            for outcome in outcomes:
                progress.advance()
                if isinstance(outcome, Sampled) and outcome.damage:
                    progress.note(f"{PurePosixPath(outcome.video.key).name}: {outcome.damage}")
                yield outcome
    finally:
        progress.finish()


def sample_one(
    video: Video,
    settings: SampleSettings,
    storage: Storage,
    *,
    output: str,
    first_number: int = 1,
    limit: int | None = None,
) -> Sampled:
    """Sample one video into pictures below ``output``.  Runs in a worker process.

    Args:
        video: what to sample.
        settings: how.
        storage: where the video is and the pictures go.
        output: key of the folder for the pictures.
        first_number: number of the first picture where names are sequential.
        limit: frames to keep at most, from 1; reading stops at the last of them.

    Raises:
        MissingInputError: the video is not there.
        DamagedInputError: it is not a video, or not one of its frames can be decoded.
        StorageFullError: the disk is full.
    """
    from data_engine.media.decode import VideoReader

    picker = make_picker(settings)
    kept: list[SampledFrame] = []
    # One decoding thread: with more, what FFmpeg makes of a damaged video depends on which thread was first.
    with VideoReader(storage.path(video.key), key=video.key, threads=1) as reader:
        for decoded in reader:
            pick = picker.pick(decoded.time_s, decoded.luma)
            if pick is not None:
                frame, sha256 = _save(decoded, video, settings, storage, output, first_number + len(kept))
                kept.append(SampledFrame(frame, sha256, pick.similarity))
                if len(kept) == limit:
                    break
        return Sampled(video, tuple(kept), reader.decoded, reader.damage)


def make_picker(settings: SampleSettings) -> Picker:
    """The picker that the settings name, at the beginning of a video."""
    from data_engine.media import picking

    if settings.method == "interval":
        return picking.IntervalPicker(settings.interval, settings.min_gap)
    if settings.method == "tiles":
        return picking.TilesPicker(settings.tile_change, settings.tile_seconds, settings.min_gap)
    return picking.SceneChangePicker(settings.threshold, settings.min_gap)


def sequential_name(number: int) -> str:
    """``frame_00001.jpg`` and onwards."""
    return f"frame_{number:05d}.jpg"


def sequential_number(name: str) -> int | None:
    """The number in a name of :func:`sequential_name`, None for any other name."""
    found = re.fullmatch(r"frame_(\d{5,})\.jpg", name)
    return int(found[1]) if found else None


def frame_name(video_name: str, time_s: Fraction, frame_id: str) -> str:
    """``<video>_<time in ms>_<short id>.jpg``, sorted by time; the short id keeps equal video names apart.

    What file systems, shells and lists of files trip over becomes ``_`` in the video's name; letters of any script
    stay.
    """
    letters = unicodedata.normalize("NFC", video_name)
    safe = "".join(c if c in "-." or unicodedata.category(c)[0] in "LMN" else "_" for c in letters)
    safe = re.sub("_+", "_", safe).strip("._-")
    safe = safe.encode()[:_LONGEST_NAME].decode(errors="ignore") or "video"
    return f"{safe}_{round(time_s * 1000):08d}_{frame_id[:8]}.jpg"


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker needs for one video."""

    video: Video
    settings: SampleSettings
    storage: Storage
    output: str
    first_number: int = 1
    limit: int | None = None


def _outcome(work: _Work) -> Sampled | Failed:
    try:
        return sample_one(
            work.video,
            work.settings,
            work.storage,
            output=work.output,
            first_number=work.first_number,
            limit=work.limit,
        )
    except (DamagedInputError, MissingInputError) as error:
        return Failed(work.video.id, error.message)


def _in_turn(
    videos: Sequence[Video],
    settings: SampleSettings,
    storage: Storage,
    output: str,
    number: int,
    left: int | None,
) -> Iterator[Sampled | Failed]:
    for video in videos:
        if left is not None and left <= 0:
            return
        outcome = _outcome(_Work(video, settings, storage, output, number, left))
        if isinstance(outcome, Sampled):
            number += len(outcome.frames)
            left = None if left is None else left - len(outcome.frames)
        yield outcome


def _save(
    decoded: DecodedFrame, video: Video, settings: SampleSettings, storage: Storage, output: str, number: int
) -> tuple[Frame, str]:
    """Write the picture; returns its record and the SHA-256 of the file."""
    import hashlib

    from data_engine.media.hashing import dhash_of_bytes
    from data_engine.media.images import encode_jpeg

    frame_id = content_id("frame", video.id, decoded.pts, str(decoded.time_base))
    if settings.names == "sequential":
        name = sequential_name(number)
    else:
        name = frame_name(video.name, decoded.time_s, frame_id)
    data = encode_jpeg(decoded.rgb(), settings.quality)
    key = name if output == "." else f"{output}/{name}"
    storage.write_bytes(key, data)
    width, height = decoded.size_wh
    frame = Frame(
        id=frame_id,
        name=name,
        key=key,
        width=width,
        height=height,
        camera=video.camera,
        video_id=video.id,
        pts=decoded.pts,
        time_base=decoded.time_base,
        # Of the file, as a picture that came without its video has it: equal files have equal hashes.
        dhash=dhash_of_bytes(data, name=key),
    )
    return frame, hashlib.sha256(data).hexdigest()
