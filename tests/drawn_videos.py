"""Small videos drawn on the spot: a background with something that moves across it, told apart by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def pictures(seed: int, *, count: int = 40, size: tuple[int, int] = (160, 120)) -> Iterator[np.ndarray]:
    """``(height, width, 3)`` uint8 RGB pictures; the same moments for a seed, whatever the size."""
    rng = np.random.default_rng(seed)
    background = cv2.resize(rng.integers(70, 170, (6, 8, 3), dtype=np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    start, end = rng.integers(0, 360, (2, 2))
    colour = [int(value) for value in rng.integers(180, 256, 3)]
    for number in range(count):
        x, y = (start + (end - start) * number / count + 60 * np.sin(number * np.pi / 7 + seed)).astype(int)
        drawn = background.copy()
        cv2.rectangle(drawn, (int(x) + 60, int(y)), (int(x) + 190, int(y) + 130), colour, -1)
        yield cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)


def write_video(
    path: Path,
    seed: int = 0,
    *,
    count: int = 40,
    size: tuple[int, int] = (160, 120),
    borders: tuple[int, int] = (0, 0),
    codec: str = "mpeg4",
    metadata: dict[str, str] | None = None,
) -> Path:
    """A video of 10 frames a second.

    Args:
        borders: black pixels at the left and right, and above and below, around a picture of ``size``.
        metadata: of the container.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    side, above = borders
    # Opened by Python: FFmpeg takes no name that is not UTF-8.
    with path.open("wb") as file, av.open(file, "w", format=_FORMATS[path.suffix]) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = size[0] + 2 * side, size[1] + 2 * above, "yuv420p"
        stream.bit_rate = 2_000_000
        for number, picture in enumerate(pictures(seed, count=count, size=size)):
            frame = av.VideoFrame.from_ndarray(np.pad(picture, ((above, above), (side, side), (0, 0))), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


_FORMATS = {".mp4": "mp4", ".avi": "avi", ".mkv": "matroska"}


def write_sequence(folder: Path, seed: int = 0, *, count: int = 20, size: tuple[int, int] = (160, 120)) -> Path:
    """A folder of numbered pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures(seed, count=count, size=size)):
        _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        (folder / f"img_{number:04d}.png").write_bytes(data.tobytes())
    return folder
