"""How the jobs stand, looked at without a trace: nothing is recorded, and nothing sent back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from data_engine.app.annotation.acceptance import held, two_levels
from data_engine.app.annotation.jobs import SeenJob, lost_note
from data_engine.app.annotation.moves import by_name, with_past
from data_engine.app.engine import Engine
from data_engine.errors import MissingInputError
from data_engine.lineage import deleted_frames, labelling, uploads
from data_engine.lineage.database import Connection
from data_engine.lineage.labelling import KnownJob
from data_engine.ports import AnnotationBackend
from data_engine.stages.sync import Doubt, plan
from data_engine.types import Job


def peek(engine: Engine, connection: Connection, backend: AnnotationBackend, task_id: int | None) -> list[SeenJob]:
    """The jobs of what was uploaded from here, or of one task of it, as they stand now.

    Raises:
        MissingInputError: the task was not uploaded from here, or is gone.
    """
    uploaded = uploads.task_numbers(connection, backend.name)
    if task_id is not None and task_id not in uploaded:
        raise MissingInputError(
            f"task {task_id} was not uploaded from here", hint="see the numbers: dataengine review list"
        )
    numbers = uploaded if task_id is None else {task_id: uploaded[task_id]}
    told = [job for job in (backend.jobs(task_id) if numbers else ()) if job.task_id in numbers]
    for number in numbers.keys() - {job.task_id for job in told}:
        engine.notes.append(lost_note(backend, number))
    known = {job.id: job for job in labelling.known_jobs(connection, numbers.values())}
    return [
        SeenJob(job, known.get(identity) or _new(identity, job, numbers[job.task_id]))
        for job in told
        for identity in [labelling.job_id(backend.name, numbers[job.task_id], job)]
    ]


def _new(identity: str, job: Job, task_id: str) -> KnownJob:
    return KnownJob(identity, job.id, task_id, job.stage, job.state, job.assignee, None, None, job.updated_at, None)


def doubtful_jobs(engine: Engine, backend: AnnotationBackend, seen: Sequence[SeenJob]) -> set[str]:
    """Lineage ids of the accepted jobs that an export would send back, as far as can be told before reading them."""
    settings = two_levels(engine)
    past = with_past(engine, seen)
    if settings.two_level:
        settings = by_name(backend, settings)
    by_number = {entry.job.id: entry for entry in seen}
    before = {job.id: told for job, told in past}
    found: set[str] = set()
    for move in plan(past, settings).moves:
        if move.why not in get_args(Doubt):
            continue
        told = before[move.job.id]
        if move.why == "changed after acceptance" and told.accepted_content is not None and not told.unconfirmed:
            now = held(backend.annotations(move.job.id), move.job)
            # The date moved, and what was accepted did not.
            if now.content == told.accepted_content and told.accepted_deleted <= set(now.deleted):
                continue
        found.add(by_number[move.job.id].known.id)
    return found


def deleted_since(connection: Connection, backend: AnnotationBackend, seen: Sequence[SeenJob]) -> set[str]:
    """Lineage ids of merged jobs of which frames were deleted or brought back on the server since."""
    tasks = {entry.job.task_id: entry.known.task_id for entry in seen if entry.job.accepted}
    if not tasks:
        return set()
    looked = deleted_frames.looked_at(connection, tasks.values())
    told = backend.deleted_frames({number: looked[task_id] for number, task_id in tasks.items()})
    known = deleted_frames.names(connection, [tasks[number] for number in told])
    flipped = {number: found.names ^ known.get(tasks[number], set()) for number, found in told.items()}
    merged = [entry for entry in seen if entry.job.accepted and entry.merged]
    found = {e.known.id for e in merged if flipped.get(e.job.task_id, frozenset()) & set(e.job.frame_names)}
    return found | deleted_frames.given(connection, [entry.known.id for entry in merged]).keys()
