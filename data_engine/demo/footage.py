"""Footage of plant floors that never were, with the exact truth of every frame.

Videos lie below a folder with ``truth.json`` beside them, so that another process can read the truth back.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from data_engine.demo.camera import CLASSES, HELMET, NO_HELMET, PERSON, LabelledBox, Take
from data_engine.demo.plan import plan_clip
from data_engine.demo.scene import Scene, draw_scene
from data_engine.errors import (
    DamagedInputError,
    MissingDependencyError,
    MissingInputError,
    StorageFullError,
    UsageError,
)

__all__ = [
    "CLASSES",
    "HELMET",
    "NO_HELMET",
    "PERSON",
    "TRUTH_FILE",
    "Clip",
    "Footage",
    "LabelledBox",
    "make_footage",
]

TRUTH_FILE = "truth.json"
_FORMAT = "dataengine-footage-1"
_TOLERANCE_S = 0.001


@dataclass(frozen=True, slots=True)
class Clip:
    """One video with its truth."""

    name: str
    """File name without its suffix, unique in the footage."""
    camera: str
    file: str
    """``/``-separated, relative to the footage's folder."""
    frame_rate: Fraction
    size: tuple[int, int]
    """Width and height in pixels."""
    frames: tuple[tuple[LabelledBox, ...], ...]
    """Frame ``i`` is presented at ``i / frame_rate`` seconds."""


@dataclass(frozen=True, slots=True)
class Footage:
    """Clips below a folder, and what is to be seen in them."""

    folder: Path
    clips: tuple[Clip, ...]

    def boxes_at(self, video_name: str, time_s: float | Fraction) -> list[LabelledBox]:
        """The boxes of the frame that is presented at a time.

        Args:
            video_name: file name of the video, with or without its suffix.
            time_s: presentation time in seconds, exact or rounded to milliseconds.

        Raises:
            KeyError: there is no such video.
            ValueError: no frame of the video is presented at that time.
        """
        clip = self.clip(video_name)
        index = round(time_s * clip.frame_rate)
        if not 0 <= index < len(clip.frames) or abs(float(index / clip.frame_rate) - float(time_s)) > _TOLERANCE_S:
            raise ValueError(f"{clip.name} presents no frame at {float(time_s):.6f} s")
        return list(clip.frames[index])

    def clip(self, video_name: str) -> Clip:
        """The clip of a video's file name, with or without its suffix; KeyError when there is none."""
        for clip in self.clips:
            if video_name in (clip.name, Path(clip.file).name):
                return clip
        raise KeyError(video_name)

    def path(self, clip: Clip) -> Path:
        """Where the clip's video lies."""
        return self.folder / clip.file

    def save(self) -> Path:
        """Write the truth beside the videos, for :meth:`load`."""
        clips = [
            {
                "name": clip.name,
                "camera": clip.camera,
                "file": clip.file,
                "frame_rate": f"{clip.frame_rate.numerator}/{clip.frame_rate.denominator}",
                "size": clip.size,
                "frames": [[[label, *xywh] for label, xywh in frame] for frame in clip.frames],
            }
            for clip in self.clips
        ]
        target = self.folder / TRUTH_FILE
        text = json.dumps({"format": _FORMAT, "classes": CLASSES, "clips": clips}, separators=(",", ":"))
        temporary = target.with_name(f".{TRUTH_FILE}.tmp")
        temporary.write_text(text + "\n", "utf-8")
        os.replace(temporary, target)
        return target

    @classmethod
    def load(cls, folder: Path) -> Footage:
        """Read back what :meth:`save` wrote.

        Raises:
            MissingInputError: the folder holds no footage.
            DamagedInputError: its truth file is not one.
        """
        file = folder / TRUTH_FILE
        try:
            document = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            raise MissingInputError(f"{file} is not there", hint="dataengine demo") from None
        except ValueError:
            raise DamagedInputError(f"{file} is not JSON") from None
        try:
            if document["format"] != _FORMAT:
                raise ValueError("another format")
            return cls(folder, tuple(_clip_from(entry) for entry in document["clips"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedInputError(f"{file} is not the truth of drawn footage: {error}") from None


def _clip_from(entry: dict[str, Any]) -> Clip:
    width, height = entry["size"]
    return Clip(
        name=entry["name"],
        camera=entry["camera"],
        file=entry["file"],
        frame_rate=Fraction(entry["frame_rate"]),
        size=(width, height),
        frames=tuple(tuple((label, (x, y, w, h)) for label, x, y, w, h in frame) for frame in entry["frames"]),
    )


def make_footage(
    folder: Path,
    *,
    seed: int,
    cameras: int,
    seconds: float,
    fps: Fraction,
    size: tuple[int, int],
    clips: int = 1,
) -> Footage:
    """Draw and encode ``cameras`` x ``clips`` videos of ``seconds`` each, and save their truth.

    The videos are ``<folder>/camera-1/camera-1-clip-1.mp4`` … (H.264); each camera has its own hall, each clip its own
    people.  The same arguments give the same bytes.

    Raises:
        UsageError: a number that makes no video: odd or tiny sizes, nothing to film.
        StorageFullError: the disk is full.
    """
    width, height = size
    if width % 2 or height % 2 or width < 160 or height < 120:
        raise UsageError(f"footage of {width}x{height} pixels cannot be drawn: take even numbers from 160x120")
    if cameras < 1 or clips < 1 or fps <= 0 or seconds * fps < 1:
        raise UsageError(f"{cameras} cameras, {clips} clips of {seconds} s at {fps} frames a second hold no frame")
    made = []
    for camera in range(cameras):
        scene = draw_scene(np.random.default_rng([seed, camera]), size, camera)
        for clip in range(clips):
            # The stream of a clip does not depend on how many others there are.
            rng = np.random.default_rng([seed, camera, clip + 1])
            made.append(_film(folder, scene, rng, camera=camera, clip=clip, seconds=seconds, fps=Fraction(fps)))
    footage = Footage(folder, tuple(made))
    footage.save()
    return footage


def _film(
    folder: Path, scene: Scene, rng: np.random.Generator, *, camera: int, clip: int, seconds: float, fps: Fraction
) -> Clip:
    camera_name = f"camera-{camera + 1}"
    name = f"{camera_name}-clip-{clip + 1}"
    file = f"{camera_name}/{name}.mp4"
    target = folder / file
    height, width = scene.depth.shape
    take = Take(scene, plan_clip(scene, rng, seconds), rng, f"CAM {camera + 1}", 3600 * (7 + 3 * clip) + 600 * camera)
    truth: list[tuple[LabelledBox, ...]] = []

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for index in range(int(seconds * fps)):
            picture, boxes = take.frame(float(index / fps))
            truth.append(boxes)
            yield picture

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{name}.tmp.mp4")
        _encode(temporary, pictures(), (width, height), fps)
        os.replace(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"the disk is full: {file} was not written", hint="free some space") from error
        raise
    return Clip(name, camera_name, file, fps, (width, height), tuple(truth))


def _encode(path: Path, pictures: Iterator[NDArray[np.uint8]], size: tuple[int, int], fps: Fraction) -> None:
    """Write H.264 whose bytes depend on the pictures only: one thread, no versions or times in the container."""
    # No B-frames, as cameras send it: frames are stored in the order in which they are shown.
    options = {"preset": "veryfast", "crf": "25", "bf": "0", "g": str(max(1, round(5 * fps))), "threads": "1"}
    with av.open(str(path), "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        try:
            stream = container.add_stream("libx264", rate=fps, options=options)
        except av.FFmpegError as error:
            raise MissingDependencyError(
                "this PyAV cannot encode H.264", hint="pip install --force-reinstall av"
            ) from error
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
