"""Whether a training folder is still as ``convert`` left it.

Texts are compared by content, pictures by size and time; where only a picture's time differs its bytes tell, by the
SHA-256 that is on record for its frame.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import PurePosixPath

from data_engine.app.dataset.convert_sides import SPLITS
from data_engine.app.engine import Engine
from data_engine.errors import ConflictError, DamagedInputError
from data_engine.formats import strict_json
from data_engine.formats.yolo import DATA_YAML, IMAGES
from data_engine.lineage import datasets, footage
from data_engine.stages.export import dataset_name
from data_engine.stages.training_folder import TrainingFolder
from data_engine.types import DatasetVersion, Frame

VERSION_FILE = "dataset_version.json"


def described(engine: Engine, root: str) -> dict[str, str]:
    """What ``convert`` wrote down about a training folder: ``id`` and ``version`` of what it holds, and the SHA-256 of
    its ``data.yaml`` under that name; nothing for data from elsewhere.

    Raises:
        DamagedInputError: somebody changed it.
    """
    key = f"{root}/{VERSION_FILE}"
    if not engine.storage.exists(key):
        return {}
    try:
        return strict_json.decode(engine.storage.read_bytes(key), dict[str, str], name=key, what="a dataset version")
    except DamagedInputError as error:
        raise DamagedInputError(error.message, hint="run again: dataengine convert") from error


def describe(engine: Engine, root: str, held: dict[str, str]) -> None:
    """Write down what a training folder holds, once it is whole; nothing for data from elsewhere."""
    if not held:
        return
    digest = _digest(engine, f"{root}/{DATA_YAML}")
    told = held if digest is None else {**held, DATA_YAML: digest}
    engine.storage.write_bytes(f"{root}/{VERSION_FILE}", json.dumps(told, sort_keys=True).encode() + b"\n")


def refuse_changed_data(engine: Engine, root: str, version: DatasetVersion | None) -> None:
    """Nothing where a folder that a version was converted into is as it was then.

    Raises:
        ConflictError: it is not.
    """
    if version is None:
        return
    # An earlier release did not write it down.
    wanted = described(engine, root).get(DATA_YAML)
    changed = DATA_YAML if wanted is not None and _digest(engine, f"{root}/{DATA_YAML}") != wanted else None
    for side in SPLITS:
        if changed is None:
            same = _recorded(engine, f"{root}/{side}", version)
            found = TrainingFolder(engine.storage, f"{root}/{side}").differing(same)
            changed = None if found is None else f"{side}/{found}"
    if changed is not None:
        raise ConflictError(
            f"{engine.shown(f'{root}/{changed}')} was changed since {version.label} was converted",
            hint="run again: dataengine convert",
        )


def _digest(engine: Engine, key: str) -> str | None:
    if not engine.storage.exists(key):
        return None
    return hashlib.sha256(engine.storage.read_bytes(key)).hexdigest()


def _recorded(engine: Engine, folder: str, version: DatasetVersion) -> Callable[[str], bool]:
    """Tells of a picture in a folder, by its path there, whether it holds what is on record for its frame."""
    from data_engine.media.images import sha256_of

    @cache
    def frames() -> dict[str, Frame]:
        with engine.database.read() as connection:
            held = datasets.frames_of(connection, version.number)
            return {dataset_name(one): one for one in footage.frames_by_id(connection, held).values()}

    def same(path: str) -> bool:
        pure = PurePosixPath(path)
        frame = frames().get(str(pure.relative_to(IMAGES) if pure.is_relative_to(IMAGES) else pure))
        if frame is None:
            return False
        with engine.database.read() as connection:
            known = footage.files_by_key(connection, [frame.key]).get(frame.key)
        if known is not None and known.frame_id == frame.id:
            wanted = known.sha256
        elif frame.video_id is None:
            wanted = frame.id
        else:
            return False
        return sha256_of(engine.storage.path(f"{folder}/{path}")).startswith(wanted)

    return same
