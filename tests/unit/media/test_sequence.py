from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from drawn_frames import texture
from PIL import Image

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.images import sha256_of
from data_engine.media.position import Position
from data_engine.media.sequence import SequenceReader, is_sequence, numbered, sequence_id


def picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.dstack([texture(3 * number + channel, height, width) for channel in range(3)])


def write(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(picture(number)).save(folder / name)
    return folder


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["frame10.png", "frame2.png", "frame1.png"], [1, 2, 10]),
        (["0003.JPG", "0001.JPG", "0002.JPG"], [1, 2, 3]),
        (["cam 2_0001_left.jpg", "cam 2_0002_left.jpg"], [1, 2]),
        (["a\n1.png", "a\n2.png"], [1, 2]),
        (["a1.png", "a2.png", "notes.txt", "Thumbs.db", ".a3.png"], [1, 2]),
        (["f000.png", "f005.png", "f010.png", "f020.png"], [0, 5, 10, 20]),
        (["f1.png", "f2.png", "f3.png", "f5000.png", "f5001.png"], [1, 2, 3, 5000, 5001]),
    ],
)
def test_pictures_that_are_numbered_one_after_another_are_a_sequence(names, expected):
    assert [number for number, _ in numbered(names)] == expected
    assert sorted(name for _, name in numbered(names)) == sorted(
        n for n in names if n[-3:].lower() in ("png", "jpg") and n[0] != "."
    )
    assert is_sequence(iter(names))


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["frame1.png"],
        ["cat.png", "dog.png"],
        ["a1.png", "b2.png"],
        ["a1.png", "a2.jpg"],
        ["a1.png", "a2.png", "cover.png"],
        ["a1.png", "a01.png", "a2.png"],
        ["cam_1763647201.jpg", "cam_1763647218.jpg", "cam_1763649955.jpg", "cam_1763650003.jpg"],
        ["clip_00001000_3f2a9c1e.jpg", "clip_00002000_77b0d2a4.jpg"],
        ["1.mp4", "2.mp4"],
    ],
)
def test_other_names_are_none(names):
    assert numbered(names) == []
    assert not is_sequence(names)


def test_a_sequence_is_known_by_its_pictures_their_order_and_the_rate():
    a, b = "a" * 64, "b" * 64
    rate = Fraction(25)
    known = sequence_id([(1, a), (2, b)], rate)
    assert known == sequence_id([(7, a), (8, b)], rate)
    others = [[(1, b), (2, a)], [(1, a), (3, b)], [(1, a), (2, b), (3, b)]]
    assert (
        len({known, *(sequence_id(other, rate) for other in others), sequence_id([(1, a), (2, b)], Fraction(5))}) == 5
    )
    assert len(known) == 32


# --- reading ----------------------------------------------------------------------------------------------------------


def test_pictures_come_in_order_of_their_numbers_at_the_times_of_their_numbers(tmp_path):
    folder = write(tmp_path / "seq", ["p8.png", "p9.png", "p10.png", "p12.png"])
    with SequenceReader(folder, key="seq", rate=Fraction(30000, 1001)) as reader:
        frames = list(reader)
    assert [frame.pts for frame in frames] == [0, 1, 2, 4]
    assert [frame.time_s for frame in frames] == [n * Fraction(1001, 30000) for n in (0, 1, 2, 4)]
    for number, frame in enumerate(frames):
        assert np.array_equal(frame.rgb(), picture(number))
        assert frame.size_wh == (64, 48)
    assert (reader.decoded, reader.damaged, reader.passed_over) == (4, 0, 0)
    assert reader.codec == "image sequence"
    assert reader.frame_rate == Fraction(30000, 1001)
    assert reader.duration_s == 5 * Fraction(1001, 30000)
    assert reader.damage == "1 number missing"


def test_luma_is_the_brightness_of_the_picture(tmp_path):
    tmp_path.joinpath("seq").mkdir()
    for number, level in enumerate((0, 128, 255)):
        Image.new("RGB", (20, 16), (level,) * 3).save(tmp_path / "seq" / f"{number}.png")
    with SequenceReader(tmp_path / "seq", key="seq") as reader:
        levels = [int(np.median(frame.luma())) for frame in reader]
    assert levels[0] <= 16
    assert levels == sorted(levels)
    assert levels[2] >= 235
    assert reader.damage is None


def test_damaged_pictures_and_those_of_another_size_are_passed_over_and_counted(tmp_path):
    folder = write(tmp_path / "seq", [f"{n}.png" for n in range(6)])
    data = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes(data[: len(data) // 2])
    (folder / "2.png").write_bytes(b"")
    Image.fromarray(picture(4, 32, 32)).save(folder / "4.png")
    with SequenceReader(folder, key="seq") as reader:
        assert [frame.pts for frame in reader] == [1, 3, 5]
    assert (reader.decoded, reader.damaged) == (3, 3)
    assert reader.damage == "3 pictures damaged or of another size"


def test_a_picture_that_vanishes_is_counted(tmp_path):
    folder = write(tmp_path / "seq", [f"{n}.png" for n in range(3)])
    with SequenceReader(folder, key="seq") as reader:
        (folder / "1.png").unlink()
        assert [frame.pts for frame in reader] == [0, 2]
        assert reader.damaged == 1


def test_only_the_part_inside_the_crop_is_handed_out(tmp_path):
    folder = write(tmp_path / "seq", ["1.png", "2.png"])
    with SequenceReader(folder, key="seq", crop=(8, 4, 30, 20)) as reader:
        first = next(iter(reader))
    assert first.size_wh == (30, 20)
    assert np.array_equal(first.rgb(), picture(0)[4:24, 8:38])
    with SequenceReader(folder, key="seq", crop=(40, 4, 30, 20)) as reader:
        assert next(iter(reader)).size_wh == (64, 48)


def test_errors_name_the_folder(tmp_path):
    with pytest.raises(MissingInputError, match="cams/a is not there"):
        SequenceReader(tmp_path / "a", key="cams/a")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(DamagedInputError, match="cams/file cannot be read: not a directory"):
        SequenceReader(tmp_path / "file", key="cams/file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DamagedInputError, match="cams/empty is no folder of pictures that are numbered"):
        SequenceReader(tmp_path / "empty", key="cams/empty")
    (tmp_path / "bad").mkdir()
    for number in range(2):
        (tmp_path / "bad" / f"{number}.png").write_bytes(b"no picture")
    with SequenceReader(tmp_path / "bad", key="cams/bad") as reader, pytest.raises(DamagedInputError, match="cams/bad"):
        list(reader)
    with pytest.raises(ValueError, match="rate"):
        SequenceReader(tmp_path, key="x", rate=Fraction(0))


# --- going on after an interruption -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(1, 6))
def test_another_reader_goes_on_behind_the_position_of_the_first(tmp_path, stop):
    folder = write(tmp_path / "seq", [f"{n}.png" for n in range(9) if n != 6])
    for bad in (0, 3):
        (folder / f"{bad}.png").write_bytes(b"damaged")
    with SequenceReader(folder, key="seq") as whole:
        expected = [frame.pts for frame in whole]
    with SequenceReader(folder, key="seq") as before:
        early = [frame.pts for frame in itertools.islice(before, stop)]
        position = Position.from_json(before.position().as_json())
    with SequenceReader(folder, key="seq", resume=position) as after:
        assert after.position() == position
        late = [frame.pts for frame in after]
    assert early + late == expected
    assert (after.decoded, after.damaged, after.damage) == (whole.decoded, whole.damaged, whole.damage)
    assert after.position() == whole.position()


def test_a_position_of_the_beginning_is_the_beginning(tmp_path):
    folder = write(tmp_path / "seq", ["1.png", "2.png"])
    position = SequenceReader(folder, key="seq").position()
    assert [frame.pts for frame in SequenceReader(folder, key="seq", resume=position)] == [0, 1]


@pytest.mark.parametrize("change", ["other picture", "damaged", "gone"])
def test_a_folder_that_has_changed_is_not_gone_on_with(tmp_path, change):
    folder = write(tmp_path / "seq", [f"{n}.png" for n in range(5)])
    with SequenceReader(folder, key="seq") as before:
        list(itertools.islice(before, 3))
        position = before.position()
    if change == "gone":
        (folder / "2.png").unlink()
    elif change == "damaged":
        (folder / "2.png").write_bytes(b"damaged")
    else:
        Image.fromarray(picture(77)).save(folder / "2.png")
    with (
        SequenceReader(folder, key="seq", resume=position) as after,
        pytest.raises(DamagedInputError, match="seq is not what it was"),
    ):
        list(after)


def test_the_id_of_a_folder_is_that_of_its_files(tmp_path):
    one = write(tmp_path / "one", ["a1.png", "a2.png"])
    two = write(tmp_path / "two", ["b07.png", "b08.png"])
    ids = {
        sequence_id(
            [(n, sha256_of(folder / name)) for n, name in numbered(p.name for p in folder.iterdir())], Fraction(5)
        )
        for folder in (one, two)
    }
    assert len(ids) == 1
