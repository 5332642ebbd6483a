"""The files of a choice: the list, the reasons, and the folder of pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError
from data_engine.lineage import footage
from data_engine.lineage.footage import KnownFile
from data_engine.stages.export import dataset_name
from data_engine.types import Frame, Selection

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

LIST = "hard_frames.txt"
FOLDER = "frames_hard_to_annotate"


def folder_of(list_key: str) -> str:
    """The folder of chosen pictures beside a list."""
    return (PurePosixPath(list_key).parent / FOLDER).as_posix()


def reasons_key(list_key: str) -> str:
    """The table of reasons beside a list."""
    return PurePosixPath(list_key).with_suffix(".csv").as_posix()


def write_choice(
    engine: Engine, target: str, chosen: Selection, frames: Mapping[str, Frame], header: Sequence[str]
) -> tuple[list[KnownFile], list[str]]:
    """Write the list, the reasons and the folder of pictures; pictures of an earlier choice leave the folder.

    Returns:
        the pictures, to be recorded, and the keys of those that left, to be forgotten.
    """
    from data_engine.formats.hardframes import write_hard_frames
    from data_engine.stages.filter import reasons_csv

    storage = engine.storage
    folder = folder_of(target)
    keys = {f"{folder}/{dataset_name(frames[row.frame_id])}": frames[row.frame_id] for row in chosen.frames}
    with engine.database.write() as connection:
        before = footage.files_below(connection, folder)
        owners = footage.frames_by_id(connection, {file.frame_id for file in before.values() if file.frame_id})
        sources = footage.files_by_key(connection, [frame.key for frame in keys.values()])
        planned = {key: replace(sources[f.key], key=key, frame_id=f.id) for key, f in keys.items() if f.key in sources}
        # Before the first is made, so that what a killed run left is known to the next, whatever that one chooses.
        footage.add_files(connection, list(planned.values()))
    for key, frame in keys.items():
        storage.link(frame.key, key)
    # Only a second name of a picture goes; one that somebody put there, that another list names, or that is the last
    # copy of another, stays.
    needed = keys.keys() | _named_by_others(engine, target)
    stale = [
        key
        for key, file in before.items()
        if key not in needed and (owner := owners.get(file.frame_id or "")) and owner.key != key
        if storage.exists(owner.key)
    ]
    for key in stale:
        if storage.exists(key) and storage.stamp(key) == before[key].stamp:
            storage.delete(key)
    lines = [f"{FOLDER}/{PurePosixPath(key).name}" for key in keys]
    text = write_hard_frames(lines, [line.removeprefix("# ") for line in header])
    named = {frame.id: replace(frame, name=PurePosixPath(key).name) for key, frame in keys.items()}
    storage.write_bytes(reasons_key(target), reasons_csv(chosen, named).encode())
    # The list comes last: it is what the next step reads.
    storage.write_bytes(target, text.encode())
    return [replace(file, stamp=storage.stamp(key)) for key, file in planned.items()], stale


def _named_by_others(engine: Engine, target: str) -> set[str]:
    """Keys of the pictures that other lists beside this one name: they share its folder of pictures."""
    from data_engine.formats.hardframes import read_hard_frames

    here = PurePosixPath(target).parent
    own = engine.storage.path(target)
    named: set[str] = set()
    for file in sorted(own.parent.glob("*.txt")):
        if file.name == own.name or not file.is_file():
            continue
        try:
            lines = read_hard_frames(engine.storage.read_bytes((here / file.name).as_posix()), name=file.name)
        except DamagedInputError:
            # Not a list, or not one that may be read.
            continue
        named |= {(here / line).as_posix() for line in lines if line.startswith(f"{FOLDER}/")}
    return named
