"""The files of a dataset version: what people and tools read of what lineage knows."""

from __future__ import annotations

from pathlib import PurePosixPath

from data_engine.app.engine import Engine
from data_engine.lineage import datasets, footage
from data_engine.stages.export import VersionFrame, dataset_name, version_coco
from data_engine.types import Annotation, ClassRegistry, DatasetVersion, Split

FOLDER = "master_dataset"
SIDES: tuple[Split, ...] = ("train", "valid")


def is_written(engine: Engine, version: DatasetVersion) -> bool:
    """Whether the version's files were all written: its own is the last of them."""
    return engine.storage.exists(version.key)


def write_version(engine: Engine, version: DatasetVersion, target: str, registry: ClassRegistry) -> dict[str, int]:
    """Write the version's files.  Its own is written once, for a version never changes; the sides' files are the newest
    version's.  A kill between a record and its files may have left older versions without theirs: they get them too.

    Returns:
        frames on each side of the split.
    """
    from data_engine.formats.coco import write_coco

    storage = engine.storage
    with engine.database.read() as connection:
        older = [known for known in datasets.versions(connection) if known.number < version.number]
    for known in older:
        if not is_written(engine, known):
            held = version_frames(engine, known.number)
            storage.write_bytes(known.key, write_coco(version_coco(known, held, registry)))
    entries = version_frames(engine, version.number)
    for side in SIDES:
        key, data = f"{FOLDER}/{side}.json", write_coco(version_coco(version, entries, registry, side=side))
        if not storage.exists(key) or storage.read_bytes(key) != data:
            storage.write_bytes(key, data)
    if not is_written(engine, version):
        storage.write_bytes(version.key, write_coco(version_coco(version, entries, registry)))
    if target != version.key:
        storage.write_bytes(target, storage.read_bytes(version.key))
        beside = PurePosixPath(target).parent.as_posix()
        for side in SIDES:
            if beside != FOLDER:
                storage.write_bytes(f"{beside}/{side}.json", storage.read_bytes(f"{FOLDER}/{side}.json"))
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.split] = counts.get(entry.split, 0) + 1
    return counts


def version_frames(engine: Engine, number: int) -> list[VersionFrame]:
    """The frames of a version with their boxes."""
    with engine.database.read() as connection:
        held = datasets.frames_of(connection, number)
        boxes: dict[str, list[Annotation]] = datasets.boxes_of(connection, number)
        frames = footage.frames_by_id(connection, held)
        videos = footage.videos_by_id(connection, {f.video_id for f in frames.values() if f.video_id is not None})
    return [
        VersionFrame(
            frames[frame_id],
            entry.split,
            boxes.get(frame_id, ()),
            videos[video_id].name if (video_id := frames[frame_id].video_id) is not None else None,
        )
        for frame_id, entry in sorted(held.items(), key=lambda item: dataset_name(frames[item[0]]))
    ]
