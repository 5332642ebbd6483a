from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.decode import DecodedFrame, VideoReader


def read(path: Path, threads: int = 1) -> tuple[list[tuple[Fraction, bytes]], VideoReader]:
    with VideoReader(path, key=path.name, threads=threads) as reader:
        return [(frame.time_s, frame.luma().tobytes()) for frame in reader], reader


def first(path: Path) -> DecodedFrame:
    with VideoReader(path, key=path.name) as reader:
        return next(iter(reader))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.avi", {"codec": "mpeg4"}),
        ("reordered.avi", {"codec": "mpeg4", "b_frames": 2}),
        ("raw.h264", {"format": "h264"}),
        ("jpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("ten bits.mkv", {"pix_fmt": "yuv420p10le"}),
    ],
)
def test_every_frame_comes_once_at_its_time(make_video, name, options):
    frames, reader = read(make_video(name, **options))
    assert [time for time, _ in frames] == [Fraction(n, 25) for n in range(50)]
    assert (reader.decoded, reader.damaged, reader.passed_over, reader.damage) == (50, 0, 0, None)


def test_29_97_frames_a_second_do_not_drift(make_video):
    frames, reader = read(make_video("ntsc.mp4", rate=Fraction(30000, 1001), frames=90))
    assert [time for time, _ in frames] == [Fraction(1001 * n, 30000) for n in range(90)]
    assert reader.frame_rate == Fraction(30000, 1001)


def test_variable_frame_rate_keeps_each_frames_own_time(make_video):
    times = [0, 40, 50, 700, 720, 2000, 2001, 2500]
    frames, reader = read(make_video("vfr.mp4", frames=8, times_ms=times))
    assert [time for time, _ in frames] == [Fraction(ms, 1000) for ms in times]
    assert reader.damage is None


def test_a_clock_that_was_set_back_goes_on_counting(make_video, tmp_path):
    one = make_video("one.ts")
    (tmp_path / "two.ts").write_bytes(one.read_bytes() * 2)
    frames, reader = read(tmp_path / "two.ts")
    times = [time for time, _ in frames]
    assert reader.decoded + reader.damaged + reader.passed_over >= 100
    assert all(a < b for a, b in pairwise(times))
    assert Fraction(39, 10) <= times[-1] <= Fraction(41, 10)


@pytest.mark.parametrize("threads", [2, 4, 0])
def test_threads_do_not_change_a_sound_video(make_video, threads):
    path = make_video("a.mp4")
    assert read(path, threads)[0] == read(path)[0]


def test_luma_is_the_plane_of_the_decoded_frame(make_video):
    path = make_video("a.mp4")
    frame = first(path)
    with av.open(str(path)) as container:
        plane = next(container.decode(video=0)).to_ndarray(format="yuv420p")[:240]
    assert np.array_equal(frame.luma(), plane)


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p", "nv12"])
def test_luma_and_rgb_of_other_pixel_formats_show_the_same_picture(make_video, pix_fmt):
    frame = first(make_video("a.mkv", pix_fmt=pix_fmt))
    assert frame.luma().shape == (240, 320)
    assert frame.rgb().shape == (240, 320, 3)
    bright, dark = frame.luma()[8:24, 8:24].mean(), frame.luma()[160:].mean()
    assert bright > dark + 50
    assert frame.rgb()[8:24, 8:24].mean() > 245


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [
        (90, np.s_[-24:-8, 8:24]),  # counterclockwise: the top left corner goes to the bottom left
        (180, np.s_[-24:-8, -24:-8]),
        (-90, np.s_[8:24, -24:-8]),
    ],
)
def test_rotation_metadata_turns_luma_and_rgb(make_video, rotation, corner):
    frame = first(make_video("turned.mp4", rotation=rotation))
    shape = (240, 320) if rotation == 180 else (320, 240)
    assert frame.luma().shape == shape
    assert frame.rgb().shape == (*shape, 3)
    assert frame.size_wh == shape[::-1]
    assert frame.rgb()[corner].mean() > 245
    assert frame.luma()[corner].mean() > 225


def test_rotation_is_read_as_the_container_writes_it(make_video):
    # ISO 14496-12: the track header's matrix maps (x, y) to (a x + c y, b x + d y); a phone held upright writes
    # a = 0, b = 1, c = -1, d = 0, which sends the picture's top left corner to the top right.
    path = make_video("plain.mp4")
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    assert data[matrix : matrix + 4] == (0x10000).to_bytes(4, "big")
    for place, value in zip(range(matrix, matrix + 20, 4), (0, 0x10000, 0, -0x10000, 0), strict=True):
        data[place : place + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    frame = first(path)
    assert frame.size_wh == (240, 320)
    assert frame.rgb()[8:24, -24:-8].mean() > 245


@pytest.mark.parametrize(
    ("name", "options"), [("cut.mp4", {}), ("cut.mkv", {}), ("cut.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"})]
)
def test_a_truncated_video_gives_its_beginning_and_says_so(make_video, name, options):
    path = make_video(name, frames=100, **options)
    whole = dict(read(path)[0])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, reader = read(path)
    assert 20 < len(frames) < 90
    assert all(whole[time] == luma for time, luma in frames)
    found = re.match(r"ends after (\d\.\d) s of 4\.0 s", reader.damage or "")
    assert found
    assert float(frames[-1][0]) <= float(found[1]) + 0.05 <= float(frames[-1][0]) + 0.5


def damaged(path: Path, start: float, stop: float) -> Path:
    data = bytearray(path.read_bytes())
    start_at, stop_at = int(len(data) * start), int(len(data) * stop)
    data[start_at:stop_at] = np.random.default_rng(1).integers(0, 256, stop_at - start_at, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["hurt.mp4", "hurt.mkv"])
def test_damage_in_the_middle_is_passed_over_and_counted(make_video, name):
    path = make_video(name, frames=100)
    whole = dict(read(path)[0])
    frames, reader = read(damaged(path, 0.5, 0.56))
    assert reader.damaged > 0
    assert re.search(r"\d+ damaged packets?", reader.damage or "")
    assert 50 < len(frames) < 100
    # What is handed out is what the sound file shows at that time: nothing smeared.
    assert all(whole[time] == luma for time, luma in frames)
    # The last frames are there again.
    assert frames[-1][0] == Fraction(99, 25)


def test_in_an_mp4_every_frame_is_handed_out_or_counted(make_video):
    path = damaged(make_video("hurt.mp4", frames=100), 0.5, 0.56)
    _, reader = read(path)
    assert reader.decoded + reader.damaged + reader.passed_over == 100


def test_what_a_matroska_file_lost_without_an_error_is_counted(make_video):
    # Every picture stands alone here: the decoder has nothing to complain about, some are just not there.
    path = make_video("gap.mkv", frames=100, codec="mjpeg", pix_fmt="yuvj420p")
    whole = dict(read(path)[0])
    frames, reader = read(damaged(path, 0.5, 0.56))
    assert len(frames) < 100
    assert reader.damaged > 0
    assert set(whole) - {time for time, _ in frames}
    assert frames[-1][0] == Fraction(99, 25)


@pytest.mark.parametrize("name", ["long gaps.mkv", "long gaps.mp4"])
def test_a_camera_that_records_only_motion_is_not_damaged(make_video, name):
    times = [block * 60_000 + n * 40 for block in range(3) for n in range(10)]
    frames, reader = read(make_video(name, frames=30, times_ms=times))
    assert [time for time, _ in frames] == [Fraction(ms, 1000) for ms in times]
    assert reader.damage is None


def test_damaged_videos_read_the_same_every_time(make_video):
    path = damaged(make_video("hurt.mp4", frames=100), 0.3, 0.4)
    runs = [read(path) for _ in range(3)]
    assert runs[0][0] == runs[1][0] == runs[2][0]
    assert len({reader.damage for _, reader in runs}) == 1


def error_of(path: Path) -> str:
    with pytest.raises(DamagedInputError) as caught:
        read(path)
    return caught.value.message


def test_what_is_no_video_is_told_apart(make_video, make_sound, tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    assert error_of(tmp_path / "text.mp4") == "text.mp4 is not a video: its content is of no known video format"
    assert error_of(tmp_path / "empty.mp4") == "empty.mp4 is empty (0 bytes)"
    assert error_of(tmp_path / "folder.mp4") == "folder.mp4 cannot be read: is a directory"
    assert error_of(make_sound("sound.mp4")) == "sound.mp4 holds no video stream, only sound"


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(MissingInputError, match=r"nowhere\.mp4 is not there"):
        VideoReader(tmp_path / "nowhere.mp4", key="nowhere.mp4")


def test_an_mp4_without_its_index_was_cut_off(make_video):
    path = make_video("cut.mov")  # the index comes last
    path.write_bytes(path.read_bytes()[:-2000])
    assert error_of(path) == "cut.mov is damaged: its index is missing, the recording was cut off"


def test_a_video_without_one_decodable_frame(make_video):
    path = make_video("hollow.mp4")
    data = path.read_bytes()
    start = data.index(b"mdat") + 4
    path.write_bytes(data[:start] + b"\xff" * (len(data) - start))
    assert error_of(path) == "hollow.mp4 holds a video stream, but not one of its frames can be decoded"


def test_a_video_of_which_every_frame_is_next_to_damage_says_so(make_video):
    path = make_video("hurt.ts", frames=100, encoder={"x264-params": "keyint=infinite:scenecut=0"})
    assert re.fullmatch(
        r"hurt\.ts holds no frame that can be trusted: \d+ damaged packets?, \d+ frames next to damage passed over",
        error_of(damaged(path, 0.02, 0.05)),
    )


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile inside.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ninside.mp4\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_in_disguise_opens_no_other_file(make_video, tmp_path, text):
    make_video("inside.mp4")
    (tmp_path / "list.mp4").write_text(text)
    assert error_of(tmp_path / "list.mp4") == "list.mp4 is not a video: its content is of no known video format"


@pytest.mark.parametrize("name", ["Kamera 3 – Süd/12:30 人.mp4", "two\nlines.mkv", " 100%d .avi", "-i.ts"])
def test_names_with_spaces_newlines_colons_and_other_scripts(make_video, name):
    frames, reader = read(make_video(name, b_frames=0))
    assert len(frames) == 50
    assert reader.damage is None
