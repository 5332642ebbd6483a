"""Changes of jobs that were decided on, made on the annotation backend and recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from data_engine.app.engine import Engine
from data_engine.app.job_boxes import notice
from data_engine.app.jobs import SeenJob
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import labelling
from data_engine.lineage.job_history import histories, record_acceptances
from data_engine.ports import AnnotationBackend
from data_engine.stages.sync import Doubt, Move, Past, SyncSettings, content_of, doubt, plan
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
    return [
        (
            entry.job,
            Past(
                annotator=entry.known.annotator,
                reviewer=found[entry.known.id].reviewer,
                accepted_by=entry.known.reviewer,
                since=found[entry.known.id].since,
                accepted_at=found[entry.known.id].accepted_at,
                accepted_content=found[entry.known.id].accepted_content,
                merged=entry.merged,
            ),
        )
        for entry in seen
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
    for move in moves:
        number = move.job.id
        known = seen[number].known
        try:
            # What it holds when it is accepted: the change is refused where that is not what was read.
            accepted = content_of(backend.annotations(number).boxes) if move.why == "accepted" else None
            if move.why == "to review":
                # Once a reviewer has it, what its annotator handed in is nowhere to be had.
                notice(engine, backend, seen[number])
            after = backend.update_job(
                number, stage=move.stage, state=move.state, assignee=move.assignee, expected=move.job.updated_at
            )
        except ConflictError:
            made.notes.append(f"job {number} was changed by somebody at the same moment: the next sync looks again")
        except MissingInputError:
            made.notes.append(f"job {number} is gone from the annotation backend {backend.name!r}")
        except UsageError as error:
            # A person whom the server does not know concerns this job; anything else would concern all of them.
            if not move.assignee:
                raise
            made.failures.append(Failed(f"job {number}", str(error)))
        else:
            with engine.database.write() as connection:
                labelling.record_jobs(connection, backend.name, known.task_id, [after])
                if accepted is not None:
                    record_acceptances(connection, {known.id: (after.updated_at, accepted)})
            made.moves.append(move)
        engine.progress.advance()
    return made


def really_changed(
    engine: Engine,
    backend: AnnotationBackend,
    moves: Sequence[Move],
    past: Sequence[tuple[Job, Past]],
    seen: Mapping[int, SeenJob],
) -> list[Move]:
    """The moves without those of jobs whose date moved while their boxes are what was accepted."""
    contents = {job.id: told.accepted_content for job, told in past}
    same: dict[str, tuple[str, str]] = {}
    kept: list[Move] = []
    for move in moves:
        job, expected = move.job, contents[move.job.id]
        if move.why == "changed after acceptance" and expected is not None:
            found = content_of(backend.annotations(job.id).boxes)
            # Changed since it was seen, it is in doubt all the same.
            if found == expected and backend.job(job.id).updated_at == job.updated_at:
                same[seen[job.id].known.id] = (job.updated_at, found)
                continue
        kept.append(move)
    with engine.database.write() as connection:
        record_acceptances(connection, same)
    return kept


def remember_accepted(engine: Engine, backend: AnnotationBackend, entries: Sequence[SeenJob]) -> None:
    """Record what these accepted jobs hold, so that a date that moves for another reason is no edit."""
    held: dict[str, tuple[str, str]] = {}
    for entry in entries:
        found = content_of(backend.annotations(entry.job.id).boxes)
        if backend.job(entry.job.id).updated_at == entry.job.updated_at:
            held[entry.known.id] = (entry.job.updated_at, found)
    with engine.database.write() as connection:
        record_acceptances(connection, held)


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
    """Send accepted jobs back whose boxes must not enter the dataset as they are.

    Returns:
        their lineage ids, also of those that could not be sent back, and what to say of each.
    """
    past = with_past(engine, seen)
    if not any(doubt(job, told, engine.settings.sync) for job, told in past):
        return set(), []
    by_number = {entry.job.id: entry for entry in seen}
    moves = [m for m in plan(past, by_name(backend, engine.settings.sync)).moves if m.why in get_args(Doubt)]
    moves = really_changed(engine, backend, moves, past, by_number)
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
