"""Exports: started, conflicting, downloaded; and ``/api/requests`` where all background work is asked about."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from . import coco_out, workers
from .accounts import FORMATS
from .answers import Answer, RefusalError, as_json, denied, invalid, plain
from .calls import Call, route
from .listing import page
from .records import Job, Task
from .workers import ENDED, Work

GONE = "There is no request with specified id"


def start(call: Call, kind: str, number: int, tasks: list[Task], job: Job | None) -> Answer:
    """Begins an export of a job, task or project.

    Raises:
        RefusalError: a format that isn't known (400), or the same export is under way (409, with its id).
    """
    name = call.asked("format")
    if name not in FORMATS:
        raise invalid("Unknown format specified for the request")
    images = (call.asked("save_images") or "false").lower() == "true"
    rq_id = "&".join(
        [
            f"action=export&target={kind}&target_id={number}&user_id={call.me.id}",
            f"format={name.replace(' ', '_').replace('.', '~')}",
            f"subresource={'dataset' if images else 'annotations'}",
        ]
    )
    state = call.state
    subjects: dict[str, dict[int, Any]] = {"project": state.projects, "task": state.tasks, "job": state.jobs}
    subject = subjects[kind]
    file = state.folder / "exports" / f"{kind}-{number}-{call.me.id}-{state.next_id('export')}.zip"

    def run() -> tuple[Path, str, None]:
        file.parent.mkdir(exist_ok=True)
        if number not in subject:
            raise workers.WorkError(
                f"{kind.capitalize()}.DoesNotExist: {kind.capitalize()} matching query does not exist."
            )
        updated = max([subject[number].updated, *([task.updated for task in tasks] if kind == "project" else [])])
        key = (kind, number, name, images, updated)
        if key not in state.exports:
            # Kept until the subject's own date moves: deleting a frame of the task moves no job's.
            _write(call, name, tasks, job, images, file)
            state.exports[key] = file
        moment = updated[:19].replace("T", "_").replace("-", "_").replace(":", "_")
        what = "dataset" if images else "annotations"
        return state.exports[key], f"{kind}_{number}_{what}_{moment}_{name.lower()}.zip", None

    work = Work(
        id=rq_id,
        action="export",
        type="export:dataset" if images else "export:annotations",
        target=kind,
        owner=call.me.id,
        run=run,
        format=name,
        url=f"/api/{kind}s/{number}/dataset/download?{urlencode({'rq_id': rq_id})}",
    )
    _placed(work, kind, number, tasks)
    return launch(call, work)


def _write(call: Call, name: str, tasks: list[Task], job: Job | None, images: bool, to: Path) -> None:
    ready = [task for task in tasks if task.data is not None and task.data.ready]
    if name == "COCO 1.0":
        coco_out.write(call.state, ready, job, images, to)
        return
    with zipfile.ZipFile(to, "w") as zipped:
        zipped.writestr("readme.txt", f"The server of the tests does not make {name}.\n")


def backup(call: Call, task: Task) -> Answer:
    """A backup is a file that says that it is none."""
    file = call.state.folder / "exports" / f"backup-{task.id}.zip"
    rq_id = f"action=export&target=task&target_id={task.id}&user_id={call.me.id}&subresource=backup"

    def run() -> tuple[Path, str, None]:
        file.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(file, "w") as zipped:
            zipped.writestr("readme.txt", "The server of the tests does not make backups.\n")
        return file, f"task_{task.id}_backup.zip", None

    url = f"/api/tasks/{task.id}/backup/download?{urlencode({'rq_id': rq_id})}"
    work = Work(rq_id, "export", "export:backup", "task", call.me.id, run, url=url)
    _placed(work, "task", task.id, [task])
    return launch(call, work)


def _placed(work: Work, kind: str, number: int, tasks: list[Task]) -> None:
    work.project = number if kind == "project" else tasks[0].project
    work.task = None if kind == "project" else tasks[0].id
    work.job = number if kind == "job" else None


def launch(call: Call, work: Work) -> Answer:
    """202 with the id of the request; 409 with it where one like it is under way."""
    if call.server.workers.running(work.id):
        raise RefusalError(as_json({"rq_id": work.id}, 409))
    work.stuck = call.stuck
    call.server.workers.enqueue(work)
    return as_json({"rq_id": work.id}, 202)


def download(call: Call, check: Callable[[], object]) -> Answer:
    """The file of a finished export, as often as it is asked for."""
    rq_id = call.asked("rq_id")
    if rq_id is None:
        raise invalid("Missing request id in the query parameters")
    check()
    work = call.server.workers.all.get(rq_id)
    if work is None or work.file is None or work.status != "finished":
        raise RefusalError(plain(404, GONE))
    if work.owner != call.me.id and not call.me.admin:
        raise denied()
    headers = [("Content-Disposition", f'attachment; filename="{work.file_name}"')]
    return Answer(200, type="application/zip", headers=headers, file=work.file)


def _found(call: Call, rq_id: str) -> Work:
    work = call.server.workers.all.get(rq_id)
    if work is None or (work.expires is not None and work.expires < call.state.now()):
        raise RefusalError(plain(404, GONE))
    if work.owner != call.me.id and not call.me.admin:
        raise denied()
    return work


@route("GET", "/api/requests")
def listing(call: Call) -> Answer:
    rows = [work for work in call.server.workers.all.values() if work.owner == call.me.id]
    for name in ("status", "action", "target"):
        if wanted := call.asked(name):
            rows = [work for work in rows if getattr(work, name) == wanted]
    rows.sort(key=lambda work: work.created, reverse=True)
    return page(call, rows, lambda work: workers.view(work, call.state, call.host))


@route("GET", "/api/requests/{rq}")
def retrieve(call: Call, rq_id: str) -> Answer:
    return as_json(workers.view(_found(call, str(rq_id)), call.state, call.host))


@route("POST", "/api/requests/{rq}/cancel")
def cancel(call: Call, rq_id: str) -> Answer:
    work = _found(call, str(rq_id))
    if work.status in ENDED:
        raise RefusalError(plain(400, f"Requests with status '{work.status}' cannot be cancelled"))
    if work.status == "started" and work.action != "export":
        said = "Cancellation of started requests is supported only for export requests executed by production workers"
        raise RefusalError(plain(400, said))
    call.server.workers.drop(work.id)
    return Answer(200)
