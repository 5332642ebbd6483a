from __future__ import annotations

import hashlib
from fractions import Fraction

import av
import numpy as np
import pytest

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.probe import is_video, probe, time_in_name


def test_probe_describes_the_file(make_video):
    path = make_video("Halle 3 – Süd.mp4", rate=Fraction(30000, 1001), frames=30)
    video = probe(path, key="videos/Halle 3 – Süd.mp4", camera="hall")
    data = path.read_bytes()
    assert video.id == hashlib.sha256(data).hexdigest()[:32]
    assert (video.key, video.name, video.camera) == ("videos/Halle 3 – Süd.mp4", "Halle 3 – Süd", "hall")
    assert (video.width, video.height, video.codec) == (320, 240, "h264")
    assert video.size_bytes == len(data)
    assert video.frame_rate == Fraction(30000, 1001)
    assert video.duration_s == pytest.approx(1.001, abs=0.001)


def test_width_and_height_are_those_shown(make_video):
    video = probe(make_video("upright.mp4", rotation=-90), key="upright.mp4", camera="phone")
    assert (video.width, video.height) == (240, 320)


def test_a_container_that_states_no_duration_leaves_it_open(make_video):
    assert probe(make_video("raw.h264", format="h264"), key="raw.h264", camera="c").duration_s is None


def test_bad_files_are_named(make_sound, tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(DamagedInputError, match=r"^in/a\.mp4 is not a video"):
        probe(tmp_path / "a.mp4", key="in/a.mp4", camera="c")
    with pytest.raises(DamagedInputError, match=r"^in/s\.mp4 holds no video stream, only sound$"):
        probe(make_sound("s.mp4"), key="in/s.mp4", camera="c")
    with pytest.raises(MissingInputError, match=r"^in/b\.mp4 is not there$"):
        probe(tmp_path / "b.mp4", key="in/b.mp4", camera="c")


@pytest.mark.parametrize("name", ["a.mp4", "B.AVI", "x/y.z/c.MkV", "d.h264"])
def test_videos_by_name(name):
    assert is_video(name)


@pytest.mark.parametrize("name", ["a.jpg", "mp4", ".mp4", "a.mp4.part", "notes.txt"])
def test_not_videos_by_name(name):
    assert not is_video(name)


def test_the_picture_and_sound_are_described(make_video, tmp_path):
    plain = probe(make_video("a.mp4"), key="a.mp4", camera="c")
    assert (plain.pixel_format, plain.audio, plain.rotation, plain.interlaced) == ("yuv420p", False, 0, False)
    deep = probe(make_video("deep.mkv", pix_fmt="yuv420p10le"), key="deep.mkv", camera="c")
    assert deep.pixel_format == "yuv420p10le"
    assert probe(with_metadata(tmp_path / "sound.mp4", sound=True), key="sound.mp4", camera="c").audio is True


@pytest.mark.parametrize(("rotation", "stored"), [(90, 90), (180, 180), (-90, 270)])
def test_rotation_is_counterclockwise(make_video, rotation, stored):
    assert probe(make_video("r.mp4", rotation=rotation), key="r.mp4", camera="c").rotation == stored


def test_interlaced_footage_is_told(make_video):
    path = make_video("fields.mkv", encoder={"x264-params": "tff=1"})
    assert probe(path, key="fields.mkv", camera="c").interlaced is True


NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("name", "options", "variable"),
    [
        ("constant.mp4", {}, False),
        ("constant.avi", {"codec": "mpeg4"}, False),
        ("reordered.ts", {"b_frames": 2}, False),
        ("rounded to milliseconds.mkv", {"rate": NTSC}, False),
        ("fast, rounded.mkv", {"rate": 120}, False),
        ("uneven.mp4", {"frames": 8, "times_ms": [0, 40, 50, 700, 720, 2000, 2001, 2500]}, True),
        ("uneven.mkv", {"frames": 8, "times_ms": [0, 40, 50, 700, 720, 2000, 2001, 2500]}, True),
        ("gaps.mkv", {"frames": 30, "times_ms": [b * 60_000 + n * 40 for b in range(3) for n in range(10)]}, True),
        ("no times.h264", {"format": "h264"}, None),
        ("two frames.mp4", {"frames": 2}, None),
    ],
)
def test_a_variable_rate_is_told_from_rounding(make_video, name, options, variable):
    assert probe(make_video(name, **options), key=name, camera="c").variable_rate is variable


def with_metadata(path, sound=False, **metadata):
    options = {"movflags": "use_metadata_tags"} if path.suffix == ".mov" else {}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(metadata)
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=44100, layout="mono") if sound else None
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 40, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio is not None:
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            quiet.sample_rate, quiet.pts = 44100, 0
            container.mux(audio.encode(quiet))
            container.mux(audio.encode())
    return path


APPLE = "com.apple.quicktime.creationdate"


@pytest.mark.parametrize(
    ("name", "metadata", "captured_at"),
    [
        ("a.mp4", {"creation_time": "2026-11-20T08:00:00Z"}, "2026-11-20T08:00:00+00:00"),
        ("a.mkv", {"creation_time": "2026-11-20T08:00:00.5Z"}, "2026-11-20T08:00:00.500000+00:00"),
        (
            "a.mov",
            {APPLE: "2026-11-20T09:00:00+0100", "creation_time": "2026-11-20T08:00:02Z"},
            "2026-11-20T09:00:00+01:00",
        ),
        ("a.mkv", {"DATE_RECORDED": "2026-11-20 08:00:00"}, "2026-11-20T08:00:00"),
        ("a.mkv", {"DATE_RECORDED": "2026-11-20"}, None),
        ("a.mkv", {"DATE_RECORDED": "last autumn, in the hall"}, None),
        ("a.mkv", {"DATE_RECORDED": "1970-01-01T00:00:10Z"}, None),
        ("a.mkv", {"DATE_RECORDED": "1904-01-01T00:00:00Z"}, None),
        ("a.mkv", {"DATE_RECORDED": "2001-01-01T00:00:00Z"}, None),
        ("cam_20261120_080000.mkv", {"DATE_RECORDED": "1970-01-01T00:00:00Z"}, "2026-11-20T08:00:00"),
        ("cam_20261120_080000.mp4", {"creation_time": "2026-11-20T07:00:00Z"}, "2026-11-20T07:00:00+00:00"),
        ("cam_20261120_080000.avi", {}, "2026-11-20T08:00:00"),
        ("cam.avi", {}, None),
    ],
)
def test_the_time_of_capture(tmp_path, name, metadata, captured_at):
    path = with_metadata(tmp_path / name, **metadata)
    assert probe(path, key=f"in/{name}", camera="c").captured_at == captured_at


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("cam1_20261120_080000", "2026-11-20T08:00:00"),
        ("2026-11-20T08-00-00", "2026-11-20T08:00:00"),
        ("ch01_20261120080000", "2026-11-20T08:00:00"),
        ("ch01_20261120080000_20261120090000", "2026-11-20T08:00:00"),
        ("192.168.1.64_01_20261120080000123", "2026-11-20T08:00:00"),
        ("PXL_20261120_080001234", "2026-11-20T08:00:01"),
        ("cam 2026-11-20 08.15", "2026-11-20T08:15:00"),
        ("2026-11-20_08h15m10", "2026-11-20T08:15:10"),
        ("Aufnahme 2026-11-20 at 08.15.10", "2026-11-20T08:15:10"),
        ("20262011_080000 20261120_080000", "2026-11-20T08:00:00"),
        ("2026-11-20", None),
        ("20261120", None),
        ("202611200800", None),  # 12 digits may be anything
        ("20260230_101010", None),
        ("20261120_250000", None),
        ("2026-11.20_08-00-00", None),
        ("1202611200800001", None),
        ("٢٠٢٦١١٢٠_٠٨٠٠٠٠", None),
        ("hall", None),
    ],
)
def test_times_in_names(name, time):
    assert time_in_name(name) == time
