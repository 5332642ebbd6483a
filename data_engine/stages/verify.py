"""Whether the rows of dataset versions are sound: what was recorded is recomputed from what is held.

Pure: spans of frames and boxes in, sentences out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from data_engine.formats.boxes import XYWH
from data_engine.stages.export import boxes_content


class Span(Protocol):
    """Something in the versions from ``since`` on, up to and without ``until``; None for every later one."""

    @property
    def since(self) -> int: ...

    @property
    def until(self) -> int | None: ...


class HeldFrame(Span, Protocol):
    """A frame in some versions."""

    @property
    def content(self) -> str: ...


class HeldBox(Span, Protocol):
    """A box in some versions."""

    @property
    def category_id(self) -> int: ...

    @property
    def xywh(self) -> XYWH: ...

    @property
    def iscrowd(self) -> bool: ...


def wrong_with_frame(
    frames: Sequence[HeldFrame], boxes: Sequence[HeldBox], newest: int, *, purged: bool
) -> Iterator[tuple[int, str]]:
    """What is wrong with a frame's rows: the first version that it concerns, and a sentence.

    Args:
        frames: the frame's rows, in order of ``since``.
        boxes: its boxes' rows.
        newest: number of the newest version.
        purged: whether the source was removed: the content id stays, and there must be no box.
    """
    spans: list[tuple[str, Span]] = [("its row", frame) for frame in frames]
    spans += [("a box of it", box) for box in boxes]
    for what, span in spans:
        if span.until is not None and span.until <= span.since:
            yield span.since, f"{what} ends with v{span.until} and begins with v{span.since}"
        if not 1 <= span.since <= newest or (span.until is not None and span.until > newest):
            yield span.since, f"{what} names a version that there is not"
    for one, other in pairwise(frames):
        if one.until is None or one.until > other.since:
            yield other.since, "it is held twice"
    if purged:
        if boxes:
            yield boxes[0].since, "it was purged, and boxes of it are there"
        return
    for frame in frames:
        inside = [box for box in boxes if _overlap(frame, box)]
        whole = [box for box in inside if box.since <= frame.since and _ends_after(box, frame.until)]
        if len(whole) < len(inside):
            yield frame.since, "a box of it comes or goes while it stays"
        elif boxes_content((box.category_id, box.xywh, box.iscrowd) for box in whole) != frame.content:
            yield frame.since, "its boxes are not those that its content id was made of"
    for box in boxes:
        if not any(_overlap(frame, box) for frame in frames) or not _covered(frames, box):
            yield box.since, "a box of it is in a version that does not hold the frame"


def _overlap(one: Span, other: Span) -> bool:
    return (one.until is None or other.since < one.until) and (other.until is None or one.since < other.until)


def _ends_after(box: Span, until: int | None) -> bool:
    return box.until is None or (until is not None and box.until >= until)


def _covered(frames: Sequence[Span], box: Span) -> bool:
    """Whether the frame is held in every version that holds the box; ``frames`` in order of ``since``."""
    at = box.since
    for frame in frames:
        if frame.since > at:
            break
        if frame.until is None:
            return True
        at = max(at, frame.until)
    return box.until is not None and at >= box.until
