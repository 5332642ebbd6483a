"""Geometry of boxes that every format shares.  All numbers are pixels of the full picture."""

from __future__ import annotations

XYWH = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""

TOLERANCE_PX = 1e-3
"""Coordinates that differ by less are the same: what a format may lose, and what is not worth calling clipped."""

ROUNDED_PX = 0.05
"""Annotation tools round coordinates; a box whose numbers differ by no more was not moved by a person."""


def clipped(box: XYWH, width: int, height: int) -> XYWH | None:
    """The part of the box inside a picture of that size; None when nothing is left of it.

    A box that lies inside comes back unchanged to the last bit.
    """
    x, y, w, h = box
    if x >= 0.0 and y >= 0.0 and x + w <= width and y + h <= height:
        return box
    left, top = max(x, 0.0), max(y, 0.0)
    w, h = min(x + w, float(width)) - left, min(y + h, float(height)) - top
    # edge - left, added to left again, rounds to the edge: clipping twice changes nothing more.
    return (left, top, w, h) if w > 0.0 and h > 0.0 else None


def far_apart(a: XYWH, b: XYWH) -> bool:
    """Whether any edge of the two boxes differs by more than :data:`TOLERANCE_PX`."""
    return (
        abs(a[0] - b[0]) > TOLERANCE_PX
        or abs(a[1] - b[1]) > TOLERANCE_PX
        or abs(a[0] + a[2] - b[0] - b[2]) > TOLERANCE_PX
        or abs(a[1] + a[3] - b[1] - b[3]) > TOLERANCE_PX
    )


def unmoved(a: XYWH, b: XYWH) -> bool:
    """Whether no number of the two boxes differs by more than :data:`ROUNDED_PX`."""
    return (
        abs(a[0] - b[0]) <= ROUNDED_PX
        and abs(a[1] - b[1]) <= ROUNDED_PX
        and abs(a[2] - b[2]) <= ROUNDED_PX
        and abs(a[3] - b[3]) <= ROUNDED_PX
    )


def overlap(a: XYWH, b: XYWH) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (a[2] * a[3] + b[2] * b[3] - both)
