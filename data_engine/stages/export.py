"""Stage 5: what people accepted becomes a dataset version.

Pure: accepted jobs in, annotations with everyone who had a hand in them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import PurePosixPath
from typing import Literal, Protocol

from pydantic import Field

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import XYWH, clipped, overlap, unmoved
from data_engine.stages.base import StageSettings
from data_engine.types import Annotation, Box, BoxRow, ClassRegistry, Frame, Proposed, Split, content_ids

VERSION = 1


class ExportSettings(StageSettings):
    """How accepted annotations become a dataset version."""

    valid_fraction: float = Field(0.2, ge=0.0, le=0.9, description="share of each video's time blocks for validation")
    block: float = Field(
        60.0,
        gt=0.0,
        description="seconds in one block, which is on one side of the split (series of numbered pictures: by number)",
    )
    guard: float = Field(
        2.0,
        ge=0.0,
        description="seconds kept free between the two sides of the split (series of numbered pictures: by number)",
    )
    match_iou: float = Field(
        0.5, gt=0.0, le=1.0, description="overlap from which a box counts as the corrected proposal below it"
    )
    on_conflict: Literal["newest", "ask", "both"] = Field(
        "newest", description="whose boxes count where two accepted jobs disagree"
    )


class Pictured(Protocol):
    """What a merge wants to know of a frame."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Merged:
    """The accepted boxes of one frame."""

    frame_id: str
    content: str
    """Content id of the boxes alone, whoever made them: equal content makes no new version."""
    boxes: tuple[BoxRow, ...]

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The boxes as the rest of the program has them."""
        return tuple(
            Annotation(b[0], b[1], b[2], b.xywh, b.job_id, b.iscrowd, b.proposal_id, b.model_id, *b[11:14])
            for b in self.boxes
        )


def merge_frame(
    frame: Pictured,
    boxes: Sequence[Box],
    proposed: Sequence[Proposed],
    registry: ClassRegistry,
    *,
    job_id: str,
    annotator: str | None,
    reviewer: str | None,
    match_iou: float,
) -> Merged:
    """Turn the boxes of an accepted frame into annotations that know where they began.

    A box that still carries its proposal's id began as that one.  Tools may drop ids, so the others are matched to
    the proposals that are left, the best overlap first.

    Raises:
        DamagedInputError: a label that is not registered, or a box that is not finite or has no size inside the frame.
    """
    origin = match(boxes, proposed, match_iou)
    drafts = []
    for index, box in enumerate(boxes):
        if box.label not in registry:
            raise DamagedInputError(f"{frame.name}: label {box.label!r} is not in the class registry")
        drafts.append((registry.id_of(box.label), _clipped(frame, box), box.iscrowd, index))
    drafts.sort()
    made: list[BoxRow] = []
    shapes: list[str] = []
    frame_id = frame.id
    identity = content_ids("annotation", frame_id, job_id)
    last, times, label = None, 1, ""
    for category_id, xywh, iscrowd, index in drafts:
        box = boxes[index]
        # Two equal boxes on one frame are two annotations: their ids must differ.
        shape = (category_id, xywh, iscrowd)
        if shape != last:
            last, times, label = shape, 1, box.label
        elif box.label == label:
            times += 1
        else:  # two names for one thing, of classes that are one now
            continue
        text, crowd = repr(xywh), int(iscrowd)
        x, y, w, h = xywh
        source = origin.get(index)
        proposal_id, model_id, change = _began(box, source, registry)
        made.append(
            BoxRow(
                identity(category_id, text, crowd, times), frame_id, category_id, x, y, w, h, iscrowd, job_id,
                proposal_id, model_id, change, annotator, reviewer,
            )
        )  # fmt: skip
        shapes.append(_shape(category_id, xywh, text, crowd))
    return Merged(frame_id, _content(*shapes), tuple(made))


_content = content_ids("boxes")


def _shape(category_id: int, xywh: XYWH, text: str, crowd: int) -> str:
    """What :func:`boxes_content` says of a box; ``text`` is its place as it is."""
    return f"{category_id} {repr(_without_sign(xywh)) if '-' in text else text} {crowd}"


def boxes_content(boxes: Iterable[tuple[int, XYWH, bool]]) -> str:
    """Content id of a frame's boxes: class, place and crowd mark of each, in whatever order they come."""
    shapes = sorted((category_id, _without_sign(xywh), iscrowd) for category_id, xywh, iscrowd in boxes)
    return _content(*(f"{category_id} {xywh!r} {int(iscrowd)}" for category_id, xywh, iscrowd in shapes))


def _without_sign(xywh: XYWH) -> XYWH:
    """The box without negative zeros, which not every database keeps."""
    x, y, w, h = xywh
    return x + 0.0, y + 0.0, w + 0.0, h + 0.0


def version_id(contents: Mapping[str, tuple[str, Split]], parent: str | None = None) -> str:
    """Content id of a version's manifest: of what it holds, and of what came before it.

    Args:
        contents: frame id -> (content id of its boxes, side of the split).
        parent: id of the version before: one that takes a change back is another than the one that it goes back to.
    """
    rows = (f"{frame} {contents[frame][0]} {contents[frame][1]}" for frame in sorted(contents))
    return content_ids("version", parent or "")(*rows)


def dataset_name(frame: Frame) -> str:
    """The frame's file name in tasks and datasets: unique across sources, and the same for ever.

    Sampled frames carry their id already; a lone picture's name may stand in several folders.  What lists and other
    systems trip over (line breaks, backslashes, control characters) becomes ``_``.
    """
    return name_in_dataset(frame.name, frame.id)


def name_in_dataset(name: str, frame_id: str) -> str:
    """As :func:`dataset_name`, of a frame that is told by its name and id."""
    if "\\" in name or not name.isprintable():
        name = "".join("_" if letter == "\\" or not letter.isprintable() else letter for letter in name)
    if frame_id[:8] in name:
        return name
    path = PurePosixPath(name)
    return f"{path.stem}_{frame_id[:8]}{path.suffix}"


def match(boxes: Sequence[Box], proposed: Sequence[Proposed], least: float) -> dict[int, Proposed]:
    """Which proposal each box began as, by the box's position: by id, then the best overlap of at least ``least``."""
    by_id = {p.id: p for p in proposed}
    origin: dict[int, Proposed] = {}
    if not by_id:
        return origin
    lost = []
    for index, box in enumerate(boxes):
        # A copied box carries its original's id too: the first one keeps it.
        found = by_id.pop(box.proposal_id, None) if box.proposal_id is not None else None
        if found is None:
            lost.append((index, box))
        else:
            origin[index] = found
    if not lost or not by_id:
        return origin
    pairs = sorted(
        (
            (-shared, box.label != p.box.label, index, p.id)
            for index, box in lost
            for p in by_id.values()
            if (shared := overlap(box.xywh, p.box.xywh)) >= least
        ),
    )
    for _overlap, _other_label, index, proposal in pairs:
        if index not in origin and proposal in by_id:
            origin[index] = by_id.pop(proposal)
    return origin


def _began(
    box: Box, source: Proposed | None, registry: ClassRegistry
) -> tuple[str | None, str | None, Literal["kept", "edited", "added"]]:
    """What a box began as, which model proposed that, and what people did to it."""
    if source is None:
        return None, None, "added"
    proposal_id, model_id, (was, xywh) = source.id, source.model_id, (source.box.label, source.box.xywh)
    # Two names may be those of one class, which was renamed in between.
    alike = box.label == was or (was in registry and registry.id_of(box.label) == registry.id_of(was))
    return proposal_id, model_id, "kept" if alike and (box.xywh == xywh or unmoved(box.xywh, xywh)) else "edited"


def _clipped(frame: Pictured, box: Box) -> XYWH:
    x, y, w, h = map(float, box.xywh)
    if w > 0.0 and h > 0.0 and x >= 0.0 and y >= 0.0 and x + w <= frame.width and y + h <= frame.height:
        return x, y, w, h  # as nearly all are, and finite
    if not (isfinite(x) and isfinite(y) and isfinite(w) and isfinite(h)):
        raise DamagedInputError(f"{frame.name}: a {box.label} box is not finite: {box.xywh}")
    inside = clipped((x, y, w, h), frame.width, frame.height) if w > 0 and h > 0 else None
    if inside is None:
        raise DamagedInputError(f"{frame.name}: a {box.label} box has no size inside the frame: {box.xywh}")
    return inside
