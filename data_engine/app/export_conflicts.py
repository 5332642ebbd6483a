"""Where two accepted jobs disagree: who decides, what is kept of it, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.export_plan import Decide, Dispute, Kept, Plan
from data_engine.errors import ConflictError
from data_engine.lineage import conflicts, footage, labelling
from data_engine.lineage.database import Connection
from data_engine.stages.export import dataset_name
from data_engine.types import BoxRow, ClassRegistry, content_id
from data_engine.words import counted, listed

Ask = Callable[[str, Sequence[dict[str, Any]], Sequence[str]], str]
"""Asks a person: the question, both sides as rows of a table, and the answers that there are; gives one of them."""
_SHOWN = 10
"""Disputes that are told in words; all are recorded."""
_POLICIES = "--on-conflict newest (what was accepted last) or --on-conflict both (the dataset stays as it is there)"


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
        return _Asking(connection, registry, ask)
    # Where nobody can be asked, all that would be asked is found before it is told.
    return _ours if policy != "newest" else _theirs


def _theirs(_dispute: Dispute) -> Kept:
    return "theirs"


def _ours(_dispute: Dispute) -> Kept:
    return "ours"


class _Asking:
    """Asks a person frame by frame."""

    def __init__(self, connection: Connection, registry: ClassRegistry, ask: Ask) -> None:
        self._connection, self._registry, self._ask = connection, registry, ask

    def __call__(self, dispute: Dispute) -> Kept:
        names = names_of(self._connection, [dispute])
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
        hint=f"export where you can be asked, or with {_POLICIES}",
    )


def record(engine: Engine, connection: Connection, plan: Plan, version: int, *, policy: str | None = None) -> None:
    """Keep what was disputed, and what was decided; the policy is that of the settings, if it was no other."""
    policy = policy or engine.settings.export.on_conflict
    found = [
        conflicts.Recorded(
            id=content_id("conflict", dispute.frame_id, dispute.job_id, dispute.other_job_id, version),
            frame_id=dispute.frame_id,
            version=version,
            job_id=dispute.job_id,
            other_job_id=dispute.other_job_id,
            kinds=list(dispute.kinds),
            policy=policy,
            kept=kept,
            theirs=_shapes(dispute.theirs),
            ours=_shapes(dispute.ours),
            at=engine.now(),
        )
        for dispute, kept in plan.disputes
    ]
    conflicts.record(connection, found)


def told(engine: Engine, connection: Connection, plan: Plan, *, every: bool = False) -> tuple[str, ...]:
    """What to say of the disputes of a merge, a sentence each; of many the first unless ``every`` one is wanted."""
    policy = engine.settings.export.on_conflict
    names = names_of(connection, [dispute for dispute, _kept in plan.disputes])
    shown = plan.disputes if every else plan.disputes[:_SHOWN]
    notes = [_sentence(dispute, kept, names, policy) for dispute, kept in shown]
    if len(shown) < len(plan.disputes):
        notes.append(f"and {counted(len(plan.disputes) - len(shown), 'frame')} more on which accepted jobs disagree")
    return tuple(notes)


def waiting(connection: Connection) -> tuple[str, ...]:
    """What to say of the frames that wait for somebody to look at them, of this merge and of earlier ones."""
    found = conflicts.open_ones(connection)
    if not found:
        return ()
    frames = footage.frames_by_id(connection, {row["frame_id"] for row in found})
    where = [f"{dataset_name(frames[r['frame_id']])} (job {r['job']}, job {r['other_job']})" for r in found]
    return (
        f"{counted(len(where), 'frame')} kept as before, to be looked at by somebody: {listed(where)} "
        "(dataengine review requeue --frame NAME makes a task of it)",
    )


def _sentence(dispute: Dispute, kept: Kept, names: Mapping[str, str], policy: str) -> str:
    mine, other = names[dispute.job_id], names[dispute.other_job_id]
    if policy == "both":
        what = "kept as it is, to be looked at again"
    else:
        what = f"{mine if kept == 'theirs' else other} counts"
    return f"{names[dispute.frame_id]}: {mine} and {other} disagree ({_between(dispute.kinds)}): {what}"


def names_of(connection: Connection, disputes: Sequence[Dispute]) -> dict[str, str]:
    """The frames' and jobs' names for people, by their ids."""
    frames = footage.frames_by_id(connection, {dispute.frame_id for dispute in disputes})
    numbers = labelling.job_numbers(connection, {i for d in disputes for i in (d.job_id, d.other_job_id)})
    return {i: dataset_name(f) for i, f in frames.items()} | {i: f"job {number}" for i, number in numbers.items()}


def _between(kinds: Sequence[str]) -> str:
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    return listed([f"{counted(number, 'box')} {kind}" for kind, number in counts.items()])


def _shapes(boxes: Sequence[BoxRow]) -> list[list[Any]]:
    return [[b.category_id, b.x, b.y, b.w, b.h, bool(b.iscrowd)] for b in boxes]
