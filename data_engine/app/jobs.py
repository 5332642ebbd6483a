"""What the annotation backend says of the jobs, brought into lineage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_engine.app.engine import Engine
from data_engine.errors import MissingInputError
from data_engine.lineage import labelling
from data_engine.lineage.labelling import KnownJob
from data_engine.ports import AnnotationBackend
from data_engine.types import Job


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job as the backend and lineage know it."""

    job: Job
    known: KnownJob


def refresh(engine: Engine, backend: AnnotationBackend, tasks: Sequence[int] | None = None) -> list[SeenJob]:
    """Read the jobs of these tasks (of all that were uploaded from here) and record their state.

    Raises:
        MissingInputError: a task that was not uploaded from here.
    """
    with engine.database.read() as connection:
        uploaded = labelling.task_numbers(connection, backend.name)
    unknown = [number for number in tasks or () if number not in uploaded]
    if unknown:
        raise MissingInputError(
            f"task {unknown[0]} was not uploaded from here", hint="see the numbers: dataengine review list"
        )
    told: dict[int, list[Job]] = {}
    for number in uploaded if tasks is None else tasks:
        try:
            told[number] = backend.jobs(number)
        except MissingInputError as error:
            raise MissingInputError(
                f"the annotation backend {backend.name!r} has lost task {number}: {error.message}",
                hint="bring it back there; what was exported before stays in the dataset",
            ) from error
    seen: list[SeenJob] = []
    with engine.database.write() as connection:
        for number, jobs in told.items():
            known = labelling.record_jobs(connection, backend.name, uploaded[number], jobs)
            seen += [SeenJob(job, record) for job, record in zip(jobs, known, strict=True)]
    return seen


def refresh_job(engine: Engine, backend: AnnotationBackend, number: int) -> SeenJob:
    """One job, read anew.

    Raises:
        MissingInputError: no such job, or its task was not uploaded from here.
    """
    job = backend.job(number)
    return next(seen for seen in refresh(engine, backend, [job.task_id]) if seen.job.id == number)
