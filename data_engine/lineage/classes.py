"""The class registry and its history: what a class was called in which version, what became of it, and who did it.

An id is given once.  A name that a class had means that class for ever, or the one that it was merged into, so that
labels, models and files from before a change are still understood; no other class ever gets it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from data_engine.errors import UsageError
from data_engine.lineage.database import Connection
from data_engine.lineage.tables import categories, category_changes, category_names, dataset_versions
from data_engine.types import Category, ClassRegistry, wrong_with_name

Kind = Literal["added", "renamed", "merged", "split", "retired", "restored"]


@dataclass(frozen=True, slots=True)
class ClassChange:
    """What was done to a class."""

    number: int
    """Of all changes, from 1."""
    kind: Kind
    category_id: int
    into_id: int | None
    """The class that it was merged into, or one of those that it was split into."""
    old_name: str | None
    new_name: str | None
    version: int
    """The first version that it holds for."""
    boxes: int | None = None
    """Boxes of the newest version that it changed, or that are to be looked at again."""
    actor: str | None = None
    reason: str | None = None
    at: str | None = None
    """None for what was done before there was a history."""


def registry(connection: Connection) -> ClassRegistry:
    """The classes of now, with what all their former names mean."""
    rows = connection.execute(sa.select(category_names).order_by(category_names.c.since)).all()
    listed = {row.category_id: row for row in rows if row.until is None}
    names = [(row.name, row.category_id) for row in rows]
    went: dict[int, int | None] = {}
    for change in history(connection):
        # Also a name that no version has seen.
        if change.old_name is not None:
            names.append((change.old_name, change.category_id))
        if change.kind in ("merged", "retired", "restored"):
            went[change.category_id] = change.into_id
    former: dict[str, int] = {}
    retired: dict[str, int] = {}
    for name, number in names:
        meant = _followed(number, listed, went)
        if meant is None:
            retired[name] = number
        else:
            former[name] = meant
    return ClassRegistry(
        (Category(number, row.name, row.supercategory) for number, row in listed.items()),
        former=former,
        retired=retired,
        reserved=(number for number, row in listed.items() if not row.offered),
        last=connection.scalar(sa.select(sa.func.max(categories.c.id))) or 0,
    )


def registry_at(connection: Connection, number: int) -> ClassRegistry:
    """The classes that version ``number`` lists, under the names that they had then."""
    held = category_names.c
    query = sa.select(held.category_id, held.name, held.supercategory).where(_holds(number))
    return ClassRegistry(Category(*row) for row in connection.execute(query))


def history(connection: Connection, ids: Collection[int] | None = None) -> list[ClassChange]:
    """What was done to these classes, or to all, the oldest first."""
    query = sa.select(category_changes).order_by(category_changes.c.number)
    if ids is not None:
        query = query.where(category_changes.c.category_id.in_(ids) | category_changes.c.into_id.in_(ids))
    return [ClassChange(**row._mapping) for row in connection.execute(query)]


def add(connection: Connection, names: Iterable[str], *, actor: str | None = None, at: str | None = None) -> None:
    """Register the names that mean no class yet under the next free ids, and bring back those that were retired.

    They are listed from the next version on: to be called before that version is recorded.

    Raises:
        UsageError: a new class cannot be called so.
    """
    names = tuple(names)
    before = registry(connection)
    for name in names:
        if name not in before and name not in before.retired and (why := wrong_with_name(name)):
            raise UsageError(why, hint="choose another name")
    grown = before.extended(names)
    known = {category.id for category in before}
    ever = set(connection.scalars(sa.select(categories.c.id)))
    since = next_version(connection)
    for category in grown:
        if category.id in known:
            continue
        if category.id not in ever:
            row = {"id": category.id, "name": category.name, "supercategory": category.supercategory}
            connection.execute(sa.insert(categories), [row])
        _list(connection, category, since)
        kind: Kind = "restored" if category.id in ever else "added"
        note(connection, kind, category.id, new_name=category.name, version=since, actor=actor, at=at)


def rename(connection: Connection, category_id: int, name: str, *, since: int) -> None:
    """From version ``since`` on the class is listed under another name."""
    row = _listed(connection, category_id)
    _end(connection, category_id, since)
    _list(connection, Category(category_id, name, row.supercategory), since, offered=row.offered)
    connection.execute(sa.update(categories).where(categories.c.id == category_id).values(name=name))


def unlist(connection: Connection, category_id: int, *, since: int) -> None:
    """From version ``since`` on the class is not listed."""
    _end(connection, category_id, since)


def offer(connection: Connection, category_id: int, *, offered: bool) -> None:
    """Whether people are to label this class; it stays listed."""
    now = (category_names.c.category_id == category_id) & category_names.c.until.is_(None)
    connection.execute(sa.update(category_names).where(now).values(offered=offered))


def relist(
    connection: Connection,
    used: Collection[int],
    *,
    since: int,
    actor: str | None = None,
    reason: str | None = None,
    at: str | None = None,
) -> list[int]:
    """List those of these classes again that are not: a version that is brought back holds boxes of theirs.

    Returns:
        the ids of those that were not listed.
    """
    listed = {category.id for category in registry(connection)}
    back = sorted(set(used) - listed)
    for number in back:
        row = connection.execute(sa.select(categories).where(categories.c.id == number)).one()
        _list(connection, Category(number, row.name, row.supercategory), since)
        note(connection, "restored", number, new_name=row.name, version=since, actor=actor, reason=reason, at=at)
    return back


def note(
    connection: Connection,
    kind: Kind,
    category_id: int,
    *,
    version: int,
    into_id: int | None = None,
    old_name: str | None = None,
    new_name: str | None = None,
    boxes: int | None = None,
    actor: str | None = None,
    reason: str | None = None,
    at: str | None = None,
) -> None:
    """Write a change into the history."""
    last = connection.scalar(sa.select(sa.func.max(category_changes.c.number))) or 0
    row = {
        "number": last + 1,
        "kind": kind,
        "category_id": category_id,
        "into_id": into_id,
        "old_name": old_name,
        "new_name": new_name,
        "version": version,
        "boxes": boxes,
        "actor": actor,
        "reason": reason,
        "at": at,
    }
    connection.execute(sa.insert(category_changes), [row])


def next_version(connection: Connection) -> int:
    """The number that the next dataset version will have."""
    return (connection.scalar(sa.select(sa.func.max(dataset_versions.c.number))) or 0) + 1


def _followed(category_id: int, listed: Collection[int], went: Mapping[int, int | None]) -> int | None:
    """The class that this one is today; None where it is retired."""
    while category_id not in listed:
        into = went.get(category_id)
        if into is None:
            return None
        category_id = into
    return category_id


def _holds(number: int) -> sa.ColumnElement[bool]:
    held = category_names.c
    return (held.since <= number) & (held.until.is_(None) | (held.until > number))


def _listed(connection: Connection, category_id: int) -> sa.Row[tuple[object, ...]]:
    now = (category_names.c.category_id == category_id) & category_names.c.until.is_(None)
    return connection.execute(sa.select(category_names).where(now)).one()


def _list(connection: Connection, category: Category, since: int, *, offered: bool = True) -> None:
    same = (category_names.c.category_id == category.id) & (category_names.c.since == since)
    # Ended before any version held it: that row says nothing.
    connection.execute(sa.delete(category_names).where(same))
    row = {
        "category_id": category.id,
        "since": since,
        "until": None,
        "name": category.name,
        "supercategory": category.supercategory,
        "offered": offered,
    }
    connection.execute(sa.insert(category_names), [row])


def _end(connection: Connection, category_id: int, since: int) -> None:
    now = (category_names.c.category_id == category_id) & category_names.c.until.is_(None)
    connection.execute(sa.update(category_names).where(now).values(until=since))
