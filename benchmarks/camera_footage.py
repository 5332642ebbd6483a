"""Footage of a fixed camera, drawn here: the same bytes for the same arguments on the same machine.

A textured background that never changes, the noise of a sensor, and things that cross the picture now and then.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]

FRAME_RATE = 25
KEYFRAME_EVERY_S = 2
NOISE = 2.5
"""Standard deviation of the sensor noise, in steps of 8-bit luma."""
# Each crossing: when it begins and how long it takes in seconds, the height of its path, width and height, brightness,
# from the left or not; all in parts of the picture.
_CROSSING_EVERY_S = 8


def write_footage(
    path: Path, *, frames: int, size_wh: tuple[int, int] = (1920, 1080), codec: str = "libx264", bits: int = 8
) -> None:
    """Write ``frames`` frames of H.264 (``libx264``) or HEVC (``libx265``), a keyframe every two seconds.

    Args:
        bits: 8 or 10 bits a sample.
    """
    keyint = FRAME_RATE * KEYFRAME_EVERY_S
    params = f"keyint={keyint}:min-keyint={keyint}:scenecut=0"
    options = {
        "libx264": {"preset": "veryfast", "crf": "23", "x264-params": params},
        "libx265": {"preset": "ultrafast", "crf": "26", "x265-params": f"{params}:log-level=none:pools=1"},
    }[codec]
    beside = path.with_name(f"{path.name}.part{path.suffix}")
    with av.open(str(beside), "w") as container:
        stream = container.add_stream(codec, rate=FRAME_RATE, options=options)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p" if bits == 8 else "yuv420p10le"
        stream.codec_context.thread_count = 1
        for number, planes in enumerate(_pictures(frames, size_wh)):
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(picture if bits == 8 else picture.reformat(format="yuv420p10le")))
        container.mux(stream.encode())
    beside.rename(path)


def _pictures(frames: int, size_wh: tuple[int, int]) -> Iterator[UInt8Array]:
    """Pictures as planes of YUV 4:2:0, one above the other."""
    width, height = size_wh
    rng = np.random.default_rng(0)
    background = _texture(rng, size_wh, 70, 170)
    chroma = [_texture(rng, (width // 2, height // 2), 118, 138) for _ in range(2)]
    # Noise is drawn once, and shifted at random from frame to frame.
    noise = np.rint(rng.normal(0, NOISE, (height + 64, width + 64))).astype(np.int16)
    planes = np.empty((height * 3 // 2, width), np.uint8)
    planes[height:] = np.concatenate([plane.ravel() for plane in chroma]).reshape(height // 2, width)
    things = [_texture(rng, (width // 20, height // 4), low, low + 90) for low in (20, 90, 150)]
    for number in range(frames):
        time_s = number / FRAME_RATE
        luma = background.copy()
        crossing = int(time_s // _CROSSING_EVERY_S)
        # A second of nothing, then something crosses for four seconds, then nothing.
        share = (time_s % _CROSSING_EVERY_S - 1) / 4
        if 0 <= share < 1:
            thing = things[crossing % len(things)]
            left = round((share if crossing % 2 else 1 - share) * (width - thing.shape[1]))
            top = round((0.2 + 0.45 * (crossing * 0.37 % 1)) * height)
            luma[top : top + thing.shape[0], left : left + thing.shape[1]] = thing
        y, x = rng.integers(0, 64, 2)
        planes[:height] = np.clip(luma + noise[y : y + height, x : x + width], 0, 255)
        yield planes


def _texture(rng: np.random.Generator, size_wh: tuple[int, int], low: int, high: int) -> UInt8Array:
    """Smooth large shapes with fine grain on them."""
    total = np.zeros(size_wh[::-1], np.float32)
    for cells, weight in ((6, 0.5), (24, 0.3), (160, 0.2)):
        coarse = rng.random((cells, cells), np.float32)
        total += weight * cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC)
    return np.clip(low + (high - low) * total, 0, 255).astype(np.uint8)
