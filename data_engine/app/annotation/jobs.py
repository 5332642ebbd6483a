"""What the annotation backend says of the jobs, brought into lineage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_engine.app.engine import Engine
from data_engine.errors import MissingInputError
from data_engine.lineage import labelling, uploads
from data_engine.lineage.labelling import KnownJob
from data_engine.ports import AnnotationBackend
from data_engine.types import Job
from data_engine.words import listed


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job as the backend and lineage know it."""

    job: Job
    known: KnownJob

    @property
    def merged(self) -> bool:
        """Whether its boxes, as they are now, are in the dataset."""
        return self.known.merged_at == self.job.updated_at


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that the backend says now."""

    jobs: tuple[SeenJob, ...]
    lost: tuple[int, ...] = ()
    """Numbers of the tasks that were uploaded from here and that the backend no longer has."""


def look(engine: Engine, backend: AnnotationBackend) -> Look:
    """Read all jobs of what was uploaded from here, in one call of the backend, and record their state.

    A task that is gone is noted for people; the rest goes on, and what was exported of it stays in the dataset.
    """
    with engine.database.read() as connection:
        uploaded = uploads.task_numbers(connection, backend.name)
    told: dict[int, list[Job]] = {number: [] for number in uploaded}
    for job in backend.jobs() if uploaded else ():
        if job.task_id in told:
            told[job.task_id].append(job)
    lost = tuple(number for number, jobs in told.items() if not jobs)
    for number in lost:
        note = lost_note(backend, number)
        if note not in engine.notes:
            engine.notes.append(note)
    return Look(tuple(_record(engine, backend, uploaded, told)), lost)


def lost_note(backend: AnnotationBackend, number: int) -> str:
    """What to say of a task that is gone, and the way out."""
    return (
        f"the annotation backend {backend.name!r} has lost task {number}; what was exported of it stays in the dataset "
        f"(bring it back there, or make it anew: dataengine upload --again {number})"
    )


def nothing_there(engine: Engine, backend: AnnotationBackend) -> MissingInputError:
    """The error where a look finds no job at all."""
    with engine.database.read() as connection:
        uploaded = uploads.task_numbers(connection, backend.name)
    if uploaded:
        return MissingInputError(
            f"the annotation backend {backend.name!r} has lost every task that was uploaded",
            hint=f"bring them back there, or make them anew: dataengine upload --again {min(uploaded)}",
        )
    with engine.database.read() as connection:
        elsewhere = sorted(uploads.tasks_elsewhere(connection, backend.name))
    if elsewhere:
        return MissingInputError(
            f"no task was uploaded to {backend.name} yet; tasks are recorded for {', '.join(elsewhere)}",
            hint="name that one in dataengine.toml; where it is the same server by another address: [cvat] known_as",
        )
    return MissingInputError("no task was uploaded yet", hint="run first: dataengine upload")


def labels_gone(names: Sequence[str]) -> str:
    """What to say of an accepted job some of whose task's labels are gone, and the way out."""
    what = f"{'label' if len(names) == 1 else 'labels'} {listed([repr(name) for name in names])}"
    return (
        f"{what} of its task gone from the annotation server, renamed or removed with every box of it, so not merged: "
        "rename it back; or add it there again, and the job goes back to review"
    )


def refresh(engine: Engine, backend: AnnotationBackend, tasks: Sequence[int] | None = None) -> list[SeenJob]:
    """Read the jobs of these tasks (of all that were uploaded from here) and record their state.

    Raises:
        MissingInputError: one of these tasks was not uploaded from here, or is gone.
    """
    if tasks is None:
        return list(look(engine, backend).jobs)
    with engine.database.read() as connection:
        uploaded = uploads.task_numbers(connection, backend.name)
    unknown = [number for number in tasks if number not in uploaded]
    if unknown:
        raise MissingInputError(
            f"task {unknown[0]} was not uploaded from here", hint="see the numbers: dataengine review list"
        )
    told: dict[int, list[Job]] = {}
    for number in tasks:
        try:
            told[number] = backend.jobs(number)
        except MissingInputError as error:
            raise MissingInputError(
                f"the annotation backend {backend.name!r} has lost task {number}: {error.message}",
                hint=f"bring it back there, or make it anew: dataengine upload --again {number}",
            ) from error
    return _record(engine, backend, uploaded, told)


def _record(
    engine: Engine, backend: AnnotationBackend, uploaded: dict[int, str], told: dict[int, list[Job]]
) -> list[SeenJob]:
    seen: list[SeenJob] = []
    with engine.database.write() as connection:
        for number, jobs in told.items():
            if jobs:
                known = labelling.record_jobs(connection, backend.name, uploaded[number], jobs)
                seen += [SeenJob(job, record) for job, record in zip(jobs, known, strict=True)]
    return seen


def refresh_job(engine: Engine, backend: AnnotationBackend, number: int) -> SeenJob:
    """One job, read anew.

    Raises:
        MissingInputError: no such job, or its task was not uploaded from here.
    """
    job = backend.job(number)
    for seen in refresh(engine, backend, [job.task_id]):
        if seen.job.id == number:
            return seen
    raise MissingInputError(
        f"job {number} is not one of the jobs that task {job.task_id} was cut into",
        hint="a ground-truth job is looked at by: dataengine review audit --ground-truth 0.05",
    )
