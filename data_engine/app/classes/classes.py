"""``classes``: what may be labelled, and what became of every class that ever could be."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.models.models import registered_classes
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import class_boxes, classes, datasets
from data_engine.lineage.classes import ClassChange
from data_engine.types import ClassRegistry, Report, wrong_with_name
from data_engine.words import counted, listed


def list_classes(engine: Engine) -> Report:
    """Every class: its id and name, how many boxes the newest version has of it, and what it was called before."""
    registered_classes(engine)
    with engine.database.read() as connection:
        registry = classes.registry(connection)
        counts = class_boxes.counts(connection)
        past = classes.history(connection)
        newest = datasets.latest(connection)
    rows: list[dict[str, Any]] = [
        {
            "id": category.id,
            "class": category.name,
            "state": "no longer offered" if category.id in registry.reserved else "in use",
            "boxes": counts.get(category.id, 0),
            "formerly": ", ".join(name for name in registry.former_names(category.id)),
        }
        for category in registry
    ]
    rows += [
        {"id": gone.id, "class": gone.name, "state": state, "boxes": 0, "formerly": ""}
        for gone, state in _gone(registry, past)
    ]
    return Report(
        title=f"{counted(len(registry), 'class')}" + ("" if newest is None else f", boxes as of {newest.label}"),
        data={"classes": list(registry.names), "version": None if newest is None else newest.label},
        rows=tuple(sorted(rows, key=lambda row: row["id"])),
        next="" if rows else "dataengine classes add person helmet",
    )


def _gone(registry: ClassRegistry, past: Sequence[ClassChange]) -> list[tuple[Any, str]]:
    """The classes that are listed no more, each with what became of it."""
    from data_engine.types import Category

    last = {change.category_id: change for change in past if change.kind in ("merged", "retired")}
    names = {category.id: category.name for category in registry}
    found = []
    for number, change in last.items():
        if number in names:
            continue
        into = change.into_id
        while into is not None and into not in names and into in last:
            into = last[into].into_id
        state = f"merged into {names[into]}" if into in names else "retired"
        found.append((Category(number, change.old_name or ""), f"{state} in v{change.version}"))
    return found


def history(engine: Engine, name: str | None = None) -> Report:
    """What was done to the classes, or to one, the oldest first.

    Args:
        name: of the class, now or before.

    Raises:
        MissingInputError: there never was such a class.
    """
    with engine.database.read() as connection:
        registry = classes.registry(connection)
        ids = None if name is None else _ever(classes.history(connection), registry, name)
        told = classes.history(connection, ids)
    names = {category.id: category.name for category in registry.ever}
    rows = tuple(
        {
            "at": change.at,
            "change": change.kind,
            "id": change.category_id,
            "from": change.old_name,
            "to": change.new_name or (names.get(change.into_id) if change.into_id is not None else None),
            "version": f"v{change.version}",
            "boxes": change.boxes,
            "by": change.actor,
            "reason": change.reason,
        }
        for change in told
    )
    return Report(
        title=f"{counted(len(rows), 'change')} of " + ("the classes" if name is None else f"class {name}"), rows=rows
    )


def _ever(past: Sequence[ClassChange], registry: ClassRegistry, name: str) -> set[int]:
    """The ids of the classes that were ever called so."""
    found = {change.category_id for change in past if name in (change.old_name, change.new_name)}
    if name in registry:
        found.add(registry.id_of(name))
    if name in registry.retired:
        found.add(registry.retired[name])
    if not found:
        raise unknown(registry, name)
    return found


def add(engine: Engine, names: Sequence[str], *, by: str | None = None) -> Report:
    """Register new classes, and bring back those that were retired; those that there are stay as they are.

    Raises:
        UsageError: an empty name, or one that another class had.
    """
    before = registered_classes(engine)
    wanted = tuple(dict.fromkeys(name.strip() for name in names))
    for name in wanted:
        refuse_name(before, name)
    with engine.database.write() as connection:
        known = classes.registry(connection)
        classes.add(connection, wanted, actor=by, at=engine.now())
        # One that is there, and that people were not offered, is offered again.
        for name in wanted:
            if name in known and known.id_of(name) in known.reserved:
                number = known.id_of(name)
                classes.offer(connection, number, offered=True)
                since = classes.next_version(connection)
                classes.note(connection, "restored", number, new_name=name, version=since, actor=by, at=engine.now())
        registry = classes.registry(connection)
    new = [name for name in wanted if name not in known or known.id_of(name) in known.reserved]
    return Report(
        title=f"{counted(len(new), 'class')} added" if new else "nothing to do: these classes are there already",
        data={"added": new, "classes": list(registry.names)},
        notes=_not_in_tasks(new),
        next="dataengine upload",
    )


def _not_in_tasks(new: Collection[str]) -> tuple[str, ...]:
    return ("tasks that are there already do not offer it; the next upload does",) if new else ()


def class_of(registry: ClassRegistry, name: str) -> int:
    """The id of the class of that name, now or before.

    Raises:
        MissingInputError: there is none, or it is retired.
    """
    if name in registry:
        return registry.id_of(name)
    raise unknown(registry, name)


def unknown(registry: ClassRegistry, name: str) -> MissingInputError:
    """The error for a name that means no class."""
    if name in registry.retired:
        return MissingInputError(f"class {name!r} is retired", hint=f"bring it back: dataengine classes add {name}")
    near = difflib.get_close_matches(name, registry.names, n=1)
    known = f"known are {listed(registry.names) or 'none'}"
    return MissingInputError(f"there is no class {name!r}", hint=f"did you mean {near[0]!r}?" if near else known)


def refuse_name(registry: ClassRegistry, name: str, *, of: int | None = None) -> None:
    """A name means one class for ever: UsageError where no class can be called so, or another class had it before.

    Args:
        of: the class that may have had it.
    """
    # One that is there may have a name from when everything was taken.
    if name not in registry and name not in registry.retired and (why := wrong_with_name(name)):
        raise UsageError(why, hint="choose another name")
    if name in registry.names or name not in registry or registry.id_of(name) == of:
        return
    raise UsageError(
        f"{name!r} is what {registry.now(name)!r} was called before, and labels, models and files from then still say "
        "so: it cannot be the name of another class",
        hint="choose another name",
    )
