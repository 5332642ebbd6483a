"""Hours of footage: no drift, and no memory that grows."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from data_engine.media.decode import VideoReader

NTSC = Fraction(30000, 1001)
TWO_HOURS, HALF_AN_HOUR = 216_000, 54_000
"""Frames at 29.97 a second."""


def long_video(path: Path, frames: int) -> Path:
    """A tiny video of so many frames at 29.97 a second: the packets of a short one again and again."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 16, 16, "yuv420p"  # type: ignore[attr-defined]
    encoder.time_base, encoder.gop_size, encoder.framerate = 1 / NTSC, 50, NTSC  # type: ignore[attr-defined]
    packets = []
    for number in range(50):
        shade = np.full((16, 16, 3), number * 4, np.uint8)
        picture = av.VideoFrame.from_ndarray(shade, format="rgb24")
        picture.pts, picture.time_base = number, 1 / NTSC
        packets += encoder.encode(picture)  # type: ignore[attr-defined]
    packets += encoder.encode(None)  # type: ignore[attr-defined]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=NTSC)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        stream.codec_context.open()
        for number in range(frames):
            model = packets[number % 50]
            packet = av.Packet(bytes(model))
            packet.pts = packet.dts = number
            packet.duration, packet.time_base, packet.stream = 1, 1 / NTSC, stream
            packet.is_keyframe = model.is_keyframe
            container.mux(packet)
    return path


@pytest.mark.parametrize(("name", "frames"), [("long.mp4", TWO_HOURS), ("long.mkv", HALF_AN_HOUR)])
def test_29_97_frames_a_second_do_not_drift_over_hours(tmp_path, name, frames):
    path = long_video(tmp_path / name, frames)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # What the container says of each packet is what ffprobe prints.
        stated = [packet.pts * stream.time_base for packet in container.demux(stream) if packet.size]
    with VideoReader(path, key=name) as reader:
        times = [frame.time_s for frame in reader]
        assert reader.damage is None
    assert len(times) == frames
    assert times == stated
    # Matroska's clock ticks in milliseconds.
    tolerance = Fraction(0) if name.endswith("mp4") else Fraction(1, 2000)
    assert all(abs(time - n / NTSC) <= tolerance for n, time in enumerate(times))


READING = """
import sys
from collections import deque
from pathlib import Path
from data_engine.media.decode import VideoReader

held, count = deque(maxlen=4), 0
with VideoReader(Path(sys.argv[1]), key="video") as reader:
    for frame in reader:
        held.append(frame)  # as pickers do
        frame.luma()
        count += 1
        if count % 20 == 5:
            frame.rgb()
            reader.position()
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(count, int(status["VmHWM"].split()[0]) // 1024)
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


def frames_and_peak_mib(path: Path) -> tuple[int, int]:
    """Read a video in a process of its own.

    ``ru_maxrss`` would be that of the process that started it, where that was larger.
    """
    done = subprocess.run([sys.executable, "-c", READING, str(path)], check=True, capture_output=True, text=True)
    count, peak = done.stdout.split()
    return int(count), int(peak)


@needs_proc
@pytest.mark.parametrize(
    ("codec", "pix_fmt", "encoder"),
    [
        ("libx264", "yuv420p", {"preset": "ultrafast", "bf": "3", "refs": "4"}),
        ("libx265", "yuv420p10le", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=4:ref=4:pools=1"}),
    ],
)
def test_4k_takes_less_than_600_mb(tmp_path, codec, pix_fmt, encoder):
    path = tmp_path / "4k.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=encoder)
        stream.width, stream.height, stream.pix_fmt = 3840, 2160, pix_fmt
        stream.codec_context.thread_count = 1
        for number in range(12):
            planes = np.full((3240, 3840), 128, np.uint8)
            planes[:200, 40 * number : 40 * number + 200] = 255
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p").reformat(format=pix_fmt)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    count, peak = frames_and_peak_mib(path)
    assert count == 12
    assert peak < 600 * 1000 * 1000 / 2**20


@needs_proc
def test_memory_does_not_grow_with_length(tmp_path):
    short, long = (frames_and_peak_mib(long_video(tmp_path / f"{n}.mkv", n)) for n in (2_000, 50_000))
    assert (short[0], long[0]) == (2_000, 50_000)
    assert long[1] < short[1] + 8
