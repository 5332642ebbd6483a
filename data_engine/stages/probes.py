"""Probes: boxes that are known to be wrong, among the proposals, to see whether people look.  Pure.

A probe is shown as any other proposal.  One that comes back untouched tells that nobody looked, and must never enter
a dataset; nor may its frame be taken for complete where the probe stood in the place of a real object.
"""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, get_args

from data_engine.formats.boxes import overlap, unmoved
from data_engine.types import Box, Probe, ProbeKind, content_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from data_engine.types import Frame

MOST = 0.2
"""Largest share of the proposals; more would spoil the work that they are to watch over."""
CLEARLY_WRONG = 0.4
"""Overlap that a shifted or invented probe reaches with no proposal of its frame."""
UNTOUCHED = 0.9
"""Overlap from which a box that carries a probe's id still is where the probe was put."""
_SURE = 0.5
"""Probability below which a class is not swapped: the other one may be the right one."""
_REACH = (0.6, 0.9)
"""How far a box is shifted, as a share of its width and height: its overlap with itself is then at most 0.25."""
_TRIES = 24


def plan(
    frames: Sequence[Frame],
    boxes: Mapping[str, Sequence[Box]],
    labels: Sequence[str],
    share: float,
    seed: str = "",
) -> dict[str, Probe]:
    """Which known-wrong boxes are shown, by frame name; at most one a frame.

    The proposals are cut, in the order of the frames, into as many runs as there are probes, and each run gives one:
    so every job has its part.  Equal arguments give equal probes.

    Args:
        frames: in the order in which they become jobs.
        boxes: proposals by frame name, each with an id.
        labels: all classes.
        share: of the proposals, 0 to :data:`MOST`; above 0 there is at least one probe where a proposal allows it.
        seed: other probes for another one; an id must not come up twice, so it names the place of the upload.
    """
    if share <= 0:
        return {}
    # A crowd is no object that could be in the wrong place.
    each = [
        (frame, box)
        for frame in frames
        for box in boxes.get(frame.name, ())
        if not box.iscrowd and box.proposal_id is not None
    ]
    if not each:
        return {}
    scores = [box.score for _frame, box in each if box.score is not None]
    wanted = max(1, round(share * len(each)))
    found: dict[str, Probe] = {}
    for number in range(wanted):
        run = each[number * len(each) // wanted : (number + 1) * len(each) // wanted]
        for frame, box in sorted(run, key=lambda e: content_id("probe", seed, e[0].id, e[1].proposal_id or "")):
            probe = None if frame.name in found else _probe(frame, box, boxes[frame.name], labels, scores, seed)
            if probe is not None:
                found[frame.name] = probe
                break
    return found


def with_probe(boxes: Sequence[Box], probe: Probe) -> tuple[Box, ...]:
    """The proposals of a frame as they are shown: the probe in its place, an invented one where its score puts it."""
    if probe.replaces is not None:
        return tuple(probe.box if box.proposal_id == probe.replaces.proposal_id else box for box in boxes)
    score = probe.box.score or 0.0
    at = next((i for i, box in enumerate(boxes) if (box.score or 0.0) < score), len(boxes))
    return (*boxes[:at], probe.box, *boxes[at:])


def uncaught(boxes: Sequence[Box], probes: Iterable[Probe]) -> dict[int, Probe]:
    """The boxes of a frame that are probes nobody touched, by their position in ``boxes``.

    A box that carries a probe's id is untouched with the probe's class and nearly its place: one that was nudged is as
    wrong as before.  Tools may drop ids; a box without one is the probe when it has the very same coordinates.  What a
    person drew anew in the same place is theirs: there was something, after all.
    """
    return {
        position: probe
        for probe in probes
        for position, box in enumerate(boxes)
        if box.label == probe.box.label and _is_still(box, probe.box)
    }


def _is_still(box: Box, probe: Box) -> bool:
    if box.proposal_id is None:
        return unmoved(box.xywh, probe.xywh)
    return box.proposal_id == probe.proposal_id and overlap(box.xywh, probe.xywh) >= UNTOUCHED


def _probe(
    frame: Frame, box: Box, on_frame: Sequence[Box], labels: Sequence[str], scores: Sequence[float], seed: str
) -> Probe | None:
    """A probe made of this proposal, of the first kind that its frame allows; None where none does."""
    chance = Random(int(content_id("probe kind", seed, frame.id, box.proposal_id or ""), 16))
    kinds = sorted(get_args(ProbeKind), key=lambda _kind: chance.random())
    for kind in kinds:
        label, xywh, score = box.label, box.xywh, box.score
        if kind == "swapped":
            others = [name for name in labels if name != label]
            if not others or (score is not None and score < _SURE):
                continue
            label = others[int(chance.random() * len(others))]
        else:
            place = _shifted(frame, box, on_frame, chance) if kind == "shifted" else _free(frame, box, on_frame, chance)
            if place is None:
                continue
            xywh = place
        if kind == "invented":
            score = scores[int(chance.random() * len(scores))] if scores else None
        numbers = " ".join(map(repr, xywh))
        identity = content_id("proposal", "probe", seed, frame.id, box.proposal_id or "", kind, label, numbers)
        shown = Box(label, xywh, score, identity, attributes=box.attributes)
        return Probe(kind, shown, None if kind == "invented" else box)
    return None


def _shifted(
    frame: Frame, box: Box, on_frame: Sequence[Box], chance: Random
) -> tuple[float, float, float, float] | None:
    """The box beside its object and on no other proposal, inside the frame."""
    x, y, w, h = box.xywh
    turn = chance.random()
    for step in range(_TRIES):
        angle = 2 * math.pi * (turn + step / _TRIES)
        reach = _REACH[0] + (_REACH[1] - _REACH[0]) * chance.random()
        place = (round(x + reach * w * math.cos(angle), 2), round(y + reach * h * math.sin(angle), 2), w, h)
        if _inside(frame, place) and all(overlap(place, other.xywh) < CLEARLY_WRONG for other in on_frame):
            return place
    return None


def _free(frame: Frame, box: Box, on_frame: Sequence[Box], chance: Random) -> tuple[float, float, float, float] | None:
    """A place of the box's size that touches no proposal, inside the frame."""
    _x, _y, w, h = box.xywh
    for _ in range(_TRIES):
        place = (round(chance.random() * (frame.width - w), 2), round(chance.random() * (frame.height - h), 2), w, h)
        if _inside(frame, place) and all(overlap(place, other.xywh) == 0.0 for other in on_frame):
            return place
    return None


def _inside(frame: Frame, xywh: tuple[float, float, float, float]) -> bool:
    x, y, w, h = xywh
    return x >= 0 and y >= 0 and x + w <= frame.width and y + h <= frame.height
