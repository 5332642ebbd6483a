"""Boxes over a picture: where they lie, what is written beside them."""

from __future__ import annotations

import base64
import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.pages.picture import HUES, Mark, _spots, hue_of, picture, places


def test_boxes_are_in_pixels_of_the_full_picture_whatever_the_scale_of_the_embedded_one():
    page = picture(b"jpeg", (1920, 1080), [Mark((100.25, 50, 40, 80), "c0", "person 0.91")], "a yard")
    assert '<svg viewBox="0 0 1920 1080"' in page
    assert '<rect class="c0" x="100.2" y="50.0" width="40.0" height="80.0"' in page
    assert base64.b64encode(b"jpeg").decode() in page
    assert 'width="1920" height="1080" decoding="async" alt="a yard"' in page


def test_doubtful_boxes_are_dashed_and_small_ones_lie_on_top():
    marks = [Mark((0, 0, 10, 10), "c1", "helmet", dashed=True, title="helmet 0.31"), Mark((0, 0, 90, 90), "c0", "")]
    rects = re.findall(r"<rect[^>]*>", picture(b"", (100, 100), marks, ""))
    assert ["stroke-dasharray" in rect for rect in rects] == [False, True]
    assert "<title>helmet 0.31</title>" in picture(b"", (100, 100), marks, "")


def test_a_lost_picture_says_so_and_keeps_its_boxes():
    page = picture(b"", (64, 48), [Mark((1, 2, 3, 4), "c0", "x")], "it <is> lost")
    assert "<img" not in page
    assert "it &lt;is&gt; lost" in page
    assert "<rect" in page


def test_a_tall_picture_stands_between_margins():
    assert "aspect-ratio:800/1000" in picture(b"j", (400, 1000), [], "")
    assert "aspect-ratio:1000/400" in picture(b"j", (1000, 400), [], "")


box = st.tuples(*[st.floats(-20, 200, width=16)] * 2, *[st.floats(1, 200, width=16)] * 2)


@given(st.lists(st.tuples(box, st.sampled_from(["person 0.91", "0.3", "", "作業員 0.50"])), max_size=12))
def test_labels_lie_inside_and_never_over_each_other(rows):
    size, font = (180, 120), 8.0
    marks = [Mark(xywh, "c0", label, short=label[-4:]) for xywh, label in rows]
    laid = []
    for mark, at in zip(marks, places(marks, size, font), strict=True):
        if at is None:
            continue
        words, x, baseline = at
        assert words in {mark.label, mark.short} - {""}
        spot = next(
            spot
            for spot in _spots(mark, words, size, font)
            if (spot[0] + 0.12 * font, spot[1] + 0.9 * font) == pytest.approx((x, baseline))
        )
        assert spot[0] >= 0
        assert spot[0] + spot[2] <= size[0] + 1e-6
        assert 0 <= spot[1] <= size[1] - spot[3] + 1e-6
        laid.append(spot)
    for one, other in combinations(laid, 2):
        assert (
            one[0] + one[2] <= other[0]
            or other[0] + other[2] <= one[0]
            or one[1] + one[3] <= other[1]
            or other[1] + other[3] <= one[1]
        )


def test_the_short_label_is_written_where_the_long_one_has_no_room():
    marks = [Mark((5, 20, 20, 12), "c0", "person 0.91", short="0.91"), Mark((30, 20, 9, 9), "c0", "person 0.33")]
    assert [at and at[0] for at in places(marks, (50, 60), 8.0)] == ["0.91", None]


def test_colours_begin_again():
    assert hue_of(0) == hue_of(len(HUES)) != hue_of(1)
