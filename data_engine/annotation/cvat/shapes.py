"""Boxes to shapes of the server and back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.labels import MODEL, ORIGIN, PERSON, Label
from data_engine.types import CONFIDENCE, PROPOSAL, Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DIGITS = 6
"""Decimals of a pixel that are kept: corners less corners are not exact, and one box must stay one box."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as the server knows it."""

    name: str
    width: int
    """Pixels."""
    height: int


def content(shapes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The body that replaces everything that is drawn on a job or a task."""
    return {"version": 0, "tags": [], "shapes": shapes, "tracks": []}


def shape_of(box: Box, frame: int, label: Label) -> dict[str, Any]:
    """The shape of a box.

    Args:
        box: what to draw.
        frame: number of its frame in the task, from 0.
        label: of the same name.
    """
    x, y, width, height = box.xywh
    proposed = box.proposal_id is not None or box.score is not None
    told = {str(name): _text(value) for name, value in box.attributes.items()}
    told[CONFIDENCE] = "" if box.score is None else repr(float(box.score))
    told[PROPOSAL] = box.proposal_id or ""
    told[ORIGIN] = MODEL if proposed else PERSON
    return {
        "type": "rectangle",
        "frame": frame,
        "label_id": label.id,
        "points": [x, y, x + width, y + height],
        "rotation": 0.0,
        "occluded": told.get("occluded") == "true",
        "outside": False,
        "z_order": 0,
        "group": 0,
        "source": "auto" if proposed else "manual",
        "score": 1.0 if box.score is None else float(box.score),
        "attributes": [
            {"spec_id": number, "value": told[name]} for number, name in label.attributes.items() if name in told
        ],
    }


def boxes_of(
    data: Mapping[str, Any], pictures: Mapping[int, Picture], labels: Iterable[Label], deleted: Iterable[int] = ()
) -> tuple[dict[int, list[Box]], dict[str, int]]:
    """What is drawn, as boxes; cut to their pictures.

    Args:
        data: the server's annotations of a job or task.
        pictures: the frames that count, by their numbers.
        labels: of the project.
        deleted: numbers of frames among them whose shapes are passed over.

    Returns:
        boxes by frame number, a list for every frame that is not deleted; and what is no box of these frames, counted
        by what it is.
    """
    gone = set(deleted)
    known = {label.id: label for label in labels}
    boxes: dict[int, list[Box]] = {number: [] for number in sorted(pictures) if number not in gone}
    left_out: Counter[str] = Counter()
    for shape in data.get("shapes", ()):
        frame = int(shape["frame"])
        if frame in gone:
            continue
        if frame not in pictures:
            left_out["shape on a frame of another job"] += 1
            continue
        found = _box_of(shape, pictures[frame], known.get(int(shape["label_id"])))
        if isinstance(found, str):
            left_out[found] += 1
        else:
            boxes[frame].append(found)
    left_out["track"] += len(data.get("tracks", ()))
    left_out["tag"] += len(data.get("tags", ()))
    return boxes, {what: count for what, count in sorted(left_out.items()) if count}


def _box_of(shape: Mapping[str, Any], picture: Picture, label: Label | None) -> Box | str:
    """The box, or what it is instead."""
    if shape["type"] != "rectangle":
        return str(shape["type"])
    if shape.get("rotation"):
        return "rotated box"
    if label is None:
        return "box of a label that is gone"
    corners = [float(value) for value in shape["points"]]
    if len(corners) != 4 or not all(isfinite(value) for value in corners):
        return "box with damaged corners"
    left, right = sorted(min(max(x, 0.0), picture.width) for x in corners[0::2])
    top, bottom = sorted(min(max(y, 0.0), picture.height) for y in corners[1::2])
    width, height = round(right - left, _DIGITS), round(bottom - top, _DIGITS)
    if width <= 0 or height <= 0:
        return "box without area in its picture"
    told = {label.attributes.get(int(a["spec_id"]), ""): str(a["value"]) for a in shape.get("attributes", ())}
    proposal = told.pop(PROPOSAL, "") or None
    score = _probability(told.pop(CONFIDENCE, ""))
    told.pop(ORIGIN, None)
    others: dict[str, Any] = {name: value for name, value in told.items() if name and value}
    if shape.get("occluded"):
        others["occluded"] = True
    xywh = round(left, _DIGITS), round(top, _DIGITS), width, height
    # A team's own attribute of this name may be a number that begins at 0.
    return Box(label.name, xywh, score if score or proposal else None, proposal, attributes=others)


def _probability(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
