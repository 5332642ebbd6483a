"""``convert``: a dataset version -> training folders, or folders for other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from data_engine.app.dataset.convert_sides import SPLITS, read_file, sides_of
from data_engine.app.dataset.training_data import VERSION_FILE, describe, described
from data_engine.app.dataset.version_files import FOLDER as DATASETS
from data_engine.app.dataset.version_files import finish_files
from data_engine.app.engine import Engine, present
from data_engine.app.models.models import registered_classes
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import footage
from data_engine.types import ClassRegistry, Failed, Report
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.formats.coco import CocoDataset, CocoImage
    from data_engine.stages.convert import Converted

FOLDER = "final_labels"
TRAINED = ("yolo", "rfdetr")
"""The formats that a trainer reads; the others are for other tools."""
_OF_VERSION = ("version", "id")
"""What is written down of the version that a folder holds, for the model that is trained on it."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One side of a dataset, to be written into one folder."""

    dataset: CocoDataset
    split: str
    kind: str
    root: str
    """Storage key of the folder that holds ``train/`` and ``valid/``."""
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    """Pictures of the same file that are for neither side, by what it says of them."""


def convert(
    engine: Engine, *, input: Path | None = None, output: Path | None = None, images: Path | None = None
) -> Report:
    """Write training folders from ``train.json`` and ``valid.json``, or from the one COCO file that is named.

    Where the named file is one side of a dataset version and the other side lies beside it, both are written.

    Args:
        output: the split's own folder (``…/yolo/train``), or the folder that holds the splits.
        images: where the pictures are, when they are not where the dataset says.

    Raises:
        MissingInputError: there is no dataset yet.
        DamagedInputError: its two sides are not of the same version.
        UsageError: it cannot be told which side of the split a file is.
    """
    from data_engine.stages import convert as stage
    from data_engine.stages import convert_xml

    settings = engine.settings.convert
    writers = {
        "yolo": stage.convert_yolo,
        "rfdetr": stage.convert_rfdetr,
        "voc": convert_xml.convert_voc,
        "cvat": convert_xml.convert_cvat,
    }
    finish_files(engine)
    parts = _parts(engine, input, output, settings.format)
    find = _finder(engine, [part.dataset for part in parts], images, input)
    rows: list[dict[str, Any]] = []
    failures: list[Failed] = []
    notes: list[str] = []
    inputs = [f"{part.kind} {part.split} {part.dataset.info.get('id', '')}" for part in parts]
    with engine.runner.run(
        "convert", stage.VERSION, settings, inputs=inputs, scope=sorted({part.root for part in parts})
    ) as run:
        held = {part.root: _held(part) for part in parts}
        for root, version in held.items():
            # While it is written, a folder holds no version whole.
            if _told(engine, root) != version:
                engine.storage.delete(f"{root}/{VERSION_FILE}")
            sides = {part.split: part.dataset for part in parts if part.root == root}
            if len(sides) == len(SPLITS) and next(part.kind for part in parts if part.root == root) in TRAINED:
                stage.forget_numbering(engine.storage, root, sides[SPLITS[0]].categories.names)
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
                    "turned_dropped": done.turned_dropped,
                    "folder": engine.shown(f"{part.root}/{part.split}"),
                }
            )
            if done.missing:
                listed = ", ".join(done.missing_names[:3]) + (" …" if done.missing > 3 else "")
                failures.append(
                    Failed(f"{part.root}/{part.split}", f"{counted(done.missing, 'picture')} not found ({listed})")
                )
            notes += part.dataset.repairs.sentences
            if part.elsewhere:
                said = ", ".join(f"{name} {number}" for name, number in sorted(part.elsewhere.items()))
                count = counted(sum(part.elsewhere.values()), "picture")
                notes.append(f"{count} for neither training nor validation left out: {said}")
            notes += _remarks(done, engine.shown(f"{part.root}/{part.split}"))
        with engine.database.write() as connection:
            engine.runner.finish_input(connection, run, inputs)
        # The notes come last, that of the kind that is trained after the other: who reads it takes all for finished.
        ordered = sorted(parts, key=lambda part: part.kind == engine.settings.retrain.kind)
        for root in dict.fromkeys(part.root for part in ordered):
            describe(engine, root, held[root])
    kind = engine.settings.retrain.kind
    trained_on = next((part.root for part in parts if part.kind == kind), parts[0].root)
    return Report(
        title=_title(rows),
        data={"parts": len(rows)},
        rows=tuple(rows),
        notes=(*dict.fromkeys(notes), *(["name the folder of the pictures with --images"] if failures else [])),
        failures=tuple(failures),
        next=engine.typed("retrain", data=None if trained_on == f"{FOLDER}/{kind}" else trained_on)
        if parts[0].kind in TRAINED
        else "",
    )


def _remarks(done: Converted, folder: str) -> list[str]:
    """What was done to the boxes and files of one folder."""
    said = (
        (done.clipped, f"{folder}: {counted(done.clipped, 'box')} cut to the picture"),
        (done.outside, f"{folder}: {counted(done.outside, 'box')} left out, wholly outside the picture"),
        (done.removed, f"{folder}: {counted(done.removed, 'file')} of an earlier conversion removed"),
    )
    return [text for number, text in said if number]


def _title(rows: Sequence[Mapping[str, Any]]) -> str:
    kinds = list(dict.fromkeys(row["format"] for row in rows))
    # Every format holds the same.
    sides = [row for row in rows if row["format"] == kinds[0]]
    said = [f"{row['split']} {counted(row['images'], 'image')}, {counted(row['boxes'], 'box')}" for row in sides]
    return f"converted to {' and '.join(kinds)}: {'; '.join(said)}"


def _parts(engine: Engine, given: Path | None, output: Path | None, wanted: str) -> list[_Part]:
    registry = registered_classes(engine) or None
    kinds = TRAINED if wanted == "all" else (wanted,)
    keys = [f"{DATASETS}/{split}.json" for split in SPLITS] if given is None else [engine.storage.key_of(given)]
    parts: list[_Part] = []
    for key in keys:
        if not engine.storage.exists(key):
            raise MissingInputError(f"{given or engine.shown(key)} is not there", hint="run first: dataengine export")
        name = engine.shown(key)
        dataset = read_file(engine, key, registry)
        sides, elsewhere = sides_of(dataset, name, output)
        for split, side in sides:
            parts += [_Part(side, split, kind, _root(engine, output, kind, wanted, split), elsewhere) for kind in kinds]
    other = _other_side(engine, keys[0], parts[0], registry) if given is not None and len(parts) == len(kinds) else None
    if other is not None:
        parts += [replace(part, dataset=other, split=other.info["split"]) for part in parts]
    if len({part.dataset.info.get("id") for part in parts}) > 1:
        raise DamagedInputError(
            f"{' and '.join(map(engine.shown, keys))} are not of the same dataset version",
            hint="run first: dataengine export",
        )
    return parts


def _other_side(engine: Engine, key: str, there: _Part, registry: ClassRegistry | None) -> CocoDataset | None:
    """The other side of the same version, when its file lies beside this side's own.

    A training folder is of use only with both sides, and must not hold one of this version and one of an older.
    """
    info = there.dataset.info
    (other,) = set(SPLITS) - {there.split}
    pure = PurePosixPath(key)
    beside = str(pure.with_name(f"{other}.json"))
    if pure.name != f"{there.split}.json" or "id" not in info or not engine.storage.exists(beside):
        return None
    dataset = read_file(engine, beside, registry)
    return dataset if (dataset.info.get("id"), dataset.info.get("split")) == (info["id"], other) else None


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
    if images is not None and not present(images):
        raise MissingInputError(f"{images} is not there", hint="name the folder of the pictures with --images")
    beside = [] if given is None else [given.parent, given.parent / "images"]
    folders = [storage.key_of(folder) for folder in ([images] if images is not None else beside)]

    def find(image: CocoImage) -> str | None:
        here = [image.file_name if folder == "." else f"{folder}/{image.file_name}" for folder in folders]
        said = [known.get(str(image.extra.get("frame_id"))), image.extra.get("key")]
        # A folder that was named is where the pictures are; one that was only guessed comes last.
        order = [*here, *said] if images is not None else [*said, *here]
        return next((key for key in order if isinstance(key, str) and storage.exists(key)), None)

    return find


def converted_version(engine: Engine, folder: str) -> str | None:
    """Id of the dataset version that a training folder holds; None for data from elsewhere.

    Raises:
        DamagedInputError: somebody changed what ``convert`` wrote down about it.
    """
    return described(engine, folder).get("id")


def _told(engine: Engine, root: str) -> dict[str, str] | None:
    """Which version a folder holds, as it was written down; None where that cannot be read."""
    try:
        return {name: value for name, value in described(engine, root).items() if name in _OF_VERSION}
    except DamagedInputError:
        return None


def _held(part: _Part) -> dict[str, str]:
    """What is written down of a folder with this part; nothing for data from elsewhere."""
    return {name: part.dataset.info[name] for name in _OF_VERSION if name in part.dataset.info}
