"""A kind of step in a lineage: how to get from things of one kind to those of another, with one query a level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks
from data_engine.lineage.tables import frames, selection_frames

FIRST, FEW = 5, 25
"""Nodes of one kind that are shown beside another one unless all are wanted: of what there is much, and of the rest."""
_PARENTS = 50
"""Queries in one UNION."""
ENDLESS = 2**31 - 1
Where = Callable[[str], "sa.ColumnElement[bool]"]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """How to get from nodes of one kind to those of another."""

    start: str
    end: str
    relation: str
    query: sa.Select[Any]
    """With the columns ``id`` (of the other node) and the edge's facts; a leading ``_`` keeps a column out of them."""
    near: sa.ColumnElement[Any] | Where
    """What names the node that is gone from: a column, or the condition that the other node stands beside this one."""
    limit: int = FEW
    at_root: bool = False
    """Whether only the node that was asked about is followed so."""
    one_pass: bool = False
    """Whether to look at everything costs less than to look for each node."""
    leaf: bool = False
    """Whether the walk ends at the other node."""


WHY_CHOSEN = (
    selection_frames.c.rank,
    selection_frames.c.score,
    selection_frames.c.reason,
    selection_frames.c.parts,
)
"""What a selection says of a frame."""
FROM_VIDEO = (frames.c.pts, frames.c.time_base)
"""Where in its video a frame stands."""


def versions_key(since: int, until: int | None) -> str:
    """The key of the versions from ``since`` on, up to the last one before ``until``."""
    return f"{since}-{until or ''}"


def versions_range(key: str) -> tuple[int, int]:
    """First version, and the first one that is no longer among them."""
    since, _dash, until = key.partition("-")
    return int(since), int(until) if until else ENDLESS


@dataclass(frozen=True, slots=True)
class Link:
    """One row of a step."""

    near: str
    far: str
    facts: Mapping[str, Any]


def follow(
    connection: Connection, step: Step, keys: Sequence[str], *, everything: bool
) -> tuple[list[Link], dict[str, int]]:
    """What stands beside these nodes, and how much in all beside those that have more than are told.

    Args:
        keys: of the nodes, all of the step's first kind.
        everything: tell all of it.
    """
    limit = None if everything else step.limit
    if callable(step.near) or (limit == FIRST and not step.one_pass):
        return _each(connection, step, keys, limit)
    found: dict[str, list[Link]] = {}
    counts: dict[str, int] = {}
    for chunk in chunks(keys):
        for row in connection.execute(_at_once(step), {"keys": chunk}):
            counts[row.near] = counts.get(row.near, 0) + 1
            if limit is None or counts[row.near] <= limit:
                found.setdefault(row.near, []).append(_link(row))
    totals = {key: count for key, count in counts.items() if limit is not None and count > limit}
    return [link for key in keys for link in found.get(key, ())], totals


@cache
def _at_once(step: Step) -> sa.Select[Any]:
    """The step's query for any number of nodes; to build it takes longer than to ask it."""
    near = cast("sa.ColumnElement[Any]", step.near)
    return step.query.add_columns(near.label("near")).where(near.in_(sa.bindparam("keys", expanding=True)))


def _each(
    connection: Connection, step: Step, keys: Sequence[str], limit: int | None
) -> tuple[list[Link], dict[str, int]]:
    """The same with a query for each node, united in one, so that of much no more is read than is told."""
    found: dict[str, list[Link]] = {}
    for chunk in chunks(keys, _PARENTS):
        for row in connection.execute(_united(step, chunk, None if limit is None else limit + 1)):
            found.setdefault(row.near, []).append(_link(row))
    crowded = [key for key, links in found.items() if limit is not None and len(links) > limit]
    totals: dict[str, int] = {}
    for chunk in chunks(crowded, _PARENTS):
        rows = _united(step, chunk, None).order_by(None).subquery()
        query = sa.select(rows.c.near, sa.func.count().label("number")).group_by(rows.c.near)
        totals.update({row.near: row.number for row in connection.execute(query)})
    return [link for key in keys for link in found.get(key, ())[:limit]], totals


def _united(step: Step, keys: Sequence[str], limit: int | None) -> Any:
    """The step's query for each of these nodes, in one."""
    parts = []
    for key in keys:
        beside = step.near(key) if callable(step.near) else step.near == key
        one = step.query.add_columns(sa.literal(key).label("near")).where(beside).limit(limit)
        parts.append(sa.select(one.subquery()))
    return sa.union_all(*parts)


def _link(row: Any) -> Link:
    values = dict(row._mapping)
    near = values.pop("near")
    if "since" in values:
        far = versions_key(values["since"], values["until"])
    else:
        far = values.pop("id")
    facts = {name: value for name, value in values.items() if value is not None and not name.startswith("_")}
    return Link(near, far, facts)
