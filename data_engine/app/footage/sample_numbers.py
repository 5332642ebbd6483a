"""Sequential names of sampled frames: no number is given twice, and nobody's picture is overwritten."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import PurePosixPath

from data_engine.app.engine import Engine
from data_engine.app.footage.sample_scratch import FOLDER, locked
from data_engine.errors import ConflictError
from data_engine.lineage import footage, work
from data_engine.lineage.database import Connection
from data_engine.types import Sampled, content_id


def highest_number(connection: Connection, output: str) -> int:
    """The highest of the sequential names on record in a folder, whatever sampling gave it; 0 for none.

    A file that was lost counts too: its frame may be known by that name elsewhere.
    """
    from data_engine.stages.frame_names import sequential_number

    paths = map(PurePosixPath, footage.files_below(connection, output))
    names = [path.name for path in paths if path.parent == PurePosixPath(output)]
    return max((number for name in names if (number := sequential_number(name)) is not None), default=0)


@contextlib.contextmanager
def numbering(engine: Engine, output: str) -> Iterator[None]:
    """While the block runs, nobody else gives numbers in this folder; one who does is waited for."""
    folder = engine.root / FOLDER / f"numbers-{content_id('output', output)}"
    with locked(folder, wait=True):
        yield
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def refuse_to_overwrite(engine: Engine, output: str, fingerprint: str) -> None:
    """Sequential names meet nobody's pictures but the leftovers of the same sampling, when it was cut off.

    Raises:
        ConflictError: a picture that is not on record has a name that would be given.
    """
    from data_engine.stages.frame_names import sequential_number

    folder = engine.storage.path(output)
    # Looked at before the records: what another process writes just now belongs to a run that is on record.
    found = sorted(path.name for path in folder.glob("frame_*.jpg")) if folder.is_dir() else []
    with engine.database.read() as connection:
        if work.unfinished(connection, fingerprint):
            return
        highest = highest_number(connection, output)
    for name in found:
        if (sequential_number(name) or 0) > highest:
            raise ConflictError(
                f"{engine.shown(output)} holds {name}, which was not sampled here and would be overwritten",
                hint="name another --output",
            )


def give_back(engine: Engine, connection: Connection, fingerprint: str, outcome: Sampled) -> None:
    """Of a video that was sampled again, remove the files of the last time: its frames have new numbers now."""
    frames = {kept.frame.id for kept in outcome.frames}
    written = {kept.frame.key for kept in outcome.frames}
    keys = footage.sampled_keys(connection, fingerprint, outcome.video.id).get(outcome.video.id, ())
    before = footage.files_by_key(connection, set(keys) - written)
    for file in before.values():
        if file.frame_id not in frames:
            continue
        if engine.storage.exists(file.key):
            # One that somebody changed since is theirs.
            if engine.storage.stamp(file.key) != file.stamp:
                continue
            engine.storage.delete(file.key)
        footage.forget_files(connection, [file.key])
