"""``/api/webhooks``, and what tells them of changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from . import views
from .access import project_staff
from .answers import Answer, as_json, denied, invalid_field, missing
from .calls import Call, route
from .hooks import Delivery, Webhook
from .listing import listed, page
from .records import Issue, Job, Task, User
from .state import State


@contextlib.contextmanager
def watched(call: Call, *rows: Job | Task | Issue, viewer: User | None) -> Iterator[None]:
    """Tells the web-hooks what the block changes: ``update:job`` of each job first, then ``update:task``.

    Args:
        viewer: who sees what is sent; None in a worker, which knows neither names of tasks nor the server's address.
    """
    before = [_compared(row) for row in rows]
    yield
    state, host = call.state, call.host if viewer else ""
    for row, old in zip(rows, before, strict=True):
        new = _compared(row)
        changes = {name: {"from": old[name], "to": new[name]} for name in old if old[name] != new[name]}
        if not changes:
            continue
        kind = type(row).__name__.lower()
        if isinstance(row, Job):
            shown, task = views.job(state, host, row, viewer), state.tasks[row.task]
            shown["issues"] = shown["issues"] if viewer else None
        elif isinstance(row, Task):
            shown, task = views.task(state, host, row, viewer), row
        else:
            shown, task = views.issue(state, host, row), state.tasks[state.jobs[row.job].task]
        body = {
            kind: shown,
            "sender": views.basic_user(state, host, call.me.id) if viewer else _bare_user(call.me),
            "before_update": {name: old[name] for name in changes},
            "changes": changes,
        }
        call.server.hooks.emit(f"update:{kind}", task.project, body)


def _bare_user(user: User) -> dict[str, Any]:
    return {"id": user.id, "username": user.username, "email": user.email}


def _compared(row: Job | Task | Issue) -> dict[str, Any]:
    """The fields whose change is told, as the server's database has them."""
    if isinstance(row, Issue):
        return {"updated_date": row.updated, "resolved": row.resolved, "assignee_id": row.assignee}
    common = {"updated_date": row.updated, "assignee_id": row.assignee, "assignee_updated_date": row.assignee_updated}
    if isinstance(row, Job):
        return {**common, "status": views.job_status(row), "stage": row.stage, "state": row.state}
    ready = bool(row.data and row.data.ready)
    return {
        **common,
        "name": row.name,
        "bug_tracker": row.bug_tracker,
        "subset": row.subset,
        "overlap": row.overlap,
        "segment_size": row.segment_size,
        "data_id": row.data.id if row.data else None,
        "dimension": "2d" if ready else "",
        "mode": "annotation" if ready else "",
        "media_type": "image" if ready else "",
    }


def emit_create(call: Call, kind: str, project: int | None, shown: dict[str, Any]) -> None:
    body = {kind: shown, "sender": views.basic_user(call.state, call.host, call.me.id)}
    call.server.hooks.emit(f"create:{kind}", project, body)


def _view(state: State, host: str, hook: Webhook, *, listed: bool = False) -> dict[str, Any]:
    shown = {
        "id": hook.id,
        "url": f"{host}/api/webhooks/{hook.id}",
        "target_url": hook.target_url,
        "description": hook.description,
        "type": hook.type,
        "content_type": hook.content_type,
        "is_active": hook.is_active,
        "enable_ssl": hook.enable_ssl,
        "created_date": hook.created,
        "updated_date": hook.updated,
        "owner": views.basic_user(state, host, hook.owner),
        "project_id": hook.project,
        "organization": hook.organization,
        "events": sorted(hook.events),
    }
    if listed and hook.last_status is not None:
        shown |= {"last_status": hook.last_status, "last_delivery_date": hook.last_delivery}
    return shown


def _found(call: Call, number: int) -> Webhook:
    hook = call.server.hooks.all.get(number)
    if hook is None:
        raise missing("Webhook")
    project = None if hook.project is None else call.state.projects.get(hook.project)
    if not (call.me.admin or hook.owner == call.me.id or project_staff(call.me, project)):
        raise denied()
    return hook


@route("POST", "/api/webhooks")
def create(call: Call) -> Answer:
    asked = call.required("target_url", "type", "events")
    state = call.state
    project = state.projects.get(asked.get("project_id") or 0)
    if asked["type"] == "project" and project is None:
        raise invalid_field("project_id", "This field is required.")
    if not (call.me.admin or project_staff(call.me, project)):
        raise denied()
    now = state.now()
    hook = Webhook(
        id=state.next_id("webhook"),
        target_url=asked["target_url"],
        description=asked.get("description", ""),
        type=asked["type"],
        content_type=asked.get("content_type", "application/json"),
        is_active=asked.get("is_active", True),
        enable_ssl=asked.get("enable_ssl", True),
        created=now,
        updated=state.now(),
        owner=call.me.id,
        project=project.id if project else None,
        organization=call.organization or None,
        events=list(asked["events"]),
        secret=asked.get("secret", ""),
    )
    call.server.hooks.all[hook.id] = hook
    location = [("Location", f"{call.host}/api/webhooks/{hook.id}")]
    return as_json(_view(state, call.host, hook), 201, location)


@route("GET", "/api/webhooks")
def listing(call: Call) -> Answer:
    mine = [hook for hook in call.server.hooks.all.values() if call.me.admin or hook.owner == call.me.id]
    fields = {
        "target_url": lambda hook: hook.target_url,
        "project_id": lambda hook: hook.project,
        "type": lambda hook: hook.type,
        "owner": lambda hook: call.state.users[hook.owner].username,
    }
    return listed(call, mine, fields, lambda hook: _view(call.state, call.host, hook, listed=True))


@route("GET PATCH DELETE", "/api/webhooks/{id}")
def one(call: Call, number: int) -> Answer:
    hook = _found(call, number)
    if call.method == "DELETE":
        del call.server.hooks.all[number]
        return Answer(204)
    if call.method == "PATCH":
        asked = call.json()
        for name in ("target_url", "description", "content_type", "is_active", "enable_ssl", "events", "secret"):
            if name in asked:
                setattr(hook, name, asked[name])
        hook.updated = call.state.now()
    return as_json(_view(call.state, call.host, hook, listed=True))


@route("POST", "/api/webhooks/{id}/ping")
def ping(call: Call, number: int) -> Callable[[], Answer]:
    hook = _found(call, number)
    sender = views.basic_user(call.state, call.host, call.me.id)
    body = {"event": "ping", "webhook": _view(call.state, call.host, hook, listed=True), "sender": sender}
    delivery = call.server.hooks.send(hook, "ping", body)

    def delivered() -> Answer:
        # The receiver may ask this server something before it answers.
        delivery.done.wait(10)
        return as_json(_delivery(delivery))

    return delivered


@route("GET", "/api/webhooks/{id}/deliveries")
def deliveries(call: Call, number: int) -> Answer:
    _found(call, number)
    rows = [row for row in call.server.hooks.deliveries if row.webhook == number and row.done.is_set()]
    return page(call, rows[::-1], _delivery)


def _delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": row.id,
        "webhook_id": row.webhook,
        "event": row.event,
        "status_code": row.status,
        "redelivery": False,
        "attempt": 1,
        "request_duration": round(row.seconds * 1000),
        "created_date": row.created,
        "updated_date": row.updated,
        "changed_fields": ",".join(row.body.get("changes", {})),
        "request": row.body,
        "response": row.response,
    }
