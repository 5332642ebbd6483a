"""The page of frames whose boxes changed."""

from __future__ import annotations

import re

from data_engine.pages.changes import ChangedFrame, changes
from data_engine.types import Frame


def entry(number: int, kind: str, said=("moved person, 3 px",)) -> ChangedFrame:
    frame = Frame(f"f{number}", f"<{number}>.jpg", "k", 640, 480, "gate & yard")
    return ChangedFrame(
        frame, frame.name, kind, said, [("person", (10, 20, 30, 40))], [("helmet", (13, 20, 30, 40))] * 2
    )


def page(*entries: ChangedFrame, **more) -> str:
    given = {"command": "dataengine dataset diff", "title": "v1 -> v2", "before": "v1", "after": "v2", **more}
    return changes(entries, {"f1": b"jpeg"}, **given)


def test_what_was_is_dashed_and_what_is_now_is_drawn_through():
    text = page(entry(1, "changed"))
    assert len(re.findall(r'<rect class="rare"[^>]*stroke-dasharray', text)) == text.count('<rect class="rare"') == 1
    assert text.count('<rect class="c0"') == 2
    assert not re.search(r'<rect class="c0"[^>]*stroke-dasharray', text)
    assert "was: person" in text
    assert "now: helmet" in text


def test_names_from_outside_are_text():
    text = page(entry(1, "changed", said=["<script>"]), notes=["a < b"], facts=[("boxes <", "1")])
    assert "<script" not in text
    assert "&lt;1&gt;.jpg" in text
    assert "gate &amp; yard" in text
    assert "boxes &lt;" in text


def test_frames_can_be_filtered_by_what_happened_to_them():
    text = page(entry(1, "added"), entry(2, "changed"), entry(3, "changed"))
    # The commonest comes first.
    assert re.findall(r'id="k-(\w+)"[^>]*><span>(\w+) <small>(\d+)', text) == [
        ("all", "All", "3"),
        ("0", "changed", "2"),
        ("1", "added", "1"),
    ]
    assert text.count('<li class="item k0"') == 2
    assert "this picture could not be read: &lt;2&gt;.jpg" in text
    assert page() != text


def test_many_changes_of_a_frame_are_told_in_part():
    text = page(entry(1, "changed", said=[f"box {n}" for n in range(20)]))
    assert "<li>box 11</li><li>and 8 more</li>" in text
    assert "box 12" not in text
