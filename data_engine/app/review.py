"""``review``: finished jobs -> accepted or rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from data_engine.app.engine import Engine
from data_engine.app.job_boxes import handed_in, keep_submission
from data_engine.app.jobs import SeenJob, refresh, refresh_job
from data_engine.app.models import registered_classes
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import footage, labelling
from data_engine.types import Failed, Issue, Report, Role
from data_engine.words import counted, elapsed


def list_jobs(
    engine: Engine, *, stage: str | None = None, state: str | None = None, assignee: str | None = None
) -> Report:
    """The jobs, with what each waits for.

    The age is the time since the job changed last, by the backend's clock and this machine's.
    """
    backend = engine.backend()
    now = engine.clock()
    rows = [
        {
            "job": seen.job.id,
            "task": seen.job.task_id,
            "stage": seen.job.stage,
            "state": seen.job.state,
            "assignee": seen.job.assignee or "",
            "reviewer": seen.known.reviewer or "",
            "frames": len(seen.job.frame_names),
            "age": elapsed((now - datetime.fromisoformat(seen.job.updated_at)).total_seconds()),
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


def show(engine: Engine, job: int, open_it: bool = False) -> Report:
    """One job: where it is opened, what is on its frames, and what was remarked.

    Args:
        engine: the workspace.
        job: its number.
        open_it: open it in the browser, too.
    """
    backend = engine.backend()
    found = refresh_job(engine, backend, job)
    boxes = backend.annotations(job).boxes
    issues = backend.issues(job)
    unresolved = [issue for issue in issues if not issue.resolved]
    link = backend.link_of(job)
    numbers = _numbers(engine, found)
    opened = open_it and _browse(link)
    return Report(
        title=f"job {job}: {found.job.stage}, {found.job.state}",
        data={
            "task": found.job.task_id,
            "assignee": found.job.assignee or "",
            "frames": len(found.job.frame_names),
            "boxes": sum(map(len, boxes.values())),
            "waits_for": _waits_for(found),
            **({"remarks": "; ".join(map(_remark, unresolved))} if unresolved else {}),
            "open": link,
            "issues": [
                {"message": i.message, "author": i.author, "frame": i.frame_name, "resolved": i.resolved}
                for i in issues
            ],
        },
        rows=tuple(
            {"number": numbers.get(name), "frame": name, "boxes": len(found_boxes)}
            for name, found_boxes in boxes.items()
        ),
        notes=("no browser could be started here: open the address above yourself",) if open_it and not opened else (),
    )


def _browse(link: str) -> bool:
    """Open an address or a file in the browser, where there is one."""
    import webbrowser

    return webbrowser.open(link if "://" in link else Path(link).resolve().as_uri())


def _numbers(engine: Engine, seen: SeenJob) -> dict[str, int]:
    """Frame name -> number in its task, from 0: so CVAT counts in its player and its addresses."""
    with engine.database.read() as connection:
        names = labelling.frame_order(connection, seen.known.task_id)
    of_job = set(seen.job.frame_names)
    return {name: number for number, name in enumerate(names) if name in of_job}


def _frame_name(engine: Engine, seen: SeenJob, frame: str) -> str:
    """The frame that was named, or told by its number in the task."""
    if frame in seen.job.frame_names or not frame.isdecimal():
        return frame
    by_number = {number: name for name, number in _numbers(engine, seen).items()}
    if int(frame) not in by_number:
        first, last = min(by_number, default=0), max(by_number, default=0)
        raise UsageError(
            f"job {seen.job.id} has the frames {first} to {last}, counted from 0 over the whole task, and no {frame}",
            hint=f"dataengine review show {seen.job.id}",
        )
    return by_number[int(frame)]


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
    failures: list[Failed] = []
    given: list[int] = []
    tasks: set[int] = set()
    for job in jobs:
        try:
            after = stage.assign(backend, job, to.strip(), role)
        except (ConflictError, MissingInputError) as error:
            if len(jobs) == 1:
                raise
            failures.append(Failed(f"job {job}", error.message))
            continue
        given.append(job)
        tasks.add(after.task_id)
    # A ground-truth job is in no list, and has no reviewer.
    changed = [seen for seen in refresh(engine, backend, sorted(tasks)) if seen.job.id in given]
    with engine.database.write() as connection:
        for seen in changed:
            if seen.job.stage != "annotation":
                labelling.record_reviewer(connection, seen.known, seen.job.assignee)
    return Report(
        title=f"{counted(len(given), 'job')} given to {to.strip() or 'nobody'}",
        data={"jobs": given, "assignee": to.strip()},
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


def accept(engine: Engine, jobs: Sequence[int], by: str | None = None) -> Report:
    """Accept finished jobs: from now on their boxes may enter a dataset version."""
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
    """Send a finished job back to its annotator with a reason.

    Args:
        engine: the workspace.
        job: its number.
        reason: what is wrong.
        by: who rejects.
        frame: the frame that it is about, by its name or by its number in the task from 0.
        box: the place in that frame: left, top, width and height in pixels.
    """
    from data_engine.stages import review as stage

    backend = engine.backend()
    before = refresh_job(engine, backend, job)
    annotator = before.known.annotator
    name = None if frame is None else _frame_name(engine, before, frame)
    after, _issue = stage.reject(backend, job, reason, author=by, frame_name=name, xywh=box, back_to=annotator)
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
