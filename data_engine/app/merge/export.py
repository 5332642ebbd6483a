"""``export``: accepted jobs -> a new dataset version."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from data_engine.app.annotation.acceptance import record_held
from data_engine.app.annotation.deleted import keep_deleted, notice_deleted
from data_engine.app.annotation.jobs import SeenJob, nothing_there, refresh
from data_engine.app.annotation.moves import take_back, take_back_read
from data_engine.app.collector import seldom_collected
from data_engine.app.dataset.dataset_certificate import remark as certificate_remark
from data_engine.app.dataset.version_files import SIDES, finish_files, write_version
from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.merge import export_conflicts
from data_engine.app.merge.export_conflicts import Ask
from data_engine.app.merge.export_jobs import JobsRead, read_jobs
from data_engine.app.merge.export_merge import advance, to_merge, without
from data_engine.app.merge.export_plan import Plan, Sources, make_plan
from data_engine.app.merge.merge_spool import Spool
from data_engine.app.models.models import registered_classes
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import datasets, labelling, uploads, withdrawals
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.ports import AnnotationBackend
from data_engine.stages.export import VERSION
from data_engine.types import DatasetVersion, Report
from data_engine.words import counted


@seldom_collected()
def export(engine: Engine, *, task_id: int | None = None, output: Path | None = None, ask: Ask | None = None) -> Report:
    """Merge what was accepted since the last version, and write the new version's files.

    Only jobs in stage ``acceptance`` with state ``completed`` count.  Frames of a job that is no longer accepted leave
    the dataset until it is accepted again.  When nothing changes there is no new version.

    Args:
        engine: the workspace.
        task_id: only this task of the annotation backend, by its own number.
        output: where the version is written as well, with its train and valid files beside it.
        ask: asks a person whose boxes count where two accepted jobs disagree; None where there is nobody to ask.

    Raises:
        MissingInputError: nothing was uploaded or accepted yet, or the task was not uploaded from here.
        ConflictError: ``output`` is the file of another version; or jobs disagree, and nobody can be asked.
        UsageError: ``output`` is a folder, or has the name of one side's file.
    """
    target = None if output is None else _target(engine, output)
    finished = finish_files(engine)
    backend = engine.backend()
    if finished is not None and target is None:
        with engine.database.read() as connection:
            uploaded = uploads.task_numbers(connection, backend.name)
        if not uploaded:  # it came of no job, but of an import: there is nothing else to export
            return Report(
                title=f"dataset version {finished.label}: its files are written",
                data={"version": finished.label, "version_id": finished.id, "new": False},
                next="dataengine convert",
            )
    # Of two exports at once the second would merge what it read before the first one took it back.
    with (
        engine.database.alone(f"export {backend.name}"),
        alone_with_versions(engine.database),
        contextlib.closing(Spool(engine.storage.path(STATE_FOLDER))) as spool,
    ):
        return _export(engine, backend, task_id, target, spool, ask)


def _export(
    engine: Engine, backend: AnnotationBackend, task_id: int | None, target: str | None, spool: Spool, ask: Ask | None
) -> Report:
    settings = engine.settings.export
    registry = registered_classes(engine)
    seen = refresh(engine, backend, None if task_id is None else [task_id])
    if not seen:
        raise nothing_there(engine, backend)
    noticed = notice_deleted(engine, backend, seen)
    doubtful, notes = take_back(engine, backend, seen)
    while True:
        accepted = [job for job in seen if job.job.accepted and job.known.id not in doubtful]
        reopened = {job.known.id for job in seen if not job.job.accepted} | doubtful
        with engine.database.read() as connection:
            wanted = to_merge(connection, accepted, reopened, noticed.jobs)
        read = read_jobs(engine, backend, wanted.jobs, registry, settings, spool)
        if not read.changed:
            break
        sent, told = take_back_read(engine, backend, seen, read.changed)
        doubtful, notes = doubtful | read.changed | sent, [*notes, *told]
    with engine.database.write() as connection:
        brought = record_held(engine, connection, wanted.jobs, read.contents)
        dates = {job.known.id: job.job.updated_at for job in wanted.jobs}
        kept_back = withdrawals.standing(connection, dates, brought)
    with engine.database.read() as connection:
        # Outside of what holds up other writers: a person may be asked.
        tasks = {job.known.id: job.known.task_id for job in wanted.jobs}
        sources = Sources(connection, spool, registry, tasks, brought, settings.match_iou)
        plan = make_plan(
            sources,
            wanted,
            without(wanted.new_of(read.merged), kept_back),
            withheld=read.withheld,
            decide=export_conflicts.deciding(engine, connection, registry, ask),
            hold=settings.on_conflict == "both",
        )
        export_conflicts.refuse_unasked(engine, connection, plan, ask)
    with engine.runner.run(
        "export",
        VERSION,
        settings,
        # All of them, so that an export that was killed after its record is the same run when it comes again.
        inputs=[_input(job) for job in accepted],
        scope=[backend.name, str(task_id or "")],
    ) as run:
        with engine.database.write() as connection:
            version = advance(engine, connection, plan, spool, brought, settings, run.id)
            _refuse_to_overwrite(datasets.versions(connection), version, target)
            if version is not None:
                export_conflicts.record(engine, connection, plan, version.number)
            failed = {failure.input_id for failure in read.failures}
            done = [job.known for job in wanted.jobs if f"job {job.job.id}" not in failed]
            labelling.mark_merged(connection, done)
            datasets.record_frames_of_jobs(connection, read.frames)
            for job in wanted.jobs:
                if job.known.id in read.contents:
                    keep_deleted(connection, job, read.contents[job.known.id].deleted)
            good = [_input(job) for job in accepted if f"job {job.job.id}" not in failed]
            engine.runner.finish_input(connection, run, good)
        if version is None and read.failures:
            raise DamagedInputError(f"nothing could be merged: {read.failures[0].input_id}: {read.failures[0].reason}")
        if version is None:
            raise MissingInputError(
                f"none of {counted(len(seen), 'job')} was accepted yet",
                hint="see what they wait for: dataengine review list",
            )
        target = target or version.key
        new = bool(plan)
        sides = write_version(engine, version, target, plan.ever if new else None)
    with engine.database.read() as connection:
        changes = datasets.change_counts(connection, version.number, plan.changed) if new else {}
        notes += (*export_conflicts.told(engine, connection, plan), *export_conflicts.waiting(connection))
    return Report(
        title=f"dataset version {version.label}: {counted(version.frames, 'frame')}, {counted(version.boxes, 'box')}"
        if new
        else f"nothing new since dataset version {version.label}",
        data={
            "version": version.label,
            "version_id": version.id,
            "new": new,
            "jobs_accepted": len(accepted),
            "jobs_merged": len(done),
            "jobs_waiting": len(seen) - len(accepted),
            "frames_changed": len(plan.changed),
            "frames_dropped": len(plan.left),
            "frames": version.frames,
            "boxes": version.boxes,
            **{side: sides.get(side, 0) for side in (*SIDES, "guard")},
            **{side: number for side, number in sides.items() if side == "golden"},
            **{f"proposals_{change}" if change != "added" else "boxes_added": n for change, n in changes.items()},
            **_kept_out(read, plan, len(doubtful)),
            "output": engine.shown(target),
        },
        notes=(
            *notes,
            *read.notes,
            *_remarks(sides, plan, read),
            *_misnamed(target, version),
            *filter(None, [certificate_remark(engine, version)]),
        ),
        failures=tuple(read.failures),
        next="dataengine convert",
    )


def _kept_out(read: JobsRead, plan: Plan, doubtful: int) -> dict[str, object]:
    """What was accepted and is in no version all the same; nothing where there is nothing."""
    counts = {
        "frames_disputed": len(plan.disputes),
        "frames_of_several_jobs": plan.mixed,
        "jobs_back_to_review": doubtful,
        "frames_deleted": read.deleted,
        "probes_untouched": read.probes,
        "shapes_left_out": read.left_out.total(),
        "left_out": dict(sorted(read.left_out.items())),
    }
    return {name: number for name, number in counts.items() if number}


def _target(engine: Engine, output: Path) -> str:
    """The key of ``--output``; the sides' files are written beside it and must not take its place."""
    if output.name.lower() in {f"{side}.json" for side in (*SIDES, "golden")}:
        raise UsageError(
            f"--output {output}: the version cannot be called {output.name}, which is one of its sides' files",
            hint="name another file; train.json and valid.json are written beside it",
        )
    key = engine.storage.key_of(output)
    if engine.storage.path(key).is_dir():
        raise UsageError(f"--output {output} is a folder", hint="name a file in it")
    return key


def _refuse_to_overwrite(
    versions: Sequence[DatasetVersion], version: DatasetVersion | None, target: str | None
) -> None:
    """A copy must not take the place of another version's own file."""
    for other in versions:
        if version is not None and other.key == target and other.number != version.number:
            raise ConflictError(
                f"--output {target} is dataset version {other.label}, which stays as it is; this is {version.label}",
                hint="leave --output out, or name another file",
            )


def _misnamed(target: str, version: DatasetVersion) -> tuple[str, ...]:
    """A remark when the file's name says another version than it holds."""
    name = PurePosixPath(target).name
    said = re.search(r"_v(\d+)\.json$", name)
    return (f"{name} holds version {version.label}",) if said and int(said[1]) != version.number else ()


def _input(job: SeenJob) -> str:
    """A job in the state in which it was accepted."""
    return f"{job.known.id} {job.job.updated_at}"


def _remarks(sides: Mapping[str, int], plan: Plan, read: JobsRead) -> tuple[str, ...]:
    """What to say of a version.

    Args:
        sides: how many frames are on each side of its split.
        plan: what the merge made of it.
        read: what was read for it.
    """
    away = sum(why == "reopened" for why in plan.left.values())
    taken = len(plan.left) - away
    notes = []
    if read.deleted:
        notes.append(f"{counted(read.deleted, 'frame')} deleted on the annotation server, and left out")
    if away:
        notes.append(f"{counted(away, 'frame')} left the dataset until their jobs are accepted again")
    if taken:
        notes.append(f"{counted(taken, 'frame')} left the dataset, for an accepted job does not give them any more")
    if not sides.get("valid"):
        notes.append("no frame lies on the validation side yet: a model cannot be evaluated until some do")
    if sides.get("guard"):
        notes.append(f"{counted(sides['guard'], 'frame')} between the sides of the split, on neither")
    return tuple(notes)
