"""What a test wants to know of the server's state: tasks with their frames and boxes, each once."""

from __future__ import annotations

from typing import Any

from .state import State


def told(state: State) -> dict[str, Any]:
    """``{projects, tasks, jobs, users}`` as plain data.

    A task has ``frames`` (names, in order), ``deleted`` and ``boxes``: ``[frame name, label, points, attributes]`` of
    each rectangle in its annotation jobs, in order of id.
    """
    with state.lock:
        return {
            "users": [user.username for user in state.users.values()],
            "projects": [
                {
                    "id": project.id,
                    "name": project.name,
                    "labels": [label.name for label in state.labels.values() if label.project == project.id],
                }
                for project in state.projects.values()
            ],
            "tasks": [_task(state, number) for number in state.tasks],
            "jobs": [
                {
                    "id": job.id,
                    "task": job.task,
                    "type": job.type,
                    "stage": job.stage,
                    "state": job.state,
                    "assignee": None if job.assignee is None else state.users[job.assignee].username,
                    "frames": len(job.frames()),
                    "boxes": len(job.shapes),
                    "updated": job.updated,
                }
                for job in state.jobs.values()
            ],
        }


def _task(state: State, number: int) -> dict[str, Any]:
    task = state.tasks[number]
    frames = task.data.frames if task.data else []
    labels = {label.id: label for label in state.labels_of(task)}
    boxes = []
    for job in state.jobs_of(number, "annotation"):
        for shape in job.shapes:
            if shape["frame"] >= len(frames):
                continue  # a job takes a box on a frame that isn't there
            label = labels[shape["label_id"]]
            names = {attribute.id: attribute.name for attribute in label.attributes}
            attributes = {names[row["spec_id"]]: row["value"] for row in shape["attributes"]}
            boxes.append([frames[shape["frame"]].name, label.name, shape["points"], attributes])
    return {
        "id": number,
        "name": task.name,
        "project": task.project,
        "subset": task.subset,
        "bug_tracker": task.bug_tracker,
        "ready": bool(task.data and task.data.ready),
        "frames": [frame.name for frame in frames],
        "deleted": sorted(task.data.deleted) if task.data else [],
        "boxes": boxes,
    }
