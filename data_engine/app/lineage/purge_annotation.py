"""Taking a source out of annotation tasks; of a server that this program does not clean it is told what to delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from data_engine.app.engine import Engine
from data_engine.lineage import job_history, labelling
from data_engine.lineage.purge_sources import TaskPart
from data_engine.registry import load
from data_engine.stages.sync import content_of

_LOCAL = "local"


def take_out_of_tasks(engine: Engine, parts: Sequence[TaskPart]) -> tuple[dict[str, list[int]], list[dict[str, Any]]]:
    """Take frames out of the tasks that lie in the workspace.

    An accepted job stays accepted: what it holds is recorded without them before they go.

    Returns:
        numbers of the jobs of which nothing is left, by backend; and what is to be deleted on servers.
    """
    emptied: dict[str, list[int]] = {}
    elsewhere: list[dict[str, Any]] = []
    local: Any = None
    for part in parts:
        if part.number is None:
            continue
        if part.backend != _LOCAL:
            if not part.backend.startswith("import:"):
                elsewhere.append(
                    {
                        "backend": part.backend,
                        "task": part.number,
                        "frames": list(part.names),
                        "whole": part.whole,
                    }
                )
            continue
        local = local or load("annotation", _LOCAL)(engine.storage, clock=engine.clock)
        names = set(part.names)
        if part.number in {task.id for task in local.tasks()}:
            _record_contents_without(engine, local, part, names)
        local.remove_frames(part.number, names)
        emptied.setdefault(_LOCAL, []).extend(_gone(engine, local, part))
    return emptied, elsewhere


def open_jobs_emptied(engine: Engine, parts: Sequence[TaskPart]) -> list[str]:
    """Jobs in the workspace that people are still at work on, and that go with their last picture: ``job 3 (ann)``."""
    here = [part for part in parts if part.backend == _LOCAL and part.number is not None]
    if not here:
        return []
    local = load("annotation", _LOCAL)(engine.storage, clock=engine.clock)
    there = {task.id for task in local.tasks()}
    return [
        f"job {job.id}" + (f" ({job.assignee})" if job.assignee else "")
        for part in here
        if part.number in there
        for job in local.jobs(part.number)
        if not job.accepted and set(job.frame_names) <= set(part.names)
    ]


def _gone(engine: Engine, local: Any, part: TaskPart) -> list[int]:
    """Numbers of the jobs on record that went with their last picture, now or before this was killed."""
    left = {job.id for job in local.jobs() if job.task_id == part.number}
    with engine.database.read() as connection:
        return [job.number for job in labelling.known_jobs(connection, [part.id]) if job.number not in left]


def _record_contents_without(engine: Engine, local: Any, part: TaskPart, names: set[str]) -> None:
    for job in local.jobs(part.number):
        content = local.annotations(job.id)
        kept = replace(content, boxes={name: rows for name, rows in content.boxes.items() if name not in names})
        before, after = content_of(content), content_of(kept)
        if before != after:
            with engine.database.write() as connection:
                job_history.replace_content(connection, labelling.job_id(_LOCAL, part.id, job), before, after)
