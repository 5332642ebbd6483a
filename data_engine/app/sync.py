"""``sync``: finished jobs -> jobs at their next stage, with the next person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from data_engine.app.engine import Engine
from data_engine.app.export import export
from data_engine.app.jobs import SeenJob, look
from data_engine.app.moves import by_name, make, really_changed, remember_accepted, with_past
from data_engine.errors import ConflictError, DataEngineError, ServiceError
from data_engine.lineage import labelling
from data_engine.ports import AnnotationBackend
from data_engine.stages.sync import Decision, plan
from data_engine.types import Failed, Report
from data_engine.words import counted

_A_FEW = 20
"""So many are moved on before anybody asks how far it is."""
_SAID = {
    "to review": "to review",
    "accepted": "accepted",
    "to the lead": "to the lead",
    "rejected": "back to annotation",
    "changed after acceptance": "changed after acceptance and back to review",
    "not seen by the lead": "accepted without the lead and now with the lead",
    "handed out": "handed out",
}


def sync(engine: Engine) -> Report:
    """Move every job on that a person has finished with, once.

    Safe to run again and at the same time as another: one sync works at a time, every decision is recorded before it
    is acted on, and a change that somebody makes meanwhile is never overwritten.

    Raises:
        UsageError: a reviewer whom the annotation server does not know; this account may not change jobs.
    """
    backend = engine.backend()
    settings = engine.settings.sync
    with engine.database.alone(f"sync {backend.name}"):
        now = look(engine, backend)
        seen = {entry.job.id: entry for entry in now.jobs}
        if seen:
            settings = by_name(backend, settings)
        past = with_past(engine, now.jobs)
        decided = plan(past, settings)
        _record(engine, backend, decided.decisions, seen)
        moves = really_changed(engine, backend, decided.moves, past, seen)
        if len(moves) > _A_FEW:
            engine.progress.start("moving jobs on", len(moves), "jobs")
        try:
            made = make(engine, backend, moves, seen)
        finally:
            engine.progress.finish()
        moved = {move.job.id for move in moves}
        accepted = [
            (seen[job.id], told) for job, told in past if job.accepted and not told.merged and job.id not in moved
        ]
        remember_accepted(engine, backend, [one for one, told in accepted if told.accepted_at != one.job.updated_at])
    counts = Counter(move.why for move in made.moves)
    # Also what an interrupted sync accepted, and what people accepted themselves.
    fresh = counts["accepted"] + len(accepted)
    exported, failures = _exported(engine) if settings.export and fresh else (None, [])
    said = [f"{number} {_SAID[why]}" for why, number in counts.items()]
    title = f"{counted(len(made.moves), 'job')} moved on: {', '.join(said)}" if said else "no job to move on"
    return Report(
        title=title + (f"; {exported.title}" if exported else ""),
        data={
            "jobs": len(seen),
            "moved": len(made.moves),
            **{why.replace(" ", "_"): number for why, number in counts.items()},
            "accepted_not_merged": 0 if exported else fresh,
            "lost_tasks": list(now.lost),
            **({"dataset_version": exported.data["version"]} if exported else {}),
        },
        rows=tuple(
            {
                "job": move.job.id,
                "was": f"{move.job.stage}, {move.job.state}",
                "is": f"{move.stage}, {move.state}",
                "assignee": move.job.assignee or "" if move.assignee is None else move.assignee,
                "why": move.why,
            }
            for move in made.moves
        ),
        notes=(*decided.remarks, *made.notes, *(exported.notes if exported else ())),
        failures=(*made.failures, *failures, *(exported.failures if exported else ())),
        next="dataengine export" if fresh and not exported else "dataengine review list",
    )


def keep_syncing(engine: Engine, wait: Callable[[], object]) -> NoReturn:
    """Sync, wait, and again, until interrupted; what each round did is told in one line, where there is something.

    What the server or the database cannot do at the moment is told, and the next round tries again.
    """
    before = ""
    while True:
        try:
            report = sync(engine)
        except (ServiceError, ConflictError) as error:
            line, moved = f"{error.message}; the next round tries again", False
        else:
            moved = bool(report.rows or "dataset_version" in report.data)
            failures = (f"{failure.input_id}: {failure.reason}" for failure in report.failures)
            line = "; ".join((*((report.title,) if moved else ()), *report.notes, *failures))
        # What stays as it is (a job that cannot be merged) is said once, not every round.
        if line and (moved or line != before):
            engine.progress.note(f"{engine.now()[:19]} {line}")
        before = line
        wait()


def _record(
    engine: Engine, backend: AnnotationBackend, decisions: Sequence[Decision], seen: Mapping[int, SeenJob]
) -> None:
    reasons = {
        decision.job.id: "; ".join(i.message for i in backend.issues(decision.job.id) if not i.resolved) or None
        for decision in decisions
        if decision.action == "rejected"
    }
    with engine.database.write() as connection:
        for decision in decisions:
            labelling.record_review(
                connection,
                seen[decision.job.id].known,
                decision.action,
                actor=decision.actor,
                reason=reasons.get(decision.job.id),
                now=engine.now(),
            )


def _exported(engine: Engine) -> tuple[Report | None, list[Failed]]:
    try:
        return export(engine), []
    except DataEngineError as error:
        # The jobs were moved on, and that is to be told; what is accepted is merged by the next sync or export.
        return None, [Failed("export", str(error))]
