"""hard_frames.txt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats.hardframes import read_hard_frames, write_hard_frames

HEADER = ["12 of 400 frames chosen", "# one frame a line\n# most wanted first"]


def test_the_header_is_for_people_and_the_order_is_kept() -> None:
    paths = ["frames/Tür 2_000100_ab.jpg", "#1.jpg", " a b .jpg", "frames/Tür 2_000100_ab.jpg"]
    text = write_hard_frames(paths, HEADER)
    assert text == (
        "# 12 of 400 frames chosen\n# one frame a line\n# most wanted first\n"
        "frames/Tür 2_000100_ab.jpg\n./#1.jpg\n a b .jpg\n"
    )
    assert read_hard_frames(text.encode()) == tuple(paths[:3])


def test_hand_made_lists_are_read() -> None:
    assert read_hard_frames(b"\xef\xbb\xbf# mine\r\na.jpg\r\n\r\nb c.jpg\r\na.jpg") == ("a.jpg", "b c.jpg")
    assert read_hard_frames(b"") == ()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0")).filter(str.strip)))
def test_any_name_on_one_line_survives(paths: list[str]) -> None:
    paths = [path for path in paths if not path.startswith(("./#", "\ufeff"))]
    assert read_hard_frames(write_hard_frames(paths, HEADER).encode()) == tuple(dict.fromkeys(paths))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a\nb.jpg", "file name 'a\\nb.jpg' holds a line break"),
        ("a\rb.jpg", "file name 'a\\rb.jpg' holds a line break"),
        ("", "file name '' is empty"),
        ("a\udcff.jpg", "file name 'a\\udcff.jpg' is not valid UTF-8"),
    ],
)
def test_names_that_do_not_fit_on_a_line_are_refused(path: str, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        write_hard_frames([path])
    assert caught.value.message == message
    assert caught.value.hint == "rename the file"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a.jpg\n\xff\xd8", "list.txt is not a list of frames: byte 6 is not UTF-8 text"),
        (b"a\0b", "list.txt is not a list of frames: it holds zero bytes"),
    ],
)
def test_other_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        read_hard_frames(data, name="list.txt")
    assert caught.value.message == message
