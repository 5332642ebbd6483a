from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from data_engine.media.borders import find_borders

WIDTH, HEIGHT = 320, 240


def picture(number):
    """A textured scene that moves, lit up to its edges."""
    blocks = np.random.default_rng(0).integers(40, 220, (HEIGHT // 8, WIDTH // 8 + 20, 3), dtype=np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)[:, number : number + WIDTH].copy()


def padded(above=0, below=0, left=0, right=0, base=picture):
    return lambda number: np.pad(base(number), ((above, below), (left, right), (0, 0)))


def write(path, draw, frames=50, codec="libx264", rotation=0, **encoder):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"preset": "veryfast", **encoder})
        height, width, _ = draw(0).shape
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", 10
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def found(path, seed="a"):
    return find_borders(path, key=path.name, seed=seed)


@pytest.mark.parametrize(
    ("borders", "region"),
    [
        ({"above": 40, "below": 40}, (0, 40, 320, 240)),
        ({"left": 52, "right": 52}, (52, 0, 320, 240)),
        ({"above": 30, "below": 30, "left": 20, "right": 20}, (20, 30, 320, 240)),
        ({"above": 40}, (0, 40, 320, 240)),
        ({"right": 60}, (0, 0, 320, 240)),
        ({"above": 20, "below": 60}, (0, 20, 320, 240)),
        ({"above": 7, "below": 9}, (0, 6, 320, 242)),  # to even pixels, outwards
        ({"above": 2, "below": 2}, None),  # less than 4 pixels
        ({}, None),
    ],
)
def test_borders_are_found(tmp_path, borders, region):
    path = write(tmp_path / "a.mp4", padded(**borders), crf="12")
    cut = found(path)
    if region is None:
        assert cut is None
        return
    # Compression may soil the last black rows: two of them may be left, but nothing of the picture is cut.
    assert cut is not None
    sides = [edge - cut_edge for edge, cut_edge in zip(corners(region), corners(cut), strict=True)]
    assert all(0 <= side <= 2 for side in (sides[0], sides[1], -sides[2], -sides[3]))
    assert all(number % 2 == 0 for number in cut)


def corners(region):
    x, y, width, height = region
    return x, y, x + width, y + height


@pytest.mark.parametrize("seed", ["a", "b", "c"])
@pytest.mark.parametrize(("codec", "options"), [("libx264", {"crf": "40"}), ("mpeg4", {"b": "300k"})])
def test_strong_compression_costs_black_rows_but_no_picture(tmp_path, codec, options, seed):
    path = write(tmp_path / "a.mp4", padded(above=45, below=45, left=31, right=31), codec=codec, **options)
    region = found(path, seed)
    assert region is not None
    x, y, width, height = region
    assert 20 <= x <= 31
    assert 32 <= y <= 45
    assert x + width >= 31 + WIDTH
    assert y + height >= 45 + HEIGHT


def test_the_region_is_that_of_the_displayed_picture(tmp_path):
    # Borders at the stored picture's left and right stand above and below when it is turned.
    path = write(tmp_path / "r.mp4", padded(left=40, right=60), rotation=90, crf="12")
    assert found(path) == (0, 60, 240, 320)


def test_the_same_seed_gives_the_same(tmp_path):
    path = write(tmp_path / "a.mp4", padded(above=40, below=40), crf="30")
    assert found(path, "x") == found(path, "x")


def fading(number):
    return (padded(above=40, below=40)(number) * min(1.0, number / 40)).astype(np.uint8)


def test_a_fade_in_does_not_hide_the_borders(tmp_path):
    path = write(tmp_path / "fade.mp4", fading, crf="18")
    assert found(path) == (0, 40, 320, 240)


def test_three_frames_are_enough_and_one_is_not(tmp_path):
    assert found(write(tmp_path / "three.mp4", padded(above=40, below=40), frames=3, crf="12")) == (0, 40, 320, 240)
    assert found(write(tmp_path / "one.mp4", padded(above=40, below=40), frames=1, crf="12")) is None


def night(number):
    scene = picture(number) * 0.06
    scene[100:110, 150:160] = 220  # a lamp
    return scene.astype(np.uint8)


def dusk(number):
    """Dark at the top, lighter downwards, without a line."""
    shade = np.clip(np.linspace(-0.4, 0.8, HEIGHT), 0, 1)[:, None, None]
    return (picture(number) * shade).astype(np.uint8)


def roof(number):
    """A black sky over a roof that is not level."""
    scene = picture(number)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    scene[rows < 60 + columns // 16] = 0
    return scene


def round_picture(number):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    inside = (rows - HEIGHT / 2) ** 2 + (columns - WIDTH / 2) ** 2 < (HEIGHT / 2 - 10) ** 2
    return picture(number) * inside[:, :, None].astype(np.uint8)


def gray_borders(number):
    return np.pad(picture(number), ((40, 40), (0, 0), (0, 0)), constant_values=60)


def noise(number):
    return np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def dark_noise(number):
    return np.random.default_rng(number).integers(0, 16, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def black(number):
    return np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def slit(number):
    """A bright strip: black on more than 45 % of each side."""
    scene = black(number)
    scene[115:125] = picture(number)[115:125]
    return scene


@pytest.mark.parametrize("draw", [night, dusk, roof, round_picture, gray_borders, noise, dark_noise, black, slit])
@pytest.mark.parametrize("seed", ["a", "b"])
def test_dark_pictures_are_not_cut(tmp_path, draw, seed):
    assert found(write(tmp_path / "a.mp4", draw, frames=30), seed) is None


def clock(number):
    scene = padded(above=40, below=40)(number)
    scene[12:28, 20:100] = np.where((np.arange(80) // 5 + number) % 2, 255, 0)[None, :, None]
    return scene


def test_a_clock_in_a_border_is_picture(tmp_path):
    assert found(write(tmp_path / "clock.mp4", clock, crf="12")) == (0, 0, 320, 280)


def test_what_cannot_be_read_has_no_borders(tmp_path, make_sound):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    path = write(tmp_path / "cut.mp4", padded(above=40, below=40))
    path.write_bytes(path.read_bytes()[:2000])
    names = ["text.mp4", "empty.mp4", "cut.mp4", "missing.mp4"]
    assert [found(tmp_path / name) for name in names] == [None] * 4
    assert found(make_sound("sound.mp4")) is None


def test_a_damaged_middle_does_not_move_the_borders(tmp_path):
    path = write(tmp_path / "hurt.mkv", padded(above=40, below=40), frames=100, crf="18")
    data = bytearray(path.read_bytes())
    start, stop = int(len(data) * 0.4), int(len(data) * 0.6)
    data[start:stop] = np.random.default_rng(1).integers(0, 256, stop - start, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    assert found(path) in ((0, 40, 320, 240), None)


def test_the_real_clip_has_none(shared):
    path = shared / "data" / "video" / "vtest.avi"
    assert [found(path, seed) for seed in "abc"] == [None] * 3
