"""Single pictures of a numbered sequence are found by their numbers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from drawn_videos import write_sequence, write_video
from PIL import Image

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.sequence_moments import SequenceMoments, open_moments


def numbers(folder: Path, fractions: list[Fraction]) -> list[int | None]:
    with open_moments(folder, key="k") as reader:
        return [None if frame is None else frame.pts for frame in reader.at_fractions(fractions)]


def test_the_first_picture_at_or_after_a_moment(tmp_path):
    folder = write_sequence(tmp_path / "pictures", count=10)
    tenths = [Fraction(number, 20) for number in range(21)]
    # Between two pictures comes the later one; at the end there is none.
    assert numbers(folder, tenths) == [*(-(-number // 2) for number in range(19)), None, None]
    with SequenceMoments(folder, key="k") as reader:
        assert reader.duration_s == Fraction(10, 25)
        (frame,) = reader.at_fractions([0.25])
        shown = np.asarray(Image.open(folder / "img_0003.png"))
        assert (frame.rgb() == shown).all()
        assert frame.time_s == Fraction(3, 25)


def test_gaps_and_damage(tmp_path):
    folder = write_sequence(tmp_path / "pictures", count=10)
    (folder / "img_0004.png").unlink()
    (folder / "img_0002.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("x")
    moments = [Fraction(number, 10) for number in range(10)]
    assert numbers(folder, moments) == [0, 1, None, 3, 5, 5, 6, 7, 8, 9]


def test_a_file_is_read_as_a_video(tmp_path):
    video = write_video(tmp_path / "a.mp4")
    with open_moments(video, key="k") as reader:
        (frame,) = reader.at_fractions([Fraction(1, 2)])
        assert frame.time_s == 2


def test_what_is_neither(tmp_path):
    with pytest.raises(DamagedInputError, match="k is no folder of pictures that are numbered"):
        open_moments(tmp_path, key="k")
    with pytest.raises(MissingInputError, match="k is not there"):
        open_moments(tmp_path / "gone", key="k")
