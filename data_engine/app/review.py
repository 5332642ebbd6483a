"""``review``: finished jobs -> accepted or rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_engine.app.engine import Engine
from data_engine.app.jobs import SeenJob, refresh, refresh_job
from data_engine.app.models import registered_classes
from data_engine.lineage import footage, labelling
from data_engine.types import Failed, Issue, Report
from data_engine.words import counted


def list_jobs(
    engine: Engine, *, stage: str | None = None, state: str | None = None, assignee: str | None = None
) -> Report:
    """The jobs, with what each waits for."""
    backend = engine.backend()
    rows = [
        {
            "job": seen.job.id,
            "task": seen.job.task_id,
            "stage": seen.job.stage,
            "state": seen.job.state,
            "assignee": seen.job.assignee or "",
            "frames": len(seen.job.frame_names),
            "waits_for": _waits_for(seen),
        }
        for seen in refresh(engine, backend)
        if (stage is None or seen.job.stage == stage)
        and (state is None or seen.job.state == state)
        and (assignee is None or seen.job.assignee == assignee)
    ]
    return Report(title=counted(len(rows), "job"), data={"jobs": len(rows)}, rows=tuple(rows))


def _waits_for(seen: SeenJob) -> str:
    from data_engine.stages.review import next_step

    return "nothing" if seen.job.accepted and seen.known.merged_at == seen.job.updated_at else next_step(seen.job)


def _remark(issue: Issue) -> str:
    place = f" on {issue.frame_name}" if issue.frame_name else ""
    return f"{issue.message} ({issue.author or 'the reviewer'}{place})"


def show(engine: Engine, job: int) -> Report:
    """One job: where it is opened, what is on its frames, and what was remarked."""
    backend = engine.backend()
    found = refresh_job(engine, backend, job)
    boxes = backend.annotations(job).boxes
    issues = backend.issues(job)
    unresolved = [issue for issue in issues if not issue.resolved]
    return Report(
        title=f"job {job}: {found.job.stage}, {found.job.state}",
        data={
            "task": found.job.task_id,
            "assignee": found.job.assignee or "",
            "frames": len(found.job.frame_names),
            "boxes": sum(map(len, boxes.values())),
            "waits_for": _waits_for(found),
            **({"remarks": "; ".join(map(_remark, unresolved))} if unresolved else {}),
            "open": backend.link_of(job),
            "issues": [
                {"message": i.message, "author": i.author, "frame": i.frame_name, "resolved": i.resolved}
                for i in issues
            ],
        },
        rows=tuple({"frame": name, "boxes": len(found_boxes)} for name, found_boxes in boxes.items()),
    )


def start(engine: Engine, job: int, by: str | None = None) -> Report:
    """Say that work on a job begins, so that the minutes it takes are known.

    Args:
        by: who works on it, and has it from now on; the job's assignee by default.
    """
    from data_engine.stages import review as stage

    backend = engine.backend()
    before = refresh_job(engine, backend, job)
    after = stage.start(backend, job, by)
    refresh_job(engine, backend, job)
    again = " before" if after.updated_at == before.job.updated_at else ""
    return Report(
        title=f"job {job} begun{again}" + (f" by {after.assignee}" if after.assignee else ""),
        data={"job": job, "assignee": after.assignee or "", "open": backend.link_of(job)},
        next=f"dataengine review submit {job}",
    )


def submit(engine: Engine, job: int, file: Path | None = None, by: str | None = None) -> Report:
    """Read an annotator's corrected boxes back and hand the job to review.

    Args:
        file: the COCO file; the job's own by default.
        by: who annotated; the job's assignee by default.
    """
    from data_engine.annotation.coco_file import read_submission
    from data_engine.stages import review as stage

    backend = engine.backend()
    before = refresh_job(engine, backend, job)
    key = engine.require(file or Path(backend.link_of(job)), "", hint=f"name it: dataengine review submit {job} FILE")
    with engine.database.read() as connection:
        names = labelling.frame_names(connection, before.known.task_id)
        frames = footage.frames_by_id(connection, names.values())
    boxes = read_submission(
        engine.storage.read_bytes(key),
        before.job,
        registered_classes(engine).names,
        name=engine.shown(key),
        sizes={name: (frames[frame_id].width, frames[frame_id].height) for name, frame_id in names.items()},
    )
    after = stage.submit(backend, job, boxes)
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


def accept(engine: Engine, jobs: Sequence[int], by: str | None = None) -> Report:
    """Accept finished jobs: from now on their boxes may enter a dataset version."""
    from data_engine.errors import ConflictError, MissingInputError
    from data_engine.stages import review as stage

    backend = engine.backend()
    failures: list[Failed] = []
    accepted = []
    already = 0
    for job in jobs:
        try:
            before = refresh_job(engine, backend, job)
            stage.accept(backend, job)
        except (ConflictError, MissingInputError) as error:
            if len(jobs) == 1:
                raise
            failures.append(Failed(f"job {job}", error.message))
        else:
            _record(engine, job, "accepted", by, None)
            accepted.append(job)
            already += before.job.accepted
    return Report(
        title=f"{counted(len(accepted), 'job')} accepted" + (f", {already} of them before" if already else ""),
        data={"accepted": accepted},
        failures=tuple(failures),
        next="dataengine export",
    )


def reject(
    engine: Engine,
    job: int,
    reason: str,
    by: str | None = None,
    frame: str | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> Report:
    """Send a finished job back to its annotator with a reason."""
    from data_engine.stages import review as stage

    backend = engine.backend()
    before = refresh_job(engine, backend, job)
    annotator = before.known.annotator
    after, _issue = stage.reject(backend, job, reason, author=by, frame_name=frame, xywh=box)
    again = "already " if after.updated_at == before.job.updated_at else ""
    _record(engine, job, "rejected", by, reason)
    return Report(
        title=f"job {job} {again}rejected and back with {annotator or 'its annotator'}",
        data={"job": job, "reason": reason, "annotator": annotator},
        next=f"dataengine review show {job}",
    )


def _record(engine: Engine, job: int, action: labelling.Action, actor: str | None, reason: str | None) -> SeenJob:
    seen = refresh_job(engine, engine.backend(), job)
    with engine.database.write() as connection:
        labelling.record_review(connection, seen.known, action, actor=actor, reason=reason, now=engine.now())
    return seen
