"""A file of pre-annotations -> the boxes that each frame of an upload begins with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_engine.app.annotation.preannotate import OUTPUT
from data_engine.app.engine import Engine
from data_engine.errors import DamagedInputError
from data_engine.formats.coco_index import IndexedCoco, index_coco
from data_engine.lineage import footage, models
from data_engine.stages.export import dataset_name
from data_engine.stages.preannotate import box_of
from data_engine.stages.probes import with_probe
from data_engine.types import Box, ClassRegistry, Frame, Probe, content_id
from data_engine.words import counted

_ID_LENGTH = 32
"""Characters of an id in lineage, as :func:`~data_engine.types.content_id` makes them."""


class FileProposals(Mapping[str, tuple[Box, ...]]):
    """Proposals by the frames' names in tasks, read from their file frame by frame.

    Every box has an id, so that it can be followed, also one of a file from elsewhere: a box without an id, with one
    that a box before it carries already, or with one that is longer than lineage's own gets an id of its content.

    Args:
        file: the pre-annotations.
        images: the number of the image there, by the frame's name in tasks; in the file's order.
        labels: of the boxes that are proposed; others are of classes that nobody is offered any more.
    """

    def __init__(self, file: IndexedCoco, images: Mapping[str, int], labels: Collection[str]) -> None:
        self._file, self._images, self._labels = file, images, labels
        self._probes: Mapping[str, Probe] = {}
        self._last: tuple[str, tuple[Box, ...]] = ("", ())
        # The number of a text is enough: two that share one by chance only get another id.
        seen: set[int] = set()
        self._repeated: set[tuple[str, int]] = set()
        for name in images:
            for index, box in enumerate(self._as_written(name)):
                identity = hash(box.proposal_id)
                if box.proposal_id is not None and identity in seen:
                    self._repeated.add((name, index))
                seen.add(identity)

    def keep(self, names: Iterable[str]) -> None:
        """Leave out all frames but these."""
        self._images = {name: self._images[name] for name in names if name in self._images}

    def show(self, probes: Mapping[str, Probe]) -> None:
        """Have these probes stand among the proposals, by frame name."""
        self._probes, self._last = probes, ("", ())

    def __getitem__(self, name: str) -> tuple[Box, ...]:
        if self._last[0] != name:
            boxes = self._with_ids(name)
            if name in self._probes:
                boxes = with_probe(boxes, self._probes[name])
            self._last = name, boxes
        return self._last[1]

    def __contains__(self, name: object) -> bool:
        return name in self._images

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)

    def _as_written(self, name: str) -> list[Box]:
        annotations = self._file.annotations_of(self._images[name])
        boxes = (box_of(annotation, self._file.categories) for annotation in annotations)
        return [box for box in boxes if box.label in self._labels]

    def _with_ids(self, name: str) -> tuple[Box, ...]:
        told: list[Box] = []
        for index, box in enumerate(self._as_written(name)):
            identity = box.proposal_id
            if identity is None or len(identity) > _ID_LENGTH or (name, index) in self._repeated:
                identity = content_id("proposal", "file", name, box.label, repr(box.xywh), index)
            told.append(replace(box, proposal_id=identity))
        return tuple(told)


def proposals_of(
    engine: Engine, given: Path | None, registry: ClassRegistry, listed: Sequence[Frame]
) -> tuple[FileProposals | None, str | None, list[str]]:
    """The proposals for these frames, the model that made them, and remarks.

    Args:
        given: the file; else the workspace's own, and None where there is none yet.

    Raises:
        MissingInputError: the given file is not there.
        DamagedInputError: it is damaged, or made of other frames.
    """
    if given is None and not engine.storage.exists(OUTPUT):
        return None, None, []
    key = engine.require(given, OUTPUT, hint="run first: dataengine preannotate")
    file = index_coco(engine.storage.read_bytes(key), name=engine.shown(key), registry=registry.ever)
    names = {frame.id: dataset_name(frame) for frame in listed}
    # A file from elsewhere knows the picture's own name only.
    by_file = {name: task_name for f in listed for name, task_name in ((f.name, names[f.id]), (names[f.id],) * 2)}
    sizes = {names[frame.id]: (frame.width, frame.height) for frame in listed}
    found: dict[str, int] = {}
    strange: list[tuple[str, str | None]] = []
    for image in file.images:
        frame_id = image.extra.get("frame_id")
        name = names.get(str(frame_id)) or by_file.get(image.file_name)
        if name is None:
            strange.append((image.file_name, None if frame_id is None else str(frame_id)))
        elif sizes[name] != (image.width, image.height):
            width, height = sizes[name]
            raise DamagedInputError(
                f"{engine.shown(key)}: image {image.file_name!r} is {image.width} x {image.height} pixels there, "
                f"but the frame is {width} x {height}: the boxes would not fit"
            )
        else:
            found[name] = image.id
    notes = list(file.repairs.sentences)
    if strange:
        ids = [frame_id for _name, frame_id in strange if frame_id is not None]
        with engine.database.read() as connection:
            known = footage.frames_by_id(connection, ids)
        unknown = [name for name, frame_id in strange if frame_id not in known]
        if unknown:
            raise DamagedInputError(
                f"{engine.shown(key)}: image {unknown[0]!r} is not among the frames",
                hint="name the frames it was made of",
            )
        notes.append(f"{counted(len(strange), 'image')} of the pre-annotations not among the frames of this upload")
    model = file.info.get("model")
    if model is not None:
        with engine.database.read() as connection:
            if models.by_id(connection, str(model)) is None:
                notes.append(f"the model {model} that made the proposals is not registered here")
                model = None
    return FileProposals(file, found, registry.offered.names), None if model is None else str(model), notes
