"""All that is recorded of one thing of a lineage: its row, the run that made it, and what happened to it.

One query a table for all nodes of a kind.  A column that a later release adds is told like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from data_engine.formats.graph import Node
from data_engine.lineage import dispute_events, job_events, people, tombstones
from data_engine.lineage.ancestry_rows import OWN_ROWS, Rows, asked, prepared
from data_engine.lineage.ancestry_steps import versions_range
from data_engine.lineage.tables import (
    IMPORT,
    acceptances,
    canaries,
    categories,
    dataset_versions,
    job_frames,
    promotions,
    sampled,
    task_frames,
    task_steps,
    tasks,
    video_duplicates,
    work,
)

SHORT = 12
"""Digits of an id that people are shown."""
Facts = dict[str, Any]
Events = tuple[Facts, ...]
_DECIDED = {
    "crowned": "came into use",
    "forced": "was forced into use",
    "found": "was found in use",
    "rolled back": "came into use again",
    "refused": "was refused",
}


def describe(rows: Rows, by_kind: Mapping[str, Sequence[str]]) -> dict[str, Node]:
    """The nodes of these kinds and keys, by id; what is not, or no longer, recorded has only its id."""
    for kind in by_kind.keys() & OWN_ROWS:
        rows.of(kind, by_kind[kind])  # all of them, before their runs are asked for at once
    found = {node.id: node for kind, keys in by_kind.items() for node in _KINDS[kind](rows, keys)}
    for kind, keys in by_kind.items():
        for key in keys:
            found.setdefault(f"{kind}:{key}", Node(kind, key, f"{key[:SHORT]} (not recorded)"))
    return found


def _cameras(_rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    return [Node("camera", key, key) for key in keys]


def _people(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    return [Node("person", key, key, told) for key in keys if (told := people.work_of(rows.connection, key))]


_ALIKE = prepared(sa.select(video_duplicates), video_duplicates.c.video_id)


def _videos(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    alike: dict[str, Facts] = {}
    for row in asked(rows.connection, _ALIKE, keys):
        alike[row.video_id] = {"original": row.original_id, "distance": row.distance, "method": row.method}
    for key, (row, *_others) in rows.of("video", keys).items():
        yield Node("video", key, row.name, _facts(row, "name") | ({"looks_like": alike[key]} if key in alike else {}))


_SAMPLED = prepared(
    sa.select(
        sampled.c.frame_id.label("id"),
        sampled.c.reason,
        sampled.c.similarity,
        sampled.c.weight,
        sampled.c.key,
        work.c.run_id,
    )
    .select_from(
        sampled.outerjoin(work, (work.c.fingerprint == sampled.c.fingerprint) & (work.c.input_id == sampled.c.video_id))
    )
    .order_by(sampled.c.fingerprint),
    sampled.c.frame_id,
)


def _frames(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    found = list(asked(rows.connection, _SAMPLED, keys))
    made_by = [row.run_id for row in found]
    how: dict[str, Facts] = {}
    for row in found:
        facts = how.setdefault(row.id, {})
        name = f"sampled_{len(facts) + 1}" if facts else "sampled"
        facts[name] = {n: v for n, v in _facts(row, "run_id").items() if n != "key" or facts} | _made(
            rows, row, made_by
        )
    disputes = dispute_events.events(rows.connection, keys)
    for key, (row, *_others) in rows.of("frame", keys).items():
        facts = _facts(row, "name", "pts", "time_base", "dhash")
        if row.pts is not None and row.time_base is not None:
            facts["time_s"] = float(row.pts * Fraction(row.time_base))
        yield Node("frame", key, row.name, facts | how.get(key, {}), disputes.get(key, ()))


def _selections(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    for key, (row, *_others) in rows.of("selection", keys).items():
        facts = _facts(row, "number", "run_id", "model_id") | _made(rows, row)
        yield Node("selection", key, str(row.number), facts)


def _proposals(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    for key, uploads in rows.of("proposal", keys).items():
        row = uploads[-1]
        score = "" if row.score is None else f" {row.score:.2f}"
        facts = _facts(row, "frame_id", "model_id", "task_id", "attributes", "x", "y", "w", "h")
        yield Node("proposal", key, f"{key[:SHORT]} {row.label}{score}, {_place(row)}", facts | _xywh(row))


_STEPS = prepared(
    sa.select(task_steps).join(tasks, (tasks.c.backend == task_steps.c.backend) & (tasks.c.id == task_steps.c.task_id)),
    tasks.c.id,
)


def _tasks(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    happened: dict[str, list[Facts]] = {}
    for row in asked(rows.connection, _STEPS, keys):
        detail = {"detail": row.detail} if row.detail else {}
        happened.setdefault(row.task_id, []).append({"what": row.step, "at": row.at, **detail})
    sizes = _counts(rows, _TASK_SIZES, keys)
    for key, (row, *_others) in rows.of("task", keys).items():
        number = "not made yet" if row.number is None else str(row.number)
        facts = _facts(row, "number", "run_id", "plan") | {"frames": sizes.get(key, 0)}
        facts |= {name: value for name, value in row.plan.items() if value not in (None, [])}
        node = facts | _made(rows, row)
        yield Node("task", key, _on(row.backend, number), node, _in_order(happened.get(key, ())))


def _jobs(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    happened = job_events.events(rows.connection, keys)
    given = _counts(rows, _JOB_SIZES, keys)
    for key, (row, *_others) in rows.of("job", keys).items():
        facts = _facts(row, "number", "task_id") | {"frames": given.get(key, 0)}
        yield Node("job", key, _on(row.backend, str(row.number)), facts, _in_order(happened.get(key, ())))


def _on(backend: str, number: str) -> str:
    """``12 on local``; ``1, the import of bccd``."""
    name = backend.removeprefix(IMPORT)
    return f"{number} on {backend}" if name == backend else f"{number}, the import of {name}"


_CLASSES = sa.select(categories.c.id, categories.c.name)
_DATES = prepared(sa.select(acceptances), acceptances.c.id)


def _boxes(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    names = {row.id: row.name for row in rows.connection.execute(_CLASSES)}
    found = rows.of("box", keys)
    hidden = ("frame_id", "job_id", "category_id", "since", "until", "x", "y", "w", "h", "acceptance_id")
    by_acceptance = {lives[-1].acceptance_id for lives in found.values()} - {None}
    dates = {row.id: row for row in asked(rows.connection, _DATES, by_acceptance)}
    for key, lives in found.items():
        newest = lives[-1]
        facts = {"label": names.get(newest.category_id), **_facts(newest, *hidden), **_xywh(newest)}
        if newest.acceptance_id in dates:
            accepting = dates[newest.acceptance_id]
            told = {name: getattr(accepting, name) for name in ("submitted_at", "accepted_at", "accepted_by")}
            facts |= {name: value for name, value in told.items() if value is not None}
        facts["in"] = [_interval(row.since, row.until) for row in lives]
        yield Node("box", key, f"{key[:SHORT]} {facts['label']}, {_place(newest)}", facts)


def _versions(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    taken = tombstones.taken_from(rows.stones)
    for key, (row, *_others) in rows.of("version", keys).items():
        frames_gone, boxes_gone = taken.get(row.number, (0, 0))
        gone: Facts = {"purged_frames": frames_gone, "purged_boxes": boxes_gone} if frames_gone else {}
        facts = _facts(row, "run_id", "parent_id") | gone | _made(rows, row)
        yield Node("version", key, f"v{row.number}", facts)


_NUMBERS = sa.select(dataset_versions.c.id, dataset_versions.c.number, dataset_versions.c.created_at).order_by(
    dataset_versions.c.number
)


def _intervals(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    every = list(rows.connection.execute(_NUMBERS))
    for key in keys:
        since, until = versions_range(key)
        held = [row for row in every if since <= row.number < until]
        facts: Facts = {"count": len(held), "numbers": [row.number for row in held], "ids": [row.id for row in held]}
        if held:
            facts |= {"from": held[0].created_at, "to": held[-1].created_at}
        still = key.endswith("-")
        yield Node("versions", key, _interval(since, None if still else until), facts)


_CHECKED = prepared(sa.select(canaries), canaries.c.model_id)
_PROMOTED = prepared(sa.select(promotions), promotions.c.model_id)


def _models(rows: Rows, keys: Sequence[str]) -> Iterable[Node]:
    checked: dict[str, list[Facts]] = {}
    for row in asked(rows.connection, _CHECKED, keys):
        event = {"what": f"its classes: {row.verdict}", "at": row.checked_at, "environment": row.environment}
        checked.setdefault(row.model_id, []).append(event)
    for row in asked(rows.connection, _PROMOTED, keys):
        more = {"by": row.actor, "against": row.over_id and row.over_id[:SHORT], "reason": row.reason}
        event = {"what": _DECIDED[row.action], "at": row.at, **{name: value for name, value in more.items() if value}}
        checked.setdefault(row.model_id, []).append(event)
    for key, (row, *_others) in rows.of("model", keys).items():
        facts = _facts(row, "run_id", "dataset_version_id", "parent_id")
        gone = [f"{stone.kind} {stone.target}" for stone in rows.stones if key in stone.detail["models"]]
        if gone:
            facts["trained_on_purged"] = gone
        facts |= _made(rows, row)
        yield Node("model", key, f"{row.kind} {key[:SHORT]}", facts, _in_order(checked.get(key, ())))


_KINDS: Mapping[str, Callable[[Rows, Sequence[str]], Iterable[Node]]] = {
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


def _made(rows: Rows, row: Any, others: Sequence[str | None] = ()) -> Facts:
    """The run that made what a row tells of; ``others`` are asked for with it."""
    run = rows.run(row.run_id, others)
    return {} if run is None else {"run": {"id": run.id, **_facts(run, "fingerprint")}}


def _sizes(column: sa.Column[Any]) -> sa.Select[Any]:
    return prepared(sa.select(column.label("key"), sa.func.count().label("number")).group_by(column), column)


_TASK_SIZES, _JOB_SIZES = _sizes(task_frames.c.task_id), _sizes(job_frames.c.job_id)


def _counts(rows: Rows, query: sa.Select[Any], keys: Sequence[str]) -> dict[str, int]:
    return {row.key: row.number for row in asked(rows.connection, query, keys)}


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
