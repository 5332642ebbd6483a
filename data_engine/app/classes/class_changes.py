"""``classes rename|merge|split|retire``: changes that the next version begins with, and that no older one knows of.

What changes boxes or names of the newest version makes a new one; nothing that is there is rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_engine.app.classes.class_versions import Applied, Done, changed, nothing
from data_engine.app.classes.classes import class_of, refuse_name
from data_engine.app.engine import Engine
from data_engine.app.models.models import registered_classes
from data_engine.errors import ConflictError, UsageError
from data_engine.lineage import class_boxes, classes
from data_engine.lineage.database import Connection
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.stages.export import boxes_content
from data_engine.types import Report
from data_engine.words import counted, listed


def rename(engine: Engine, old: str, new: str, *, by: str | None = None, reason: str | None = None) -> Report:
    """Give a class another name, under the id that it has.

    Raises:
        MissingInputError: there is no such class.
        UsageError: the new name is empty, or was another class's.
        ConflictError: the new name is another class's.
    """
    new = new.strip()
    with alone_with_versions(engine.database):
        registry = registered_classes(engine)
        number = class_of(registry, old)
        refuse_name(registry, new, of=number)
        if new in registry.retired and registry.retired[new] != number:
            raise UsageError(f"{new!r} is the name of a retired class", hint="choose another name")
        was = registry.name_of(number)
        if was == new:
            return nothing(engine, f"class {number} is called {new!r} already")
        if new in registry.names:
            raise ConflictError(
                f"{new!r} is class {registry.id_of(new)}",
                hint=f"to make one of both: dataengine classes merge {was} --into {new}",
            )

        def apply(connection: Connection, since: int) -> Applied:
            classes.rename(connection, number, new, since=since)
            classes.note(
                connection,
                "renamed",
                number,
                old_name=was,
                new_name=new,
                version=since,
                boxes=_boxes(connection, number),
                actor=by,
                reason=reason,
                at=engine.now(),
            )
            return 0, 0, {}

        done = changed(engine, {"rename": f"{number}", "from": was, "to": new}, apply)
    return Report(
        title=f"class {number}, {was!r} before, is {new!r}{_from(done)}",
        data={"class_id": number, "name": new, "was": was, "version": done.label},
        notes=_still_said(engine, {was: new}),
        next="dataengine convert" if done.version is not None else "",
    )


def merge(
    engine: Engine, names: Sequence[str], into: str, *, by: str | None = None, reason: str | None = None
) -> Report:
    """Make one class of several: a new version in which their boxes are of class ``into``.

    Args:
        into: one of them, another class, or a new name.

    Raises:
        MissingInputError: there is no such class.
        UsageError: nothing to merge, or ``into`` is the name of a retired class or of none.
    """
    into = into.strip()
    with alone_with_versions(engine.database):
        registry = registered_classes(engine)
        if into in registry.retired:
            raise UsageError(
                f"{into!r} is the name of a retired class", hint=f"bring it back: dataengine classes add {into}"
            )
        into = registry.now(into) if into in registry else into
        refuse_name(registry, into)
        target = registry.id_of(into) if into in registry else None
        sources = {class_of(registry, name): name for name in dict.fromkeys(names)}
        was = {number: registry.name_of(number) for number in sorted(sources) if number != target}
        if not was:
            return nothing(engine, f"{listed(list(names))} {'is' if len(names) == 1 else 'are'} {into!r} already")

        def apply(connection: Connection, since: int) -> Applied:
            if target is None:
                classes.add(connection, [into], actor=by, at=engine.now())
            goal = classes.registry(connection).id_of(into)
            for number, name in was.items():
                classes.unlist(connection, number, since=since)
                classes.note(
                    connection,
                    "merged",
                    number,
                    into_id=goal,
                    old_name=name,
                    new_name=into,
                    version=since,
                    boxes=_boxes(connection, number),
                    actor=by,
                    reason=reason,
                    at=engine.now(),
                )
            return class_boxes.change_classes(connection, set(was), goal, since=since, content_of=boxes_content)

        done = changed(engine, {"merge": sorted(was), "into": into}, apply)
    return Report(
        title=f"{listed(list(was.values()))} {'is' if len(was) == 1 else 'are'} {into!r}{_from(done)}: "
        f"{counted(done.boxes, 'box')} on {counted(done.frames, 'frame')}",
        data={
            "merged": list(was.values()),
            "into": into,
            **_told(done),
            **({"boxes_ended": done.ended} if done.ended else {}),
        },
        notes=(
            *(
                [f"{counted(done.ended, 'box')} in the very place of another that is {into!r} now withdrawn: one stays"]
                if done.ended
                else []
            ),
            *_still_said(engine, dict.fromkeys(was.values(), into)),
        ),
        next="dataengine convert" if done.version is not None else "",
    )


def retire(
    engine: Engine, name: str, *, keep_boxes: bool = False, by: str | None = None, reason: str | None = None
) -> Report:
    """Offer a class to nobody any more; its boxes leave the newest version unless they are kept.

    Args:
        keep_boxes: the boxes that there are stay, and the class stays listed.

    Raises:
        MissingInputError: there is no such class.
        UsageError: it is the only one.
    """
    with alone_with_versions(engine.database):
        registry = registered_classes(engine)
        if name in registry.retired:
            return nothing(engine, f"class {name!r} is retired already")
        number = class_of(registry, name)
        name = registry.name_of(number)
        if set(registry.offered.names) <= {name}:
            raise UsageError(f"{name!r} is the only class: nobody could label anything")
        if keep_boxes and number in registry.reserved:
            return nothing(engine, f"class {name!r} is offered to nobody already")

        def apply(connection: Connection, since: int) -> Applied:
            classes.note(
                connection,
                "retired",
                number,
                old_name=name,
                version=since,
                boxes=_boxes(connection, number),
                actor=by,
                reason=reason,
                at=engine.now(),
            )
            if keep_boxes:
                classes.offer(connection, number, offered=False)
                return 0, 0, {}
            classes.unlist(connection, number, since=since)
            return class_boxes.change_classes(connection, {number}, None, since=since, content_of=boxes_content)

        done = changed(engine, {"retire": number, "keep": keep_boxes}, apply, makes_version=not keep_boxes)
    if keep_boxes:
        # It makes no version: as the history says, it holds for the next one.
        return Report(
            title=f"class {name!r} is retired: nobody is offered it from now on, and its boxes stay",
            data={"class_id": number, "name": name, "boxes_kept": True, "since": f"v{done.next_number}"},
            notes=(f"tasks that are there already still offer {name!r}, and what comes back so labelled comes in",),
        )
    return Report(
        title=f"class {name!r} is retired{_from(done)}: {counted(done.boxes, 'box')} on "
        f"{counted(done.frames, 'frame')} left the dataset",
        data={"class_id": number, "name": name, "boxes_kept": False, **_told(done)},
        notes=(f"what comes back labelled {name!r} is told by export, and left out",),
        next="dataengine convert" if done.version is not None else "",
    )


def split(
    engine: Engine, name: str, into: Sequence[str], *, by: str | None = None, reason: str | None = None
) -> Report:
    """Make several classes of one: which box is which, people say.

    Its boxes stay as they are until their frames were looked at again.  It is offered no more unless ``into`` names it.

    Raises:
        MissingInputError: there is no such class.
        UsageError: ``into`` names no other class, or one by a name that means another.
    """
    with alone_with_versions(engine.database):
        registry = registered_classes(engine)
        number = class_of(registry, name)
        name = registry.name_of(number)
        wanted = tuple(dict.fromkeys(text.strip() for text in into))
        for text in wanted:
            refuse_name(registry, text)
        others = [text for text in wanted if text != name]
        if not others:
            raise UsageError(f"{name!r} is split into nothing else", hint="dataengine classes split --help")
        with engine.database.write() as connection:
            boxes = _boxes(connection, number)
            known = {(c.category_id, c.into_id) for c in classes.history(connection) if c.kind == "split"}
            classes.add(connection, others, actor=by, at=engine.now())
            registry = classes.registry(connection)
            since = classes.next_version(connection)
            for text in others:
                if (number, registry.id_of(text)) not in known:
                    classes.note(
                        connection,
                        "split",
                        number,
                        into_id=registry.id_of(text),
                        old_name=name,
                        version=since,
                        boxes=boxes,
                        actor=by,
                        reason=reason,
                        at=engine.now(),
                    )
            classes.offer(connection, number, offered=name in wanted)
            frames = len(class_boxes.frames_with(connection, {number}))
    again = f"dataengine review requeue --class {name} --reason 'which of {', '.join(wanted)}?'"
    return Report(
        title=f"class {name!r} is split into {listed(wanted)}: {counted(boxes, 'box')} on {counted(frames, 'frame')} "
        "to be looked at again",
        data={"class_id": number, "into": list(wanted), "boxes": boxes, "frames": frames},
        notes=() if name in wanted else (f"until they were, their boxes stay {name!r}; nobody is offered it any more",),
        next=again if frames else "",
    )


def _boxes(connection: Connection, number: int) -> int:
    return class_boxes.counts(connection).get(number, 0)


def _from(done: Done) -> str:
    return "" if done.version is None else f" from {done.version.label} on"


def _told(done: Done) -> dict[str, object]:
    return {
        "version": done.label,
        "boxes_changed": done.boxes,
        "frames_changed": done.frames,
    }


def _still_said(engine: Engine, now: Mapping[str, str]) -> tuple[str, ...]:
    """Where the old names still stand, and that they are understood."""
    notes = [
        f"labels of tasks that are there, models and files that say {old!r} are taken for {new!r}"
        for old, new in now.items()
    ]
    named = [old for old in now if old in engine.settings.workspace.classes]
    if named:
        notes.append(
            f"classes in dataengine.toml still names {listed(named)}, which means the same; change it or leave it"
        )
    return tuple(notes)
