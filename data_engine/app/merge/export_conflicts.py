"""Where two accepted jobs disagree: who decides, what is kept of it, and what is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.merge.export_plan import Decide, Dispute, Kept, Plan
from data_engine.errors import ConflictError
from data_engine.lineage import conflicts, footage
from data_engine.lineage.database import Connection
from data_engine.stages.export import dataset_name
from data_engine.types import BoxRow, ClassRegistry, content_id
from data_engine.words import counted, listed

Ask = Callable[[str, Sequence[dict[str, Any]], Sequence[str]], str]
"""Asks a person: the question, both sides as rows of a table, and the answers that there are; gives one of them."""
_SHOWN = 10
"""Disputes that are told in words; all are recorded."""
POLICIES = "--on-conflict newest (what was accepted last) or --on-conflict both (the dataset stays as it is there)"
"""What else there is than to be asked."""


def deciding(engine: Engine, connection: Connection, registry: ClassRegistry, ask: Ask | None) -> Decide:
    """Who decides, as the settings say.

    Args:
        engine: the workspace.
        connection: to read names from.
        registry: the classes.
        ask: asks a person; None where there is nobody to ask.
    """
    policy = engine.settings.export.on_conflict
    if policy == "ask" and ask is not None:
        return Asking(connection, registry, ask)
    # Where nobody can be asked, all that would be asked is found before it is told.
    return _ours if policy != "newest" else _theirs


def _theirs(_dispute: Dispute) -> Kept:
    return "theirs"


def _ours(_dispute: Dispute) -> Kept:
    return "ours"


class Asking:
    """Asks a person frame by frame.

    Args:
        connection: to read names from.
        registry: the classes.
        ask: asks a person.
        called: what people call jobs that are not recorded yet, by lineage id.
    """

    def __init__(
        self, connection: Connection, registry: ClassRegistry, ask: Ask, called: Mapping[str, str] | None = None
    ) -> None:
        self._connection, self._registry, self._ask, self._called = connection, registry, ask, called or {}

    def __call__(self, dispute: Dispute) -> Kept:
        names = {**self._called, **names_of(self._connection, [dispute])}
        mine, other = names[dispute.job_id], names[dispute.other_job_id]
        rows = [
            {"side": side, "class": self._registry.name_of(b.category_id), "left": b.x, "top": b.y, "width": b.w,
             "height": b.h, "by": b.annotator or ""}
            for side, boxes in ((mine, dispute.theirs), (other, dispute.ours))
            for b in sorted(boxes, key=lambda b: (b.category_id, b.xywh))
        ]  # fmt: skip
        question = f"{names[dispute.frame_id]}: {mine} and {other} disagree ({_between(dispute.kinds)})"
        answer = self._ask(question, rows, (mine, other))
        return "theirs" if answer == mine else "ours"


def refuse_unasked(engine: Engine, connection: Connection, plan: Plan, ask: Ask | None) -> None:
    """Stop where a person was to be asked and there is none.

    Raises:
        ConflictError: it names the frames and what else can be done.
    """
    if engine.settings.export.on_conflict != "ask" or ask is not None or not plan.disputes:
        return
    found = [dispute for dispute, _kept in plan.disputes]
    names = names_of(connection, found)
    where = sorted(f"{names[d.frame_id]} ({names[d.job_id]}, {names[d.other_job_id]})" for d in found)
    raise ConflictError(
        f"accepted jobs disagree on {counted(len(where), 'frame')}: {listed(where)}",
        hint=f"export where you can be asked, or with {POLICIES}",
    )


def record(engine: Engine, connection: Connection, plan: Plan, version: int, *, policy: str | None = None) -> None:
    """Keep what was disputed, what was decided, and who looked again at what was left.

    Args:
        engine: the workspace.
        connection: of a writing transaction.
        plan: the merge.
        version: number of the newest version after it.
        policy: who decided; as the settings say by default.
    """
    policy = policy or engine.settings.export.on_conflict
    at = engine.now()
    found = [
        conflicts.Recorded(
            id=content_id(
                "conflict", dispute.frame_id, dispute.job_id, dispute.other_job_id, version, json.dumps(sides)
            ),
            frame_id=dispute.frame_id,
            version=version,
            job_id=dispute.job_id,
            other_job_id=dispute.other_job_id,
            kinds=list(dispute.kinds),
            policy=policy,
            kept=kept,
            theirs=sides[0],
            ours=sides[1],
            at=at,
        )
        for dispute, kept in plan.disputes
        for sides in [(_shapes(dispute.theirs), _shapes(dispute.ours))]
    ]
    left = {one.frame_id: one.at for one in conflicts.open_ones(connection)} if plan.agreed else {}
    found += [
        conflicts.Recorded(
            id=content_id("agreement", frame_id, job_id, left[frame_id]),
            frame_id=frame_id,
            version=version,
            job_id=job_id,
            other_job_id=plan.held[frame_id].job_id,
            kinds=[],
            policy=policy,
            kept="ours",
            theirs=[],
            ours=[],
            at=at,
        )
        for frame_id, job_id in sorted(plan.agreed.items())
        if frame_id in left
    ]
    conflicts.record(connection, found)


def told(
    engine: Engine, connection: Connection, plan: Plan, *, every: bool = False, decided: bool = True
) -> tuple[str, ...]:
    """What to say of the disputes of a merge, a sentence each.

    Args:
        engine: the workspace.
        connection: to read names from.
        plan: the merge.
        every: of many not only the first.
        decided: whether people were asked where the policy is to ask them.
    """
    policy = engine.settings.export.on_conflict
    names = names_of(connection, [dispute for dispute, _kept in plan.disputes])
    shown = plan.disputes if every else plan.disputes[:_SHOWN]
    notes = [
        f"{_disagreement(dispute, names)}: {_outcome(dispute, kept, names, policy, decided)}" for dispute, kept in shown
    ]
    if len(shown) < len(plan.disputes):
        notes.append(f"and {counted(len(plan.disputes) - len(shown), 'frame')} more on which accepted jobs disagree")
    return tuple(notes)


def open_rows(connection: Connection) -> list[dict[str, Any]]:
    """The frames that wait for somebody to look at them, a row each."""
    found = conflicts.open_ones(connection)
    frames = footage.frames_by_id(connection, {one.frame_id for one in found})
    jobs = conflicts.job_names(connection, {i for one in found for i in (one.job_id, one.other_job_id)})
    return [
        {
            "frame_id": one.frame_id,
            "frame": dataset_name(frames[one.frame_id]),
            "said": jobs[one.job_id],
            "held": jobs[one.other_job_id],
            "disagree": _between(one.kinds),
            "version": f"v{one.version}",
            "since": one.at,
        }
        for one in found
    ]


def waiting(connection: Connection) -> tuple[str, ...]:
    """What to say of the frames that wait for somebody to look at them, of this merge and of earlier ones."""
    rows = open_rows(connection)
    if not rows:
        return ()
    where = [f"{row['frame']} ({row['said']}, {row['held']})" for row in rows]
    return (
        f"{counted(len(where), 'frame')} kept as before, to be looked at by somebody: {listed(where)} "
        "(dataengine review requeue --frame NAME makes a task of it)",
    )


def _disagreement(dispute: Dispute, names: Mapping[str, str]) -> str:
    mine, other = names[dispute.job_id], names[dispute.other_job_id]
    return f"{names[dispute.frame_id]}: {mine} and {other} disagree ({_between(dispute.kinds)})"


def _outcome(dispute: Dispute, kept: Kept, names: Mapping[str, str], policy: str, decided: bool) -> str:
    if policy == "both":
        return "kept as it is, to be looked at again"
    if policy == "ask" and not decided:
        return "you will be asked which counts"
    return f"{names[dispute.job_id if kept == 'theirs' else dispute.other_job_id]} counts"


def names_of(connection: Connection, disputes: Sequence[Dispute]) -> dict[str, str]:
    """The frames' and jobs' names for people, by their ids."""
    frames = footage.frames_by_id(connection, {dispute.frame_id for dispute in disputes})
    jobs = conflicts.job_names(connection, {i for d in disputes for i in (d.job_id, d.other_job_id)})
    return {i: dataset_name(f) for i, f in frames.items()} | jobs


def _between(kinds: Sequence[str]) -> str:
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    return listed([f"{counted(number, 'box')} {kind}" for kind, number in counts.items()])


def _shapes(boxes: Sequence[BoxRow]) -> list[list[Any]]:
    return [[b.category_id, b.x, b.y, b.w, b.h, bool(b.iscrowd)] for b in boxes]
