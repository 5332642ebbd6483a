"""An import becomes a dataset version, by the merge that takes accepted jobs in: box by box, nothing overwritten."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.merge import export_conflicts
from data_engine.app.merge.export_merge import advance, planned_sides
from data_engine.app.merge.export_plan import Decide, Dispute, Kept, Plan, Sources, Wanted, make_plan
from data_engine.app.merge.import_counts import BoxCounts, box_counts
from data_engine.app.merge.merge_spool import Spool, Spooled
from data_engine.lineage import datasets, deliveries, imports
from data_engine.lineage.database import Connection
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.imports import Import
from data_engine.stages.export import dataset_name, merge_frame
from data_engine.stages.import_plan import SIDES_SAID, Labelled, Sides
from data_engine.types import ClassRegistry, DatasetVersion, Frame

OnConflict = Literal["held", "newest", "ask"]
"""Whose boxes a frame keeps where the dataset says something else: its own, the import's, or as a person says."""
_POLICIES = {"held": "both", "newest": "newest", "ask": "ask"}
"""What is recorded of a conflict: one that was kept as it is waits to be looked at."""


@dataclass(slots=True)
class Outcome:
    """What an import did to the dataset, or would do."""

    version: DatasetVersion | None = None
    """The newest one now; None where there still is none."""
    made: bool = False
    """Whether it is new."""
    again: bool = False
    """Whether the last delivery of its name said the same, and the dataset lacks nothing of it."""
    added: int = 0
    """Frames that the dataset did not hold."""
    changed: int = 0
    """Frames that it held with other boxes."""
    same: int = 0
    """Frames that stay as they are, and nothing is disputed."""
    kept: list[str] = field(default_factory=list)
    """Names of the frames that keep the dataset's boxes against the import's."""
    replaced: list[str] = field(default_factory=list)
    """Names of the frames whose boxes gave way to the import's."""
    disputes: tuple[Dispute, ...] = ()
    """All that the dataset and the import say otherwise, whoever gave way."""
    apart: list[str] = field(default_factory=list)
    """Of what was imported before, names of the frames whose boxes others changed since: they stay."""
    deleted: list[str] = field(default_factory=list)
    """Of what was imported before, names of the frames that people deleted since: they stay away."""
    elsewhere: list[str] = field(default_factory=list)
    """Names of the frames that stay on another side of the split than the source says."""
    doubled: int = 0
    """Boxes left out, for another class has one in the same place that is the same class here."""
    boxes: BoxCounts = field(default_factory=BoxCounts)
    sides: dict[str, int] = field(default_factory=dict)
    """Frames that came in or changed, by side of the split."""


@dataclass(frozen=True, slots=True)
class Given:
    """What an import gives, frame by frame."""

    made: Import
    pictures: Mapping[str, Labelled]
    """By frame id."""
    frames: Mapping[str, Frame]
    """Registered, by id."""
    classes: ClassRegistry
    """With every class of the import."""
    sides: Sides
    """Whose sides of the split."""
    on_conflict: OnConflict
    again: bool = False
    """Whether it is the last delivery of its name once more."""

    def named(self) -> list[tuple[str, str]]:
        """The frames with their names in tasks and datasets, in order of these."""
        names = {i: dataset_name(self.frames[i]) for i in self.pictures}
        return sorted(names.items(), key=lambda item: (item[1], item[0]))

    def names(self, frame_ids: Iterable[str]) -> list[str]:
        """The names of these frames, sorted."""
        return sorted(dataset_name(self.frames[i]) for i in frame_ids)


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of an import, by frame id."""

    spool: Spool
    places: dict[str, list[Spooled]] = field(default_factory=dict)
    """Where they are in it."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many they are."""


@contextlib.contextmanager
def spooled(engine: Engine, given: Given) -> Iterator[Boxes]:
    """The boxes of an import on disk, as the merge wants them: a million are not kept in memory."""
    with contextlib.closing(Spool(engine.storage.path(STATE_FOLDER))) as spool:
        engine.progress.start("preparing boxes", len(given.pictures), "frames")
        found = Boxes(spool)
        for identity, picture in given.pictures.items():
            merged = merge_frame(
                given.frames[identity],
                picture.boxes,
                (),
                given.classes,
                job_id=given.made.job_id,
                annotator=None,
                reviewer=None,
                match_iou=engine.settings.export.match_iou,
            )
            found.places[identity] = [spool.put(given.made.job_id, merged)]
            found.counts[identity] = len(merged.boxes)
            engine.progress.advance()
        engine.progress.finish()
        yield found


def merge_import(
    engine: Engine,
    connection: Connection,
    given: Given,
    boxes: Boxes,
    *,
    run: str,
    decide: Decide | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Record an import and the version that holds it, in the caller's transaction.

    The last delivery once more says nothing new of what it gave, whatever people made of it since.  Taken are the
    frames that the dataset lacks of it: those that a revert took back or that left otherwise, and unless the dataset's
    boxes are to stay (``held``) those that kept them before.

    Args:
        engine: the workspace.
        connection: of a writing transaction.
        given: the import.
        boxes: what it holds.
        run: id of the run.
        decide: whose boxes count where both say otherwise, in the place of the policy.
        dry_run: whether the transaction is taken back: then no version is made of the plan.
    """
    made, at = given.made, engine.now()
    latest = datasets.latest(connection)
    held = {} if latest is None else datasets.frames_of(connection, latest.number)
    owed = _owed(connection, given, held) if given.again else boxes.places.keys()
    earlier = imports.jobs_of(connection, made.name)
    tasks, acceptances = {made.job_id: made.task_id}, {made.job_id: imports.acceptance_id(made, at)}
    least = engine.settings.export.match_iou
    sources = Sources(connection, boxes.spool, given.classes, tasks, acceptances, least, {made.job_id: earlier})
    kept: Kept = "theirs" if given.on_conflict == "newest" else "ours"
    wanted = {frame_id: sides for frame_id, sides in boxes.places.items() if frame_id in owed}
    decide = decide or (lambda _dispute: kept)
    plan = make_plan(sources, Wanted((), latest, held, frozenset()), wanted, withheld={}, decide=decide)
    outcome = _outcome(connection, plan, given, boxes)
    said = {i: SIDES_SAID.get(p.said or "") for i, p in given.pictures.items()} if given.sides == "keep" else {}
    sides = {i: side for i, side in said.items() if side is not None}
    outcome.elsewhere = given.names(i for i, side in sides.items() if i in held and held[i].split != side)
    if dry_run:
        outcome.sides = dict(Counter(planned_sides(connection, plan, engine.settings.export, sides).values()))
    if dry_run or outcome.again:
        return outcome
    labels = sorted({box.label for picture in given.pictures.values() for box in picture.boxes})
    lost = {dispute.frame_id for dispute, kept in plan.disputes if kept == "ours"}
    imports.record(connection, made, given.named(), labels=labels, run=run, at=at, refused=lost)
    settings = engine.settings.export
    outcome.version = advance(engine, connection, plan, boxes.spool, acceptances, settings, run, said=sides)
    if outcome.version is not None:
        outcome.sides = imports.sides_since(connection, outcome.version.number) if outcome.made else {}
        policy = _POLICIES[given.on_conflict]
        export_conflicts.record(engine, connection, plan, outcome.version.number, policy=policy)
    return outcome


def _owed(connection: Connection, given: Given, held: Mapping[str, DatasetFrame]) -> set[str]:
    """The frames that the dataset lacks of what was imported before."""
    job, gone = given.made.job_id, given.frames.keys() - held.keys()
    back, kept = deliveries.taken_back(connection, job), deliveries.kept_out(connection, job)
    owed = back - kept if given.on_conflict == "held" else back | kept
    return owed | (gone - deliveries.deleted(connection, gone))


def _outcome(connection: Connection, plan: Plan, given: Given, boxes: Boxes) -> Outcome:
    places = boxes.places
    disputed = {dispute.frame_id for dispute, _kept in plan.disputes}
    won = {dispute.frame_id for dispute, kept in plan.disputes if kept == "theirs"}
    lost = disputed - won
    apart: set[str] = set()
    if given.again:
        stay = plan.held.keys() & places.keys() - plan.changed.keys() - disputed
        apart = {i for i in stay if plan.held[i].content != places[i][-1].content}
        lost |= (kept := apart & deliveries.kept_out(connection, given.made.job_id))
        apart -= kept
    added = plan.changed.keys() - plan.held.keys()
    return Outcome(
        plan.latest,
        made=bool(plan),
        again=given.again and not plan and not disputed,
        added=len(added),
        changed=len(plan.changed) - len(added),
        same=len((places.keys() & plan.held.keys()) - plan.changed.keys() - disputed - lost),
        kept=given.names(lost),
        replaced=given.names(won),
        disputes=tuple(dispute for dispute, _kept in plan.disputes),
        apart=given.names(apart),
        deleted=given.names(places.keys() - plan.held.keys() - plan.changed.keys()),
        doubled=sum(p.doubled + len(p.boxes) - boxes.counts[i] for i, p in given.pictures.items()),
        boxes=box_counts(connection, plan, boxes.spool, places, boxes.counts),
    )
