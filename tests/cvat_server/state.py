"""Everything the server knows: plain records in dictionaries by id, one lock, and the counters that ids come from."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .records import Comment, Issue, Job, Label, Membership, Organization, Project, Task, Token, User


class State:
    """All records.  Every reader and writer holds :attr:`lock`.

    Args:
        folder: where the bytes of images and exports lie; memory holds names and sizes only.
    """

    def __init__(self, folder: Path, ahead: timedelta = timedelta()) -> None:
        self.lock = threading.RLock()
        self.folder = folder
        self.users: dict[int, User] = {}
        self.sessions: dict[str, tuple[int, str]] = {}
        """Session id to user and CSRF token."""
        self.keys: dict[str, int] = {}
        self.tokens: dict[int, Token] = {}
        self.organizations: dict[int, Organization] = {}
        self.memberships: dict[int, Membership] = {}
        self.projects: dict[int, Project] = {}
        self.labels: dict[int, Label] = {}
        self.tasks: dict[int, Task] = {}
        self.jobs: dict[int, Job] = {}
        self.task_jobs: dict[int, list[int]] = defaultdict(list)
        """Task to its jobs, oldest first."""
        self.issues: dict[int, Issue] = {}
        self.comments: dict[int, Comment] = {}
        self.exports: dict[tuple[object, ...], Path] = {}
        """Files by what was asked for and the date of its subject: as the real server, which makes none twice."""
        self.quality_settings: dict[int, dict[str, Any]] = {}
        self.quality_reports: dict[int, dict[str, Any]] = {}
        self.quality_conflicts: dict[int, list[dict[str, Any]]] = {}
        self._last: dict[str, int] = defaultdict(int)
        self._clock = threading.Lock()
        self._ahead = ahead
        self._time = datetime.min.replace(tzinfo=UTC)

    def next_id(self, kind: str) -> int:
        """As a sequence of PostgreSQL: never given twice, not even when the transaction fails."""
        self._last[kind] += 1
        return self._last[kind]

    def now(self, later: timedelta = timedelta()) -> str:
        """The time of the server in ISO 8601, strictly increasing by at least a microsecond."""
        with self._clock:
            self._time = max(datetime.now(UTC) + self._ahead, self._time + timedelta(microseconds=1))
            return iso(self._time + later)

    def add_user(self, username: str, password: str, *, admin: bool = False, **names: str) -> User:
        now = self.now()
        user = User(
            self.next_id("user"),
            username,
            password,
            names.get("email", f"{username}@example.test"),
            names.get("first_name", ""),
            names.get("last_name", ""),
            admin,
            now,
        )
        self.users[user.id] = user
        return user

    def user_named(self, username: str) -> User | None:
        return next((user for user in self.users.values() if user.username == username), None)

    def jobs_of(self, task: int, *types: str) -> list[Job]:
        """The jobs of a task, oldest first, all or those of some types."""
        jobs = [self.jobs[number] for number in self.task_jobs[task]]
        return [job for job in jobs if not types or job.type in types]

    def labels_of(self, task: Task) -> list[Label]:
        """The labels of a task's project, or its own, in order of id."""
        if task.project is not None:
            return [label for label in self.labels.values() if label.project == task.project]
        return [label for label in self.labels.values() if label.task == task.id]

    def touch(self, job: Job) -> None:
        """Annotations were saved: the dates of the job, its task and its project move."""
        job.updated = self.now()
        self.touch_task(self.tasks[job.task])

    def touch_task(self, task: Task) -> None:
        task.updated = self.now()
        if task.project is not None:
            self.projects[task.project].updated = self.now()

    def labels_changed(self, *, project: int | None = None, task: int | None = None) -> None:
        """All tasks and jobs that have these labels are as new as the change, accepted jobs too."""
        now = self.now()
        if project is not None:
            self.projects[project].updated = now
        for row in self.tasks.values():
            if row.id == task or (project is not None and row.project == project):
                row.updated = now
                for job in self.jobs_of(row.id):
                    job.updated = now

    def drop_task(self, number: int) -> None:
        for job in self.task_jobs.pop(number, []):
            self.drop_job(job, listed=False)
        for label in [label.id for label in self.labels.values() if label.task == number]:
            del self.labels[label]
        del self.tasks[number]
        self.quality_settings = {key: row for key, row in self.quality_settings.items() if row["task_id"] != number}

    def drop_job(self, number: int, *, listed: bool = True) -> None:
        job = self.jobs.pop(number)
        if listed:
            self.task_jobs[job.task].remove(number)
        for issue in [issue.id for issue in self.issues.values() if issue.job == number]:
            del self.issues[issue]
            self.comments = {key: row for key, row in self.comments.items() if row.issue != issue}


def iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
