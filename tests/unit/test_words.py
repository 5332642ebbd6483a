"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from data_engine.words import counted, listed


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "frame", "0 frames"),
        (1, "frame", "1 frame"),
        (2, "frame", "2 frames"),
        (1, "box", "1 box"),
        (2, "box", "2 boxes"),
        (3, "copy", "3 copies"),
        (3, "day", "3 days"),
        (2, "class", "2 classes"),
        (2, "batch", "2 batches"),
    ],
)
def test_a_noun_follows_its_number(number, noun, text):
    assert counted(number, noun) == text


def test_of_many_names_the_first_are_told():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"], 3) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"], 3) == "a, b, c and 2 more"
