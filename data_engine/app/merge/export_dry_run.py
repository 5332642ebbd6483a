"""``export --dry-run``: what an export would make of the dataset.  Nothing is written, here or on the server."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_engine.app.annotation.job_look import deleted_since, doubtful_jobs, peek
from data_engine.app.annotation.jobs import nothing_there
from data_engine.app.collector import seldom_collected
from data_engine.app.dataset.difference import Difference, table_rows
from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.merge import export_conflicts
from data_engine.app.merge.export_jobs import read_jobs
from data_engine.app.merge.export_merge import planned_sides, to_merge, without
from data_engine.app.merge.export_plan import Plan, Sources, make_plan
from data_engine.app.merge.merge_spool import Spool, Spooled
from data_engine.app.outputs import output_key
from data_engine.lineage import footage, merge_bases, models, withdrawals
from data_engine.lineage.database import Connection, chunks
from data_engine.lineage.former_lives import FormerLives
from data_engine.stages.dataset_diff import FrameChange, compare
from data_engine.types import Annotation, BoxRow, DatasetVersion, Frame, Report, Split
from data_engine.words import counted

LIMIT = 20
"""Rows of the table."""
_AT_ONCE = 2_000
_NOTHING = DatasetVersion("", 0, None, 0, 0, "")


@seldom_collected()
def try_export(
    engine: Engine, *, task_id: int | None = None, limit: int = LIMIT, pictures: Path | None = None
) -> Report:
    """Tell what ``export`` would make of the dataset.

    Args:
        engine: the workspace.
        task_id: as of ``export``.
        limit: rows of the table.
        pictures: a page to write with the frames that would change.

    Raises:
        MissingInputError: nothing was uploaded yet, or the task was not uploaded from here.
        UsageError: ``pictures`` is a folder.
        ConflictError: ``pictures`` is a place of the workspace's own.
    """
    if pictures is not None:
        output_key(engine, "--pictures", pictures)
    with contextlib.closing(Spool(engine.storage.path(STATE_FOLDER))) as spool, engine.database.read() as connection:
        shown = _Shown(engine, connection, spool, task_id)
        rows: list[Mapping[str, Any]] = []
        totals: Counter[str] = Counter()
        of_class: dict[str, Counter[str]] = {}
        for frame, change in shown.changes():
            _count(shown.pair, change, totals, of_class)
            rows += table_rows(shown.pair, frame, change)
        plan = shown.plan
        disputed = sorted(export_conflicts.told(engine, connection, plan, every=True, decided=False))
        written = {} if pictures is None else {"pictures": shown.write_page(pictures, totals)}
        names = [f"{what}_{kind}" for what in ("frames", "boxes") for kind in ("added", "removed", "changed")]
        return Report(
            title=shown.title(totals),
            data={
                "dry_run": True,
                "from": shown.pair.first.label,
                "jobs_accepted": shown.accepted,
                "jobs_to_merge": shown.jobs,
                "jobs_in_doubt": shown.in_doubt,
                **{name: totals[name] for name in names},
                "frames_disputed": len(plan.disputes),
                "frames_to_be_asked_about": shown.asks,
                "frames_of_several_jobs": plan.mixed,
                **written,
            },
            tables={
                "classes": tuple({"class": name, **found} for name, found in sorted(of_class.items())),
                "disputes": tuple({"dispute": sentence} for sentence in disputed),
            },
            rows=tuple(rows[:limit]),
            every_row=lambda: rows,
            notes=(*shown.notes, *_unasked(shown.asks), *_cut(len(rows), limit)),
            failures=shown.failures,
            next="dataengine export",
        )


class _Shown:
    """What would be merged."""

    def __init__(self, engine: Engine, connection: Connection, spool: Spool, task_id: int | None) -> None:
        settings, backend = engine.settings.export, engine.backend()
        self._engine, self._connection, self._spool = engine, connection, spool
        seen = peek(engine, connection, backend, task_id)
        if not seen:
            raise nothing_there(engine, backend)
        registry = models.registry(connection).extended(engine.settings.workspace.classes)
        doubtful = doubtful_jobs(engine, backend, seen)
        noticed = deleted_since(connection, backend, seen)
        while True:
            accepted = [job for job in seen if job.job.accepted and job.known.id not in doubtful]
            reopened = {job.known.id for job in seen if not job.job.accepted} | doubtful
            wanted = to_merge(connection, accepted, reopened, noticed)
            read = read_jobs(engine, backend, wanted.jobs, registry, settings, spool, keep_raw=False)
            if not read.changed:
                break
            doubtful |= read.changed
        kept_back = withdrawals.by_date(connection, {job.known.id: job.job.updated_at for job in wanted.jobs})
        tasks = {job.known.id: job.known.task_id for job in wanted.jobs}
        self.plan: Plan = make_plan(
            Sources(connection, spool, registry, tasks, {}, settings.match_iou),
            wanted,
            without(wanted.new_of(read.merged), kept_back),
            withheld=read.withheld,
            decide=export_conflicts.deciding(engine, connection, registry, None),
            hold=settings.on_conflict == "both",
        )
        self._sides = _sides_of(engine, self.plan)
        first = wanted.latest or _NOTHING
        self.pair = Difference(connection, first, DatasetVersion("", first.number + 1, first.id, 0, 0, ""))
        self.accepted, self.jobs, self.in_doubt = len(accepted), len(wanted.jobs), len(doubtful)
        self.notes, self.failures = read.notes, tuple(read.failures)
        self.asks = len(self.plan.disputes) if settings.on_conflict == "ask" else 0
        """Frames that an export would ask about; here they stay as they are."""

    def changes(self) -> Iterator[tuple[Frame, FrameChange]]:
        """The frames that would change, leave and come, each with its boxes before and after."""
        plan, held = self.plan, self.plan.held
        order = [*sorted(plan.changed.keys() & held.keys()), *sorted(plan.left), *sorted(plan.changed.keys() - held)]
        former = FormerLives(self._connection)
        for chunk in chunks(order, _AT_ONCE):
            frames = footage.frames_by_id(self._connection, chunk)
            there = merge_bases.boxes_now(self._connection, self.pair.first.number, [f for f in chunk if f in held])
            for frame_id in chunk:
                before = held[frame_id].split if frame_id in held else None
                after = self._sides[frame_id] if frame_id in plan.changed else None
                was, now = _annotations(there.get(frame_id, ())), _annotations(self._after(frame_id))
                boxes = compare(was, now, began=former.of((*was, *now)))
                yield frames[frame_id], FrameChange(frame_id, before, after, boxes)

    def _after(self, frame_id: str) -> Sequence[BoxRow]:
        settled = self.plan.changed.get(frame_id)
        if settled is None:
            return ()
        boxes = settled.boxes
        return self._spool.get(boxes, since=0, acceptance=None) if isinstance(boxes, Spooled) else boxes

    def title(self, totals: Mapping[str, int]) -> str:
        """One line that says it."""
        number = self.pair.second.label
        if self.asks and not self.plan:
            return f"export would ask about {counted(self.asks, 'frame')} on which accepted jobs disagree"
        if not self.plan and not self.pair.first.number:
            return "nothing was accepted yet: export would make no version"
        if not self.plan:
            return f"nothing new since dataset version {self.pair.first.label}: export would make no version"
        said = [
            ", ".join(f"{totals[f'{what}_{kind}']} {kind}" for kind in ("added", "removed", "changed"))
            for what in ("frames", "boxes")
        ]
        asked = ", to be asked about" if self.asks else ""
        disputed = f"; {counted(len(self.plan.disputes), 'frame')} disputed{asked}" if self.plan.disputes else ""
        return f"export would make dataset version {number}: frames {said[0]}; boxes {said[1]}{disputed}"

    def write_page(self, target: Path, totals: Mapping[str, int]) -> str:
        """The page of the frames that would change; the file, as it can be typed."""
        from itertools import islice

        from data_engine.app.dataset.dataset_pictures import changed_frame
        from data_engine.app.selection.gallery import thumbnails
        from data_engine.pages.changes import MOST, changes

        frames = [changed_frame(self.pair, frame, change) for frame, change in islice(self.changes(), MOST)]
        page = changes(
            frames,
            thumbnails(self._engine, [entry.frame for entry in frames]),
            command="dataengine export --dry-run",
            title=self.title(totals),
            before=f"as it is in {self.pair.first.label}",
            after="as it would be",
            notes=(f"At most {counted(MOST, 'frame')} are shown.",) if len(frames) == MOST else (),
            facts=[(name.replace("_", " "), str(number)) for name, number in totals.items() if number],
        )
        key = self._engine.storage.key_of(target)
        self._engine.storage.write_bytes(key, page.encode())
        return self._engine.shown(key)


class _UndoneError(Exception):
    """Takes a transaction back."""


def _sides_of(engine: Engine, plan: Plan) -> Mapping[str, Split]:
    """The sides that frames would be given: decided in a transaction that is taken back, for it makes plans."""
    sides: Mapping[str, Split] = {}
    if plan.changed:
        with contextlib.suppress(_UndoneError), engine.database.write() as connection:
            sides = planned_sides(connection, plan, engine.settings.export, {})
            raise _UndoneError
    return sides


def _unasked(frames: int) -> tuple[str, ...]:
    return (
        "where you will be asked, the boxes of the dataset count here; an export without a terminal stops there, "
        f"unless it is given {export_conflicts.POLICIES}",
    ) * (frames > 0)


def _cut(rows: int, limit: int) -> tuple[str, ...]:
    return (f"the table has the first {limit} of {rows} rows: --limit {rows} or --json tells all",) * (rows > limit)


def _annotations(boxes: Sequence[BoxRow]) -> list[Annotation]:
    return [
        Annotation(b[0], b[1], b[2], b.xywh, b.job_id, bool(b.iscrowd), b.proposal_id, b.model_id, *b[11:14])
        for b in boxes
    ]


def _count(pair: Difference, change: FrameChange, totals: Counter[str], of_class: dict[str, Counter[str]]) -> None:
    totals[f"frames_{change.kind}"] += 1
    for box in change.boxes:
        totals[f"boxes_{box.kind}"] += 1
        name = pair.name_after(box.after) if box.after is not None else ""
        if box.after is None and box.before is not None:
            name = pair.name_before(box.before)
        of_class.setdefault(name, Counter(added=0, removed=0, changed=0))[box.kind] += 1
