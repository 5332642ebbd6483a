"""``dataset checkout``: the files of any version in a folder, byte for byte as they were written then."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.dataset.version_files import FOLDER, sides_written
from data_engine.app.dataset.version_writing import Sheet, outline, write_whole
from data_engine.app.engine import Engine
from data_engine.errors import ConflictError, DamagedInputError, UsageError
from data_engine.lineage import tombstones
from data_engine.types import DatasetVersion, Report, Split

OWN_LIST = ".checkout.json"
"""Names and SHA-256 sums of the files that this command wrote into a folder."""


def checkout(engine: Engine, version: str, output: Path) -> Report:
    """Write a version's file and those of its sides into a folder; what another checkout wrote there makes room.

    Raises:
        MissingInputError: there is no such version.
        UsageError: ``output`` is a file, or the folder of the workspace's own versions.
        ConflictError: files of somebody else would be written over.
    """
    folder = engine.storage.key_of(output)
    if engine.storage.path(folder).is_file():
        raise UsageError(f"--output {output} is a file", hint="name a folder")
    if folder == FOLDER:
        raise UsageError(f"--output {output} is where the versions of this workspace lie", hint="name another folder")
    with engine.database.read() as connection:
        chosen = version_named(connection, version)
        taken = tombstones.taken_from(tombstones.known(connection)).get(chosen.number, (0, 0))
        sides = sides_written(connection, chosen.number)
    files: list[tuple[str, Split | None]] = [(f"master_dataset_v{chosen.number}.json", None)]
    files += [(f"{side}.json", side) for side in sides]
    own = _own(engine, folder)
    wanted = {name for name, _side in files}
    _refuse_others(engine, folder, own, wanted, output)
    # Claimed before they are written: killed in between, they are this command's all the same.
    _record(engine, folder, {**own, **dict.fromkeys(wanted, "")})
    written = _write(engine, chosen, folder, files)
    for name in sorted(own.keys() - wanted):
        engine.storage.delete(f"{folder}/{name}")
    _record(engine, folder, written)
    notes = [f"{taken[0]} frames and {taken[1]} boxes of it were purged since"] if any(taken) else []
    return Report(
        title=f"{chosen.label} checked out",
        data={
            "version": chosen.label,
            "version_id": chosen.id,
            "frames": chosen.frames - taken[0],
            "boxes": chosen.boxes - taken[1],
            "files": sorted(written),
            "output": engine.shown(folder),
        },
        notes=tuple(notes),
        next=engine.typed("convert", input=f"{folder}/train.json", output=f"{folder}/final_labels"),
    )


def _write(
    engine: Engine, version: DatasetVersion, folder: str, files: Sequence[tuple[str, Split | None]]
) -> dict[str, str]:
    """Write the files in one pass over the boxes; their SHA-256 sums by name."""
    from data_engine.media.images import sha256_of

    with contextlib.ExitStack() as stack:
        paths = {name: stack.enter_context(engine.storage.writing(f"{folder}/{name}")) for name, _side in files}
        with engine.database.read() as connection:
            sheets = [Sheet(paths[name], side) for name, side in files]
            write_whole(connection, outline(connection, version), sheets)
        return {name: sha256_of(path) for name, path in paths.items()}


def _own(engine: Engine, folder: str) -> dict[str, str]:
    from data_engine.formats import strict_json

    key = f"{folder}/{OWN_LIST}"
    if not engine.storage.exists(key):
        return {}
    try:
        return strict_json.decode(engine.storage.read_bytes(key), dict[str, str], name=key, what="a list of files")
    except DamagedInputError as error:
        raise DamagedInputError(error.message, hint="name another folder with --output") from error


def _record(engine: Engine, folder: str, files: dict[str, str]) -> None:
    engine.storage.write_bytes(f"{folder}/{OWN_LIST}", json.dumps(files, indent=1, sort_keys=True).encode() + b"\n")


def _refuse_others(engine: Engine, folder: str, own: dict[str, str], wanted: set[str], output: Path) -> None:
    """Refuse to write over, or to remove, what this command did not write, or what was changed since."""
    from data_engine.media.images import sha256_of

    for name in sorted(wanted | own.keys()):
        key = f"{folder}/{name}"
        if not engine.storage.exists(key):
            continue
        if name not in own:
            raise ConflictError(
                f"{output} holds a {name} that checkout did not write", hint="name another folder with --output"
            )
        # Without a sum it was claimed and not finished.
        if own[name] not in ("", sha256_of(engine.storage.path(key), name=key)):
            raise ConflictError(
                f"{name} in {output} was changed since it was checked out", hint="name another folder with --output"
            )
