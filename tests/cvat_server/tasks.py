"""``/api/tasks``: the tasks, their data, their annotations and their exports."""

from __future__ import annotations

import mimetypes

from . import annotation, exports, uploads, views
from .access import in_scope, may_create, may_remove_task, project_staff, role, task_staff
from .answers import Answer, as_json, denied, invalid, missing, plain
from .calls import Call, number, route, text
from .listing import listed
from .projects import add_labels, assignee, change_labels
from .quality import settings_for
from .records import Data, Job, Task
from .webhooks import emit_create, watched


def found(call: Call, identity: int) -> Task:
    """A task that the caller may work with."""
    task = call.state.tasks.get(identity)
    if task is None:
        raise missing("Task")
    if not task_staff(call.state, call.me, task):
        raise denied()
    return task


@route("POST", "/api/tasks")
def create(call: Call) -> Answer:
    asked, state = call.required("name"), call.state
    project = None
    if asked.get("project_id") is not None:
        project = state.projects.get(number(asked["project_id"], "project_id"))
        if project is None:
            raise invalid("Project matching query does not exist.")
        staff = role(state, call.me, project.organization) in ("owner", "maintainer", "supervisor")
        if not (call.me.admin or staff or project_staff(call.me, project)):
            raise denied()
        if asked.get("labels"):
            raise invalid("Task must have only one of Label set or project_id")
    elif not may_create(state, call.me, call.organization):
        raise denied()
    organization = project.organization if project else call.organization or None
    name = text(asked["name"], "name")
    now = state.now()
    task = Task(
        state.next_id("task"), name, call.me.id, organization, project.id if project else None, now, state.now()
    )
    task.bug_tracker, task.subset = asked.get("bug_tracker") or "", asked.get("subset") or ""
    task.overlap, task.segment_size = asked.get("overlap"), asked.get("segment_size") or 0
    task.consensus_replicas = asked.get("consensus_replicas") or 0
    if asked.get("assignee_id") is not None:
        task.assignee = assignee(call, asked["assignee_id"], "assignee_id")
        task.assignee_updated = now
    settings_for(state, task=task.id)
    state.tasks[task.id] = task
    add_labels(state, asked.get("labels", []), task=task.id)
    if project:
        project.updated = now
    shown = views.task(state, call.host, task, call.me)
    emit_create(call, "task", task.project, shown)
    return as_json(shown, 201, [("Location", f"{call.host}/api/tasks/{task.id}")])


@route("GET", "/api/tasks")
def listing(call: Call) -> Answer:
    state = call.state
    rows = [t for t in state.tasks.values() if in_scope(call, t.organization) and task_staff(state, call.me, t)]
    fields = {
        "project_name": lambda t: None if t.project is None else state.projects[t.project].name,
        "name": lambda t: t.name,
        "owner": lambda t: state.users[t.owner].username,
        "assignee": lambda t: None if t.assignee is None else state.users[t.assignee].username,
        "subset": lambda t: t.subset,
        "tracker_link": lambda t: t.bug_tracker,
        "project_id": lambda t: t.project,
        "status": lambda t: views.task_status(state, t),
        "media_type": lambda t: "image" if t.data and t.data.ready else "",
        "mode": lambda t: "annotation" if t.data and t.data.ready else "",
        "dimension": lambda t: "2d" if t.data and t.data.ready else "",
        "validation_mode": lambda t: t.validation_mode,
        "id": lambda t: t.id,
        "updated_date": lambda t: t.updated,
    }
    simple = [name for name in fields if name not in ("id", "updated_date")]
    search = ("project_name", "name", "owner", "assignee", "subset", "tracker_link")
    return listed(call, rows, fields, lambda t: views.task(state, call.host, t, call.me), simple=simple, search=search)


@route("GET", "/api/tasks/{id}")
def retrieve(call: Call, identity: int) -> Answer:
    return as_json(views.task(call.state, call.host, found(call, identity), call.me))


@route("PATCH", "/api/tasks/{id}")
def update(call: Call, identity: int) -> Answer:
    task, asked, state = found(call, identity), call.json(), call.state
    if {"assignee_id", "owner_id", "project_id"} & asked.keys() and not may_remove_task(state, call.me, task):
        raise denied()
    if "assignee_id" in asked:
        chosen = assignee(call, asked["assignee_id"], "assignee_id")
    if asked.get("labels") and task.project is not None:
        raise invalid("Labels of a task in a project are the project's")
    with watched(call, task, viewer=call.me):
        if "assignee_id" in asked:
            task.assignee, task.assignee_updated = chosen, state.now()
        if "name" in asked:
            task.name = text(asked["name"], "name")
        task.bug_tracker = asked.get("bug_tracker", task.bug_tracker)
        task.subset = asked.get("subset", task.subset)
        if asked.get("labels"):
            change_labels(state, asked["labels"], task=task.id)
            state.labels_changed(task=task.id)
        state.touch_task(task)
    shown = views.task(state, call.host, task, call.me)
    if "assignee_id" in asked:
        # Seen in the answer of this request, and never again: so it is on the real server.
        shown["assignee_updated_date"] = task.assignee_updated
    return as_json(shown)


@route("DELETE", "/api/tasks/{id}")
def remove(call: Call, identity: int) -> Answer:
    task = found(call, identity)
    if not may_remove_task(call.state, call.me, task):
        raise denied()
    call.state.drop_task(identity)
    if task.project is not None:
        call.state.projects[task.project].updated = call.state.now()
    return Answer(204)


@route("POST", "/api/tasks/{id}/data")
def upload(call: Call, identity: int) -> Answer:
    return uploads.images(call, found(call, identity))


@route("HEAD PATCH", "/api/tasks/{id}/data/{file}")
def upload_piece(call: Call, identity: int, file: str) -> Answer:
    found(call, identity)
    return uploads.piece(call, file)


@route("GET", "/api/tasks/{id}/data")
def frame(call: Call, identity: int) -> Answer:
    return frame_bytes(call, _data(found(call, identity)))


def frame_bytes(call: Call, data: Data) -> Answer:
    """One image as it was uploaded, whatever quality is asked for."""
    if call.asked("type") != "frame":
        raise invalid("The server of the tests has single frames only, no chunks")
    wanted = call.asked("number") or ""
    if not wanted.isdecimal() or int(wanted) >= len(data.frames):
        said = f"Invalid frame '{wanted}'. The frame number should be in the [0, {len(data.frames)}] range"
        return as_json(said, 400)
    row = data.frames[int(wanted)]
    return Answer(200, type=mimetypes.guess_type(row.name)[0] or "application/octet-stream", file=row.file)


def _data(task: Task) -> Data:
    if task.data is None or not task.data.ready:
        raise invalid("Data is not uploaded for the task yet")
    return task.data


@route("GET PATCH", "/api/tasks/{id}/data/meta")
def meta(call: Call, identity: int) -> Answer:
    task = found(call, identity)
    data = _data(task)
    if call.method == "PATCH":
        with watched(call, task, viewer=call.me):
            data.deleted = sorted(set(call.required("deleted_frames")["deleted_frames"]))
            call.state.touch_task(task)
    return as_json(meta_of(data, None))


def meta_of(data: Data, job: Job | None) -> dict[str, object]:
    """``data/meta`` of a task, or of one job; a ground-truth job shows placeholders for frames that aren't its own."""
    start, stop = (job.start, job.stop) if job else (0, len(data.frames) - 1)
    own = set(job.frames()) if job else None
    return {
        "chapters": None,
        "chunks_updated_date": job.chunks_updated if job else data.updated,
        "chunk_size": data.chunk_size,
        "size": len(own) if own is not None else len(data.frames),
        "image_quality": data.image_quality,
        "start_frame": start,
        "stop_frame": stop,
        "frame_filter": "",
        "frames": [
            {
                "width": row.width,
                "height": row.height,
                "name": row.name if own is None or at in own else "placeholder.jpg",
                "related_files": 0,
                "has_related_context": False,
            }
            for at, row in enumerate(data.frames[start : stop + 1], start)
        ],
        "deleted_frames": [at for at in data.deleted if own is None or at in own],
        "included_frames": job.included if job else None,
        "storage": "local",
        "cloud_storage_id": None,
    }


@route("GET", "/api/tasks/{id}/validation_layout")
def validation_layout(call: Call, identity: int) -> Answer:
    task = found(call, identity)
    return as_json(task.validation or {"mode": task.validation_mode})


@route("GET PUT PATCH DELETE", "/api/tasks/{id}/annotations")
def labelled(call: Call, identity: int) -> Answer:
    task = found(call, identity)
    if call.method == "GET":
        if task.data is None:
            return plain(400, "Exporting annotations from a task without data is not allowed")
        return as_json(annotation.of_task(call.state, task))
    return changed(call, task, call.state.jobs_of(identity, "annotation"), split=True)


def changed(call: Call, task: Task, jobs: list[Job], *, split: bool = False) -> Answer:
    """PUT, PATCH and DELETE of annotations; every job whose annotations were saved tells its web-hooks."""
    state, action = call.state, call.asked("action")
    with watched(call, *jobs, task, viewer=call.me):
        if call.method == "DELETE":
            for job in jobs:
                annotation.clear(state, job)
            return Answer(204)
        if call.method == "PUT":
            return as_json(annotation.replace(state, task, jobs, call.json(), split=split))
        if action == "create":
            return as_json(annotation.create(state, task, jobs, call.json(), split=split))
        if action == "update":
            return as_json(annotation.update(state, task, jobs, call.json()))
        if action == "delete":
            return as_json(annotation.delete(state, jobs, call.json()))
        raise invalid("Please specify a correct 'action' for the request")


@route("POST", "/api/tasks/{id}/annotations")
def import_file(call: Call, identity: int) -> Answer:
    return uploads.annotation_file(call, "task", found(call, identity), None)


@route("HEAD PATCH", "/api/tasks/{id}/annotations/{file}")
def import_piece(call: Call, identity: int, file: str) -> Answer:
    found(call, identity)
    return uploads.piece(call, file)


@route("POST", "/api/tasks/{id}/dataset/export")
def export(call: Call, identity: int) -> Answer:
    return exports.start(call, "task", identity, [found(call, identity)], None)


@route("GET", "/api/tasks/{id}/dataset/download")
def download(call: Call, identity: int) -> Answer:
    return exports.download(call, lambda: found(call, identity))


@route("POST", "/api/tasks/{id}/backup/export")
def backup(call: Call, identity: int) -> Answer:
    return exports.backup(call, found(call, identity))


@route("GET", "/api/tasks/{id}/backup/download")
def download_backup(call: Call, identity: int) -> Answer:
    return exports.download(call, lambda: found(call, identity))
