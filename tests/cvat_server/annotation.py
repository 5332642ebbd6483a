"""Tags, shapes and tracks: checked and completed as they come in, split over jobs, and merged for a task's view."""

from __future__ import annotations

from typing import Any

from .answers import invalid, refused
from .records import Job, Label, Shape, Task
from .state import State

KINDS = ("tags", "shapes", "tracks")
MERGE_IOU = 0.75
"""Copies of one object in two overlapping jobs are one in the task's view while they overlap at least this much."""
_TYPES = ("rectangle", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")


def replace(state: State, task: Task, jobs: list[Job], sent: dict[str, Any], *, split: bool) -> dict[str, Any]:
    """PUT: what was there goes."""
    rows = _completed(state, task, sent)
    for job in jobs:
        clear(state, job)
    return _distributed(state, jobs, rows, split)


def clear(state: State, job: Job) -> None:
    job.tags, job.shapes, job.tracks = [], [], []
    state.touch(job)


def create(state: State, task: Task, jobs: list[Job], sent: dict[str, Any], *, split: bool) -> dict[str, Any]:
    """PATCH ``action=create``.

    Args:
        split: to each job of the task that has the frame, and a frame that none has is dropped without a word; else
            everything to the one job, whatever its frame.
    """
    return _distributed(state, jobs, _completed(state, task, sent), split)


def _completed(state: State, task: Task, sent: dict[str, Any]) -> dict[str, list[Shape]]:
    labels = {label.id: label for label in state.labels_of(task)}
    return {kind: [_complete(labels, kind, row) for row in sent.get(kind) or []] for kind in KINDS}


def _distributed(state: State, jobs: list[Job], rows: dict[str, list[Shape]], split: bool) -> dict[str, Any]:
    if not split:
        return _added(state, jobs[0], rows)
    made: dict[str, list[Shape]] = {kind: [] for kind in KINDS}
    by_job = _split(jobs, rows)
    for job in jobs:
        part = by_job.get(job.id)
        if part:
            added = _added(state, job, part)
            for kind in KINDS:
                made[kind] += added[kind]
    return _whole(made)


def add(state: State, task: Task, jobs: list[Job], shapes: list[Shape]) -> None:
    """What an import found, with every field set already."""
    for job in jobs:
        part = _split([job], {"shapes": shapes}).get(job.id)
        _added(state, job, part or {})


def _split(jobs: list[Job], rows: dict[str, list[Shape]]) -> dict[int, dict[str, list[Shape]]]:
    frames: dict[int, list[int]] = {}
    for job in jobs:
        for frame in job.frames():
            frames.setdefault(frame, []).append(job.id)
    parts: dict[int, dict[str, list[Shape]]] = {}
    for kind, shapes in rows.items():
        for shape in shapes:
            for number in frames.get(shape["frame"], ()):
                parts.setdefault(number, {}).setdefault(kind, []).append(shape)
    return parts


def _added(state: State, job: Job, rows: dict[str, list[Shape]]) -> dict[str, Any]:
    made: dict[str, list[Shape]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for row in rows.get(kind, ()):
            copy = {**row, "id": state.next_id(kind)}
            if kind == "tracks":
                copy["shapes"] = [{**shape, "id": state.next_id("track shape")} for shape in row["shapes"]]
            getattr(job, kind).append(copy)
            made[kind].append(copy)
    if any(made.values()):
        state.touch(job)
    return _whole(made)


def update(state: State, task: Task, jobs: list[Job], sent: dict[str, Any]) -> dict[str, Any]:
    """PATCH ``action=update``: rows keep their ids; one that isn't there is made, with the id that it was given."""
    made: dict[str, list[Shape]] = {kind: [] for kind in KINDS}
    labels = {label.id: label for label in state.labels_of(task)}
    for kind in KINDS:
        for row in sent.get(kind) or []:
            whole = _complete(labels, kind, row)
            home = [job for job in jobs if any(other["id"] == row.get("id") for other in getattr(job, kind))]
            home = home or [job for job in jobs if len(jobs) == 1 or row["frame"] in job.frames()]
            for job in home[:1]:
                # Deleted and made anew, as the real server does it: it is the last one from now on.
                setattr(job, kind, [other for other in getattr(job, kind) if other["id"] != row.get("id")])
                getattr(job, kind).append({**whole, "id": row.get("id")})
                state.touch(job)
                made[kind].append({**whole, "id": row.get("id")})
    return _whole(made)


def delete(state: State, jobs: list[Job], sent: dict[str, Any]) -> dict[str, Any]:
    """PATCH ``action=delete``: by id."""
    for kind in KINDS:
        ids = {row.get("id") for row in sent.get(kind) or []}
        for job in jobs:
            left = [row for row in getattr(job, kind) if row["id"] not in ids]
            if len(left) != len(getattr(job, kind)):
                setattr(job, kind, left)
                state.touch(job)
    return {"version": 0, **{kind: sent.get(kind) or [] for kind in KINDS}, "intervals": []}


def of_job(state: State, job: Job) -> dict[str, Any]:
    """GET of a job: attributes that nobody set show their defaults."""
    labels = {label.id: label for label in state.labels_of(state.tasks[job.task])}
    return _whole({kind: [_shown(labels, kind, row) for row in getattr(job, kind)] for kind in KINDS})


def of_task(state: State, task: Task) -> dict[str, Any]:
    """GET of a task: its annotation jobs put together; frames that two of them share are merged."""
    labels = {label.id: label for label in state.labels_of(task)}
    made: dict[str, list[Shape]] = {kind: [] for kind in KINDS}
    for kind, rows in merged(state, task).items():
        made[kind] = [_shown(labels, kind, row) for row in rows]
    return _whole(made)


def merged(state: State, task: Task) -> dict[str, list[Shape]]:
    """The rows of a task's annotation jobs, one copy where overlapping jobs agree."""
    rows: dict[str, list[Shape]] = {kind: [] for kind in KINDS}
    types = ("annotation", "ground_truth") if task.validation_mode == "gt_pool" else ("annotation",)
    end = -1
    for job in sorted(state.jobs_of(task.id, *types), key=lambda job: job.start):
        shared = [row for row in rows["shapes"] if job.start <= row["frame"] <= end] if end >= job.start else []
        for kind in KINDS:
            for row in getattr(job, kind):
                double = _match(row, shared) if kind == "shapes" and row["frame"] <= end else None
                if double is None:
                    rows[kind].append(row)
                else:
                    shared.remove(double)
        end = max(end, job.stop)
    return rows


def _match(row: Shape, others: list[Shape]) -> Shape | None:
    same = [
        other
        for other in others
        if (other["frame"], other["label_id"], other["type"]) == (row["frame"], row["label_id"], row["type"])
    ]
    best = max(same, key=lambda other: iou(row["points"], other["points"]), default=None)
    return best if best is not None and iou(row["points"], best["points"]) >= MERGE_IOU else None


def iou(first: list[float], second: list[float]) -> float:
    """Of the boxes around two lists of x, y."""
    a, b = box(first), box(second)
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / area


def box(points: list[float]) -> tuple[float, float, float, float]:
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])


def attributes(label: Label, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The declared attributes of a label as the server keeps them: text, with defaults for those that aren't given."""
    return [
        {"spec_id": attribute.id, "value": _text(values.get(attribute.name, attribute.default))}
        for attribute in label.attributes
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _whole(rows: dict[str, list[Shape]]) -> dict[str, Any]:
    return {"version": 0, **rows, "intervals": []}


def _shown(labels: dict[int, Label], kind: str, row: Shape) -> Shape:
    label = labels[row["label_id"]]
    have = {attribute["spec_id"] for attribute in row["attributes"]}
    lacking = [{"spec_id": one.id, "value": one.default} for one in label.attributes if one.id not in have]
    shown = {**row, "attributes": row["attributes"] + lacking} if lacking else dict(row)
    if kind == "shapes":
        shown["score"], shown["rotation"] = float(row["score"]), float(row["rotation"])
    return shown


def _complete(labels: dict[int, Label], kind: str, row: Shape) -> Shape:
    """A row with every field that the API shows."""
    _checked(labels, kind, row)
    common = {
        "id": None,
        "label_id": row["label_id"],
        "group": row.get("group") or 0,
        "source": row.get("source", "manual"),
        "frame": row["frame"],
        "attributes": list(row.get("attributes") or ()),
    }
    if kind == "tags":
        return common
    if kind == "tracks":
        shapes = [{**_drawn(shape), "id": None, "frame": shape["frame"], "attributes": []} for shape in row["shapes"]]
        return {**common, "shapes": shapes, "elements": []}
    return {**_drawn(row), **common, "score": row.get("score", 1), "elements": []}


def _drawn(row: Shape) -> Shape:
    return {
        "type": row["type"],
        "occluded": bool(row.get("occluded", False)),
        "outside": bool(row.get("outside", False)),
        "z_order": row.get("z_order", 0),
        "rotation": row.get("rotation", 0),
        "points": [float(number) for number in row["points"]],
    }


def _checked(labels: dict[int, Label], kind: str, row: Shape) -> None:
    for name in ("label_id", "frame", *(("type", "points") if kind == "shapes" else ())):
        if name not in row:
            raise refused(400, {kind: [{name: ["This field is required."]}]})
    if row["label_id"] not in labels:
        raise invalid(f"label_id `{row['label_id']}` is invalid")
    if kind == "shapes" and row["type"] not in _TYPES:
        raise refused(400, {kind: [{"type": [f'"{row["type"]}" is not a valid choice.']}]})
    known = {attribute.id for attribute in labels[row["label_id"]].attributes}
    for attribute in row.get("attributes") or ():
        if attribute["spec_id"] not in known:
            raise invalid(f"spec_id `{attribute['spec_id']}` is invalid")
