"""Changes of jobs that were decided on, made on the annotation backend and recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from data_engine.app.annotation.acceptance import accept, held, record_held, settle, two_levels
from data_engine.app.annotation.deleted import deleted_now
from data_engine.app.annotation.job_boxes import notice
from data_engine.app.annotation.jobs import SeenJob
from data_engine.app.annotation.who import left_note
from data_engine.app.engine import Engine
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, UnknownPersonError, UsageError
from data_engine.lineage import intents, labelling
from data_engine.lineage.job_history import Held, histories
from data_engine.ports import AnnotationBackend
from data_engine.stages.sync import Doubt, Move, Past, SyncSettings, doubt, plan
from data_engine.stages.upload import refuse_unknown
from data_engine.types import Failed, Job


@dataclass(slots=True)
class Made:
    """What became of the changes."""

    moves: list[Move] = field(default_factory=list)
    """Those that were made."""
    notes: list[str] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)


def with_past(engine: Engine, seen: Sequence[SeenJob]) -> list[tuple[Job, Past]]:
    """The jobs with what lineage knows of them."""
    with engine.database.read() as connection:
        found = histories(connection, [entry.known for entry in seen])
    deleted = deleted_now(engine, seen)
    return [
        (
            entry.job,
            Past(
                annotator=entry.known.annotator,
                reviewer=history.reviewer,
                accepted_by=history.accepted_by,
                since=history.since,
                handed_in=history.handed_in,
                accepted_at=history.accepted_at,
                accepted_content=history.accepted_content,
                accepted_deleted=history.accepted_deleted,
                restored=not history.accepted_deleted <= deleted.get(entry.known.task_id, set()),
                unconfirmed=bool(history.intents),
                returned=history.returned,
                merged=entry.merged,
            ),
        )
        for entry in seen
        for history in [found[entry.known.id]]
    ]


def make(engine: Engine, backend: AnnotationBackend, moves: Sequence[Move], seen: Mapping[int, SeenJob]) -> Made:
    """Make the changes one after the other; one that somebody was faster than is a note, and the rest goes on.

    What the backend answers is recorded at once: its date is that of this very change, so that any later one is
    noticed as somebody else's.

    Args:
        engine: the workspace.
        backend: where the jobs are.
        moves: what to change.
        seen: the jobs by their number, as they were when the moves were decided on.

    Raises:
        UsageError: this account may not change jobs.
    """
    made = Made()
    for planned in moves:
        move, entry = planned, seen[planned.job.id]
        try:
            try:
                after = _made(engine, backend, move, entry)
            except DamagedInputError as error:
                made.failures.append(Failed(f"job {move.job.id}", error.message))
                # Who completed it may have seen what is gone now: they are to look again.
                move = replace(move, stage="validation", state="new", why="a label is gone")
                after = _made(engine, backend, move, entry)
            except UnknownPersonError:
                # Somebody who left; whoever is named in the settings can be mended there.
                named = engine.settings.sync
                if not move.assignee or move.assignee in (*named.reviewer, named.lead):
                    raise
                left = left_note(move.job.id, move.assignee, move.stage)
                move = replace(move, assignee="")
                after = _made(engine, backend, move, entry)
                made.notes.append(left)
        except ConflictError:
            made.notes.append(
                f"job {move.job.id} was changed by somebody at the same moment: the next sync looks again"
            )
        except MissingInputError:
            made.notes.append(f"job {move.job.id} is gone from the annotation backend {backend.name!r}")
        except UsageError as error:
            # A person whom the server does not know concerns this job; anything else would concern all of them.
            if not move.assignee:
                raise
            made.failures.append(Failed(f"job {move.job.id}", str(error)))
        else:
            with engine.database.write() as connection:
                labelling.record_jobs(connection, backend.name, entry.known.task_id, [after])
                if move.why != "accepted":
                    # Whatever it was to be accepted with, it was not, or is no longer.
                    intents.forget(connection, entry.known.id)
            made.moves.append(move)
        engine.progress.advance()
    return made


def _made(engine: Engine, backend: AnnotationBackend, move: Move, entry: SeenJob) -> Job:
    def change() -> Job:
        return backend.update_job(
            move.job.id, stage=move.stage, state=move.state, assignee=move.assignee, expected=move.job.updated_at
        )

    if move.why == "accepted":
        return accept(engine, backend, entry, change, move.job.assignee).job
    if move.why == "to review":
        # Once a reviewer has it, what its annotator handed in is nowhere to be had.
        notice(engine, backend, entry)
    return change()


def really_changed(
    engine: Engine,
    backend: AnnotationBackend,
    moves: Sequence[Move],
    past: Sequence[tuple[Job, Past]],
    seen: Mapping[int, SeenJob],
) -> list[Move]:
    """The moves without those of jobs whose date moved while their boxes and frames are what was accepted."""
    before = {job.id: told for job, told in past}
    same: dict[str, Held] = {}
    kept: list[Move] = []
    for move in moves:
        job, told = move.job, before[move.job.id]
        if move.why == "changed after acceptance" and told.accepted_content is not None and not told.unconfirmed:
            found = held(backend.annotations(job.id), job)
            unchanged = found.content == told.accepted_content and told.accepted_deleted <= set(found.deleted)
            # Changed since it was seen, it is in doubt all the same.
            if unchanged and backend.job(job.id).updated_at == job.updated_at:
                same[seen[job.id].known.id] = found
                continue
        kept.append(move)
    with engine.database.write() as connection:
        record_held(engine, connection, list(seen.values()), same)
    return kept


def by_name(backend: AnnotationBackend, settings: SyncSettings) -> SyncSettings:
    """The settings with people by the names that jobs carry, where they were given by e-mail.

    Raises:
        UsageError: the backend keeps a list of its people, and one is not on it.
    """
    if not settings.reviewer and settings.lead is None:
        return settings
    try:
        people = backend.people()
    except UsageError:
        # This account may not list them: then the server says at the first job whom it does not know.
        return settings
    refuse_unknown(people, [*settings.reviewer, *([settings.lead] if settings.lead else [])])
    names = {word.casefold(): person.name for person in people for word in (person.email, person.name) if word}

    def found(given: str) -> str:
        return names.get(given.casefold(), given)

    reviewer = tuple(dict.fromkeys(map(found, settings.reviewer)))
    return settings.model_copy(update={"reviewer": reviewer, "lead": settings.lead and found(settings.lead)})


def take_back(engine: Engine, backend: AnnotationBackend, seen: Sequence[SeenJob]) -> tuple[set[str], list[str]]:
    """Send accepted jobs back whose boxes must not enter the dataset as they are, as far as their dates tell.

    Returns:
        their lineage ids, also of those that could not be sent back, and what to say of each.
    """
    settings = two_levels(engine)
    settle(engine, backend, seen)
    past = with_past(engine, seen)
    if settings.two_level:
        settings = by_name(backend, settings)
    if not any(doubt(job, told, settings) for job, told in past):
        return set(), []
    by_number = {entry.job.id: entry for entry in seen}
    moves = [m for m in plan(past, by_name(backend, settings)).moves if m.why in get_args(Doubt)]
    return send_back(engine, backend, really_changed(engine, backend, moves, past, by_number), by_number)


def take_back_read(
    engine: Engine, backend: AnnotationBackend, seen: Sequence[SeenJob], changed: Collection[str]
) -> tuple[set[str], list[str]]:
    """Send those of these accepted jobs back that hold something else than what was accepted.

    Args:
        engine: the workspace.
        backend: where the jobs are.
        seen: all jobs.
        changed: lineage ids of those that were read.

    Returns:
        as of :func:`take_back`.
    """
    doubted = {entry.job.id for entry in seen if entry.known.id in changed}
    past = [(job, replace(told, unconfirmed=job.id in doubted)) for job, told in with_past(engine, seen)]
    moves = [m for m in plan(past, by_name(backend, engine.settings.sync)).moves if m.job.id in doubted]
    return send_back(engine, backend, moves, {entry.job.id: entry for entry in seen})


def send_back(
    engine: Engine, backend: AnnotationBackend, moves: Sequence[Move], by_number: Mapping[int, SeenJob]
) -> tuple[set[str], list[str]]:
    """Make these changes as far as this account may; as of :func:`take_back`."""
    try:
        made = make(engine, backend, moves, by_number)
    except UsageError as error:
        made = Made(notes=[f"the jobs could not be sent back: {error}"])
    sent = {move.job.id for move in made.moves}
    notes = [
        f"job {move.job.id}: {move.why}, so not merged"
        + (f" and back in {move.stage} with {move.assignee or 'nobody'}" if move.job.id in sent else "")
        for move in moves
    ]
    return {by_number[move.job.id].known.id for move in moves}, [
        *notes,
        *made.notes,
        *(f"{failure.input_id}: {failure.reason}" for failure in made.failures),
    ]
