"""The records of the server: users, projects, tasks, jobs, and what is said about them.

Dates are text in ISO 8601 as the API shows them; other records are named by id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Shape = dict[str, Any]
"""A tag, shape or track as the API has it, with every field."""


@dataclass(slots=True)
class User:
    id: int
    username: str
    password: str
    email: str
    first_name: str
    last_name: str
    admin: bool
    date_joined: str
    last_login: str | None = None


@dataclass(slots=True)
class Token:
    id: int
    name: str
    owner: int
    value: str
    read_only: bool
    created: str
    updated: str
    expires: str | None = None
    last_used: str | None = None


@dataclass(slots=True)
class Organization:
    id: int
    slug: str
    name: str
    description: str
    owner: int
    created: str
    updated: str


@dataclass(slots=True)
class Membership:
    id: int
    organization: int
    user: int
    role: str
    joined: str


@dataclass(slots=True)
class Attribute:
    id: int
    name: str
    mutable: bool
    input_type: str
    default: str
    values: list[str]


@dataclass(slots=True)
class Label:
    id: int
    name: str
    color: str
    type: str
    attributes: list[Attribute]
    project: int | None
    task: int | None


@dataclass(slots=True)
class Project:
    id: int
    name: str
    owner: int
    organization: int | None
    created: str
    updated: str
    assignee: int | None = None
    assignee_updated: str | None = None
    bug_tracker: str = ""
    subsets: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Frame:
    name: str
    width: int
    height: int
    file: Path
    honeypot_of: int | None = None
    """The number of the frame of the validation pool that this one repeats."""


@dataclass(slots=True)
class Data:
    """The images of a task: what was uploaded, and the frames that were made of it."""

    id: int
    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    """By base name; a TUS upload is here from its beginning."""
    frames: list[Frame] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    image_quality: int = 70
    chunk_size: int = 72
    updated: str = ""
    ready: bool = False
    sent: dict[str, Any] = field(default_factory=dict)
    """The parameters of the last Upload-Finish."""


@dataclass(slots=True)
class Task:
    id: int
    name: str
    owner: int
    organization: int | None
    project: int | None
    created: str
    updated: str
    assignee: int | None = None
    assignee_updated: str | None = None
    bug_tracker: str = ""
    subset: str = ""
    overlap: int | None = None
    segment_size: int = 0
    consensus_replicas: int = 0
    data: Data | None = None
    validation_mode: str | None = None
    validation: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Job:
    id: int
    task: int
    type: str
    start: int
    stop: int
    created: str
    updated: str
    stage: str = "annotation"
    state: str = "new"
    assignee: int | None = None
    assignee_updated: str | None = None
    parent: int | None = None
    included: list[int] | None = None
    """The frames of a ground-truth job; None where a job has all from its first to its last."""
    chunks_updated: str = ""
    tags: list[Shape] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    tracks: list[Shape] = field(default_factory=list)

    def frames(self) -> list[int]:
        return list(range(self.start, self.stop + 1)) if self.included is None else self.included


@dataclass(slots=True)
class Issue:
    id: int
    frame: int
    position: list[float]
    job: int
    owner: int
    created: str
    updated: str
    assignee: int | None = None
    resolved: bool = False


@dataclass(slots=True)
class Comment:
    id: int
    issue: int
    owner: int
    message: str
    created: str
    updated: str
