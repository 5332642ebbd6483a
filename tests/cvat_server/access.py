"""Who asks, and what they may: sessions with CSRF, tokens, passwords, throttling, rules about owners and assignees."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from http.cookies import SimpleCookie

from .answers import denied, refused
from .calls import Call
from .records import Job, Organization, Project, Task, User
from .state import State

SAFE = ("GET", "HEAD", "OPTIONS")


class Throttle:
    """At most so many requests a minute without credentials; None is no limit.

    Args:
        clock: seconds that only go up.
    """

    def __init__(self, limit: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.clock = clock
        self.times: list[float] = []

    def check(self) -> None:
        if self.limit is None:
            return
        now = self.clock()
        self.times = [then for then in self.times if then > now - 60]
        if len(self.times) >= self.limit:
            wait = math.ceil(60 - (now - self.times[0]))
            raise throttled(wait)
        self.times.append(now)


def throttled(seconds: float) -> Exception:
    wait = math.ceil(seconds)
    said = f"Request was throttled. Expected available in {wait} second{'' if wait == 1 else 's'}."
    return refused(429, {"detail": said}, [("Retry-After", str(wait))])


def identify(call: Call) -> None:
    """Finds out who asks, by token, session, or name and password.

    Raises:
        RefusalError: a token that isn't known (401), or a session without its CSRF token (403).
    """
    state = call.state
    kind, _, value = call.headers.get("authorization", "").partition(" ")
    if kind == "Bearer":
        token = next((token for token in state.tokens.values() if token.value == value), None)
        if token is None or (token.expires is not None and token.expires < state.now()):
            raise refused(401, {"detail": "Invalid token."}, [("WWW-Authenticate", "Token")])
        call.user, call.read_only = state.users[token.owner], token.read_only
        token.last_used = state.now()
    elif kind == "Token":
        if value not in state.keys:
            raise refused(401, {"detail": "Invalid token."}, [("WWW-Authenticate", "Token")])
        call.user = state.users[state.keys[value]]
    elif kind == "Basic":
        name, _, password = _plain(value).partition(":")
        user = state.user_named(name)
        if user is None or user.password != password:
            raise refused(401, {"detail": "Invalid username/password."}, [("WWW-Authenticate", "Token")])
        call.user = user
    elif (session := cookie(call, "sessionid")) in state.sessions:
        user, csrf = state.sessions[session]
        if call.method not in SAFE:
            sent = call.headers.get("x-csrftoken")
            if sent is None:
                raise refused(403, {"detail": "CSRF Failed: CSRF token missing."})
            if sent != csrf:
                raise refused(403, {"detail": "CSRF Failed: CSRF token from the 'X-Csrftoken' HTTP header incorrect."})
        call.user = state.users[user]


def _plain(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return ""


def cookie(call: Call, name: str) -> str:
    jar = SimpleCookie(call.headers.get("cookie", ""))
    return jar[name].value if name in jar else ""


def admit(call: Call, public: bool) -> None:
    """Refuses a call without credentials, a read-only token that writes, or an organization that isn't there."""
    if call.user is None:
        if not public:
            said = "Authentication credentials were not provided."
            raise refused(401, {"detail": said}, [("WWW-Authenticate", "Token")])
        call.server.throttle.check()
        return
    slug = call.headers.get("x-organization", call.asked("org"))
    if slug == "":
        call.organization = 0
    elif slug is not None:
        found = next((row for row in call.state.organizations.values() if row.slug == slug), None)
        if found is None:
            raise refused(404, {"detail": f"{slug} organization does not exist."})
        call.organization = found.id
    if call.read_only and call.method not in SAFE:
        raise denied()


def role(state: State, user: User, organization: int | None) -> str | None:
    """owner, maintainer, supervisor or worker; None outside of it."""
    rows = state.memberships.values()
    return next((row.role for row in rows if row.user == user.id and row.organization == organization), None)


def project_staff(user: User, project: Project | None) -> bool:
    return project is not None and user.id in (project.owner, project.assignee)


def task_staff(state: State, user: User, task: Task) -> bool:
    """Owner or assignee of the task or of its project, or a maintainer of its organization."""
    if user.admin or user.id in (task.owner, task.assignee) or project_staff(user, _project(state, task)):
        return True
    return role(state, user, task.organization) in ("owner", "maintainer")


def may_remove_task(state: State, user: User, task: Task) -> bool:
    project = _project(state, task)
    if user.admin or user.id == task.owner or project_staff(user, project):
        return True
    return role(state, user, task.organization) in ("owner", "maintainer")


def may_see_project(state: State, user: User, project: Project) -> bool:
    staff = role(state, user, project.organization) in ("owner", "maintainer")
    return user.admin or staff or project_staff(user, project)


def may_see_job(state: State, user: User, job: Job) -> bool:
    return job.assignee == user.id or task_staff(state, user, state.tasks[job.task])


def may_create(state: State, user: User, organization: int | None) -> bool:
    """A task or project of their own: anybody in their own space, supervisors and above in an organization."""
    if user.admin or not organization:
        return True
    return role(state, user, organization) in ("owner", "maintainer", "supervisor")


def may_see_user(state: State, user: User, other: int, organization: int | None) -> bool:
    """Users see themselves, and the members of the organization that they ask in."""
    if user.admin or other == user.id:
        return True
    member = state.users.get(other)
    return bool(organization) and member is not None and role(state, member, organization) is not None


def in_scope(call: Call, organization: int | None) -> bool:
    """Whether a record of an organization, or of nobody's, belongs to what the call is about."""
    return call.organization is None or (organization or 0) == call.organization


def member_of(state: State, user: User, organization: Organization) -> bool:
    return user.admin or role(state, user, organization.id) is not None


def _project(state: State, task: Task) -> Project | None:
    return None if task.project is None else state.projects.get(task.project)
