"""Reading only the key frames gives those of a full reading, and no false damage."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from data_engine.errors import DamagedInputError
from data_engine.media.decode import VideoReader

Frames = list[tuple[int, bytes]]
OPEN_GOP = {"x264-params": "open-gop=1:keyint=10:min-keyint=10:scenecut=0"}
FAST = {"deadline": "realtime", "cpu-used": "8"}


def read(path: Path, keyframes_only: bool) -> tuple[Frames, VideoReader]:
    with VideoReader(path, key=path.name, keyframes_only=keyframes_only) as reader:
        found = [(frame.pts, frame.luma().tobytes()) for frame in reader if keyframes_only or frame.picture.key_frame]
        return found, reader


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("b frames.mp4", {"b_frames": 3}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.flv", {}),
        ("open gop.mp4", {"encoder": OPEN_GOP}),
        ("open gop.ts", {"encoder": OPEN_GOP}),
        ("variable rate.mp4", {"times_ms": [n * 40 + (n * n * 7) % 35 for n in range(50)]}),
        ("hevc.mp4", {"codec": "libx265", "encoder": {"x265-params": "log-level=none:keyint=10"}}),
        ("vp9.webm", {"codec": "libvpx-vp9", "encoder": {**FAST, "auto-alt-ref": "0"}}),
        ("vp8.webm", {"codec": "libvpx", "encoder": {**FAST, "auto-alt-ref": "1", "lag-in-frames": "10"}}),
        ("mpeg4.avi", {"codec": "mpeg4", "b_frames": 2}),
        ("h264.avi", {"b_frames": 0}),
        ("jpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("program.mpg", {"codec": "mpeg2video"}),
        ("raw.h264", {"format": "h264"}),
        ("interlaced.mp4", {"encoder": {"x264-params": "bff=1:keyint=10"}}),
    ],
)
def test_they_are_the_key_frames_of_a_full_reading(make_video, name, options):
    path = make_video(name, **options)
    whole, _ = read(path, keyframes_only=False)
    frames, reader = read(path, keyframes_only=True)
    assert len(whole) >= 5
    assert frames == whole
    assert (reader.decoded, reader.damage) == (len(whole), None)


def test_a_camera_that_refreshes_in_strips_has_one_key_frame(make_video):
    # Each strip's beginning is called a key packet, though no picture stands alone there.
    path = make_video("strips.mp4", encoder={"x264-params": "intra-refresh=1:keyint=10"})
    with av.open(str(path)) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) > 3
    frames, reader = read(path, keyframes_only=True)
    assert [pts for pts, _ in frames] == [0]
    assert reader.damage is None


def test_a_truncated_video_says_so(make_video):
    path = make_video("cut.mp4", frames=100)
    whole, _ = read(path, keyframes_only=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, reader = read(path, keyframes_only=True)
    assert frames == whole[: len(frames)]
    assert 3 <= len(frames) < 10
    assert (reader.damage or "").startswith("ends after ")


def test_the_end_of_a_sound_video_behind_its_last_key_frame_is_no_damage(make_video):
    path = make_video("long.mp4", frames=109, encoder={"x264-params": "keyint=100:scenecut=0"})
    frames, reader = read(path, keyframes_only=True)
    assert len(frames) == 2
    assert reader.damage is None


@pytest.mark.parametrize("name", ["hurt.mp4", "hurt.mkv", "hurt.ts"])
def test_damaged_key_frames_are_counted_and_no_smear_is_handed_out(make_video, name):
    path = make_video(name, frames=100)
    whole = dict(read(path, keyframes_only=True)[0])
    data = bytearray(path.read_bytes())
    span = slice(len(data) // 2, len(data) * 3 // 4)
    data[span] = np.random.default_rng(1).bytes(span.stop - span.start)
    path.write_bytes(data)
    frames, reader = read(path, keyframes_only=True)
    assert reader.damaged > 0
    assert 3 <= len(frames) < len(whole)
    assert all(whole[pts] == luma for pts, luma in frames)


def test_a_video_without_one_key_frame_that_can_be_decoded(make_video):
    path = make_video("hollow.mp4")
    data = path.read_bytes()
    start = data.index(b"mdat") + 4
    path.write_bytes(data[:start] + b"\xff" * (len(data) - start))
    with (
        VideoReader(path, key="hollow.mp4", keyframes_only=True) as reader,
        pytest.raises(DamagedInputError, match="not one of its frames can be decoded"),
    ):
        list(reader)
