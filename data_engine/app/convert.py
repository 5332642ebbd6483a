"""``convert``: a dataset version -> training folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from data_engine.app.engine import Engine
from data_engine.app.export import FOLDER as DATASETS
from data_engine.app.models import registered_classes
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import footage
from data_engine.types import Failed, Report

if TYPE_CHECKING:
    from data_engine.formats.coco import CocoDataset, CocoImage

FOLDER = "final_labels"
SPLITS = ("train", "valid")
VERSION_FILE = "dataset_version.json"
"""Beside ``train/`` and ``valid/``: which version they hold, for the model that is trained on them."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One side of a dataset, to be written into one folder."""

    dataset: CocoDataset
    split: str
    kind: str
    root: str
    """Storage key of the folder that holds ``train/`` and ``valid/``."""


def convert(
    engine: Engine, *, input: Path | None = None, output: Path | None = None, images: Path | None = None
) -> Report:
    """Write training folders from ``train.json`` and ``valid.json``, or from the one COCO file that is named.

    Args:
        output: the split's own folder (``…/yolo/train``), or the folder that holds the splits.
        images: where the pictures are, when they are not where the dataset says.

    Raises:
        MissingInputError: there is no dataset yet.
        UsageError: it cannot be told which side of the split a file is.
    """
    from data_engine.stages import convert as stage

    settings = engine.settings.convert
    writers = {"yolo": stage.convert_yolo, "rfdetr": stage.convert_rfdetr}
    parts = _parts(engine, input, output, settings.format)
    find = _finder(engine, [part.dataset for part in parts], images, input)
    rows: list[dict[str, Any]] = []
    failures: list[Failed] = []
    notes: list[str] = []
    inputs = [f"{part.kind} {part.split} {part.dataset.info.get('id', '')}" for part in parts]
    with engine.runner.run(
        "convert", stage.VERSION, settings, inputs=inputs, scope=sorted({part.root for part in parts})
    ) as run:
        for part in parts:
            done = writers[part.kind](
                part.dataset,
                part.split,
                storage=engine.storage,
                root=part.root,
                find_picture=find,
                progress=engine.progress,
                copy_pictures=settings.copy_pictures,
            )
            rows.append(
                {
                    "format": part.kind,
                    "split": part.split,
                    "images": done.images,
                    "boxes": done.boxes,
                    "backgrounds": done.backgrounds,
                    "missing_pictures": done.missing,
                    "crowds_dropped": done.crowds_dropped,
                    "folder": engine.shown(f"{part.root}/{part.split}"),
                }
            )
            if done.missing:
                listed = ", ".join(done.missing_names[:3])
                failures.append(
                    Failed(f"{part.root}/{part.split}", f"{done.missing} pictures were not found ({listed} …)")
                )
            notes += part.dataset.repairs.sentences
            _describe(engine, part)
        with engine.database.write() as connection:
            engine.runner.finish_input(connection, run, inputs)
    boxes = sum(row["boxes"] for row in rows)
    return Report(
        title=f"converted {len(rows)} parts: {sum(row['images'] for row in rows)} images, {boxes} boxes",
        data={"parts": len(rows)},
        rows=tuple(rows),
        notes=tuple(dict.fromkeys(notes)),
        failures=tuple(failures),
        next="dataengine retrain",
    )


def _parts(engine: Engine, given: Path | None, output: Path | None, wanted: str) -> list[_Part]:
    from data_engine.formats.coco import read_coco

    registry = registered_classes(engine) or None
    kinds = ("yolo", "rfdetr") if wanted == "all" else (wanted,)
    keys = [f"{DATASETS}/{split}.json" for split in SPLITS] if given is None else [engine.storage.key_of(given)]
    parts: list[_Part] = []
    for key in keys:
        if not engine.storage.exists(key):
            raise MissingInputError(f"{given or engine.shown(key)} is not there", hint="run first: dataengine export")
        dataset = read_coco(engine.storage.read_bytes(key), name=engine.shown(key), registry=registry)
        for split, side in _sides(dataset, key, output):
            parts += [_Part(side, split, kind, _root(engine, output, kind, wanted, split)) for kind in kinds]
    return parts


def _sides(dataset: CocoDataset, key: str, output: Path | None) -> list[tuple[str, CocoDataset]]:
    """The file as it is, on the side that it says, or both sides of a file that holds the whole version."""
    named = [output.name if output is not None else None, dataset.info.get("split"), PurePosixPath(key).stem]
    split = next((name for name in named if name in SPLITS), None)
    if split is not None:
        return [(split, dataset)]
    present = {image.extra.get("split") for image in dataset.images} & set(SPLITS)
    if not present:
        raise UsageError(
            f"{key} does not say whether it is for training or validation", hint="end --output with /train or /valid"
        )
    return [(side, _only(dataset, side)) for side in SPLITS]


def _only(dataset: CocoDataset, side: str) -> CocoDataset:
    images = tuple(image for image in dataset.images if image.extra.get("split") == side)
    ids = {image.id for image in images}
    return replace(dataset, images=images, annotations=tuple(a for a in dataset.annotations if a.image_id in ids))


def _root(engine: Engine, output: Path | None, kind: str, wanted: str, split: str) -> str:
    if output is None:
        return f"{FOLDER}/{kind}"
    base = output.parent if output.name == split else output
    return engine.storage.key_of(base / kind if wanted == "all" else base)


def _finder(
    engine: Engine, datasets: Iterable[CocoDataset], images: Path | None, given: Path | None
) -> Callable[[CocoImage], str | None]:
    """Where a picture is: in the named folder, else where the dataset or lineage says, else beside the file."""
    storage = engine.storage
    ids = {str(i.extra["frame_id"]) for dataset in datasets for i in dataset.images if "frame_id" in i.extra}
    with engine.database.read() as connection:
        known = {frame.id: frame.key for frame in footage.frames_by_id(connection, ids).values()}
    beside = [] if given is None else [given.parent, given.parent / "images"]
    folders = [storage.key_of(folder) for folder in ([images] if images is not None else beside)]

    def find(image: CocoImage) -> str | None:
        here = [image.file_name if folder == "." else f"{folder}/{image.file_name}" for folder in folders]
        said = [known.get(str(image.extra.get("frame_id"))), image.extra.get("key")]
        # A folder that was named is where the pictures are; one that was only guessed comes last.
        order = [*here, *said] if images is not None else [*said, *here]
        return next((key for key in order if isinstance(key, str) and storage.exists(key)), None)

    return find


def _describe(engine: Engine, part: _Part) -> None:
    info = {name: part.dataset.info[name] for name in ("version", "id") if name in part.dataset.info}
    key = f"{part.root}/{VERSION_FILE}"
    if info:
        engine.storage.write_bytes(key, json.dumps(info, sort_keys=True).encode() + b"\n")
    else:
        # What is there now is not the version that was there before.
        engine.storage.delete(key)
