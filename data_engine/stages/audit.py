"""Audit: what people did to what they were shown, and how long they looked at it.  Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from data_engine.formats.boxes import unmoved
from data_engine.stages.export import match
from data_engine.stages.probes import uncaught
from data_engine.types import Box, Outlined, Probe, Proposed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FAST = 0.25
"""Share of the minutes that looking over the frames is said to take, under which nobody can have looked."""
GLANCE_S = 0.4
"""Seconds a frame under which no reviewer can have decided on it: to press a key at the sight of anything at all takes
a quarter of a second, to choose between two keys about as much again."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the boxes of some frames."""

    frames: int = 0
    boxes: int = 0
    """At the end."""
    kept: int = 0
    moved: int = 0
    """Another place or size, the same class."""
    relabelled: int = 0
    """Another class, wherever it is now."""
    added: int = 0
    removed: int = 0
    probes: int = 0
    """That were shown; they count in none of the above, whatever became of them."""
    caught: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Tally)))

    @property
    def changed(self) -> int:
        """Boxes that are not as they were, or not there, or new."""
        return self.moved + self.relabelled + self.added + self.removed

    @property
    def unchanged_share(self) -> float | None:
        """How much of it was left as it was, 0 to 1; None where there was nothing."""
        total = self.kept + self.changed
        return self.kept / total if total else None

    @property
    def emptied(self) -> bool:
        """Whether every box went, ordinary proposals among them: that is no look at each, whatever became of probes."""
        return not self.boxes and self.removed > 0


@dataclass(frozen=True, slots=True)
class Fate:
    """A box that there is, and what became of the one that it began as."""

    box: Box
    what: Literal["kept", "moved", "relabelled", "added"]
    before: Proposed | None
    """None where it was added."""


@dataclass(frozen=True, slots=True)
class AuditedJob:
    """What is known of one job that was handed in."""

    number: int
    annotator: str | None
    work: Tally
    """What the annotator made of the proposals."""
    minutes: float | None = None
    """Of annotation; None where nobody saw it ``in progress``."""
    rejected: int = 0
    """How often it went back."""
    review: Tally | None = None
    """What the review made of the annotator's boxes; None where it is not over, or these were not kept."""

    def rushed(self, minutes_per_frame: float) -> bool:
        """Whether nothing was touched in less time than looking takes, or without any work that was seen."""
        if self.work.changed or self.work.caught or not self.work.kept:
            return False
        return self.minutes is None or self.minutes < FAST * minutes_per_frame * self.work.frames


@dataclass(frozen=True, slots=True)
class Person:
    """The jobs of one annotator that were handed in, together."""

    name: str | None
    jobs: tuple[AuditedJob, ...]

    @property
    def work(self) -> Tally:
        """Over all jobs."""
        return sum((job.work for job in self.jobs), Tally())

    @property
    def minutes_per_job(self) -> float | None:
        """Mean over the jobs whose minutes are known."""
        known = [job.minutes for job in self.jobs if job.minutes is not None]
        return sum(known) / len(known) if known else None

    @property
    def rejected(self) -> int:
        """Jobs that went back at least once."""
        return sum(job.rejected > 0 for job in self.jobs)

    @property
    def rejections(self) -> int:
        """How often jobs went back."""
        return sum(job.rejected for job in self.jobs)

    @property
    def review(self) -> Tally | None:
        """What reviews changed, over the jobs of which that is known."""
        known = [job.review for job in self.jobs if job.review is not None]
        return sum(known, Tally()) if known else None


def fates(before: Sequence[Proposed], after: Sequence[Box], match_iou: float) -> tuple[list[Fate], list[Proposed]]:
    """What became of one frame's boxes, box by box: those that there are, in order, and those that were removed.

    A box that carries the id of one before began as that one; the others are matched to those that are left, the best
    overlap first.  Nothing is known of probes here: who looks at a job must not be told of them.

    Args:
        before: what there was, with ids that differ.
        after: what there is.
        match_iou: overlap from which a box is the corrected one below it.
    """
    origin = match(after, before, match_iou)
    left: list[Fate] = []
    for position, box in enumerate(after):
        source = origin.get(position)
        left.append(Fate(box, "added" if source is None else _fate(box, source.box), source))
    used = {source.id for source in origin.values()}
    return left, [entry for entry in before if entry.id not in used]


def compare(before: Sequence[Proposed], after: Sequence[Box], match_iou: float, probes: Iterable[Probe] = ()) -> Tally:
    """What became of one frame's boxes, counted; see :func:`fates`.

    Args:
        before: what there was, with ids that differ; probes among them.
        after: what there is.
        match_iou: overlap from which a box is the corrected one below it.
        probes: which of ``before`` are known to be wrong.
    """
    watched = {probe.box.proposal_id: probe for probe in probes}
    missed = uncaught(after, watched.values())
    left, gone = fates(before, after, match_iou)
    counts: defaultdict[str, int] = defaultdict(int)
    for position, fate in enumerate(left):
        if position in missed or (fate.before is not None and fate.before.id in watched):
            continue
        counts[fate.what] += 1
    counts["removed"] = sum(entry.id not in watched for entry in gone)
    overlooked = {probe.box.proposal_id for probe in missed.values()}
    return Tally(1, len(after), probes=len(watched), caught=len(watched) - len(overlooked), **counts)


def compare_reviewed(submitted: Mapping[str, Sequence[Box]], now: Mapping[str, Sequence[Box]], least: float) -> Tally:
    """What a review changed in the boxes that an annotator handed in, by frame name; frames that are gone are passed.

    Args:
        submitted: as they were handed in.
        now: as they were accepted.
        least: overlap from which a box is the changed one below it.
    """
    tallies = []
    for name, boxes in now.items():
        rest = list(boxes)
        before = []
        same = 0
        for index, box in enumerate(submitted.get(name, ())):
            twin = next((other for other in rest if other.label == box.label and unmoved(other.xywh, box.xywh)), None)
            if twin is None:
                before.append(Proposed(f"{index} {box.proposal_id or ''}", None, box))
            else:
                rest.remove(twin)
                same += 1
        # Ids may stand twice here, for people copy boxes: place alone tells.
        plain = [Box(box.label, box.xywh) for box in rest]
        tallies.append(compare(before, plain, least) + Tally(boxes=same, kept=same))
    return sum(tallies, Tally())


def by_person(jobs: Iterable[AuditedJob]) -> list[Person]:
    """The jobs by annotator, by name; those that are nobody's come last."""
    found: defaultdict[str | None, list[AuditedJob]] = defaultdict(list)
    for job in jobs:
        found[job.annotator].append(job)
    return [Person(name, tuple(found[name])) for name in sorted(found, key=lambda name: (name is None, name or ""))]


def _fate(box: Box, before: Box | Outlined) -> Literal["kept", "moved", "relabelled"]:
    if box.label != before.label:
        return "relabelled"
    return "kept" if unmoved(box.xywh, before.xywh) else "moved"
