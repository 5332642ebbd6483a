"""The version that a change of classes begins with; nothing that is there is rewritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from data_engine.app.dataset.version_files import add_version, write_version
from data_engine.app.engine import Engine
from data_engine.lineage import datasets
from data_engine.lineage.database import Connection
from data_engine.runner import settings_of
from data_engine.types import DatasetVersion, Report

STAGE = "classes"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Done:
    """What a change did."""

    version: DatasetVersion | None
    """The newest version now; None before the first."""
    boxes: int = 0
    """That are of another class now, or left."""
    ended: int = 0
    """That ended for another in their place."""
    frames: int = 0

    @property
    def label(self) -> str | None:
        """``v<number>`` of the version."""
        return None if self.version is None else self.version.label

    @property
    def next_number(self) -> int:
        """Number of the version that comes next."""
        return 1 if self.version is None else self.version.number + 1


Applied = tuple[int, int, Mapping[str, str]]
"""How many boxes changed, how many ended for another in their place, and the new content ids of their frames."""


def changed(
    engine: Engine,
    what: Mapping[str, object],
    apply: Callable[[Connection, int], Applied],
    *,
    makes_version: bool = True,
) -> Done:
    """Apply a change, and make the version that begins with it where there is one to follow; to be called alone."""
    with engine.database.read() as connection:
        newest = datasets.latest(connection)
    base = "no version" if newest is None else newest.id
    with engine.runner.run(STAGE, VERSION, settings_of(dict(what)), inputs=[base]) as run:
        with engine.database.write() as connection:
            held = {} if newest is None else datasets.frames_of(connection, newest.number)
            boxes, ended, contents = apply(connection, 1 if newest is None else newest.number + 1)
            if newest is not None and makes_version:
                rows = {frame: (contents.get(frame, entry.content), entry.split) for frame, entry in held.items()}
                newest = add_version(engine, connection, newest, rows, run.id)
            engine.runner.finish_input(connection, run, [base])
        if newest is not None and makes_version:
            write_version(engine, newest, newest.key)
    return Done(newest, boxes, ended, len(contents))


def nothing(engine: Engine, said: str) -> Report:
    """What was done before, perhaps by one that was killed before it had written the version's files."""
    with engine.database.read() as connection:
        newest = datasets.latest(connection)
    if newest is not None:
        write_version(engine, newest, newest.key)
    return Report(title=f"nothing to do: {said}", data={"version": None if newest is None else newest.label})
