from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.decode import VideoReader
from data_engine.media.moments import MomentReader

FIFTHS = [Fraction(2 * number + 1, 10) for number in range(5)]


def all_frames(path):
    with VideoReader(path, key=path.name) as reader:
        return [(frame.time_s, frame.luma().copy()) for frame in reader]


def at_fractions(path, fractions=FIFTHS):
    with MomentReader(path, key=path.name) as reader:
        found = [
            None if frame is None else (frame.time_s, frame.luma().copy()) for frame in reader.at_fractions(fractions)
        ]
        return reader.duration_s, found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("reordered.mp4", {"b_frames": 2}),
        ("a.mkv", {}),
        ("a.ts", {"b_frames": 2}),
        ("a.avi", {"codec": "mpeg4"}),
        ("reordered.avi", {"codec": "mpeg4", "b_frames": 2}),
        ("raw.h264", {"format": "h264"}),
        ("raw, reordered.h264", {"format": "h264", "b_frames": 2}),
        ("rotated.mp4", {"rotation": 90}),
        ("ten bits.mkv", {"pix_fmt": "yuv420p10le"}),
    ],
)
def test_a_moment_shows_the_first_frame_at_or_after_it(make_video, name, options):
    path = make_video(name, frames=100, **options)
    frames = all_frames(path)
    duration_s, found = at_fractions(path)
    assert duration_s == 4
    for fraction, moment in zip(FIFTHS, found, strict=True):
        time_s, luma = next(frame for frame in frames if frame[0] >= fraction * duration_s)
        assert moment is not None
        assert moment[0] == time_s
        assert np.array_equal(moment[1], luma)


def test_moments_do_not_read_the_whole_video(make_video):
    path = make_video("long.mp4", frames=1000)
    with MomentReader(path, key=path.name) as reader:
        moments = list(reader.at_fractions(FIFTHS))
        spent = 600 * len(FIFTHS) - reader._left
    assert all(moments)
    assert spent <= len(FIFTHS) * 10  # a key frame every ten


def test_a_stream_without_a_second_key_frame_is_not_decoded_to_its_end_for_every_moment(make_video):
    path = make_video("one.ts", frames=900, encoder={"x264-params": "keyint=infinite:scenecut=0"})
    with MomentReader(path, key=path.name) as reader:
        read = _Counted(reader._container)
        reader._container = read
        found = list(reader.at([Fraction(24)]))
    assert found == [None]
    assert read.packets <= 601


class _Counted:
    """A container that counts the packets that are taken from it."""

    def __init__(self, container):
        self._container = container
        self.packets = 0

    def __getattr__(self, name):
        return getattr(self._container, name)

    def demux(self, stream):
        for packet in self._container.demux(stream):
            self.packets += 1
            yield packet


def test_a_frame_is_asked_for_again_without_decoding_more(make_video):
    path = make_video("a.mp4")
    with MomentReader(path, key=path.name) as reader:
        times = [frame and frame.time_s for frame in reader.at([Fraction(1), Fraction(1), Fraction(101, 100)])]
    assert times == [1, 1, Fraction(26, 25)]


def test_what_is_behind_the_end_of_a_truncated_file_is_none(make_video):
    path = make_video("cut.mp4", frames=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    duration_s, found = at_fractions(path)
    assert duration_s == 4
    assert [moment is not None for moment in found] == [True, True, True, False, False]


@pytest.mark.parametrize("name", ["hurt.mp4", "hurt.mkv", "hurt.ts"])
def test_damage_gives_sound_frames_or_none(make_video, name):
    path = make_video(name, frames=100)
    whole = {time: luma.tobytes() for time, luma in all_frames(path)}
    data = bytearray(path.read_bytes())
    start, stop = int(len(data) * 0.45), int(len(data) * 0.55)
    data[start:stop] = np.random.default_rng(1).integers(0, 256, stop - start, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    _, found = at_fractions(path)
    assert found[0] is not None
    assert found[4] is not None
    assert all(whole.get(moment[0]) == moment[1].tobytes() for moment in found if moment is not None)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"^in/b\.mp4 is not there$"):
        MomentReader(tmp_path / "b.mp4", key="in/b.mp4")
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(DamagedInputError, match=r"^in/a\.mp4 is not a video"):
        MomentReader(tmp_path / "a.mp4", key="in/a.mp4")
