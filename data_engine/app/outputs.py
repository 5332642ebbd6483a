"""Files that are written where a person says: never over what the workspace keeps itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.errors import ConflictError, UsageError
from data_engine.stages import FLOW

_OWN = {STATE_FOLDER, "annotation", "logs", "dataengine.toml"} | {
    place.split("/")[0] for step in FLOW for place in step.places
}
"""What lies at the top of a workspace and belongs to it."""


def output_key(engine: Engine, option: str, given: Path, suffixes: Sequence[str] = ()) -> str:
    """The storage key of a file that was asked for.

    Args:
        engine: the workspace.
        option: by which it was named, for what is said.
        given: its path.
        suffixes: one of which it must have; any where there are none.

    Raises:
        UsageError: it is a folder, or has another suffix.
        ConflictError: it is a place of the workspace's own: a database, a version or weights would be lost.
    """
    if given.is_dir():
        raise UsageError(f"{option} {given} is a folder", hint="name a file in it")
    if suffixes and given.suffix.lower() not in suffixes:
        raise UsageError(f"{option} {given}: name a {' or '.join(suffixes)} file")
    key = engine.storage.key_of(given)
    if key.split("/")[0] in _OWN:
        raise ConflictError(
            f"{option} {given} would lie among the workspace's own files", hint="name another place for it"
        )
    return key
