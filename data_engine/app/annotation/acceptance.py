"""Accepting jobs, and knowing what was accepted: whatever happens in between, later edits are not taken for it.

What a job holds is read and recorded as an intent, then the job is accepted, then the acceptance is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from data_engine.app.annotation.jobs import SeenJob, labels_gone
from data_engine.app.engine import Engine
from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, ServiceError, UsageError
from data_engine.lineage import intents, labelling
from data_engine.lineage.database import Connection
from data_engine.lineage.intents import Intent
from data_engine.lineage.job_history import Held, histories, record_acceptances
from data_engine.lineage.labelling import KnownJob
from data_engine.ports import AnnotationBackend
from data_engine.stages.sync import SyncSettings, content_of
from data_engine.types import Job, JobContent


def accept(
    engine: Engine, backend: AnnotationBackend, seen: SeenJob, change: Callable[[], Job], actor: str | None
) -> SeenJob:
    """Accept a job by a change of it, so that what is accepted is known whatever happens meanwhile.

    Args:
        engine: the workspace.
        backend: where the job is.
        seen: the job, as the change expects it.
        change: makes it, and answers the job then; refused where the job is not as ``seen``.
        actor: who accepts.

    Raises:
        DamagedInputError: labels are gone with which the job was made; nothing is changed.
        ConflictError: the job changed at the same moment; nothing is changed.
    """
    content = backend.annotations(seen.job.id)
    if content.lacking:
        raise DamagedInputError(labels_gone(content.lacking))
    with engine.database.write() as connection:
        since = histories(connection, [seen.known])[seen.known.id].since
        intent = Intent(
            content_of(content),
            tuple(content.deleted),
            actor,
            # Where completing it was the decision, it is that of this date, whenever it is acted on.
            since if since is not None and seen.job.state == "completed" else seen.job.updated_at,
            seen.job.updated_at,
        )
        identity = intents.record(connection, seen.known.id, intent)
    try:
        after = change()
    except (ServiceError, ConflictError):
        # It may have been made all the same, and somebody was there after it.
        raise
    except DataEngineError:
        with engine.database.write() as connection:
            intents.withdraw(connection, identity)
        raise
    with engine.database.write() as connection:
        (known,) = labelling.record_jobs(connection, backend.name, seen.known.task_id, [after])
        _confirm(engine, connection, known, intent, after.updated_at)
    return SeenJob(after, known)


def settle(engine: Engine, backend: AnnotationBackend, seen: Sequence[SeenJob]) -> None:
    """Confirm the acceptances of accepted jobs whose process ended before it could; others stay unconfirmed."""
    with engine.database.read() as connection:
        found = histories(connection, [entry.known for entry in seen if entry.job.accepted])
    for entry in seen:
        meant = found[entry.known.id].intents if entry.known.id in found else ()
        if not meant:
            continue
        content = held(backend.annotations(entry.job.id), entry.job)
        if backend.job(entry.job.id).updated_at != entry.job.updated_at:
            continue  # it is being changed
        same = [i for i in meant if i.content == content.content and set(i.deleted) <= set(content.deleted)]
        if same:
            with engine.database.write() as connection:
                _confirm(engine, connection, entry.known, same[-1], entry.job.updated_at)


def _confirm(engine: Engine, connection: Connection, known: KnownJob, intent: Intent, at: str) -> None:
    record_acceptances(connection, [known], {known.id: Held(at, intent.content, intent.deleted, intent.actor)})
    _record_decision(engine, connection, known, intent.actor, intent.decided_at)
    intents.forget(connection, known.id)


def _record_decision(
    engine: Engine, connection: Connection, known: KnownJob, actor: str | None, decided_at: str | None
) -> None:
    labelling.record_review(
        connection, known, "accepted", actor=actor, reason=None, now=engine.now(), decided_at=decided_at
    )


def record_held(
    engine: Engine, connection: Connection, jobs: Sequence[SeenJob], contents: Mapping[str, Held]
) -> dict[str, str]:
    """Record what accepted jobs hold, and who accepted those of which it was not known yet.

    Args:
        engine: the workspace.
        connection: in a transaction.
        jobs: as they are recorded by now.
        contents: by lineage id of those of them that were read.

    Returns:
        ids of the acceptances that they stand by, by lineage id of the job.
    """
    told = [job for job in jobs if job.known.id in contents]
    before = histories(connection, [job.known for job in told])
    given: dict[str, Held] = {}
    for job in told:
        history = before[job.known.id]
        by = history.accepted_by or _lead(job.job, engine.settings.sync)
        given[job.known.id] = replace(contents[job.known.id], by=by)
        if history.acceptance is None and by is not None:
            _record_decision(engine, connection, job.known, by, history.decided_at or history.since)
    return record_acceptances(connection, [job.known for job in told], given)


def _lead(job: Job, settings: SyncSettings) -> str | None:
    """Whose word an acceptance is that was made past this program, on two levels by the one who has it."""
    return job.assignee if settings.two_level and job.assignee == settings.lead else None


def held(content: JobContent, job: Job) -> Held:
    """What a job holds, to be recorded as what was accepted."""
    return Held(job.updated_at, content_of(content), tuple(content.deleted))


def remember(engine: Engine, backend: AnnotationBackend, entries: Sequence[SeenJob]) -> None:
    """Record what these accepted jobs hold, so that a date that moves for another reason is no edit."""
    stand: dict[str, Held] = {}
    for entry in entries:
        content = backend.annotations(entry.job.id)
        if content.lacking:
            continue  # that is not what people saw when they accepted it
        found = held(content, entry.job)
        if backend.job(entry.job.id).updated_at == entry.job.updated_at:
            stand[entry.known.id] = found
    with engine.database.write() as connection:
        record_held(engine, connection, entries, stand)


def two_levels(engine: Engine) -> SyncSettings:
    """The settings of ``sync``; UsageError where two levels are wanted and nobody is the second."""
    settings = engine.settings.sync
    if settings.two_level and settings.lead is None:
        raise UsageError(
            "on two levels somebody takes the second look, and nobody is named",
            hint="add --lead NAME, or lead to [sync] in dataengine.toml",
        )
    return settings
