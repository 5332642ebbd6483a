"""Dataset versions for pages: versions never change, so what was counted of one or of two is counted once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_engine.app.dataset.dataset_diff import diff
from data_engine.app.dataset.dataset_log import log
from data_engine.app.dataset.dataset_pictures import changed_frame
from data_engine.app.dataset.dataset_show import show
from data_engine.app.dataset.difference import KINDS, Difference
from data_engine.app.engine import Engine
from data_engine.lineage import datasets, footage, tombstones
from data_engine.lineage import version_changes as changes
from data_engine.lineage.former_lives import FormerLives
from data_engine.lineage.version_changes import Differs
from data_engine.pages.changes import ChangedFrame
from data_engine.stages.dataset_diff import FrameChange, Kind, compare
from data_engine.types import DatasetVersion


def stamp(engine: Engine) -> str:
    """Another text when there is a newer version, or something was purged from the older ones."""
    with engine.database.read() as connection:
        newest = datasets.latest(connection)
        return f"{newest and newest.number} {len(tombstones.known(connection))}"


def history(engine: Engine) -> Sequence[Mapping[str, Any]]:
    """A row a version, the newest first, as of ``dataset log --json``."""
    said = log(engine)
    return tuple(said.every_row()) if said.every_row is not None else said.rows


def held(engine: Engine, label: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The tables of ``dataset show``: classes, sides, cameras, people, models, files."""
    return show(engine, label).tables


@dataclass(frozen=True, slots=True)
class Compared:
    """Two versions held against each other."""

    title: str
    counts: Mapping[str, Any]
    classes: Sequence[Mapping[str, Any]]
    cameras: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    frames: Mapping[Kind, Sequence[Differs]]
    """Those that differ."""


def compared(engine: Engine, first: DatasetVersion, second: DatasetVersion) -> Compared:
    """What ``dataset diff`` says, and which frames differ."""
    said = diff(engine, first.label, second.label)
    with engine.database.read() as connection:
        frames = {kind: changes.differing(connection, kind, first.number, second.number) for kind in KINDS}
    counts = {name: value for name, value in said.data.items() if isinstance(value, int)}
    notes = tuple(note for note in said.notes if not note.startswith("the table"))
    return Compared(said.title, counts, said.tables["classes"], said.tables["cameras"], notes, frames)


def pictured(
    engine: Engine,
    first: DatasetVersion,
    second: DatasetVersion,
    differing: Sequence[Differs],
) -> list[ChangedFrame]:
    """These frames of :attr:`Compared.frames` with the boxes of both versions; those that were purged are left out."""
    with engine.database.read() as connection:
        pair = Difference(connection, first, second)
        frames = footage.frames_by_id(connection, [frame_id for frame_id, _before, _after in differing])
        there = [differs for differs in differing if differs[0] in frames]
        steps = changes.steps_of(connection, there, first.number, second.number)
        began = FormerLives(connection).of(box for step in steps for box in (*step.before, *step.after))
    return [
        changed_frame(
            pair,
            frames[step.frame_id],
            FrameChange(
                step.frame_id, step.side_before, step.side_after, compare(step.before, step.after, began=began)
            ),
        )
        for step in steps
    ]


def all_versions(engine: Engine) -> list[DatasetVersion]:
    """All versions, oldest first."""
    with engine.database.read() as connection:
        return datasets.versions(connection)
