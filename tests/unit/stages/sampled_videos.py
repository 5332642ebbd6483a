"""Small videos that sampling is tested on, and what it needs around it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np

from data_engine.executors.inline import InlineExecutor
from data_engine.media.probe import probe
from data_engine.stages import sample as stage
from data_engine.stages.sample_settings import SampleSettings
from data_engine.storage.local import LocalStorage
from data_engine.types import Failed, Sampled, Video

SCRATCH = ".dataengine/sampling/one"


class Recorder:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int | None, str]] = []
        self.done = 0
        self.advanced = 0
        self.notes: list[str] = []
        self.finished = 0

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        self.started.append((label, total, unit))
        self.done = done

    def advance(self, amount: int = 1) -> None:
        self.advanced += amount

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None:
        self.finished += 1


def write_video(path: Path, scenes: int = 4, frames_a_scene: int = 10, seed: int = 0, **options: Any) -> Path:
    """A video whose picture changes altogether every ``frames_a_scene`` frames."""
    size = options.get("size", (160, 120))
    numbers = range(scenes * frames_a_scene)
    return write_pictures(path, (scene(number // frames_a_scene, seed, size) for number in numbers), **options)


def write_pictures(
    path: Path, pictures: Iterable[np.ndarray], fps: int = 25, size: tuple[int, int] = (160, 120)
) -> Path:
    """A video of these pictures, a keyframe every five."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", 5
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def scene(number: int, seed: int = 0, size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """Blocks of random colours, others in each scene."""
    rng = np.random.default_rng([seed, number])
    return rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)


def add(storage: LocalStorage, key: str, **options: Any) -> Video:
    """Write such a video and describe it; its folder is its camera."""
    return probe(write_video(storage.path(key), **options), key=key, camera=key.split("/")[-2])


def run(
    storage: LocalStorage, videos: list[Video], settings: SampleSettings | None = None, **options: Any
) -> tuple[list[Sampled | Failed], Recorder]:
    """Sample the videos to the end."""
    progress = Recorder()
    given = {"executor": InlineExecutor(), "output": "frames", "scratch": SCRATCH, **options}
    settings = settings or SampleSettings()
    return list(stage.sample(videos, settings, storage=storage, progress=progress, **given)), progress


def sample_one(video: Video, settings: SampleSettings, storage: LocalStorage, *, output: str) -> Sampled:
    """Sample one video by itself."""
    return stage.sample_one(video, settings, storage, output=output, scratch=SCRATCH)


def files(storage: LocalStorage, folder: str = "frames") -> dict[str, bytes]:
    """Every file below a folder."""
    return {key: storage.read_bytes(key) for key in storage.list(folder)}
