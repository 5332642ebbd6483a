"""Hunting a class by example among the crops of the frames."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.models.models import OpenedModel, registered_classes
from data_engine.app.selection.crops import crops_name, describe_missing, unpacked
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import datasets, embeddings, footage
from data_engine.types import Frame

if TYPE_CHECKING:
    from data_engine.formats.crops import Crops
    from data_engine.ports import Embedder, UInt8Array
    from data_engine.selection.hunting import Examples, Hunted

_LEAST_PX = 4
_TYPICAL_PARTS = 64
"""Column files, evenly spread, whose crops tell what is typical."""


def examples_of(engine: Engine, like: Sequence[str], hunt: Sequence[str]) -> Examples:
    """The boxes that were given by hand, and accepted ones of these classes, each with its mirror image.

    Args:
        engine: where the accepted boxes are: in the newest dataset version.
        like: boxes of pictures, ``gate.jpg:412,96,30,40``; all show the same thing.
        hunt: names of classes; a class of which no box is accepted yet is what the boxes of ``like`` show.

    Raises:
        MissingInputError: a picture is not there; nothing was accepted of a class and no box given.
        UsageError: a box that is not of that form or not inside its picture; an unknown class.
        DamagedInputError: a picture cannot be decoded.
    """
    from data_engine.stages.crops import describe_examples

    embedder = engine.embedder()
    names: list[str] = []
    kinds: list[str] = []
    crops: list[UInt8Array] = []
    for kind, found in (("--like", _given(embedder, like)), *_accepted(engine, embedder, hunt, spared=bool(like))):
        for name, crop in found:
            names.append(name)
            kinds.append(kind)
            crops.append(crop)
    if not crops:
        raise UsageError("nothing is hunted", hint="give an example: --like picture.jpg:x,y,w,h, or --hunt CLASS")
    return describe_examples(names, kinds, crops, embedder)


def _given(embedder: Embedder, like: Sequence[str]) -> Iterator[tuple[str, UInt8Array]]:
    from data_engine.media.images import read_rgb
    from data_engine.stages.filter_settings import parsed_like

    for text in like:
        try:
            picture, (x, y, w, h) = parsed_like(text)
        except ValueError as error:
            raise UsageError(f"--like {error}") from None
        try:
            rgb = read_rgb(Path(picture))
        except MissingInputError:
            raise MissingInputError(
                f"--like {picture} is not there", hint="--like PICTURE:X,Y,W,H takes the path of a picture"
            ) from None
        height, width = rgb.shape[:2]
        if x < 0 or y < 0 or x + w > width or y + h > height:
            raise UsageError(
                f"--like {text}: the box is not inside the picture, which is {width} x {height}",
                hint="give left, top, width and height in pixels",
            )
        if min(w, h) < _LEAST_PX:
            raise UsageError(
                f"--like {text}: of {w:g} x {h:g} pixels nothing can be seen",
                hint=f"an example has at least {_LEAST_PX} pixels a side",
            )
        yield f"{Path(picture).name} {x:g},{y:g},{w:g},{h:g}", _crop(rgb, (x, y, w, h), embedder.side)


def _accepted(
    engine: Engine, embedder: Embedder, hunt: Sequence[str], *, spared: bool
) -> Iterator[tuple[str, Iterator[tuple[str, UInt8Array]]]]:
    """The classes with their accepted examples; with ``spared`` one that has none is no error."""
    classes = registered_classes(engine)
    for name in dict.fromkeys(hunt):
        if name not in classes:
            near = difflib.get_close_matches(name, classes.names, n=1)
            known = f"known are {', '.join(classes.names) or 'none'}"
            raise UsageError(f"there is no class {name!r}", hint=f"did you mean {near[0]!r}?" if near else known)
        found = list(_accepted_of(engine, embedder, name, classes.id_of(name)))
        if not found and not spared:
            raise MissingInputError(
                f"no box of {name} is accepted yet, so nothing shows what it looks like",
                hint="give an example: --like picture.jpg:x,y,w,h",
            )
        yield name, iter(found)


def _accepted_of(engine: Engine, embedder: Embedder, name: str, category_id: int) -> Iterator[tuple[str, UInt8Array]]:
    from data_engine.media.images import read_rgb
    from data_engine.selection.hunting import MOST_EXAMPLES

    with engine.database.read() as connection:
        version = datasets.latest(connection)
        if version is None:
            return
        boxes = datasets.boxes_of_class(connection, version.number, category_id, MOST_EXAMPLES)
        frames = footage.frames_by_id(connection, {box.frame_id for box in boxes})
    for box in boxes:
        frame = frames[box.frame_id]
        try:
            rgb = read_rgb(engine.storage.path(frame.key), name=frame.key)
        except (DamagedInputError, MissingInputError):
            # The others show what it looks like.
            continue
        yield f"{name} in {frame.name}", _crop(rgb, box.xywh, embedder.side)


def _crop(rgb: UInt8Array, xywh: tuple[float, float, float, float], side: int) -> UInt8Array:
    import numpy as np

    from data_engine.media.crops import square_crops

    x, y, w, h = xywh
    return square_crops(rgb, np.array([[x, y, x + w, y + h]]), side)[0]


def hunted(engine: Engine, frames: Sequence[Frame], opened: OpenedModel | None, examples: Examples) -> Hunted:
    """How much each frame looks like the examples, by the best of its crops.

    Looked at are the model's 32 best boxes of a frame, down to the floor score, and 8 moving regions before a static
    camera; without a model these alone.  What a crop looks like is stored, so that a second hunt reads no picture.  A
    frame that cannot be read looks like nothing.

    Args:
        engine: whose embedder compares.
        frames: the frames, in any order; what moves is found by comparing those of one video with one another.
        opened: the model, or None when there is none yet.
        examples: what is hunted.

    Raises:
        DamagedInputError: a column file is damaged; deleted, its crops are described anew.
    """
    import numpy as np

    from data_engine.selection.hunting import Hunted, Hunter, Typical, ranked

    embedder = engine.embedder()
    name = crops_name(embedder.name, opened)
    describe_missing(engine, frames, opened)
    with engine.database.read() as connection:
        places = embeddings.places(connection, name, [frame.id for frame in frames])
    by_part: dict[str, list[int]] = {}
    for number, frame in enumerate(frames):
        if frame.id in places:
            by_part.setdefault(places[frame.id][0], []).append(number)

    def stored(part: str) -> Crops:
        return unpacked(engine, part, {frames[number].id: places[frames[number].id][1] for number in by_part[part]})

    typical = Typical(embedder.dimension)
    for part in list(by_part)[:: max(1, len(by_part) // _TYPICAL_PARTS)]:
        typical.add(stored(part).vectors())
    likeness = np.full(len(frames), np.nan)
    box = np.full((len(frames), 4), np.nan, np.float32)
    example = np.full(len(frames), -1, np.int64)
    hunter = Hunter(typical, examples)
    engine.progress.start("hunting", len(frames), "frames")
    for part, numbers in by_part.items():
        rows = [places[frames[number].id][1] for number in numbers]
        crops = stored(part)
        alike, boxes, nearest = hunter.best_of_frames(crops.vectors(), crops.xyxy, crops.offsets)
        likeness[numbers], box[numbers], example[numbers] = alike[rows], boxes[rows], nearest[rows]
        engine.progress.advance(len(numbers))
    engine.progress.finish()
    return Hunted(tuple(frame.id for frame in frames), ranked(likeness), box, example, examples.names)
