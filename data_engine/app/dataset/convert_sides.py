"""A COCO file that is converted: read by the right classes, and parted into its sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.errors import DamagedInputError, UsageError
from data_engine.lineage import classes, datasets
from data_engine.types import ClassRegistry

if TYPE_CHECKING:
    from data_engine.formats.coco import CocoDataset, CocoImage

SPLITS = ("train", "valid")
_NOT_TRAINED = ("golden", "guard")
"""Sides of a version that no training folder may hold, whatever its name."""


def read_file(engine: Engine, key: str, registry: ClassRegistry | None) -> CocoDataset:
    """A COCO file by the classes of now; that of an older version of ours by those that it lists itself."""
    from data_engine.formats.coco import read_coco

    data, name = engine.storage.read_bytes(key), engine.shown(key)
    try:
        found = read_coco(data, name=name, registry=registry)
    except DamagedInputError:
        # A class that was retired since is unknown today.
        found = read_coco(data, name=name)
        if _older(engine, found) is None:
            raise
        return found
    older = _older(engine, found)
    return found if older is None else read_coco(data, name=name, registry=older)


def _older(engine: Engine, dataset: CocoDataset) -> ClassRegistry | None:
    """The classes of the version that a file is of, where that is ours and not the newest."""
    with engine.database.read() as connection:
        known = datasets.versions(connection)
        version = next((one for one in known[:-1] if one.id == dataset.info.get("id")), None)
        return None if version is None else classes.registry_at(connection, version.number)


def sides_of(
    dataset: CocoDataset, name: str, output: Path | None
) -> tuple[list[tuple[str, CocoDataset]], Mapping[str, int]]:
    """The file as it is, on the side that it says, or both sides of a file that holds the whole version.

    Returns:
        the sides, and how many pictures are for neither, by what is said of them.
    """
    named = [output.name if output is not None else None, dataset.info.get("split"), Path(name).stem]
    split = next((side for side in named if side in SPLITS), None)
    said = Counter(_said(image) for image in dataset.images)
    present = said.keys() & set(SPLITS)
    if dataset.info.get("split") == "golden" or (said and said.keys() == {"golden"}):
        raise UsageError(
            f"{name} holds the golden set, by which models are judged: it is never trained on",
            hint="dataengine retrain measures every model on it",
        )
    if split is not None:
        # One side's folder takes that side only, also of a file that holds the whole version.
        if len(present) > 1:
            return [(split, _only(dataset, split))], {}
        return [(split, _kept(dataset, [i for i in dataset.images if _said(i) not in _NOT_TRAINED]))], {}
    if not present:
        raise UsageError(
            f"{name} does not say whether it is for training or validation", hint="end --output with /train or /valid"
        )
    elsewhere = {name or "not said": number for name, number in said.items() if name not in SPLITS}
    return [(side, _only(dataset, side)) for side in SPLITS], elsewhere


def _said(image: CocoImage) -> str:
    """The side that a picture's record says, empty where it says none; ``val`` is another word for ``valid``."""
    from data_engine.formats.sniff import side_named

    return side_named(str(image.extra.get("split") or ""))


def _only(dataset: CocoDataset, side: str) -> CocoDataset:
    return _kept(dataset, [image for image in dataset.images if _said(image) == side])


def _kept(dataset: CocoDataset, images: Sequence[CocoImage]) -> CocoDataset:
    ids = {image.id for image in images}
    annotations = tuple(a for a in dataset.annotations if a.image_id in ids)
    return replace(dataset, images=tuple(images), annotations=annotations)
