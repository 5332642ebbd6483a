"""``dataengine classes``."""

from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("classes")

By = Annotated[str | None, typer.Option(help="Who does this, for the history.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the history.")]
Name = Annotated[str, typer.Argument(metavar="CLASS", help="Its name, or one that it had.")]


@command(app, "classes list")
def list_classes(engine: "Engine") -> Report:
    """List the classes with their ids, boxes and former names."""
    from data_engine.app.classes import classes

    return classes.list_classes(engine)


@command(app, "classes history")
def history(
    engine: "Engine",
    *,
    name: Annotated[str | None, typer.Argument(metavar="[CLASS]", help="Only this one.", show_default=False)] = None,
) -> Report:
    """Tell what was done to the classes: when, by whom, from which version on."""
    from data_engine.app.classes import classes

    return classes.history(engine, name)


@command(app, "classes add")
def add(
    engine: "Engine",
    *,
    names: Annotated[list[str], typer.Argument(metavar="CLASS...", help="New names, or those of retired classes.")],
    by: By = None,
) -> Report:
    """Add classes, or bring back retired ones; ids are never used again."""
    from data_engine.app.classes import classes

    return classes.add(engine, names, by=by)


@command(app, "classes rename")
def rename(
    engine: "Engine",
    *,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its name from the next version on.")],
    by: By = None,
    reason: Reason = None,
) -> Report:
    """Rename a class; its id stays, and older versions keep the old name.

    Labels, models and files that say the old name are understood ever after.
    """
    from data_engine.app.classes import class_changes

    return class_changes.rename(engine, name, new, by=by, reason=reason)


@command(app, "classes merge")
def merge(
    engine: "Engine",
    *,
    names: Annotated[list[str], typer.Argument(metavar="CLASS...", help="The classes to be one.")],
    into: Annotated[str, typer.Option(metavar="CLASS", help="What they are: one of them, another, or a new name.")],
    by: By = None,
    reason: Reason = None,
) -> Report:
    """Make one class of several, in a new version; older ones keep them apart."""
    from data_engine.app.classes import class_changes

    return class_changes.merge(engine, names, into, by=by, reason=reason)


@command(app, "classes split")
def split(
    engine: "Engine",
    *,
    name: Name,
    into: Annotated[list[str], typer.Option(metavar="CLASS", help="One of what it becomes; several times.")],
    by: By = None,
    reason: Reason = None,
) -> Report:
    """Make several classes of one; people look at its boxes again.

    Until they did, the boxes stay as they are. The class itself may be among what it becomes.
    """
    from data_engine.app.classes import class_changes

    return class_changes.split(engine, name, into, by=by, reason=reason)


@command(app, "classes retire")
def retire(
    engine: "Engine",
    *,
    name: Name,
    keep_boxes: Annotated[
        bool, typer.Option("--keep-boxes", help="Its boxes stay; only nobody is offered it any more.")
    ] = False,
    by: By = None,
    reason: Reason = None,
) -> Report:
    """Retire a class: nobody labels it any more, and its boxes leave.

    They leave with a new version; older ones keep them.
    """
    from data_engine.app.classes import class_changes

    return class_changes.retire(engine, name, keep_boxes=keep_boxes, by=by, reason=reason)
