"""A kind of step in a lineage: how to get from things of one kind to those of another, by a query a level or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import sqlalchemy as sa

from data_engine.lineage.ancestry_rows import Rows, asked, prepared
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
    order: tuple[sa.ColumnElement[Any], ...] = ()
    """Only where to look at everything costs less than to look for each node: the query's order, which then tells the
    first of each."""
    leaf: bool = False
    """Whether the walk ends at the other node."""


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A step to what a node's own row names, which is read anyway: it costs no query."""

    start: str
    end: str
    relation: str
    column: str
    """Of the row: the key of the other node; None where there is none."""
    facts: tuple[str, ...] = ()
    """Columns of the row that say more of it."""
    unless: str | None = None
    """A column that, where it names something, takes this step's place."""
    limit: int = FEW
    at_root: bool = False
    leaf: bool = False


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
    rows: Rows, step: Step | Named, keys: Sequence[str], *, everything: bool
) -> tuple[list[Link], dict[str, int]]:
    """What stands beside these nodes, and how much in all beside those that have more than are told.

    Args:
        rows: what the walk reads from.
        step: where to.
        keys: of the nodes, all of the step's first kind.
        everything: tell all of it.
    """
    limit = None if everything else step.limit
    if isinstance(step, Named):
        return _cut(_named(rows, step, keys), keys, limit)
    connection = rows.connection
    if callable(step.near) or (limit == FIRST and not step.order):
        return _each(connection, step, keys, limit)
    if limit is not None and step.order:
        return _first_of_all(connection, step, keys, limit)
    return _cut(map(_link, asked(connection, _at_once(step), keys)), keys, limit)


def _cut(links: Iterable[Link], keys: Sequence[str], limit: int | None) -> tuple[list[Link], dict[str, int]]:
    """The first links of each node, and how many those have in all that have more."""
    found: dict[str, list[Link]] = {}
    counts: dict[str, int] = {}
    for link in links:
        counts[link.near] = counts.get(link.near, 0) + 1
        if limit is None or counts[link.near] <= limit:
            found.setdefault(link.near, []).append(link)
    totals = {key: count for key, count in counts.items() if limit is not None and count > limit}
    return [link for key in keys for link in found.get(key, ())], totals


def _first_of_all(
    connection: Connection, step: Step, keys: Sequence[str], limit: int
) -> tuple[list[Link], dict[str, int]]:
    """The same where all is looked at, but no more is given back than is told."""
    found: dict[str, list[Link]] = {}
    totals: dict[str, int] = {}
    for chunk in chunks(keys):
        for row in connection.execute(_numbered(step), {"keys": chunk, "most": limit}):
            found.setdefault(row.near, []).append(_link(row))
            if row._total > limit:
                totals[row.near] = row._total
    return [link for key in keys for link in found.get(key, ())], totals


@cache
def _numbered(step: Step) -> sa.Select[Any]:
    """The step's query with the place of each row among those beside its node, and how many these are."""
    query = _at_once(step)
    near = cast("sa.ColumnElement[Any]", step.near)
    place = sa.func.row_number().over(partition_by=near, order_by=step.order)
    total = sa.func.count().over(partition_by=near)
    rows = query.order_by(None).add_columns(place.label("_place"), total.label("_total")).subquery()
    return sa.select(rows).where(rows.c._place <= sa.bindparam("most")).order_by(rows.c._place)


def _named(rows: Rows, step: Named, keys: Sequence[str]) -> Iterator[Link]:
    for key, of_node in rows.of(step.start, keys).items():
        told: dict[tuple[Any, ...], None] = {}
        for row in of_node:
            if getattr(row, step.column) is not None and (step.unless is None or getattr(row, step.unless) is None):
                told[tuple(getattr(row, name) for name in (step.column, *step.facts))] = None
        for named, *facts in told:
            far = versions_key(*facts) if step.end == "versions" else named
            said = {name: value for name, value in zip(step.facts, facts, strict=True) if value is not None}
            yield Link(key, far, said)


@cache
def _at_once(step: Step) -> sa.Select[Any]:
    """The step's query for any number of nodes."""
    near = cast("sa.ColumnElement[Any]", step.near)
    return prepared(step.query.add_columns(near.label("near")), near)


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
