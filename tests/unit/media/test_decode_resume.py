"""A reader that goes on from another's position gives what the other would have given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from data_engine.errors import DamagedInputError
from data_engine.media import decode
from data_engine.media.container import open_video
from data_engine.media.decode import Position, VideoReader

OPEN_GOP = {"x264-params": "open-gop=1:keyint=10:min-keyint=10:scenecut=0"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=10"}
QUIET = {"x265-params": "log-level=none:keyint=10"}
VARIABLE = [n * 40 + (n * n * 7) % 35 for n in range(60)]
FAST = {"deadline": "realtime", "cpu-used": "8"}

CASES: dict[str, dict[str, Any]] = {
    "b frames.mp4": {"b_frames": 3},
    "b frames.mkv": {"b_frames": 3},
    "b pyramid.mp4": {"b_frames": 8, "encoder": {"x264-params": "b-adapt=0:keyint=24"}},
    "open gop.mp4": {"encoder": OPEN_GOP},
    "open gop.mkv": {"encoder": OPEN_GOP},
    "intra refresh.mp4": {"encoder": REFRESH},
    "variable rate.mp4": {"times_ms": VARIABLE},
    "variable rate.mkv": {"times_ms": VARIABLE},
    "hevc.mp4": {"codec": "libx265", "encoder": QUIET},
    "hevc ten bits.mkv": {"codec": "libx265", "pix_fmt": "yuv420p10le", "encoder": QUIET},
    "vp8 hidden references.webm": {"codec": "libvpx", "encoder": {**FAST, "auto-alt-ref": "1", "lag-in-frames": "10"}},
    "vp9.webm": {"codec": "libvpx-vp9", "encoder": FAST},
    "all intra.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "interlaced.mp4": {"encoder": {"x264-params": "bff=1:keyint=10"}},
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 2},
    "transport.ts": {},
    "program.mpg": {"codec": "mpeg2video"},
    "raw.h264": {"format": "h264"},
}
# Of these, decoding goes on from a key frame close by.
SEEKABLE = [
    "b frames.mp4",
    "open gop.mkv",
    "variable rate.mp4",
    "hevc.mp4",
    "vp9.webm",
    "mpeg4.avi",
    "transport.ts",
    "program.mpg",
]
KEYFRAMES = ["b frames.mp4", "open gop.mkv", "intra refresh.mp4", "vp9.webm", "mpeg4.avi", "transport.ts", "raw.h264"]

Row = tuple[int, bytes, int, int, int]


def rows(reader: VideoReader) -> list[Row]:
    """Each frame with the counters at the moment it is handed out."""
    return [(frame.pts, frame.luma().tobytes(), reader.decoded, reader.damaged, reader.passed_over) for frame in reader]


def read(path: Path, **options: Any) -> tuple[list[Row], list[Position], VideoReader]:
    """Every frame, and the position behind each."""
    positions: list[Position] = []
    found = []
    with VideoReader(path, key=path.name, **options) as reader:
        for frame in reader:
            found.append((frame.pts, frame.luma().tobytes(), reader.decoded, reader.damaged, reader.passed_over))
            positions.append(reader.position())
    return found, positions, reader


def written(position: Position) -> Position:
    """As it comes back from a file."""
    return Position.from_json(json.loads(json.dumps(position.as_json())))


def check_every_cut(path: Path, step: int = 1, **options: Any) -> list[Position]:
    whole, positions, undisturbed = read(path, **options)
    for cut in range(0, len(whole), step):
        with VideoReader(path, key=path.name, resume=written(positions[cut]), **options) as reader:
            assert rows(reader) == whole[cut + 1 :], f"behind frame {cut}"
        assert (reader.decoded, reader.damaged, reader.passed_over, reader.damage) == (
            undisturbed.decoded,
            undisturbed.damaged,
            undisturbed.passed_over,
            undisturbed.damage,
        )
    return positions


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_exactly(make_video, name):
    check_every_cut(make_video(name, frames=60, **CASES[name]), step=3)


@pytest.mark.parametrize("name", KEYFRAMES)
def test_it_goes_on_exactly_among_key_frames(make_video, name):
    check_every_cut(make_video(name, frames=60, **CASES[name]), keyframes_only=True)


@pytest.fixture
def opened(monkeypatch) -> list[Path]:
    """Each time a reader opens a file."""
    paths: list[Path] = []

    def opening(path: Path, key: str) -> Any:
        paths.append(path)
        return open_video(path, key)

    monkeypatch.setattr(decode, "open_video", opening)
    return paths


@pytest.mark.parametrize("name", SEEKABLE)
def test_decoding_goes_on_from_a_key_frame_close_by(make_video, name, opened):
    path = make_video(name, frames=60, **CASES[name])
    whole, positions, _ = read(path)
    assert positions[54].landing_decoded >= 20
    opened.clear()
    with VideoReader(path, key=name, resume=positions[54]) as reader:
        assert rows(reader) == whole[55:]
    # It did not have to begin at the start of the file, which would be opened again for it.
    assert len(opened) == 1


def hurt(path: Path, start: float, stop: float) -> Path:
    data = bytearray(path.read_bytes())
    span = slice(int(len(data) * start), int(len(data) * stop))
    data[span] = np.random.default_rng(1).bytes(span.stop - span.start)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "codec", "start", "stop"),
    [
        ("a.mp4", "libx264", 0.3, 0.36),
        ("a.mkv", "libx264", 0.3, 0.36),
        ("a.ts", "libx264", 0.3, 0.32),
        ("a.avi", "mpeg4", 0.3, 0.31),
    ],
)
def test_in_a_damaged_video_it_goes_on_exactly_too(make_video, name, codec, start, stop, opened):
    path = hurt(make_video(name, frames=90, codec=codec, b_frames=2), start, stop)
    positions = check_every_cut(path, step=4)
    assert positions[-1].damaged > 0
    # Next to damage only the start of the file is safe, later a key frame is again.
    assert any(position.damaged and position.landing_pts is None for position in positions)
    assert positions[-1].landing_pts is not None
    opened.clear()
    with VideoReader(path, key=name, resume=positions[-1]) as reader:
        assert rows(reader) == []
    # A damaged AVI is not entered where its index says.
    assert len(opened) == (2 if name.endswith("avi") else 1)


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv", "sound.ts"])
def test_beside_sound_it_goes_on_exactly_too(make_video, tmp_path, name, opened):
    path = tmp_path / name
    with av.open(str(make_video("silent.mp4", frames=90))) as source, av.open(str(path), "w") as output:
        video = output.add_stream_from_template(source.streams.video[0])
        sound = output.add_stream("aac", rate=44100, layout="mono")
        heard = 0
        for packet in source.demux(video=0):
            if not packet.size:
                continue
            while packet.dts is not None and heard / 44100 <= packet.dts * packet.time_base:
                noise = np.random.default_rng(heard).normal(0, 0.1, (1, 1024)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
                frame.sample_rate, frame.pts, heard = 44100, heard, heard + 1024
                output.mux(sound.encode(frame))
            packet.stream = video
            output.mux(packet)
        output.mux(sound.encode(None))
    positions = check_every_cut(path, step=4)
    opened.clear()
    with VideoReader(path, key=name, resume=positions[70]) as reader:
        assert len(rows(reader)) == 19
    assert len(opened) == 1


def test_in_a_truncated_video_it_goes_on_exactly_too(make_video):
    path = make_video("cut.mp4", frames=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    check_every_cut(path, step=2)


def test_behind_a_clock_that_was_set_back_it_goes_on_exactly_too(make_video, tmp_path):
    one = make_video("one.ts")
    (tmp_path / "two.ts").write_bytes(one.read_bytes() * 2)
    check_every_cut(tmp_path / "two.ts", step=5)


def edited(path: Path, skipped: int) -> Path:
    """Let an MP4's edit list begin so many frames later, in the middle of a group of pictures."""
    data = bytearray(path.read_bytes())
    # ISO 14496-12, EditListBox version 0: type, version and flags, entry count, then duration and media time.
    at = data.index(b"elst") + 4 + 8
    assert int.from_bytes(data[at - 4 : at], "big") == 1
    duration, media_time = (int.from_bytes(data[place : place + 4], "big") for place in (at, at + 4))
    data[at : at + 4] = (duration - skipped * 40).to_bytes(4, "big")
    data[at + 4 : at + 8] = (media_time + skipped * 512).to_bytes(4, "big")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("skipped", [3, 15])
def test_behind_an_edit_list_it_goes_on_exactly_too(make_video, skipped):
    path = make_video("edited.mp4", frames=60)
    plain, _, _ = read(path)
    whole, _, reader = read(edited(path, skipped))
    assert [luma for _, luma, *_ in whole] == [luma for _, luma, *_ in plain[skipped:]]
    assert reader.damage is None
    assert check_every_cut(path, step=2)[40].landing_pts is not None


def test_a_fragmented_mp4_goes_on_exactly_too(make_video, tmp_path):
    plain = make_video("plain.mp4", frames=60)
    path = tmp_path / "fragments.mp4"
    with (
        av.open(str(plain)) as source,
        av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    check_every_cut(path, step=2)


def test_a_position_before_the_first_frame_is_the_beginning(make_video):
    path = make_video("a.mp4")
    whole, _, _ = read(path)
    with VideoReader(path, key=path.name) as reader:
        start = reader.position()
    assert (start.decoded, start.pts) == (0, None)
    with VideoReader(path, key=path.name, resume=start) as reader:
        assert rows(reader) == whole


def test_a_resumed_reader_stands_where_it_was_told_to(make_video):
    path = make_video("a.mp4")
    _, positions, _ = read(path)
    with VideoReader(path, key=path.name, resume=positions[20]) as reader:
        assert reader.position() == positions[20]
        next(iter(reader))
        assert reader.position() == positions[21]


@pytest.mark.parametrize("change", [{"digest": "0" * 16}, {"landing_decoded": 11}, {"packet_dts": 1}])
def test_what_does_not_come_back_the_same_is_decoded_from_the_start(make_video, change):
    path = make_video("a.mp4")
    whole, positions, _ = read(path)
    position = Position.from_json({**positions[30].as_json(), **change})
    with VideoReader(path, key=path.name, resume=position) as reader:
        assert rows(reader) == whole[31:]


@pytest.mark.parametrize("landed", [True, False])
def test_a_position_of_another_file_is_refused(make_video, landed):
    _, positions, _ = read(make_video("a.mp4", frames=60))
    other = make_video("b.mp4", frames=40)
    position = positions[55]
    if not landed:
        position = Position.from_json({**position.as_json(), "landing_pts": None})
    with (
        VideoReader(other, key="b.mp4", resume=position) as reader,
        pytest.raises(DamagedInputError, match=r"b\.mp4 is not what it was when its reading was interrupted"),
    ):
        next(iter(reader))


def test_a_position_among_key_frames_is_none_among_all(make_video):
    path = make_video("a.mp4")
    _, positions, _ = read(path, keyframes_only=True)
    with pytest.raises(ValueError, match="among key frames"):
        VideoReader(path, key=path.name, resume=positions[0])


def test_fields_that_are_no_position_are_refused():
    with pytest.raises(ValueError, match="not the fields of a position: frames"):
        Position.from_json({"frames": 3})
