"""Which classes two versions call otherwise, or only one of them lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_engine.lineage import classes
from data_engine.lineage.classes import ClassChange, Kind
from data_engine.lineage.database import Connection
from data_engine.types import ClassRegistry
from data_engine.words import counted, listed

_CAME: tuple[Kind, ...] = ("added", "restored")
_WENT: tuple[Kind, ...] = ("merged", "retired")


def class_differences(connection: Connection, first: int, second: int) -> tuple[Mapping[str, Any], ...]:
    """A row a class: what it was called, what it is called, and who did that, when and why.

    Args:
        connection: to read from.
        first: number of the version to go out from; it may be the newer one.
        second: number of the other.
    """
    before, after = classes.registry_at(connection, first), classes.registry_at(connection, second)
    was, now = _names(before), _names(after)
    between = sorted((first, second))
    changes = [c for c in classes.history(connection) if between[0] < c.version <= between[1]]
    rows = []
    for identity in sorted(was.keys() | now.keys()):
        old, new = was.get(identity), now.get(identity)
        if old == new:
            continue
        renamed = old is not None and new is not None
        appeared = (old is None) == (first < second)
        kinds: tuple[Kind, ...] = ("renamed",) if renamed else _CAME if appeared else _WENT
        change = next((c for c in reversed(changes) if c.category_id == identity and c.kind in kinds), None)
        rows.append(
            {
                "class": old or new,
                "change": "renamed" if renamed else "listed" if old is None else "listed no more",
                "to": new if renamed else _into(change, was | now) if new is None else None,
                "by": None if change is None else change.actor,
                "at": None if change is None else change.at,
                "reason": None if change is None else change.reason,
            }
        )
    return tuple(rows)


def said_of(rows: tuple[Mapping[str, Any], ...]) -> str:
    """The differences in one line: ``1 class renamed: helmet -> hard hat``; empty where there are none."""
    said = []
    for change in ("renamed", "listed", "listed no more"):
        names = [row["class"] + (f" -> {row['to']}" if row["to"] else "") for row in rows if row["change"] == change]
        if names:
            said.append(f"{counted(len(names), 'class')} {change}: {listed(names)}")
    return "; ".join(said)


def _names(registry: ClassRegistry) -> dict[int, str]:
    return {category.id: category.name for category in registry}


def _into(change: ClassChange | None, names: Mapping[int, str]) -> str | None:
    """The class that one was merged into."""
    return names.get(change.into_id) if change is not None and change.into_id is not None else None
