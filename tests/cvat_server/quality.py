"""``/api/quality`` and ``/api/consensus``: a ground-truth job compared with the others; and replicas merged."""

from __future__ import annotations

import json
from types import SimpleNamespace

from . import views
from .access import task_staff
from .agreement import PARAMETERS, Numbers, agreement, compared, of_frame, share, sums_of
from .answers import Answer, as_json, denied, missing
from .calls import Call, number, route
from .exports import launch
from .listing import listed
from .records import Job, Shape, Task
from .state import State
from .webhooks import watched
from .workers import Work

KINDS_COMPARED = ["bbox", "points", "mask", "polygon", "polyline", "skeleton", "label", "ellipse"]


def settings_for(state: State, *, project: int | None = None, task: int | None = None) -> None:
    """Every project and task has settings from its beginning, of one sequence of ids."""
    now = state.now()
    number = state.next_id("quality settings")
    row: Numbers = {
        "id": number,
        "task_id": task,
        "project_id": project,
        "job_filter": "",
        "inherit": True,
        "target_metric": "accuracy",
        "target_metric_threshold": 0.7,
        "max_validations_per_job": 0,
        **PARAMETERS,
        "created_date": now,
        "updated_date": state.now(),
    }
    state.quality_settings[number] = row


def _task(call: Call, identity: int) -> Task:
    task = call.state.tasks.get(identity)
    if task is None:
        raise missing("Task")
    if not task_staff(call.state, call.me, task):
        raise denied()
    return task


@route("GET", "/api/quality/settings")
def settings(call: Call) -> Answer:
    rows = [SimpleNamespace(**row) for row in call.state.quality_settings.values()]
    fields = {"task_id": lambda row: row.task_id, "project_id": lambda row: row.project_id}
    return listed(call, rows, fields, vars)


@route("GET PATCH", "/api/quality/settings/{id}")
def one_settings(call: Call, identity: int) -> Answer:
    row = call.state.quality_settings.get(identity)
    if row is None:
        raise missing("QualitySettings")
    if call.method == "PATCH":
        row |= {**{name: value for name, value in call.json().items() if name in row}, "updated_date": call.state.now()}
    return as_json(row)


@route("POST", "/api/quality/reports")
def compute(call: Call) -> Answer:
    state = call.state
    task = _task(call, number(call.required("task_id")["task_id"], "task_id"))

    def run() -> tuple[None, None, int]:
        return None, None, _report(state, task)

    rq_id = f"action=calculate&target=task&target_id={task.id}&subresource=quality"
    work = Work(
        rq_id,
        "calculate",
        "calculate:quality",
        "task",
        call.me.id,
        run,
        project=task.project,
        task=task.id,
        has_format=False,
    )
    return launch(call, work)


def _report(state: State, task: Task) -> int:
    """A report of the task, and one of each of its jobs; accepted ground truth only, as on the real server."""
    truth = next((job for job in state.jobs_of(task.id, "ground_truth") if views.accepted(job)), None)
    if truth is None:
        raise ValueError("This task has no accepted ground truth job")
    jobs = state.jobs_of(task.id, "annotation")
    frames = {frame: compared(state, task, _on(jobs, frame), _on([truth], frame)) for frame in truth.frames()}
    parent = _new(state, task, None, None, truth, frames)
    checkable = 0
    for job in jobs:
        own = {frame: result for frame, result in frames.items() if job.start <= frame <= job.stop}
        checkable += bool(own)
        _new(state, task, job, parent["id"], truth, own)
    parent["summary"]["jobs"] = {
        "total": len(jobs),
        "excluded": 0,
        "not_checkable": len(jobs) - checkable,
        "included": len(jobs),
    }
    return int(parent["id"])


def _on(jobs: list[Job], frame: int) -> list[Shape]:
    return [shape for job in jobs for shape in job.shapes if shape["frame"] == frame]


def _new(
    state: State, task: Task, job: Job | None, parent: int | None, truth: Job, frames: dict[int, Numbers]
) -> Numbers:
    assert task.data is not None
    sums = sums_of(frames)
    all_frames = len(job.frames()) if job else len(task.data.frames)
    kinds = {
        "missing_annotation": sums["missing"],
        "extra_annotation": sums["extra"],
        "mismatching_label": sums["wrong"],
    }
    errors = sum(kinds.values())
    row: Numbers = {
        "id": state.next_id("quality report"),
        "job_id": job.id if job else None,
        "task_id": task.id,
        "project_id": task.project,
        "parent_id": parent,
        "target": "job" if job else "task",
        "summary": {
            "total_frames": all_frames,
            "frame_count": len(frames),
            "validation_frames": len(frames),
            "frame_share": share(len(frames), all_frames),
            "validation_frame_share": share(len(frames), all_frames),
            "conflict_count": errors,
            "warning_count": 0,
            "error_count": errors,
            "conflicts_by_type": {name: count for name, count in kinds.items() if count},
            **{f"{name}_count": sums[name] for name in ("valid", "ds", "gt", "total")},
            **{name: sums[name] for name in ("accuracy", "precision", "recall")},
        },
        "created_date": state.now(),
        "target_last_updated": job.updated if job else task.updated,
        "gt_last_updated": truth.updated,
        "assignee": job.assignee if job else task.assignee,
        "frames": frames,
    }
    state.quality_reports[row["id"]] = row
    return row


def _shown(call: Call, row: Numbers) -> Numbers:
    shown = {name: value for name, value in row.items() if name != "frames"}
    return {**shown, "assignee": views.basic_user(call.state, call.host, row["assignee"])}


@route("GET", "/api/quality/reports")
def reports(call: Call) -> Answer:
    wanted = call.asked("task_id")
    rows = [SimpleNamespace(**row) for row in call.state.quality_reports.values() if row["task_id"] in call.state.tasks]
    if wanted:
        _task(call, int(wanted))
    fields = {
        "task_id": lambda row: row.task_id,
        "job_id": lambda row: row.job_id,
        "target": lambda row: row.target,
        "parent_id": lambda row: row.parent_id,
    }
    return listed(call, rows, fields, lambda row: _shown(call, vars(row)))


def _found(call: Call, identity: int) -> Numbers:
    row = call.state.quality_reports.get(identity)
    if row is None:
        raise missing("QualityReport")
    _task(call, row["task_id"])
    return row


@route("GET", "/api/quality/reports/{id}")
def one_report(call: Call, identity: int) -> Answer:
    return as_json(_shown(call, _found(call, identity)))


@route("GET", "/api/quality/reports/{id}/data")
def report_data(call: Call, identity: int) -> Answer:
    state, row = call.state, _found(call, identity)
    task = state.tasks[row["task_id"]]
    labels = [label.name for label in state.labels_of(task)]
    frames: dict[int, Numbers] = row["frames"]
    return Answer(
        200,
        type="application/json",
        body=json.dumps(_data(call, row, task, labels, frames)).encode(),
    )


def _data(call: Call, row: Numbers, task: Task, labels: list[str], frames: dict[int, Numbers]) -> Numbers:
    state = call.state
    jobs = [job.id for job in state.jobs_of(task.id, "annotation")]
    checked = {job.id for job in state.jobs_of(task.id, "annotation") if set(job.frames()) & frames.keys()}
    away = [number for number in jobs if number not in checked]
    summary = row["summary"]
    conflicts = {
        name: summary[name] for name in ("conflict_count", "warning_count", "error_count", "conflicts_by_type")
    }
    return {
        "id": row["id"],
        "task_id": task.id,
        "project_id": task.project,
        **{name: _spaced(row[name]) for name in ("created_date", "target_last_updated", "gt_last_updated")},
        "assignee": views.basic_user(state, call.host, row["assignee"]),
        "parameters": {
            "included_annotation_types": KINDS_COMPARED,
            "ignored_attributes": [],
            **PARAMETERS,
            "inherited": True,
            "job_filter": "",
        },
        "comparison_summary": {
            "frames": list(frames),
            "total_frames": summary["total_frames"],
            **conflicts,
            **agreement(frames, labels, 0.0),
            "tasks": None,
            "jobs": {
                "all": jobs,
                "excluded": [],
                "not_checkable": away,
                "not_checkable_count": len(away),
                "total_count": len(jobs),
                "included_count": len(jobs),
                "excluded_count": 0,
            },
            "frame_share": summary["frame_share"],
            "mean_conflict_count": share(summary["conflict_count"], len(frames)),
            "frame_count": len(frames),
            "frame_share_percent": summary["frame_share"] * 100,
        },
        "frame_results": {str(frame): of_frame(frame, result, labels) for frame, result in frames.items()},
        "conflicts": [],
    }


def _spaced(date: str) -> str:
    return date.replace("T", " ").replace("Z", "+00:00")


@route("GET", "/api/quality/conflicts")
def conflicts(call: Call) -> Answer:
    """The server of the tests counts conflicts and lists none."""
    return listed(call, [], {"report_id": lambda row: None, "type": lambda row: None}, dict)


@route("POST", "/api/consensus/merges")
def merge(call: Call) -> Answer:
    """The annotations of a job's first replica become those of the job: no vote, but the same requests."""
    state = call.state
    task = _task(call, number(call.required("task_id")["task_id"], "task_id"))

    def run() -> tuple[None, None, None]:
        for job in state.jobs_of(task.id, "annotation"):
            first = next(
                (other for other in state.jobs_of(task.id, "consensus_replica") if other.parent == job.id), None
            )
            if first is not None:
                shapes = [{**shape, "id": state.next_id("shapes"), "source": "consensus"} for shape in first.shapes]
                with watched(call, job, task, viewer=None):
                    job.shapes = shapes
                    state.touch(job)
                with watched(call, job, viewer=None):
                    job.state, job.updated = "completed", state.now()
        return None, None, None

    rq_id = f"action=merge&target=task&target_id={task.id}"
    work = Work(
        rq_id, "merge", "merge:task", "task", call.me.id, run, project=task.project, task=task.id, has_format=False
    )
    return launch(call, work)
