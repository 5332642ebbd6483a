"""All that is recorded of one thing of a lineage: its row, the run that made it, and what happened to it.

One query a table for all nodes of a kind.  A column that a later release adds is told like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from data_engine.formats.graph import Node
from data_engine.lineage import people, tombstones
from data_engine.lineage.ancestry_steps import versions_range
from data_engine.lineage.database import Connection, rows_where_in
from data_engine.lineage.tables import (
    IMPORT,
    acceptances,
    accepted,
    canaries,
    categories,
    dataset_versions,
    frames,
    job_changes,
    job_frames,
    jobs,
    models,
    proposals,
    reviews,
    runs,
    sampled,
    selections,
    task_frames,
    task_steps,
    tasks,
    video_duplicates,
    videos,
    work,
)

SHORT = 12
"""Digits of an id that people are shown."""
Facts = dict[str, Any]
Events = tuple[Facts, ...]


def describe(connection: Connection, kind: str, keys: Sequence[str]) -> dict[str, Node]:
    """The nodes of one kind, by key; what is not, or no longer, recorded has only its id."""
    found = {node.key: node for node in _KINDS[kind](connection, keys)}
    return {key: found.get(key) or Node(kind, key, f"{key[:SHORT]} (not recorded)") for key in keys}


def _cameras(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    del connection
    return [Node("camera", key, key) for key in keys]


def _people(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    return [Node("person", key, key, told) for key in keys if (told := people.work_of(connection, key))]


def _videos(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    alike: dict[str, Facts] = {}
    for row in rows_where_in(connection, sa.select(video_duplicates), video_duplicates.c.video_id, keys):
        alike[row.video_id] = {"original": row.original_id, "distance": row.distance, "method": row.method}
    for row in rows_where_in(connection, sa.select(videos), videos.c.id, keys):
        facts = _facts(row, "name")
        yield Node("video", row.id, row.name, facts | ({"looks_like": alike[row.id]} if row.id in alike else {}))


def _frames(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    # By way of the video, for which there is an index.
    kept = sampled.join(frames, (frames.c.video_id == sampled.c.video_id) & (frames.c.id == sampled.c.frame_id))
    kept = kept.outerjoin(work, (work.c.fingerprint == sampled.c.fingerprint) & (work.c.input_id == sampled.c.video_id))
    query = sa.select(
        frames.c.id, sampled.c.reason, sampled.c.similarity, sampled.c.weight, sampled.c.key, work.c.run_id
    ).select_from(kept)
    rows = list(rows_where_in(connection, query, frames.c.id, keys))
    told = _runs(connection, [row.run_id for row in rows])
    how: dict[str, Facts] = {}
    for row in rows:
        facts = how.setdefault(row.id, {})
        name = f"sampled_{len(facts) + 1}" if facts else "sampled"
        facts[name] = {n: v for n, v in _facts(row, "run_id").items() if n != "key" or facts}
        if row.run_id in told:
            facts[name]["run"] = told[row.run_id]
    for row in rows_where_in(connection, sa.select(frames), frames.c.id, keys):
        facts = _facts(row, "name", "pts", "time_base", "dhash")
        if row.pts is not None and row.time_base is not None:
            facts["time_s"] = float(row.pts * Fraction(row.time_base))
        yield Node("frame", row.id, row.name, facts | how.get(row.id, {}))


def _selections(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    for row, run in _with_runs(connection, selections, keys):
        yield Node("selection", row.id, str(row.number), _facts(row, "number", "run_id", "model_id") | run)


def _proposals(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    # One that was uploaded twice has a row for each task.
    for row in rows_where_in(connection, sa.select(proposals).order_by(proposals.c.task_id), proposals.c.id, keys):
        score = "" if row.score is None else f" {row.score:.2f}"
        facts = _facts(row, "frame_id", "model_id", "task_id", "attributes", "x", "y", "w", "h")
        yield Node("proposal", row.id, f"{row.id[:SHORT]} {row.label}{score}, {_place(row)}", facts | _xywh(row))


def _tasks(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    happened: dict[str, list[Facts]] = {}
    steps = sa.select(task_steps).join(
        tasks, (tasks.c.backend == task_steps.c.backend) & (tasks.c.id == task_steps.c.task_id)
    )
    for row in rows_where_in(connection, steps, tasks.c.id, keys):
        detail = {"detail": row.detail} if row.detail else {}
        happened.setdefault(row.task_id, []).append({"what": row.step, "at": row.at, **detail})
    sizes = _counts(connection, task_frames.c.task_id, keys)
    for row, run in _with_runs(connection, tasks, keys):
        number = "not made yet" if row.number is None else str(row.number)
        facts = _facts(row, "number", "run_id", "plan") | {"frames": sizes.get(row.id, 0)}
        facts |= {name: value for name, value in row.plan.items() if value not in (None, [])}
        yield Node("task", row.id, _on(row.backend, number), facts | run, _in_order(happened.get(row.id, ())))


def _jobs(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    happened: dict[str, list[Facts]] = {}
    for row in rows_where_in(connection, sa.select(job_changes), job_changes.c.job_id, keys):
        who = {"assignee": row.assignee} if row.assignee else {}
        happened.setdefault(row.job_id, []).append({"what": f"{row.stage}, {row.state}", "at": row.at, **who})
    for row in rows_where_in(connection, sa.select(reviews), reviews.c.job_id, keys):
        said = {name: value for name, value in (("by", row.actor), ("reason", row.reason)) if value}
        happened.setdefault(row.job_id, []).append({"what": row.action, "at": row.at, **said})
    for row in rows_where_in(connection, sa.select(acceptances), acceptances.c.job_id, keys):
        by = {"by": row.accepted_by} if row.accepted_by else {}
        found = {"what": "accepted content", "at": row.accepted_at, **by, "content": row.content}
        happened.setdefault(row.job_id, []).append(found)
    given = _counts(connection, job_frames.c.job_id, keys)
    for row in rows_where_in(connection, sa.select(jobs), jobs.c.id, keys):
        facts = _facts(row, "number", "task_id") | {"frames": given.get(row.id, 0)}
        yield Node("job", row.id, _on(row.backend, str(row.number)), facts, _in_order(happened.get(row.id, ())))


def _on(backend: str, number: str) -> str:
    """``12 on local``; ``1, the import of bccd``."""
    name = backend.removeprefix(IMPORT)
    return f"{number} on {backend}" if name == backend else f"{number}, the import of {name}"


def _boxes(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    names = {row.id: row.name for row in connection.execute(sa.select(categories.c.id, categories.c.name))}
    found: dict[str, list[Any]] = {}
    for row in rows_where_in(connection, sa.select(accepted).order_by(accepted.c.since), accepted.c.id, keys):
        found.setdefault(row.id, []).append(row)
    hidden = ("frame_id", "job_id", "category_id", "since", "until", "x", "y", "w", "h", "acceptance_id")
    by_acceptance = {rows[-1].acceptance_id for rows in found.values()} - {None}
    dates = {row.id: row for row in rows_where_in(connection, sa.select(acceptances), acceptances.c.id, by_acceptance)}
    for key, rows in found.items():
        newest = rows[-1]
        facts = {"label": names.get(newest.category_id), **_facts(newest, *hidden), **_xywh(newest)}
        if newest.acceptance_id in dates:
            accepting = dates[newest.acceptance_id]
            told = {name: getattr(accepting, name) for name in ("submitted_at", "accepted_at", "accepted_by")}
            facts |= {name: value for name, value in told.items() if value is not None}
        facts["in"] = [_interval(row.since, row.until) for row in rows]
        yield Node("box", key, f"{key[:SHORT]} {facts['label']}, {_place(newest)}", facts)


def _versions(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    taken = tombstones.taken_from(tombstones.known(connection))
    for row, run in _with_runs(connection, dataset_versions, keys):
        frames_gone, boxes_gone = taken.get(row.number, (0, 0))
        gone: Facts = {"purged_frames": frames_gone, "purged_boxes": boxes_gone} if frames_gone else {}
        yield Node("version", row.id, f"v{row.number}", _facts(row, "run_id", "parent_id") | gone | run)


def _intervals(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    query = sa.select(dataset_versions.c.id, dataset_versions.c.number, dataset_versions.c.created_at)
    every = list(connection.execute(query.order_by(dataset_versions.c.number)))
    for key in keys:
        since, until = versions_range(key)
        held = [row for row in every if since <= row.number < until]
        facts: Facts = {"count": len(held), "numbers": [row.number for row in held], "ids": [row.id for row in held]}
        if held:
            facts |= {"from": held[0].created_at, "to": held[-1].created_at}
        still = key.endswith("-")
        yield Node("versions", key, _interval(since, None if still else until), facts)


def _models(connection: Connection, keys: Sequence[str]) -> Iterable[Node]:
    checked: dict[str, list[Facts]] = {}
    for row in rows_where_in(connection, sa.select(canaries), canaries.c.model_id, keys):
        event = {"what": f"its classes: {row.verdict}", "at": row.checked_at, "environment": row.environment}
        checked.setdefault(row.model_id, []).append(event)
    stones = tombstones.known(connection)
    for row, run in _with_runs(connection, models, keys):
        facts = _facts(row, "run_id", "dataset_version_id", "parent_id")
        gone = [f"{stone.kind} {stone.target}" for stone in stones if row.id in stone.detail["models"]]
        if gone:
            facts["trained_on_purged"] = gone
        yield Node("model", row.id, f"{row.kind} {row.id[:SHORT]}", facts | run, _in_order(checked.get(row.id, ())))


_KINDS: Mapping[str, Callable[[Connection, Sequence[str]], Iterable[Node]]] = {
    "camera": _cameras,
    "person": _people,
    "video": _videos,
    "frame": _frames,
    "selection": _selections,
    "proposal": _proposals,
    "task": _tasks,
    "job": _jobs,
    "box": _boxes,
    "version": _versions,
    "versions": _intervals,
    "model": _models,
}
KINDS = tuple(kind for kind in _KINDS if kind != "versions")
"""What can be asked for."""


def _with_runs(connection: Connection, table: sa.Table, keys: Sequence[str]) -> list[tuple[Any, Facts]]:
    rows = list(rows_where_in(connection, sa.select(table), table.c.id, keys))
    told = _runs(connection, [row.run_id for row in rows])
    return [(row, {"run": told[row.run_id]} if row.run_id in told else {}) for row in rows]


def _runs(connection: Connection, ids: Iterable[str | None]) -> dict[str, Facts]:
    wanted = sorted({id for id in ids if id is not None})
    found = rows_where_in(connection, sa.select(runs), runs.c.id, wanted)
    return {row.id: {"id": row.id, **_facts(row, "fingerprint")} for row in found}


def _counts(connection: Connection, column: sa.Column[Any], keys: Sequence[str]) -> dict[str, int]:
    query = sa.select(column.label("key"), sa.func.count().label("number")).group_by(column)
    return {row.key: row.number for row in rows_where_in(connection, query, column, keys)}


def _facts(row: Any, *without: str) -> Facts:
    """The row's values but its id, those without one, and those that are told in other words."""
    return {n: v for n, v in row._mapping.items() if v is not None and v != {} and n not in ("id", *without)}


def _in_order(events: Iterable[Facts]) -> Events:
    return tuple(sorted(events, key=lambda event: (str(event["at"]), str(event["what"]))))


def _xywh(row: Any) -> Facts:
    return {"xywh": [row.x, row.y, row.w, row.h]}


def _place(row: Any) -> str:
    return f"{row.w:g} x {row.h:g} at {row.x:g},{row.y:g}"


def _interval(since: int, until: int | None) -> str:
    """``v3 and later``, ``v3``, ``v3 to v7``."""
    if until is None:
        return f"v{since} and later"
    return f"v{since}" if until == since + 1 else f"v{since} to v{until - 1}"
