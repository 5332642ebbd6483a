"""What a merge makes of the dataset: which frames change, which leave, and where the two sides disagree.

Nothing is written here, so that it can be shown before it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from data_engine.app.annotation.jobs import SeenJob
from data_engine.app.merge.merge_spool import Spool, Spooled
from data_engine.lineage import merge_bases, shown_boxes
from data_engine.lineage.database import Connection
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.deliveries import given_before
from data_engine.lineage.split_sources import Ever
from data_engine.stages.export import boxes_content
from data_engine.stages.merge import Kind, Placed, Shown, three_way
from data_engine.types import BoxRow, ClassRegistry, DatasetVersion, Proposed

Kept = Literal["theirs", "ours"]
"""Whose boxes a frame gets where they disagree: those that came back, or those that the dataset holds."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read, and what there is."""

    jobs: Sequence[SeenJob]
    """In the order in which they were accepted, for where two hold the same frame the newest counts."""
    latest: DatasetVersion | None
    held: Mapping[str, DatasetFrame]
    """Frames of the newest version."""
    in_doubt: frozenset[str]
    """Those of them that hold boxes of jobs that are not, or no longer, accepted."""

    @property
    def standing(self) -> frozenset[str]:
        """The frames that stay in the dataset."""
        return frozenset(self.held.keys() - self.in_doubt)

    def new_of(self, given: Mapping[str, Sequence[Spooled]]) -> dict[str, list[Spooled]]:
        """What the jobs give but what they gave before.

        A job that is read again for a frame that the dataset lost says nothing new of those that it has.
        """
        again = {job.known.id for job in self.jobs if job.merged}
        standing = self.standing
        found = {f: [s for s in sides if s.job_id not in again or f not in standing] for f, sides in given.items()}
        return {frame_id: sides for frame_id, sides in found.items() if sides}


@dataclass(frozen=True, slots=True)
class Dispute:
    """A frame of which two accepted jobs say something else."""

    frame_id: str
    job_id: str
    """Whose boxes came back."""
    other_job_id: str
    """Whose boxes are held."""
    kinds: tuple[Kind, ...]
    """What there is between them, a word a box."""
    theirs: tuple[BoxRow, ...]
    """All boxes of each side."""
    ours: tuple[BoxRow, ...]


Decide: TypeAlias = "Callable[[Dispute], Kept]"


@dataclass(frozen=True, slots=True)
class Settled:
    """A frame as the next version has it."""

    job_id: str
    content: str
    categories: tuple[int, ...]
    boxes: Spooled | tuple[BoxRow, ...]
    """As one job gives them, or mixed of several."""


@dataclass(slots=True)
class Plan:
    """What becomes of the dataset."""

    latest: DatasetVersion | None
    held: Mapping[str, DatasetFrame]
    """Its frames, by id."""
    changed: dict[str, Settled] = field(default_factory=dict)
    """Frames that come or change, by id."""
    left: dict[str, str] = field(default_factory=dict)
    """Frames that leave -> ``reopened`` or ``withheld``."""
    disputes: list[tuple[Dispute, Kept]] = field(default_factory=list)
    mixed: int = 0
    """Frames that hold boxes of several jobs from now on."""
    agreed: dict[str, str] = field(default_factory=dict)
    """Frames of which a job says what is held, by its word the last -> its lineage id."""

    ever: Ever | None = None
    """All frames that the versions so far held, where they were read to decide on the sides."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.left)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a merge reads from."""

    connection: Connection
    spool: Spool
    registry: ClassRegistry
    tasks: Mapping[str, str]
    """Lineage id of the task of each job that is merged, by that of the job."""
    acceptances: Mapping[str, str]
    """Id of the acceptance that each of these jobs stands by; empty before it is recorded."""
    least: float
    """Overlap from which two boxes are one that was moved."""
    earlier: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Jobs whose word a job takes over, the newest first, by its lineage id: deliveries of one dataset before it."""


def make_plan(
    sources: Sources,
    wanted: Wanted,
    given: Mapping[str, Sequence[Spooled]],
    *,
    withheld: Mapping[str, str],
    decide: Decide,
    hold: bool = False,
) -> Plan:
    """Find what a merge makes of the dataset.

    Args:
        sources: what it reads from.
        wanted: what there is.
        given: what the accepted jobs that are merged give, by frame; the one that was accepted last comes last.
        withheld: frames that an accepted job does not give (any more), with its lineage id.
        decide: asked where two sides disagree.
        hold: a frame of the dataset on which any two sides disagree stays as it is whole.
    """
    held = wanted.held
    plan = Plan(wanted.latest, held)
    for frame_id, entry in held.items():
        if frame_id not in given:
            if frame_id in wanted.in_doubt:
                plan.left[frame_id] = "reopened"
            elif withheld.get(frame_id) == entry.job_id:
                plan.left[frame_id] = "withheld"
    standing = wanted.standing & given.keys()
    contested = [f for f, sides in given.items() if _contested(sides, held.get(f) if f in standing else None)]
    merger = _Merger(sources, plan, decide, hold=hold)
    merger.load(contested, [f for f in contested if f in standing])
    disputed = set(contested)
    for frame_id in sorted(given):
        if frame_id in disputed:
            merger.settle(frame_id, given[frame_id])
            continue
        one = given[frame_id][-1]
        # The same boxes, but from now on on the word of a job that is accepted, are a change too.
        if frame_id not in standing or held[frame_id].content != one.content:
            plan.changed[frame_id] = Settled(one.job_id, one.content, one.categories, one)
        else:
            plan.agreed[frame_id] = one.job_id
    return plan


def _contested(sides: Sequence[Spooled], there: DatasetFrame | None) -> bool:
    """Whether a frame has two sides that say something else."""
    contents = {side.content for side in sides} | ({there.content} if there is not None else set())
    return len(contents) > 1


class _Merger:
    """Merges contested frames, one job after the other into what is held."""

    def __init__(self, sources: Sources, plan: Plan, decide: Decide, *, hold: bool) -> None:
        self._sources, self._plan, self._decide, self._hold = sources, plan, decide, hold
        self._ours: dict[str, list[BoxRow]] = {}
        self._before: dict[str, dict[str, list[BoxRow]]] = {}
        self._shown: dict[str, dict[str, list[Proposed]]] = {}

    def load(self, frame_ids: Sequence[str], standing: Sequence[str]) -> None:
        """Read what is held of contested frames."""
        if self._plan.latest is not None:
            number = self._plan.latest.number
            self._ours = merge_bases.boxes_now(self._sources.connection, number, standing)
        self._contested = frame_ids

    def settle(self, frame_id: str, sides: Sequence[Spooled]) -> None:
        """Merge what the jobs give of a frame into what is held of it."""
        ours: list[BoxRow] | None = self._ours.get(frame_id)
        holder = self._plan.held[frame_id].job_id if ours is not None else ""
        start = None if ours is None else list(ours)
        disputes = len(self._plan.disputes)
        source: Spooled | None = None
        for side in sides:
            theirs = self._sources.spool.get(
                side, since=self._next, acceptance=self._sources.acceptances.get(side.job_id)
            )
            own = {side.job_id, *self._sources.earlier.get(side.job_id, ())}
            if ours is None or ({box.job_id for box in ours} <= own and holder in own):
                # Nobody else had a hand in it: what the job says now is what it says.
                ours, holder, source = theirs, side.job_id, side
                continue
            merged, whole = self._merged(frame_id, side.job_id, holder, theirs, ours)
            if whole or merged != ours:
                holder, source = side.job_id, side if whole else None
            ours = merged
        assert ours is not None
        if self._hold and start is not None and len(self._plan.disputes) > disputes:
            return
        content = boxes_content((box.category_id, box.xywh, box.iscrowd) for box in ours)
        if start is not None and content == self._plan.held[frame_id].content:
            if len(self._plan.disputes) == disputes:
                self._plan.agreed[frame_id] = sides[-1].job_id
            return
        if len({box.job_id for box in ours}) > 1:
            self._plan.mixed += 1
        boxes = source if source is not None else tuple(box._replace(since=self._next) for box in ours)
        categories = tuple(sorted({box.category_id for box in ours}))
        self._plan.changed[frame_id] = Settled(holder, content, categories, boxes)

    def _merged(
        self, frame_id: str, job_id: str, holder: str, theirs: list[BoxRow], ours: list[BoxRow]
    ) -> tuple[list[BoxRow], bool]:
        """The boxes of both, and whether they are just theirs."""
        found = three_way(self._base(frame_id, job_id), theirs, ours, least=self._sources.least)
        if found.conflicts:
            kinds = tuple(conflict.kind for conflict in found.conflicts)
            dispute = Dispute(frame_id, job_id, holder, kinds, tuple(theirs), tuple(ours))
            kept = self._decide(dispute)
            self._plan.disputes.append((dispute, kept))
            if kept == "ours":
                return ours, False
        boxes = sorted(found.newest)
        return boxes, boxes == sorted(theirs)

    def _base(self, frame_id: str, job_id: str) -> Sequence[Placed]:
        """What a job's people began from: what it gave before, else the proposals that they were shown."""
        sources = self._sources
        if job_id not in self._before:
            deliveries = sources.earlier.get(job_id)
            self._before[job_id] = (
                merge_bases.given_before(sources.connection, job_id, self._contested)
                if deliveries is None
                else given_before(sources.connection, deliveries, self._contested)
            )
        before = self._before[job_id].get(frame_id)
        if before is not None:
            return before
        task = sources.tasks[job_id]
        if task not in self._shown:
            wanted = self._contested
            self._shown[task] = shown_boxes.shown_on(sources.connection, task, wanted)
        return [
            Shown(sources.registry.id_of(p.box.label), p.box.xywh, proposal_id=p.id)
            for p in self._shown[task].get(frame_id, ())
            if p.box.label in sources.registry
        ]

    @property
    def _next(self) -> int:
        latest = self._plan.latest
        return 1 if latest is None else latest.number + 1


def boxes_of(plan: Plan, spool: Spool, acceptances: Mapping[str, str]) -> Iterator[Sequence[Any]]:
    """The boxes of all frames that come or change, as rows of the next version: values as of :class:`BoxRow`."""
    number = 1 if plan.latest is None else plan.latest.number + 1
    for frame_id in sorted(plan.changed):
        boxes = plan.changed[frame_id].boxes
        if isinstance(boxes, Spooled):
            yield from spool.rows(boxes, since=number, acceptance=acceptances.get(boxes.job_id))
        else:
            yield from boxes
