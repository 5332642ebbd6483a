"""``review list`` and ``review show``: the jobs, and one of them with all that is to be seen on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.app.annotation.job_dates import hands
from data_engine.app.annotation.jobs import SeenJob, refresh, refresh_job
from data_engine.app.annotation.who import known
from data_engine.app.engine import Engine
from data_engine.app.merge.export_conflicts import open_rows
from data_engine.errors import UsageError
from data_engine.lineage import footage, requeued, uploads
from data_engine.types import Issue, Report
from data_engine.words import counted, elapsed, shapes

if TYPE_CHECKING:
    from data_engine.ports import AnnotationBackend

_ROUNDING = 1.0
"""Pixels by which a part may stick out of its picture."""


def list_jobs(
    engine: Engine, *, stage: str | None = None, state: str | None = None, assignee: str | None = None
) -> Report:
    """The jobs, with what each waits for.

    The age is the time since the job changed last, by the backend's clock and this machine's.

    Args:
        engine: the workspace.
        stage: only jobs in this one.
        state: only jobs in this one.
        assignee: only jobs of this person, by name or e-mail; of nobody by the empty text.

    Raises:
        UnknownPersonError: nobody is known by this name or e-mail.
    """
    backend = engine.backend()
    now = engine.clock()
    seen = refresh(engine, backend)
    person = known(engine, backend, assignee) if assignee and assignee.strip() else assignee
    rows = [
        {
            "job": one.job.id,
            "task": one.job.task_id,
            "stage": one.job.stage,
            "state": one.job.state,
            "assignee": one.job.assignee or "",
            "reviewer": one.known.reviewer or "",
            "frames": len(one.job.frame_names),
            "age": elapsed((now - datetime.fromisoformat(one.job.updated_at)).total_seconds()),
            "waits_for": _waits_for(backend, one),
        }
        for one in seen
        if (stage is None or one.job.stage == stage)
        and (state is None or one.job.state == state)
        and (person is None or (one.job.assignee or "") == person.strip())
    ]
    disputed = _disputed(engine, backend, seen)
    return Report(
        title=counted(len(rows), "job"),
        data={"jobs": len(rows), **({"frames_in_dispute": len(disputed)} if disputed else {})},
        tables={"disputes": tuple(disputed)} if disputed else {},
        rows=tuple(rows),
        notes=_to_be_asked(disputed),
    )


def _disputed(engine: Engine, backend: AnnotationBackend, seen: Sequence[SeenJob]) -> list[dict[str, Any]]:
    """The frames on which accepted jobs disagree, and where somebody looks at them."""
    with engine.database.read() as connection:
        found = open_rows(connection)
        ids = [row.pop("frame_id") for row in found]
        there = {one.known.id for one in seen}
        busy = requeued.at_work(connection, ids, backend=backend.name, there=there)
    return [{**row, "looked_at_in": busy.get(frame_id, "")} for row, frame_id in zip(found, ids, strict=True)]


def _to_be_asked(disputed: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    left = [row["frame"] for row in disputed if not row["looked_at_in"]]
    if not left:
        return ()
    frame = "a frame in dispute" if len(left) == 1 else f"{len(left)} frames in dispute"
    return (
        f"nobody looks at {frame}, the dataset keeps what it held: "
        f"dataengine review requeue --frame {left[0]} --reason '...'",
    )


def _waits_for(backend: AnnotationBackend, seen: SeenJob) -> str:
    from data_engine.stages.review import next_step

    return "nothing" if seen.job.accepted and seen.merged else next_step(backend, seen.job)


def show(engine: Engine, job: int, open_it: bool = False) -> Report:
    """One job: where it is opened, what is on its frames, and what was remarked.

    Args:
        engine: the workspace.
        job: its number.
        open_it: open it in the browser, too.
    """
    backend = engine.backend()
    found = refresh_job(engine, backend, job)
    content = backend.annotations(job)
    boxes = {name: rows for name, rows in content.boxes.items() if name not in content.deleted}
    issues = backend.issues(job)
    unresolved = [issue for issue in issues if not issue.resolved]
    link = backend.link_of(job)
    numbers = _numbers(engine, found)
    opened = open_it and _browse(link)
    data: dict[str, Any] = {
        "task": found.job.task_id,
        "assignee": found.job.assignee or "",
        **hands(engine, found),
        "frames": len(boxes),
        **({"deleted_frames": sorted(content.deleted)} if content.deleted else {}),
        "boxes": sum(map(len, boxes.values())),
        **({"left_out": shapes(content.left_out)} if content.left_out else {}),
        "waits_for": _waits_for(backend, found),
        **({"remarks": "; ".join(map(_remark, unresolved))} if unresolved else {}),
        "open": link,
        "issues": [
            {
                "message": i.message,
                "author": i.author,
                "frame": i.frame_name,
                "box": None if i.xywh is None else list(i.xywh),
                "resolved": i.resolved,
            }
            for i in issues
        ],
    }
    return Report(
        title=f"job {job}: {found.job.stage}, {found.job.state}",
        data=data,
        rows=tuple(
            {"number": numbers.get(name), "frame": name, "boxes": len(found_boxes)}
            for name, found_boxes in boxes.items()
        ),
        notes=("no browser could be started here: open the address above yourself",) if open_it and not opened else (),
    )


def _remark(issue: Issue) -> str:
    place = f" on {issue.frame_name}" if issue.frame_name else ""
    if issue.xywh is not None:
        place += f" at {','.join(f'{value:g}' for value in issue.xywh)}"
    return f"{issue.message} ({issue.author or 'the reviewer'}{place})"


def _browse(link: str) -> bool:
    """Open an address or a file in the browser, where there is one."""
    import webbrowser

    return webbrowser.open(link if "://" in link else Path(link).resolve().as_uri())


def _numbers(engine: Engine, seen: SeenJob) -> dict[str, int]:
    """Frame name -> number in its task, from 0: so CVAT counts in its player and its addresses."""
    with engine.database.read() as connection:
        names = uploads.frame_order(connection, seen.known.task_id)
    of_job = set(seen.job.frame_names)
    return {name: number for number, name in enumerate(names) if name in of_job}


def frame_named(engine: Engine, seen: SeenJob, frame: str) -> str:
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


def refuse_outside(engine: Engine, seen: SeenJob, name: str, xywh: tuple[float, float, float, float]) -> None:
    """UsageError for a part that is not in its picture; one that sticks out by a pixel is."""
    with engine.database.read() as connection:
        ids = uploads.frame_names(connection, seen.known.task_id)
        frames = footage.frames_by_id(connection, [ids[name]] if name in ids else [])
    x, y, w, h = xywh
    for frame in frames.values():
        if min(x, y) < -_ROUNDING or x + w > frame.width + _ROUNDING or y + h > frame.height + _ROUNDING:
            raise UsageError(
                f"the box {x:g},{y:g},{w:g},{h:g} is not in {name}, which has {frame.width} x {frame.height} pixels",
                hint="left, top, width and height in pixels, counted from the picture's top left corner",
            )
