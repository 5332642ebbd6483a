"""``/api/issues`` and ``/api/comments``: what a reviewer says about a job."""

from __future__ import annotations

from . import views
from .access import may_see_job, task_staff
from .answers import Answer, as_json, denied, missing, refused
from .calls import Call, number, route, text
from .jobs import found as found_job
from .listing import listed
from .records import Comment, Issue
from .webhooks import emit_create, watched


def _issue(call: Call, identity: int) -> Issue:
    issue = call.state.issues.get(identity)
    if issue is None:
        raise missing("Issue")
    job = call.state.jobs[issue.job]
    if call.me.id not in (issue.owner, issue.assignee) and not may_see_job(call.state, call.me, job):
        raise denied()
    return issue


def _project(call: Call, issue: Issue) -> int | None:
    return call.state.tasks[call.state.jobs[issue.job].task].project


def _comment(call: Call, issue: Issue, message: str) -> Comment:
    state, now = call.state, call.state.now()
    comment = Comment(state.next_id("comment"), issue.id, call.me.id, message, now, state.now())
    state.comments[comment.id] = comment
    return comment


@route("POST", "/api/issues")
def create(call: Call) -> Answer:
    """An issue on any frame, also one outside its job; its message is its first comment."""
    asked, state = call.required("frame", "position", "job", "message"), call.state
    if asked["job"] not in state.jobs:
        raise refused(400, {"job": [f'Invalid pk "{asked["job"]}" - object does not exist.']})
    job = found_job(call, number(asked["job"], "job"))
    position = [float(value) for value in asked["position"]]
    message = text(asked["message"], "message", 1 << 20)
    now = state.now()
    frame = number(asked["frame"], "frame")
    issue = Issue(state.next_id("issue"), frame, position, job.id, call.me.id, now, state.now())
    state.issues[issue.id] = issue
    emit_create(call, "issue", _project(call, issue), views.issue(state, call.host, issue))
    comment = _comment(call, issue, message)
    emit_create(call, "comment", _project(call, issue), views.comment(state, call.host, comment))
    return as_json(views.issue(state, call.host, issue), 201)


@route("GET", "/api/issues")
def listing(call: Call) -> Answer:
    state = call.state
    rows = [
        issue
        for issue in state.issues.values()
        if call.me.id in (issue.owner, issue.assignee) or may_see_job(state, call.me, state.jobs[issue.job])
    ]
    fields = {
        "owner": lambda row: state.users[row.owner].username,
        "assignee": lambda row: None if row.assignee is None else state.users[row.assignee].username,
        "job_id": lambda row: row.job,
        "task_id": lambda row: state.jobs[row.job].task,
        "resolved": lambda row: row.resolved,
        "frame_id": lambda row: row.frame,
        "id": lambda row: row.id,
    }
    simple = [name for name in fields if name != "id"]
    return listed(call, rows, fields, lambda row: views.issue(state, call.host, row), simple=simple)


@route("GET PATCH DELETE", "/api/issues/{id}")
def one(call: Call, identity: int) -> Answer:
    issue, state = _issue(call, identity), call.state
    if call.method == "DELETE":
        if call.me.id != issue.owner and not task_staff(state, call.me, state.tasks[state.jobs[issue.job].task]):
            raise denied()
        state.comments = {key: row for key, row in state.comments.items() if row.issue != identity}
        del state.issues[identity]
        return Answer(204)
    if call.method == "PATCH":
        asked = call.json()
        with watched(call, issue, viewer=call.me):
            issue.resolved = bool(asked.get("resolved", issue.resolved))
            issue.assignee = asked.get("assignee", issue.assignee)
            issue.position = [float(value) for value in asked.get("position", issue.position)]
            issue.updated = state.now()
    return as_json(views.issue(state, call.host, issue))


@route("POST", "/api/comments")
def create_comment(call: Call) -> Answer:
    asked = call.required("issue", "message")
    if asked["issue"] not in call.state.issues:
        raise refused(400, {"issue": [f'Invalid pk "{asked["issue"]}" - object does not exist.']})
    issue = _issue(call, number(asked["issue"], "issue"))
    comment = _comment(call, issue, text(asked["message"], "message", 1 << 20))
    shown = views.comment(call.state, call.host, comment)
    emit_create(call, "comment", _project(call, issue), shown)
    return as_json(shown, 201)


@route("GET", "/api/comments")
def comments(call: Call) -> Answer:
    state = call.state
    rows = [
        row
        for row in state.comments.values()
        if row.owner == call.me.id or may_see_job(state, call.me, state.jobs[state.issues[row.issue].job])
    ]
    fields = {
        "owner": lambda row: state.users[row.owner].username,
        "issue_id": lambda row: row.issue,
        "frame_id": lambda row: state.issues[row.issue].frame,
        "job_id": lambda row: state.issues[row.issue].job,
        "id": lambda row: row.id,
    }
    simple = [name for name in fields if name != "id"]
    return listed(call, rows, fields, lambda row: views.comment(state, call.host, row), simple=simple)


@route("GET PATCH DELETE", "/api/comments/{id}")
def one_comment(call: Call, identity: int) -> Answer:
    row = call.state.comments.get(identity)
    if row is None:
        raise missing("Comment")
    _issue(call, row.issue)
    if call.method != "GET" and row.owner != call.me.id and not call.me.admin:
        raise denied()
    if call.method == "DELETE":
        del call.state.comments[identity]
        return Answer(204)
    if call.method == "PATCH":
        row.message, row.updated = text(call.required("message")["message"], "message", 1 << 20), call.state.now()
    return as_json(views.comment(call.state, call.host, row))
