"""``export``: accepted jobs -> a new dataset version."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from data_engine.app.acceptance import record_held
from data_engine.app.deleted import keep_deleted, notice_deleted
from data_engine.app.engine import Engine
from data_engine.app.export_jobs import JobsRead, read_jobs
from data_engine.app.jobs import SeenJob, nothing_there, refresh
from data_engine.app.models import registered_classes
from data_engine.app.moves import take_back, take_back_read
from data_engine.app.version_files import FOLDER, SIDES, write_version
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import datasets, footage, labelling
from data_engine.lineage.database import Connection
from data_engine.lineage.datasets import DatasetFrame
from data_engine.ports import AnnotationBackend
from data_engine.selection.splits import make_plan, place
from data_engine.stages.export import VERSION, ExportSettings, Merged, version_id
from data_engine.types import DatasetVersion, Report, Split
from data_engine.words import counted


def export(engine: Engine, *, task_id: int | None = None, output: Path | None = None) -> Report:
    """Merge what was accepted since the last version, and write the new version's files.

    Only jobs in stage ``acceptance`` with state ``completed`` count.  Frames of a job that is no longer accepted leave
    the dataset until it is accepted again.  When nothing changes there is no new version.

    Args:
        task_id: only this task of the annotation backend, by its own number.
        output: where the version is written as well, with its train and valid files beside it.

    Raises:
        MissingInputError: nothing was uploaded or accepted yet, or the task was not uploaded from here.
        ConflictError: ``output`` is the file of another version.
        UsageError: ``output`` is a folder, or has the name of one side's file.
    """
    target = None if output is None else _target(engine, output)
    backend = engine.backend()
    # Of two exports at once the second would merge what it read before the first one took it back.
    with engine.database.alone(f"export {backend.name}"):
        return _export(engine, backend, task_id, target)


def _export(engine: Engine, backend: AnnotationBackend, task_id: int | None, target: str | None) -> Report:
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
        fresh, standing = _to_merge(engine, accepted, reopened, noticed.jobs)
        read = read_jobs(engine, backend, fresh, registry, settings)
        if not read.changed:
            break
        sent, told = take_back_read(engine, backend, seen, read.changed)
        doubtful, notes = doubtful | read.changed | sent, [*notes, *told]
    # A job that is read again for a frame that the dataset lost says nothing new of those that it has.
    again = {job.known.id for job in fresh if job.merged}
    merged = {i: entry for i, entry in read.merged.items() if entry[0] not in again or i not in standing}
    with engine.runner.run(
        "export",
        VERSION,
        settings,
        # All of them, so that an export that was killed after its record is the same run when it comes again.
        inputs=[_input(job) for job in accepted],
        scope=[backend.name, str(task_id or "")],
    ) as run:
        with engine.database.write() as connection:
            brought = record_held(engine, connection, fresh, read.contents)
            version, before, changed, away, taken = _advance(
                engine, connection, merged, reopened, read.withheld, settings, run.id, brought
            )
            _refuse_to_overwrite(datasets.versions(connection), version, target)
            failed = {failure.input_id for failure in read.failures}
            done = [job.known for job in fresh if f"job {job.job.id}" not in failed]
            labelling.mark_merged(connection, done)
            datasets.record_frames_of_jobs(connection, read.frames)
            for job in fresh:
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
        sides = write_version(engine, version, target, registry)
    with engine.database.read() as connection:
        changes = datasets.change_counts(connection, version.number) if before != version.number else {}
    return Report(
        title=f"dataset version {version.label}: {counted(version.frames, 'frame')}, {counted(version.boxes, 'box')}"
        if before != version.number
        else f"nothing new since dataset version {version.label}",
        data={
            "version": version.label,
            "version_id": version.id,
            "new": before != version.number,
            "jobs_accepted": len(accepted),
            "jobs_merged": len(done),
            "jobs_waiting": len(seen) - len(accepted),
            "frames_changed": changed,
            "frames_dropped": away + taken,
            "frames": version.frames,
            "boxes": version.boxes,
            **{side: sides.get(side, 0) for side in (*SIDES, "guard")},
            **{f"proposals_{change}" if change != "added" else "boxes_added": n for change, n in changes.items()},
            **_kept_out(read, len(doubtful)),
            "output": engine.shown(target),
        },
        notes=(*notes, *read.notes, *_remarks(sides, away, taken, read), *_misnamed(target, version)),
        failures=tuple(read.failures),
        next="dataengine convert",
    )


def _kept_out(read: JobsRead, doubtful: int) -> dict[str, object]:
    """What was accepted and is in no version all the same; nothing where there is nothing."""
    counts = {
        "jobs_back_to_review": doubtful,
        "frames_deleted": read.deleted,
        "probes_untouched": read.probes,
        "shapes_left_out": read.left_out.total(),
        "left_out": dict(sorted(read.left_out.items())),
    }
    return {name: number for name, number in counts.items() if number}


def _target(engine: Engine, output: Path) -> str:
    """The key of ``--output``; the sides' files are written beside it and must not take its place."""
    if output.name.lower() in {f"{side}.json" for side in SIDES}:
        raise UsageError(
            f"--output {output}: the version cannot be called {output.name}, which is one of its sides' files",
            hint="name another file; train.json and valid.json are written beside it",
        )
    key = engine.storage.key_of(output)
    if engine.storage.path(key).is_dir():
        raise UsageError(f"--output {output} is a folder", hint="name a file in it")
    return key


def _to_merge(
    engine: Engine, accepted: Sequence[SeenJob], reopened: Collection[str], noticed: Collection[str]
) -> tuple[list[SeenJob], set[str]]:
    """What is to be read, and the frames that stay in the dataset.

    Jobs that were accepted since they were merged, those of which frames were deleted or brought back, and jobs of
    which the dataset does not hold every frame: another job that held it too may have been opened again.  They come in
    the order in which they were accepted, for where two hold the same frame the newest counts.
    """
    with engine.database.read() as connection:
        latest = datasets.latest(connection)
        held = {} if latest is None else datasets.frames_of(connection, latest.number)
        of_jobs = datasets.frames_of_jobs(connection, [job.known.id for job in accepted])
    standing = {frame_id for frame_id, entry in held.items() if entry.job_id not in reopened}
    fresh = [
        job
        for job in accepted
        if not job.merged or job.known.id in noticed or not of_jobs.get(job.known.id, set()) <= standing
    ]
    return sorted(fresh, key=lambda job: (job.job.updated_at, job.job.id)), standing


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


def _remarks(sides: Mapping[str, int], away: int, taken: int, read: JobsRead) -> tuple[str, ...]:
    """What to say of a version.

    Args:
        sides: how many frames are on each side of its split.
        away: frames that left because their jobs are open again.
        taken: frames that left because accepted jobs do not give them any more.
        read: what was read for it.
    """
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


def _advance(
    engine: Engine,
    connection: Connection,
    merged: Mapping[str, tuple[str, Merged]],
    reopened: Collection[str],
    withheld: Mapping[str, str],
    settings: ExportSettings,
    run_id: str,
    acceptances: Mapping[str, str],
) -> tuple[DatasetVersion | None, int, int, int, int]:
    """Add a version when anything changed.

    Args:
        reopened: lineage ids of the jobs that are not, or no longer, accepted.
        withheld: frames that an accepted job does not give (any more), with its lineage id.
        acceptances: what the jobs that are merged stand by, by their lineage ids.

    Returns:
        the newest version (None when there is none), the number of the one before, how many frames changed, how many
        left with jobs that are open again, and how many were taken out of accepted ones.
    """
    latest = datasets.latest(connection)
    number = 0 if latest is None else latest.number
    held = datasets.frames_of(connection, number)
    changed = {
        frame_id: entry
        for frame_id, entry in merged.items()
        if frame_id not in held
        or held[frame_id].content != entry[1].content
        # The same boxes, but from now on on the word of a job that is accepted.
        or held[frame_id].job_id in reopened
    }
    left = {
        f
        for f, entry in held.items()
        if f not in merged and (entry.job_id in reopened or withheld.get(f) == entry.job_id)
    }
    if not changed and not left:
        return latest, number, 0, 0, 0
    # Also of a frame that left and comes back: it keeps the side that it had.
    splits = datasets.sides_before(connection, changed)
    splits.update(_sides(connection, [f for f in changed if f not in splits], settings))
    contents = {f: (entry.content, entry.split) for f, entry in held.items() if f not in left}
    contents.update({frame_id: (entry[1].content, splits[frame_id]) for frame_id, entry in changed.items()})
    version_number = number + 1
    datasets.replace_frames(
        connection,
        version_number,
        [DatasetFrame(i, job, m.content, splits[i]) for i, (job, m) in sorted(changed.items())],
        {frame_id: entry[1].annotations for frame_id, entry in changed.items()},
        sorted(left),
        acceptances,
    )
    version = DatasetVersion(
        id=version_id(contents, None if latest is None else latest.id),
        number=version_number,
        parent_id=None if latest is None else latest.id,
        frames=len(contents),
        boxes=datasets.count_boxes(connection, version_number),
        key=f"{FOLDER}/master_dataset_v{version_number}.json",
    )
    # What lies there is a copy that some --output put there: it must not pass for this version's.
    engine.storage.delete(version.key)
    datasets.add_version(connection, version, run_id=run_id, created_at=engine.now())
    away = sum(held[f].job_id in reopened for f in left)
    return version, number, len(changed), away, len(left) - away


def _sides(connection: Connection, frame_ids: Sequence[str], settings: ExportSettings) -> dict[str, Split]:
    frames = footage.frames_by_id(connection, frame_ids)
    places = {frame_id: place(frame) for frame_id, frame in frames.items()}
    sources = {source for source, _position in places.values()}
    plans = datasets.plans(connection, sources)
    videos = footage.videos_by_id(connection, {f.video_id for f in frames.values() if f.video_id is not None})
    durations = {f"video:{video.id}": video.duration_s for video in videos.values()}
    spans: dict[str, float] = {}
    if any(source not in plans and source not in durations for source in sources):
        # The first frames that people accept may be the first of a series: its length is that of all that is known.
        for frame in footage.lone_frames(connection, {frame.camera for frame in frames.values()}):
            source, position = place(frame)
            spans[source] = max(position, spans.get(source, 0.0))
    made = {
        source: make_plan(
            source,
            duration_s=durations.get(source),
            block_s=settings.block,
            guard_s=settings.guard,
            fraction=settings.valid_fraction,
            span=spans.get(source),
        )
        for source in sorted(sources - set(plans))
    }
    datasets.add_plans(connection, made.values())
    plans.update(made)
    return {frame_id: plans[source].side(position) for frame_id, (source, position) in places.items()}
