"""``sync``: finished jobs -> jobs at their next stage, with the next person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NoReturn

from data_engine.app.annotation.acceptance import remember, settle, two_levels
from data_engine.app.annotation.deleted import notice_deleted
from data_engine.app.annotation.jobs import SeenJob, look
from data_engine.app.annotation.moves import by_name, make, really_changed, with_past
from data_engine.app.dataset.version_files import is_written
from data_engine.app.engine import Engine
from data_engine.app.merge.export import export
from data_engine.errors import ConflictError, DataEngineError, ServiceError, UsageError
from data_engine.lineage import datasets, labelling
from data_engine.ports import AnnotationBackend
from data_engine.stages.sync import Decision, Past, plan
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
    "a label is gone": "back to review, for a label is gone",
    "set back": "set back to annotation and now with their annotator",
}


def sync(engine: Engine) -> Report:
    """Move every job on that a person has finished with, once.

    Safe to run again and at the same time as another: one sync works at a time, every decision is recorded before it
    is acted on, and a change that somebody makes meanwhile is never overwritten.

    Raises:
        UsageError: a reviewer whom the annotation server does not know; this account may not change jobs.
    """
    backend = engine.backend()
    settings, levels = two_levels(engine), _levels(engine)
    with engine.database.alone(f"sync {backend.name}"):
        now = look(engine, backend)
        seen = {entry.job.id: entry for entry in now.jobs}
        if seen:
            settings = by_name(backend, settings)
        noticed = notice_deleted(engine, backend, now.jobs)
        settle(engine, backend, now.jobs)
        past = with_past(engine, now.jobs)
        decided = plan(past, settings)
        _record(engine, backend, decided.decisions, seen, {job.id: told for job, told in past})
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
        remember(engine, backend, [one for one, told in accepted if told.accepted_at != one.job.updated_at])
        moved_ids = {seen[number].known.id for number in moved}
    counts = Counter(move.why for move in made.moves)
    # Also what an interrupted sync accepted, and what people accepted themselves.
    fresh = counts["accepted"] + len(accepted)
    stale = len(noticed.jobs - moved_ids)
    to_export = settings.export and (fresh or stale or _unwritten(engine) or _left(engine, seen.values(), moved))
    exported, failures = _exported(engine) if to_export else (None, [])
    said = [f"{number} {_SAID[why]}" for why, number in counts.items()]
    title = f"{counted(len(made.moves), 'job')} moved on: {', '.join(said)}" if said else "no job to move on"
    return Report(
        title=title + (f"; {exported.title}" if exported else ""),
        data={
            "jobs": len(seen),
            "moved": len(made.moves),
            **{why.replace(" ", "_"): number for why, number in counts.items()},
            "accepted_not_merged": _not_merged(engine, seen.values()) if exported else fresh,
            **({"jobs_with_frames_deleted_or_restored": stale} if stale and not exported else {}),
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
        notes=(*levels, *decided.remarks, *made.notes, *(exported.notes if exported else noticed.notes)),
        failures=(*made.failures, *failures, *(exported.failures if exported else ())),
        next="dataengine export" if (fresh or stale) and not exported else "dataengine review list",
    )


def keep_syncing(engine: Engine, wait: Callable[[], object]) -> NoReturn:
    """Sync, wait, and again, until interrupted; what each round did is told in one line, where there is something.

    What the server or the database cannot do at the moment is told, and the next round tries again.
    """
    before: set[str] = set()
    while True:
        title, told = "", set[str]()
        try:
            report = sync(engine)
        except (ServiceError, ConflictError) as error:
            told = {f"{error.message}; the next round tries again"}
            said = list(told)
        else:
            title = report.title if report.rows or "dataset_version" in report.data else ""
            said = [*report.notes, *(f"{failure.input_id}: {failure.reason}" for failure in report.failures)]
            told = set(said)
        # What stays as it is (a job that cannot be merged) is said once, not every round.
        line = "; ".join((*((title,) if title else ()), *(text for text in said if text not in before)))
        if line:
            engine.progress.note(f"{engine.now()[:19]} {line}")
        before = told
        wait()


def _levels(engine: Engine) -> list[str]:
    """What to say of two levels: asked for on the command line, or half asked for in the settings file.

    Raises:
        UsageError: a lead for a second look that nobody asked for.
    """
    given = engine.overrides.get("sync", {})
    settings = engine.settings.sync
    if "lead" in given and not settings.two_level:
        raise UsageError(
            f"--lead {settings.lead}: a lead takes the second look, and there is none",
            hint="add --two-level, or leave --lead out",
        )
    if settings.lead is not None and not settings.two_level:
        return [f"lead = {json.dumps(settings.lead)} in [sync] does nothing as long as two_level is not true there"]
    if not settings.two_level or not {"two_level", "lead"} & given.keys():
        return []
    stated = engine.stated().sync
    if (stated.two_level, stated.lead) == (True, settings.lead):
        return []
    return [
        "--two-level and --lead hold for this command only: export asks for the lead's look where dataengine.toml has "
        f"two_level = true and lead = {json.dumps(settings.lead)} in [sync]"
    ]


def _not_merged(engine: Engine, seen: Iterable[SeenJob]) -> int:
    """How many jobs are accepted and in no version yet, as ``status`` counts them."""
    with engine.database.read() as connection:
        known = labelling.known_jobs(connection, {entry.known.task_id for entry in seen})
    return sum(
        (job.stage, job.state) == ("acceptance", "completed") and job.merged_at != job.updated_at for job in known
    )


def _record(
    engine: Engine,
    backend: AnnotationBackend,
    decisions: Sequence[Decision],
    seen: Mapping[int, SeenJob],
    past: Mapping[int, Past],
) -> None:
    reasons = {
        decision.job.id: _reason(backend, decision.job.id, past[decision.job.id])
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
                # A decision that is not acted on at once is the same when it is met again.
                decided_at=past[decision.job.id].since,
            )


def _reason(backend: AnnotationBackend, job: int, past: Past) -> str | None:
    """What was remarked on what was handed in last; older remarks are about what was corrected since."""
    since = None if past.handed_in is None else datetime.fromisoformat(past.handed_in)
    remarks = [
        issue.message
        for issue in backend.issues(job)
        if not issue.resolved and (since is None or datetime.fromisoformat(issue.created_at) >= since)
    ]
    return "; ".join(remarks) or None


def _unwritten(engine: Engine) -> bool:
    """Whether an export was killed between the record of its version and the version's files."""
    with engine.database.read() as connection:
        version = datasets.latest(connection)
    return version is not None and not is_written(engine, version)


def _left(engine: Engine, seen: Iterable[SeenJob], moved: Collection[int]) -> bool:
    """Whether the dataset holds frames of a job that is accepted no longer."""
    with engine.database.read() as connection:
        version = datasets.latest(connection)
        held = set() if version is None else datasets.jobs_of(connection, version.number)
    return any(entry.known.id in held and (not entry.job.accepted or entry.job.id in moved) for entry in seen)


def _exported(engine: Engine) -> tuple[Report | None, list[Failed]]:
    try:
        return export(engine), []
    except DataEngineError as error:
        # The jobs were moved on, and that is to be told; what is accepted is merged by the next sync or export.
        return None, [Failed("export", str(error))]
