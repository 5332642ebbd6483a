"""What ``sample.py`` measures, each in a process of its own: ``python sample_contenders.py NAME FILE [FILE]``.

Prints one JSON object about its work; CPU time and peak memory of the process are measured by whoever started it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_engine.storage.local import LocalStorage

THRESHOLD = 0.85
"""Of the similarity, for the naive way too."""
NAIVE_FRAMES = 12
"""Frames that the naive way is given; the rest is extrapolated."""

Facts = dict[str, Any]


class DroppingStorage(LocalStorage):
    """Keeps everything but pictures; reads videos at absolute paths."""

    def path(self, key: str) -> Path:
        """See :class:`data_engine.ports.Storage`."""
        return Path(key) if key.startswith("/") else super().path(key)

    def write_bytes(self, key: str, data: bytes) -> None:
        """See :class:`data_engine.ports.Storage`."""
        if not key.endswith(".jpg"):
            super().write_bytes(key, data)

    def link(self, source_key: str, target_key: str) -> None:
        """See :class:`data_engine.ports.Storage`."""
        if not source_key.endswith(".jpg"):
            super().link(source_key, target_key)


def pyav(path: Path) -> Facts:
    """Decoding by PyAV, nothing else."""
    import av

    started = time.process_time()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = sum(1 for _ in container.decode(stream))
    return {"frames": frames, "started": started}


def reader(path: Path, **options: Any) -> Facts:
    """Iterating over :class:`VideoReader`, nothing else."""
    from data_engine.media.decode import VideoReader

    started = time.process_time()
    with VideoReader(path, key=path.name, **options) as frames:
        return {"frames": sum(1 for _ in frames), "started": started}


def keyframe_reader(path: Path) -> Facts:
    """The same, of the key frames."""
    return reader(path, keyframes_only=True)


def pyscenedetect(path: Path, detector: str) -> Facts:
    """PySceneDetect with the defaults of one of its detectors."""
    import scenedetect

    started = time.process_time()
    video = scenedetect.open_video(str(path), backend="opencv")
    manager = scenedetect.SceneManager()
    manager.add_detector(getattr(scenedetect, detector)())
    frames = manager.detect_scenes(video)
    return {"frames": frames, "kept": len(manager.get_scene_list(start_in_scene=True)), "started": started}


def naive(path: Path) -> Facts:
    """OpenCV's reader, gray, scikit-image's similarity of full-size pictures; a few frames, the rest extrapolated."""
    import cv2
    from skimage.metrics import structural_similarity

    started = time.process_time()
    capture = cv2.VideoCapture(str(path))
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    kept, last, looked = 0, None, 0
    while looked < min(NAIVE_FRAMES, frames):
        read, picture = capture.read()
        if not read:
            break
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        if last is None or structural_similarity(last, gray) < THRESHOLD:
            kept, last = kept + 1, gray
        looked += 1
    # The first frame is compared with nothing.
    one_s = (time.process_time() - started) / max(1, looked - 1)
    return {"frames": frames, "started": started, "extrapolated_s": one_s * (frames - looked)}


def sample(path: Path, method: str) -> Facts:
    """The stage itself, with default settings; pictures are encoded, which is timed apart, and then dropped."""
    import numpy as np

    from data_engine.media import hashing, images
    from data_engine.media.frame import DecodedFrame
    from data_engine.media.similarity import reduced
    from data_engine.stages.sample import sample_one
    from data_engine.stages.sample_settings import SampleSettings

    _import_decoders()
    saving = 0.0
    converting = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal saving, converting
            began = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                spent = time.process_time() - began
                # A picture's colours belong to saving it where they are what is encoded next, else to looking at it.
                if function is to_rgb:
                    converting = spent
                else:
                    saving, converting = saving + spent + converting, 0.0

        return call

    to_rgb = DecodedFrame.rgb
    DecodedFrame.rgb = timed(to_rgb)  # type: ignore[method-assign]
    images.encode_jpeg = timed(images.encode_jpeg)
    hashing.dhash_of_bytes = timed(hashing.dhash_of_bytes)
    settings = SampleSettings(method=method, workers=1)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        video, storage = _video(path, 0), DroppingStorage(Path(folder))
        started = time.process_time()
        sampled = sample_one(video, settings, storage, output="frames", scratch="scratch")
    height, width = reduced(np.zeros((video.height, video.width), np.uint8)).shape
    return {
        "frames": sampled.decoded,
        "kept": len(sampled.frames),
        "started": started,
        "saving_s": saving,
        "reduced": f"{width} x {height}",
    }


def together(path: Path, workers: int) -> Facts:
    """As many files as workers, sampled at once by processes; each file is the same one under another name."""
    from data_engine.cli.progress import SilentProgress
    from data_engine.executors.processes import ProcessExecutor
    from data_engine.stages.sample import sample as sample_all
    from data_engine.stages.sample_settings import SampleSettings

    settings = SampleSettings(method="tiles", workers=workers)
    with tempfile.TemporaryDirectory() as folder:
        videos = [_video(path, number) for number in range(workers)]
        started, began = time.process_time(), time.perf_counter()
        outcomes = sample_all(
            videos,
            settings,
            storage=DroppingStorage(Path(folder)),
            executor=ProcessExecutor(workers),
            progress=SilentProgress(),
            output="frames",
            scratch="scratch",
        )
        frames = sum(outcome.decoded for outcome in outcomes)  # type: ignore[union-attr]
    return {"frames": frames, "started": started, "wall_s": time.perf_counter() - began}


def draw(path: Path, kind: str, frames: int) -> Facts:
    """Draw the footage."""
    from camera_footage import write_footage

    if kind == "1080p":
        write_footage(path, frames=frames)
    else:
        codec, bits = ("libx264", 8) if kind == "4k" else ("libx265", 10)
        write_footage(path, frames=frames, size_wh=(3840, 2160), codec=codec, bits=bits)
    return {"frames": frames, "started": 0.0}


def _import_decoders() -> None:
    """What the stage imports when it begins to read, so that it counts as start-up here as it does elsewhere."""
    import data_engine.media.content
    import data_engine.media.decode
    import data_engine.media.quality
    import data_engine.media.tiles  # noqa: F401


def _video(path: Path, number: int) -> Any:
    """A record of the file, as it stands in the database; with a number it is one of several."""
    from data_engine.media.probe import probe

    video = probe(path, key=str(path), camera="camera")
    return replace(video, id=f"{number}{video.id[1:]}")


CONTENDERS: dict[str, Callable[[Path], Facts]] = {
    "pyav": pyav,
    "reader": reader,
    "keyframe-reader": keyframe_reader,
    "pyscenedetect-adaptive": lambda path: pyscenedetect(path, "AdaptiveDetector"),
    "pyscenedetect-content": lambda path: pyscenedetect(path, "ContentDetector"),
    "naive": naive,
    "scene-change": lambda path: sample(path, "scene-change"),
    "tiles": lambda path: sample(path, "tiles"),
    "interval": lambda path: sample(path, "interval"),
    "keyframes": lambda path: sample(path, "keyframes"),
    "content": lambda path: sample(path, "content"),
    "together-1": lambda path: together(path, 1),
    "together-2": lambda path: together(path, 2),
}


def main(arguments: Sequence[str]) -> None:
    name, path = arguments[0], Path(arguments[1]).resolve()
    facts = draw(path, name, int(arguments[2])) if len(arguments) > 2 else CONTENDERS[name](path)
    facts["start_s"] = facts.pop("started")
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1:])
