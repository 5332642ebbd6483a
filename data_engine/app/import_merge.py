"""An import becomes a dataset version, by the merge that takes accepted jobs in: box by box, nothing overwritten."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from data_engine.app import export_conflicts
from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.export_merge import advance, planned_sides
from data_engine.app.export_plan import Dispute, Kept, Plan, Settled, Sources, Wanted, make_plan
from data_engine.app.merge_spool import Spool, Spooled
from data_engine.lineage import datasets, imports
from data_engine.lineage.database import Connection
from data_engine.lineage.imports import Import
from data_engine.stages.export import dataset_name, merge_frame
from data_engine.stages.import_plan import SIDES_SAID, Labelled, Sides
from data_engine.types import ClassRegistry, DatasetVersion, Frame

OnConflict = Literal["held", "newest"]
"""Whose boxes a frame keeps where the dataset says something else: its own, or those of the import."""
_POLICIES = {"held": "both", "newest": "newest"}
"""What is recorded of a conflict: one that was kept as it is waits to be looked at."""


@dataclass(slots=True)
class Outcome:
    """What an import did to the dataset, or would do."""

    version: DatasetVersion | None = None
    """The newest one now; None where there still is none."""
    made: bool = False
    """Whether it is new."""
    again: bool = False
    """Whether the same import was merged before: then nothing is done."""
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
    boxes: int = 0
    """Boxes that came in."""
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

    def named(self) -> list[tuple[str, str]]:
        """The frames with their names in tasks and datasets, in order of these."""
        names = {i: dataset_name(self.frames[i]) for i in self.pictures}
        return sorted(names.items(), key=lambda item: (item[1], item[0]))


@contextlib.contextmanager
def spooled(engine: Engine, given: Given) -> Iterator[tuple[Spool, dict[str, list[Spooled]]]]:
    """The boxes of an import on disk, as the merge wants them: a million are not kept in memory."""
    with contextlib.closing(Spool(engine.storage.path(STATE_FOLDER))) as spool:
        engine.progress.start("preparing boxes", len(given.pictures), "frames")
        found: dict[str, list[Spooled]] = {}
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
            found[identity] = [spool.put(given.made.job_id, merged)]
            engine.progress.advance()
        engine.progress.finish()
        yield spool, found


def merge_import(
    engine: Engine,
    connection: Connection,
    given: Given,
    spool: Spool,
    boxes: Mapping[str, Sequence[Spooled]],
    *,
    run: str,
    dry_run: bool = False,
) -> Outcome:
    """Record an import and the version that holds it, in the caller's transaction.

    Args:
        engine: the workspace.
        connection: of a writing transaction.
        given: the import.
        spool: where its boxes are.
        boxes: their places, by frame id.
        run: id of the run.
        dry_run: whether the transaction is taken back: then no version is made of the plan.
    """
    made = given.made
    latest = datasets.latest(connection)
    if imports.merged(connection, made.task_id):
        return Outcome(latest, again=True)
    held = {} if latest is None else datasets.frames_of(connection, latest.number)
    earlier = imports.jobs_of(connection, made.name)
    labels = sorted({box.label for picture in given.pictures.values() for box in picture.boxes})
    stands = imports.record(connection, made, given.named(), labels=labels, run=run, at=engine.now())
    least = engine.settings.export.match_iou
    tasks, acceptances = {made.job_id: made.task_id}, {made.job_id: stands}
    sources = Sources(connection, spool, given.classes, tasks, acceptances, least, {made.job_id: earlier})
    kept: Kept = "theirs" if given.on_conflict == "newest" else "ours"
    plan = make_plan(sources, Wanted((), latest, held, frozenset()), boxes, withheld={}, decide=lambda _dispute: kept)
    outcome = _outcome(plan, given, boxes)
    said = {i: SIDES_SAID.get(p.said or "") for i, p in given.pictures.items()} if given.sides == "keep" else {}
    sides = {i: side for i, side in said.items() if side is not None}
    if dry_run:
        outcome.sides = dict(Counter(planned_sides(connection, plan, engine.settings.export, sides).values()))
        return outcome
    outcome.version = advance(engine, connection, plan, spool, acceptances, engine.settings.export, run, said=sides)
    if outcome.version is not None:
        outcome.sides = imports.sides_since(connection, outcome.version.number) if outcome.made else {}
        policy = _POLICIES[given.on_conflict]
        export_conflicts.record(engine, connection, plan, outcome.version.number, policy=policy)
    return outcome


def _outcome(plan: Plan, given: Given, boxes: Mapping[str, Sequence[Spooled]]) -> Outcome:
    disputed: dict[str, Dispute] = {dispute.frame_id: dispute for dispute, _kept in plan.disputes}
    won = {dispute.frame_id for dispute, kept in plan.disputes if kept == "theirs"}
    names = {i: dataset_name(given.frames[i]) for i in disputed}
    added = [i for i in plan.changed if i not in plan.held]
    return Outcome(
        plan.latest,
        made=bool(plan),
        added=len(added),
        changed=len(plan.changed) - len(added),
        same=len(boxes.keys() - plan.changed.keys() - disputed.keys()),
        kept=sorted(name for i, name in names.items() if i not in won),
        replaced=sorted(name for i, name in names.items() if i in won),
        boxes=sum(
            _brought(entry, given.made.job_id, len(given.pictures[i].boxes)) for i, entry in plan.changed.items()
        ),
    )


def _brought(entry: Settled, job_id: str, drawn: int) -> int:
    """How many boxes of a frame are the import's."""
    if isinstance(entry.boxes, Spooled):
        return drawn
    return sum(box.job_id == job_id for box in entry.boxes)
