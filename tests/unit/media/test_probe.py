from __future__ import annotations

import hashlib
from fractions import Fraction

import pytest

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.probe import is_video, probe


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
