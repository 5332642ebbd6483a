"""A labelled folder from elsewhere as a set of pictures to judge models on: whatever ``dataset import`` reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine, present
from data_engine.app.footage import pictures
from data_engine.app.merge.import_pictures import size_of
from data_engine.app.models.evaluation_sets import set_of
from data_engine.app.models.models import registered_classes
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import footage
from data_engine.stages.import_source import Folder, Source, WithPictures
from data_engine.types import ClassRegistry, Frame
from data_engine.types.evaluation import EvaluationSet, TruthBox
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.stages.dataset_import import Side

_LEARNED_FROM = "train"
_BESIDE = "images/"
"""Below it stand the pictures of a file of labels, as of :class:`data_engine.stages.import_source.WithPictures`."""


def labelled_folder(engine: Engine, path: Path) -> EvaluationSet:
    """The labelled pictures of a folder, or of a file of labels with its pictures beside it.

    Where it has sides, all but the one to train on.  Its pictures are registered by their content and stay where they
    are; nothing of its labels is recorded.

    Raises:
        MissingInputError: it is not there, or none of its labelled pictures is.
        DamagedInputError: no labels that are known.
    """
    from data_engine.stages.dataset_import import read_labels

    if not present(path):
        raise MissingInputError(f"{path} is not there", hint="name golden, validation, a version or a labelled folder")
    storage = engine.storage
    whole = Folder(storage, storage.key_of(path if path.is_dir() else path.parent), name=str(path))
    source: Source = whole
    if not path.is_dir():
        source = WithPictures(Folder(storage, storage.key_of(path), name=str(path)), whole)
    engine.progress.start("reading labels", None, "pictures")

    def measured(picture: str) -> tuple[int, int]:
        engine.progress.advance()
        return size_of(source, picture)

    try:
        read = read_labels(source, size_of=measured)
    finally:
        engine.progress.finish()
    sides = [side for side in read.sides if side.split != _LEARNED_FROM] or list(read.sides)
    notes = [f"{failed.input_id} left out: {failed.reason}" for failed in read.failures]
    if len(sides) < len(read.sides):
        notes.append(f"the side to train on of {path} was left out")
    if read.missing:
        notes.append(f"left out: {counted(len(read.missing), 'labelled picture')} that {path} does not hold")

    def key_of(place: str) -> str:
        return whole.key_of(place if path.is_dir() else place.removeprefix(_BESIDE))

    frames, boxes, failed = _frames(engine, key_of, whole.key_of("").rstrip("/"), sides)
    if failed:
        notes.append(f"left out: {counted(failed, 'picture')} that cannot be read")
    if not frames:
        raise MissingInputError(f"none of the labelled pictures of {path} is there", hint="name another folder")
    return set_of(frames, boxes, "folder", str(path), missing=len(read.missing) + failed, notes=notes)


def _frames(
    engine: Engine, key_of: Callable[[str], str], below: str, sides: list[Side]
) -> tuple[list[Frame], dict[str, list[TruthBox]], int]:
    """The frames, their boxes by frame id, and how many pictures could not be read.

    Raises:
        DamagedInputError: the pictures of one content are labelled in several ways.
    """
    registry = registered_classes(engine)
    keys = {key_of(place) for side in sides for place in side.pictures.values()}
    found, failures = pictures.register(engine, sorted(keys), below=below)
    with engine.database.read() as connection:
        files = footage.files_by_key(connection, keys)
    frames = {frame.id: frame for frame in found}
    boxes: dict[str, list[TruthBox]] = {}
    for side in sides:
        by_image = side.dataset.by_image()
        for image in side.dataset.images:
            place = side.pictures.get(image.file_name)
            file = None if place is None else files.get(key_of(place))
            if file is None or file.frame_id not in frames:
                continue
            mine = [
                TruthBox(_name(side.dataset.categories.name_of(row.category_id), registry), row.xywh, row.iscrowd)
                for row in by_image[image.id]
            ]
            if boxes.setdefault(file.frame_id, mine) != mine:
                raise DamagedInputError(
                    f"{place} is the same picture as another one that is labelled otherwise",
                    hint="keep one of the two",
                )
    return [frame for frame_id, frame in frames.items() if frame_id in boxes], boxes, len(failures)


def _name(label: str, registry: ClassRegistry) -> str:
    return registry.now(label) if label in registry else label
