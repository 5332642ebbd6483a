"""Dataset versions without what was purged: the newest one no longer holds it, and older ones' files are made anew."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from data_engine.app.dataset.dataset_certificate import write_certificate
from data_engine.app.dataset.version_compare import older_layout
from data_engine.app.dataset.version_files import STAMPS, add_version, write_version
from data_engine.app.dataset.version_writing import Sheet, outline, write_from_before
from data_engine.app.engine import Engine
from data_engine.lineage import datasets, reverting, soundness
from data_engine.lineage.database import Connection
from data_engine.types import DatasetVersion


def drop_from_newest(engine: Engine, connection: Connection, frame_ids: Sequence[str], run_id: str) -> None:
    """Add a version without these frames, where the newest one holds any."""
    newest = datasets.latest(connection)
    if newest is None:
        return
    held = soundness.manifest(connection, newest.number)
    dropped = [frame for frame in frame_ids if frame in held]
    if not dropped:
        return
    number = newest.number + 1
    reverting.restore(connection, newest.number, number, {}, dropped)
    left = {frame: entry for frame, entry in held.items() if frame not in set(dropped)}
    add_version(engine, connection, newest, left, run_id)


def write_without(engine: Engine, numbers: Collection[int], frame_ids: Collection[str]) -> None:
    """Write the files of these versions, and of the newest, anew without these frames.

    Of an older one's file what is about other frames is copied as it stands.
    """
    with engine.database.read() as connection:
        known = {version.number: version for version in datasets.versions(connection)}
        newest = datasets.latest(connection)
    if newest is None:
        return
    # Files of the version before are not built on: they hold what is gone.
    engine.storage.delete(STAMPS)
    for number in numbers:
        if number == newest.number or not _cut_out(engine, known[number], frame_ids):
            engine.storage.delete(known[number].key)
    # What a later version's frames are compared with is what the dataset ever held.
    first = min(numbers, default=newest.number)
    for number, version in sorted(known.items()):
        if number >= first:
            write_certificate(engine, version, anew=True)
    write_version(engine, newest, newest.key)


def _cut_out(engine: Engine, version: DatasetVersion, frame_ids: Collection[str]) -> bool:
    """Write a version's file without these frames, from what it is; False where it is not there, or no such file."""
    # By the ids of its annotations it is known what is to be cut out.
    if not engine.storage.exists(version.key) or older_layout(engine.storage.path(version.key)):
        return False
    try:
        with engine.database.read() as connection, engine.storage.writing(version.key) as path:
            held = outline(connection, version)
            differ = set(frame_ids).intersection(held.numbers.order)
            write_from_before(connection, held, [Sheet(path, before=engine.storage.path(version.key))], differ)
    except ValueError:
        return False
    return True
