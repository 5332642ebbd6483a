"""``/api/projects`` and ``/api/labels``."""

from __future__ import annotations

import hashlib
from typing import Any

from . import views
from .access import (
    in_scope,
    may_create,
    may_see_job,
    may_see_project,
    may_see_user,
    project_staff,
    role,
    task_staff,
)
from .answers import Answer, as_json, denied, invalid, missing, refused, server_error
from .calls import Call, number, one_of, route, text
from .listing import listed
from .quality import settings_for
from .records import Attribute, Label, Project
from .state import State

TYPES = ("any", "rectangle", "polygon", "polyline", "points", "ellipse", "cuboid", "skeleton", "mask", "tag")
INPUTS = ("checkbox", "radio", "number", "text", "select")


def add_labels(
    state: State, asked: list[dict[str, Any]], *, project: int | None = None, task: int | None = None
) -> None:
    """Adds labels to a project or a task.

    Raises:
        RefusalError: two of one name (400), after the ids of the first were spent.
    """
    have = [label for label in state.labels.values() if (label.project, label.task) == (project, task)]
    names, made = {label.name for label in have}, []
    for spec in asked:
        name = text(spec.get("name", ""), "name", 64)
        identity = state.next_id("label")
        if name in names:
            raise invalid("All label names must be unique")
        names.add(name)
        attributes = [
            Attribute(
                state.next_id("attribute"),
                text(attribute.get("name", ""), "name", 64),
                bool(attribute["mutable"]),
                one_of(attribute["input_type"], "input_type", INPUTS),
                str(attribute.get("default_value", "")),
                [str(value) for value in attribute.get("values", [])],
            )
            for attribute in spec.get("attributes", ())
        ]
        color = spec.get("color") or _color(name)
        kind = one_of(spec.get("type", "any"), "type", TYPES)
        made.append(Label(identity, name, color, kind, attributes, project, task))
    state.labels.update({label.id: label for label in made})


def _color(name: str) -> str:
    """One that depends on the name only; the real server has a palette."""
    return "#" + hashlib.sha256(name.encode()).hexdigest()[:6]


def change_labels(
    state: State, asked: list[dict[str, Any]], *, project: int | None = None, task: int | None = None
) -> None:
    """``{name}`` adds a label, ``{id, …}`` changes it, ``{id, deleted: true}`` removes it with all its boxes."""
    add_labels(state, [spec for spec in asked if "id" not in spec], project=project, task=task)
    for spec in asked:
        if "id" not in spec:
            continue
        label = state.labels.get(spec["id"])
        if label is None or (label.project, label.task) != (project, task):
            raise refused(404, {"detail": f"Not found label with id #{spec['id']} to change"})
        if spec.get("deleted"):
            _drop_label(state, label)
            continue
        label.color = spec.get("color") or (_color(spec["name"]) if "name" in spec else label.color)
        label.name = spec.get("name", label.name)
        label.type = spec.get("type", label.type)
        have = {attribute.name for attribute in label.attributes}
        for attribute in spec.get("attributes", ()):
            if attribute["name"] not in have:
                label.attributes.append(
                    Attribute(
                        state.next_id("attribute"),
                        attribute["name"],
                        bool(attribute["mutable"]),
                        one_of(attribute["input_type"], "input_type", INPUTS),
                        str(attribute.get("default_value", "")),
                        [str(value) for value in attribute.get("values", [])],
                    )
                )


def _drop_label(state: State, label: Label) -> None:
    tasks = {
        task.id
        for task in state.tasks.values()
        if task.id == label.task or (label.project is not None and task.project == label.project)
    }
    for job in state.jobs.values():
        if job.task in tasks:
            for kind in ("tags", "shapes", "tracks"):
                setattr(job, kind, [shape for shape in getattr(job, kind) if shape["label_id"] != label.id])
    del state.labels[label.id]


def _found(call: Call, identity: int) -> Project:
    project = call.state.projects.get(identity)
    if project is None:
        raise missing("Project")
    if not may_see_project(call.state, call.me, project):
        raise denied()
    return project


@route("POST", "/api/projects")
def create(call: Call) -> Answer:
    asked = call.required("name")
    state = call.state
    if not may_create(state, call.me, call.organization):
        raise denied()
    name = text(asked["name"], "name")
    now = state.now()
    project = Project(state.next_id("project"), name, call.me.id, call.organization or None, now, state.now())
    project.bug_tracker = asked.get("bug_tracker", "")
    settings_for(state, project=project.id)
    add_labels(state, asked.get("labels", []), project=project.id)
    state.projects[project.id] = project
    location = [("Location", f"{call.host}/api/projects/{project.id}")]
    return as_json(views.project(state, call.host, project), 201, location)


@route("GET", "/api/projects")
def listing(call: Call) -> Answer:
    state = call.state
    rows = [
        project
        for project in state.projects.values()
        if in_scope(call, project.organization) and may_see_project(state, call.me, project)
    ]
    fields = {
        "name": lambda row: row.name,
        "owner": lambda row: state.users[row.owner].username,
        "assignee": lambda row: None if row.assignee is None else state.users[row.assignee].username,
        "status": lambda row: "annotation",
        "id": lambda row: row.id,
        "updated_date": lambda row: row.updated,
    }
    simple = ("name", "owner", "assignee", "status")
    return listed(
        call, rows, fields, lambda row: views.project(state, call.host, row), simple=simple, search=simple[:3]
    )


@route("GET", "/api/projects/{id}")
def retrieve(call: Call, identity: int) -> Answer:
    return as_json(views.project(call.state, call.host, _found(call, identity)))


@route("PATCH", "/api/projects/{id}")
def update(call: Call, identity: int) -> Answer:
    project, asked, state = _found(call, identity), call.json(), call.state
    maintains = role(state, call.me, project.organization) in ("owner", "maintainer")
    if not (call.me.admin or maintains or project_staff(call.me, project)):
        raise denied()
    if "name" in asked:
        project.name = text(asked["name"], "name")
    if "bug_tracker" in asked:
        project.bug_tracker = asked["bug_tracker"]
    if "assignee_id" in asked:
        if not (call.me.admin or maintains or call.me.id == project.owner):
            raise denied()
        project.assignee = assignee(call, asked["assignee_id"], "assignee_id")
        project.assignee_updated = state.now()
    if "labels" in asked:
        change_labels(state, asked["labels"], project=project.id)
        state.labels_changed(project=project.id)
    else:
        project.updated = state.now()
    return as_json(views.project(state, call.host, project))


@route("DELETE", "/api/projects/{id}")
def remove(call: Call, identity: int) -> Answer:
    project, state = _found(call, identity), call.state
    maintains = role(state, call.me, project.organization) in ("owner", "maintainer")
    if not (call.me.admin or maintains or call.me.id == project.owner):
        raise denied()
    for task in [task.id for task in state.tasks.values() if task.project == identity]:
        state.drop_task(task)
    for label in [label.id for label in state.labels.values() if label.project == identity]:
        del state.labels[label]
    del state.projects[identity]
    return Answer(204)


def assignee(call: Call, value: Any, name: str) -> int | None:
    """The user of an assignment, or nobody.

    Raises:
        RefusalError: somebody whom the caller may not see (403), or nobody of that id: 500, as on the real server.
    """
    if value is None:
        return None
    user = number(value, name)
    if not may_see_user(call.state, call.me, user, call.organization):
        raise denied()
    if user not in call.state.users:
        raise server_error()
    return user


@route("GET", "/api/labels")
def labels(call: Call) -> Answer:
    state = call.state
    asked = {name: call.asked(name) for name in ("job_id", "task_id", "project_id")}
    if asked["job_id"]:
        job = state.jobs.get(int(asked["job_id"]))
        if job is None:
            raise missing("Job")
        if not may_see_job(state, call.me, job):
            raise denied()
        rows = state.labels_of(state.tasks[job.task])
    elif asked["task_id"]:
        task = state.tasks.get(int(asked["task_id"]))
        if task is None:
            raise missing("Task")
        if not task_staff(state, call.me, task):
            raise denied()
        rows = state.labels_of(task)
    else:
        rows = [label for label in state.labels.values() if label.project is not None]
        if asked["project_id"]:
            project = _found(call, int(asked["project_id"]))
            rows = [label for label in rows if label.project == project.id]
    fields = {
        "name": lambda row: row.name,
        "type": lambda row: row.type,
        "color": lambda row: row.color,
        "id": lambda row: row.id,
    }
    simple = ("name", "type", "color")
    return listed(call, rows, fields, views.label, simple=simple, search=("name",), newest_first=False)


@route("GET PATCH DELETE", "/api/labels/{id}")
def one_label(call: Call, identity: int) -> Answer:
    label = call.state.labels.get(identity)
    if label is None:
        raise missing("Label")
    if label.project is not None:
        _found(call, label.project)
    if call.method == "DELETE":
        _drop_label(call.state, label)
        call.state.labels_changed(project=label.project, task=label.task)
        return Answer(204)
    if call.method == "PATCH":
        change_labels(call.state, [{**call.json(), "id": identity}], project=label.project, task=label.task)
        call.state.labels_changed(project=label.project, task=label.task)
    return as_json(views.label(label))
