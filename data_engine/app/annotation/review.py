"""``review``: finished jobs -> accepted or rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from data_engine.app.annotation import acceptance
from data_engine.app.annotation.job_boxes import boxes_now, handed_in, keep_submission, notice
from data_engine.app.annotation.job_view import frame_named, refuse_outside
from data_engine.app.annotation.job_view import list_jobs as list_jobs
from data_engine.app.annotation.job_view import show as show
from data_engine.app.annotation.jobs import SeenJob, refresh, refresh_job
from data_engine.app.annotation.meanwhile import refuse_changed
from data_engine.app.annotation.moves import by_name
from data_engine.app.annotation.who import account_of, is_there, left_note, who
from data_engine.app.engine import Engine, present
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import footage, labelling, uploads
from data_engine.lineage.job_history import histories
from data_engine.ports import AnnotationBackend, DraftKeeper
from data_engine.types import Failed, Job, Report, Role
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.stages.review import Place


def assign(engine: Engine, jobs: Sequence[int], to: str, role: Role | None = None) -> Report:
    """Give jobs to somebody.

    Args:
        engine: the workspace.
        jobs: their numbers.
        to: name or e-mail; the empty text takes them from whoever has them.
        role: what they are to do; a job that waits for another role is not given.
    """
    from data_engine.stages import review as stage

    backend = engine.backend()
    to = who(engine, backend, to.strip()) or ""
    failures: list[Failed] = []
    given: list[int] = []
    tasks: set[int] = set()
    for job in jobs:
        try:
            after = stage.assign(backend, job, to, role)
        except (ConflictError, MissingInputError) as error:
            if len(jobs) == 1:
                raise
            failures.append(Failed(f"job {job}", error.message))
            continue
        given.append(job)
        tasks.add(after.task_id)
        to = after.assignee or ""
    # A ground-truth job is in no list, and has no reviewer.
    changed = [seen for seen in refresh(engine, backend, sorted(tasks)) if seen.job.id in given]
    with engine.database.write() as connection:
        for seen in changed:
            if seen.job.stage != "annotation":
                labelling.record_reviewer(connection, seen.known, seen.job.assignee)
    return Report(
        title=f"{counted(len(given), 'job')} given to {to or 'nobody'}",
        data={"jobs": given, "assignee": to},
        failures=tuple(failures),
        next="dataengine review list",
    )


def start(engine: Engine, job: int, by: str | None = None) -> Report:
    """Say that work on a job begins, so that the minutes it takes are known.

    Args:
        by: who works on it, and has it from now on; the job's assignee by default.
    """
    from data_engine.stages import review as stage

    backend = engine.backend()
    before = refresh_job(engine, backend, job)
    after = stage.start(backend, job, who(engine, backend, by))
    refresh_job(engine, backend, job)
    again = " before" if after.updated_at == before.job.updated_at else ""
    return Report(
        title=f"job {job} begun{again}" + (f" by {after.assignee}" if after.assignee else ""),
        data={"job": job, "assignee": after.assignee or "", "open": backend.link_of(job)},
        next=f"dataengine review submit {job}" if backend.edits_files else stage.next_step(backend, after),
    )


def submit(engine: Engine, job: int, file: Path | None = None, by: str | None = None) -> Report:
    """Read an annotator's corrected boxes back and hand the job to review; on a server, only say that it is done.

    Args:
        engine: the workspace.
        job: its number.
        file: the COCO file; the job's own by default.
        by: who annotated; the job's assignee by default.

    Raises:
        UsageError: a file, where boxes are corrected on a server: it would replace whatever is drawn there; the number
            of a second job.
    """
    from data_engine.annotation.coco_file import read_submission
    from data_engine.stages import review as stage

    backend = engine.backend()
    by = who(engine, backend, by)
    if not backend.edits_files:
        return _complete(engine, backend, job, file, by)
    if file is not None and str(file).isdecimal() and not present(file):
        raise UsageError(
            f"jobs are submitted one by one: {file} would be the file of job {job}, and there is no such file",
            hint=f"dataengine review submit {job}; then dataengine review submit {file}",
        )
    before = refresh_job(engine, backend, job)
    key = engine.require(file or Path(backend.link_of(job)), "", hint=f"name it: dataengine review submit {job} FILE")
    with engine.database.read() as connection:
        names = uploads.frame_names(connection, before.known.task_id)
        frames = footage.frames_by_id(connection, names.values())
        # A class may be called otherwise by now: the task goes on saying what it was called when it was made.
        labels = uploads.task_labels(connection, before.known.task_id)
    # What is saved in the meantime would neither be handed in nor be kept.
    with cast("DraftKeeper", backend).undisturbed(job):
        boxes = read_submission(
            engine.storage.read_bytes(key),
            before.job,
            labels,
            name=engine.shown(key),
            sizes={name: (frames[frame_id].width, frames[frame_id].height) for name, frame_id in names.items()},
        )
        after = stage.submit(backend, job, boxes)
    if handed_in(after):
        keep_submission(engine, before.known.id, after.updated_at, boxes)
    again = " before" if after.updated_at == before.job.updated_at else ""
    # Once it is submitted, the assignee may be the reviewer.
    annotator = before.job.assignee if before.job.stage == "annotation" else before.known.annotator
    _record(engine, before.job.id, "submitted", by or annotator, None)
    total = sum(map(len, boxes.values()))
    return Report(
        title=f"job {job} submitted{again}: {counted(total, 'box')} on {counted(len(boxes), 'frame')}",
        data={"job": job, "boxes": total, "frames": len(boxes)},
        next=f"dataengine review accept {job}",
    )


def _complete(engine: Engine, backend: AnnotationBackend, job: int, file: Path | None, by: str | None) -> Report:
    from data_engine.stages import review as stage

    before = refresh_job(engine, backend, job)
    if file is not None:
        raise UsageError(
            f"the boxes of job {job} are corrected in CVAT, not in a file: {backend.link_of(job)}",
            hint=f"when they are, set it to completed there, or: dataengine review submit {job}",
        )
    after = stage.complete(backend, job, by)
    seen = refresh_job(engine, backend, job)
    again = " before" if after.updated_at == before.job.updated_at else ""
    if after.stage == "annotation":
        # The next sync records the same decision of the same job, which is one.
        actor = seen.job.assignee or by or seen.known.annotator
        with engine.database.write() as connection:
            since = histories(connection, [seen.known])[seen.known.id].since
            labelling.record_review(
                connection, seen.known, "submitted", actor=actor, reason=None, now=engine.now(), decided_at=since
            )
    notice(engine, backend, seen)
    boxes = boxes_now(engine, backend, seen)
    total = sum(map(len, boxes.values()))
    return Report(
        title=f"job {job} completed{again}: {counted(total, 'box')} on {counted(len(boxes), 'frame')}",
        data={"job": job, "boxes": total, "frames": len(boxes)},
        next=stage.next_step(backend, seen.job),
    )


def accept(engine: Engine, jobs: Sequence[int], by: str | None = None, expected: str | None = None) -> Report:
    """Accept finished jobs: from now on their boxes may enter a dataset version.

    On two levels only the lead's word does that; by anybody else's a job goes to the lead.

    Args:
        engine: the workspace.
        jobs: their numbers.
        by: who accepts; whom this program works for on the backend by default.
        expected: ``updated_at`` of the one job as it was looked at.

    Raises:
        ConflictError: of one job, it was not submitted, or changed since ``expected``.
    """
    backend = engine.backend()
    actor = who(engine, backend, by) or backend.me()
    settings = acceptance.two_levels(engine)
    chief = by_name(backend, settings).lead if settings.two_level else None
    failures: list[Failed] = []
    accepted: list[int] = []
    to_lead: list[int] = []
    already = 0
    for job in jobs:
        try:
            before = refresh_job(engine, backend, job)
            refuse_changed(engine, before, expected, "accepted", actor)
            already += before.job.accepted
            after = _accepted(engine, backend, before, actor, chief)
        except (ConflictError, MissingInputError, DamagedInputError) as error:
            if len(jobs) == 1:
                raise
            failures.append(Failed(f"job {job}", error.message))
        else:
            (accepted if after.accepted else to_lead).append(job)
    title = f"{counted(len(accepted), 'job')} accepted" + (f", {already} of them before" if already else "")
    if to_lead:
        title = f"{counted(len(to_lead), 'job')} to the lead" + (f"; {title}" if accepted else "")
    return Report(
        title=title,
        data={"accepted": accepted, **({"to_the_lead": to_lead} if to_lead else {})},
        failures=tuple(failures),
        next="dataengine export" if accepted or not to_lead else "dataengine review list",
    )


def _accepted(engine: Engine, backend: AnnotationBackend, before: SeenJob, actor: str | None, chief: str | None) -> Job:
    from data_engine.stages import review as stage

    job, lead = before.job, None if actor == chief else chief
    if job.accepted:
        acceptance.settle(engine, backend, [before])
        with engine.database.read() as connection:
            past = histories(connection, [before.known])[before.known.id]
        if past.acceptance is None and not past.intents:
            acceptance.remember(engine, backend, [before])
        if chief is not None and not before.merged and (past.accepted_by or job.assignee) != chief:
            raise ConflictError(
                f"job {job.id} was accepted without the second look, which is {chief}'s",
                hint="dataengine sync, which gives it to them",
            )
        return job
    if lead is None and job.stage != "annotation":
        return acceptance.accept(engine, backend, before, lambda: stage.accept(backend, job.id, seen=job), actor).job
    after = stage.accept(backend, job.id, seen=job, lead=lead)
    with engine.database.write() as connection:
        (known,) = labelling.record_jobs(connection, backend.name, before.known.task_id, [after])
        decided = replace(known, updated_at=job.updated_at)
        labelling.record_review(connection, decided, "accepted", actor=actor, reason=None, now=engine.now())
    return after


def reject(
    engine: Engine,
    job: int,
    reason: str,
    by: str | None = None,
    frame: str | None = None,
    box: tuple[float, float, float, float] | None = None,
    *,
    also: Sequence[Place] = (),
    expected: str | None = None,
) -> Report:
    """Send a finished job back to its annotator with a reason.

    Args:
        engine: the workspace.
        job: its number.
        reason: what is wrong.
        by: who rejects.
        frame: the frame that it is about, by its name or by its number in the task from 0.
        box: the place in that frame: left, top, width and height in pixels.
        also: what else is wrong, each with its place.
        expected: ``updated_at`` of the job as it was looked at.

    Raises:
        ConflictError: it was not submitted, or changed since ``expected``.
    """
    from data_engine.stages import review as stage

    backend = engine.backend()
    before = refresh_job(engine, backend, job)
    by = who(engine, backend, by)
    refuse_changed(engine, before, expected, "rejected", by or backend.me())
    annotator = before.known.annotator
    # Before anything is written: one who left cannot be given it.
    if annotator is not None and not is_there(backend, annotator):
        annotator = account_of(backend, annotator)
    back_to = annotator if annotator is None or is_there(backend, annotator) else ""
    name = None if frame is None else frame_named(engine, before, frame)
    if name is not None and box is not None:
        refuse_outside(engine, before, name, box)
    after, _issue = stage.reject(backend, job, reason, author=by, frame_name=name, xywh=box, back_to=back_to, also=also)
    again = "already " if after.updated_at == before.job.updated_at else ""
    _record(engine, job, "rejected", by or backend.me(), reason)
    left = after.assignee is None and annotator is not None
    return Report(
        title=f"job {job} {again}rejected and back with {'nobody' if left else annotator or 'its annotator'}",
        data={"job": job, "reason": reason, "annotator": annotator},
        notes=(left_note(job, annotator or ""),) if left else (),
        next=f"dataengine review show {job}",
    )


def _record(engine: Engine, job: int, action: labelling.Action, actor: str | None, reason: str | None) -> SeenJob:
    seen = refresh_job(engine, engine.backend(), job)
    with engine.database.write() as connection:
        labelling.record_review(connection, seen.known, action, actor=actor, reason=reason, now=engine.now())
    return seen
