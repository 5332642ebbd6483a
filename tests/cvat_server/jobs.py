"""``/api/jobs``: lists, stages and states, annotations and exports of one job; and project exports."""

from __future__ import annotations

from collections.abc import Callable

from . import annotation, creation, exports, tasks, uploads, views
from .access import in_scope, may_see_job, may_see_project, task_staff
from .answers import Answer, as_json, denied, invalid, missing
from .calls import Call, number, one_of, route
from .listing import listed
from .projects import assignee
from .records import Job, Task
from .webhooks import watched

STAGES = ("annotation", "validation", "acceptance")
STATES = ("new", "in progress", "completed", "rejected")


def found(call: Call, identity: int) -> Job:
    """A job that the caller may see."""
    job = call.state.jobs.get(identity)
    if job is None:
        raise missing("Job")
    if not may_see_job(call.state, call.me, job):
        raise denied()
    return job


def _task(call: Call, job: Job) -> Task:
    return call.state.tasks[job.task]


@route("GET", "/api/jobs")
def listing(call: Call) -> Answer:
    state = call.state
    rows = [
        job
        for job in state.jobs.values()
        if in_scope(call, state.tasks[job.task].organization) and may_see_job(state, call.me, job)
    ]

    def project_name(job: Job) -> str | None:
        project = state.tasks[job.task].project
        return None if project is None else state.projects[project].name

    fields = {
        "task_name": lambda job: state.tasks[job.task].name,
        "project_name": project_name,
        "assignee": lambda job: None if job.assignee is None else state.users[job.assignee].username,
        "task_id": lambda job: job.task,
        "project_id": lambda job: state.tasks[job.task].project,
        "type": lambda job: job.type,
        "parent_job_id": lambda job: job.parent,
        "dimension": lambda job: "2d",
        "media_type": lambda job: "image",
        "mode": lambda job: "annotation",
        "state": lambda job: job.state,
        "stage": lambda job: job.stage,
        "id": lambda job: job.id,
        "updated_date": lambda job: job.updated,
    }
    simple = [name for name in fields if name not in ("id", "updated_date")]
    view = _viewer(call)
    return listed(call, rows, fields, view, simple=simple, search=("task_name", "project_name", "assignee"))


def _viewer(call: Call) -> Callable[[Job], views.View]:
    return lambda job: views.job(call.state, call.host, job, call.me)


@route("POST", "/api/jobs")
def create(call: Call) -> Answer:
    """A ground-truth job; no other kind can be asked for."""
    asked = call.required("type", "task_id")
    if one_of(asked["type"], "type", ("annotation", "ground_truth", "consensus_replica")) != "ground_truth":
        raise invalid(f"Unexpected job type '{asked['type']}'")
    task = call.state.tasks.get(number(asked["task_id"], "task_id"))
    if task is None:
        raise invalid("Task matching query does not exist.")
    if not task_staff(call.state, call.me, task):
        raise denied()
    if task.data is None or not task.data.ready:
        raise invalid("This task has no data")
    if call.state.jobs_of(task.id, "ground_truth"):
        raise invalid('Task with validation mode "gt" cannot have more than 1 GT job')
    job = creation.ground_truth(call.state, task, asked)
    task.validation_mode = "gt"
    task.updated = call.state.now()
    return as_json(
        views.job(call.state, call.host, job, call.me), 201, [("Location", f"{call.host}/api/jobs/{job.id}")]
    )


@route("GET", "/api/jobs/{id}")
def retrieve(call: Call, identity: int) -> Answer:
    return as_json(views.job(call.state, call.host, found(call, identity), call.me))


@route("DELETE", "/api/jobs/{id}")
def remove(call: Call, identity: int) -> Answer:
    job = found(call, identity)
    if not task_staff(call.state, call.me, _task(call, job)):
        raise denied()
    if job.type != "ground_truth":
        raise invalid("Only ground truth jobs can be removed")
    call.state.drop_job(identity)
    return Answer(204)


@route("PATCH", "/api/jobs/{id}")
def update(call: Call, identity: int) -> Answer:
    """A change of the stage makes the state new again, unless the same request sets one."""
    job, asked, state = found(call, identity), call.json(), call.state
    task = _task(call, job)
    if {"stage", "assignee"} & asked.keys() and not task_staff(state, call.me, task):
        raise denied()
    for name, allowed in (("stage", STAGES), ("state", STATES)):
        if name in asked:
            one_of(asked[name], name, allowed)
    chosen = assignee(call, asked["assignee"], "assignee") if "assignee" in asked else job.assignee
    with watched(call, job, viewer=call.me):
        if chosen != job.assignee:
            job.assignee, job.assignee_updated = chosen, state.now()
        if "stage" in asked and asked["stage"] != job.stage:
            job.stage, job.state = asked["stage"], "new"
        job.state = asked.get("state", job.state)
        job.updated = state.now()
    return as_json(views.job(state, call.host, job, call.me))


@route("GET", "/api/jobs/{id}/data/meta")
def meta(call: Call, identity: int) -> Answer:
    job = found(call, identity)
    data = _task(call, job).data
    assert data is not None
    return as_json(tasks.meta_of(data, job))


@route("PATCH", "/api/jobs/{id}/data/meta")
def change_meta(call: Call, identity: int) -> Answer:
    """The frames of this job that are deleted; those of other jobs stay as they are."""
    job = found(call, identity)
    data = _task(call, job).data
    assert data is not None
    own = set(job.frames())
    asked = {at for at in call.required("deleted_frames")["deleted_frames"] if at in own}
    data.deleted = sorted((set(data.deleted) - own) | asked)
    # Seen on a real server: the dates of the task and of the project move, that of the job does not.
    call.state.touch_task(_task(call, job))
    return as_json(tasks.meta_of(data, job))


@route("GET", "/api/jobs/{id}/data")
def frame(call: Call, identity: int) -> Answer:
    data = _task(call, found(call, identity)).data
    assert data is not None
    return tasks.frame_bytes(call, data)


@route("GET PUT PATCH DELETE", "/api/jobs/{id}/annotations")
def labelled(call: Call, identity: int) -> Answer:
    job = found(call, identity)
    if call.method == "GET":
        return as_json(annotation.of_job(call.state, job))
    return tasks.changed(call, _task(call, job), [job])


@route("POST", "/api/jobs/{id}/annotations")
def import_file(call: Call, identity: int) -> Answer:
    job = found(call, identity)
    return uploads.annotation_file(call, "job", _task(call, job), job)


@route("HEAD PATCH", "/api/jobs/{id}/annotations/{file}")
def import_piece(call: Call, identity: int, file: str) -> Answer:
    found(call, identity)
    return uploads.piece(call, file)


@route("POST", "/api/jobs/{id}/dataset/export")
def export(call: Call, identity: int) -> Answer:
    job = found(call, identity)
    return exports.start(call, "job", identity, [_task(call, job)], job)


@route("GET", "/api/jobs/{id}/dataset/download")
def download(call: Call, identity: int) -> Answer:
    return exports.download(call, lambda: found(call, identity))


@route("POST", "/api/projects/{id}/dataset/export")
def export_project(call: Call, identity: int) -> Answer:
    _project(call, identity)
    rows = [task for task in call.state.tasks.values() if task.project == identity]
    return exports.start(call, "project", identity, rows, None)


@route("GET", "/api/projects/{id}/dataset/download")
def download_project(call: Call, identity: int) -> Answer:
    return exports.download(call, lambda: _project(call, identity))


def _project(call: Call, identity: int) -> None:
    project = call.state.projects.get(identity)
    if project is None:
        raise missing("Project")
    if not may_see_project(call.state, call.me, project):
        raise denied()
