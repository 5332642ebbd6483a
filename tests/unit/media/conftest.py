"""Short videos that the tests make themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

MakeVideo = Callable[..., Path]


def scene(number: int, width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """A blocky background with a bright square that moves 5 pixels a frame; its top left corner is white."""
    blocks = np.random.default_rng(0).integers(60, 180, (height // 8, width // 8, 3), dtype=np.uint8)
    picture = blocks.repeat(8, 0).repeat(8, 1)
    left = number * 5 % (width - 40)
    picture[80:140, left : left + 40] = (255, 40, 40)
    picture[:32, :32] = 255
    return picture


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """Write a video of :func:`scene` below ``tmp_path``; returns its path."""

    def make(
        name: str,
        *,
        frames: int = 50,
        rate: Fraction | int = 25,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        times_ms: Sequence[int] | None = None,
        rotation: int = 0,
        b_frames: int | None = None,
        format: str | None = None,
        encoder: Mapping[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
        with av.open(str(path), "w", format=format, options=options) as container:
            stream = container.add_stream(codec, rate=rate, options=dict(encoder or {}))
            stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, pix_fmt, 10
            if b_frames is not None:
                stream.codec_context.max_b_frames = b_frames
            if rotation:
                stream.set_display_rotation(rotation)
            if times_ms is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(scene(number), format="rgb24")
                frame.pts = number if times_ms is None else times_ms[number]
                frame.time_base = 1 / Fraction(rate) if times_ms is None else Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


@pytest.fixture
def make_sound(tmp_path: Path) -> MakeVideo:
    """Write a second of silence as a file without video; returns its path."""

    def make(name: str) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=44100, layout="mono")
            for start in range(0, 44100, 1024):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 44100, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make
