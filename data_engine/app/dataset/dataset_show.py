"""``dataset show``: what a version holds, and who had a hand in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from data_engine.app.dataset.dataset_log import made_by
from data_engine.app.dataset.dataset_stats import side_order, summed
from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.dataset.difference import class_name
from data_engine.app.dataset.version_files import FOLDER, sides_written
from data_engine.app.engine import Engine
from data_engine.lineage import classes, tombstones, version_counts, version_history
from data_engine.lineage import models as known_models
from data_engine.lineage.database import Connection
from data_engine.lineage.version_counts import ClassGroup, FrameGroup, HandGroup
from data_engine.types import ClassRegistry, DatasetVersion, Report
from data_engine.words import counted

_NOBODY = "nobody known"


def show(engine: Engine, version: str | None = None) -> Report:
    """Tell what a version holds, the newest unless one is named.

    Raises:
        MissingInputError: there is no such version.
    """
    with engine.database.read() as connection:
        found = version_named(connection, version)
        records = {record.version.id: record for record in version_history.records(connection)}
        newest = max(record.version.number for record in records.values())
        registry = classes.registry_at(connection, found.number)
        frames = version_counts.frame_groups(connection, found.number)
        of_class = version_counts.class_groups(connection, found.number)
        hands = version_counts.hand_groups(connection, found.number)
        models = _models(connection, {hand.model_id for hand in hands if hand.model_id is not None})
        trained = version_counts.trained_on(connection, found.id)
        purged = tombstones.taken_from(tombstones.known(connection)).get(found.number)
        sides = sides_written(connection, found.number) if found.number == newest else ()
    record = records[found.id]
    parent = records.get(found.parent_id or "")
    files = _files(engine, found, sides)
    notes = []
    if purged is not None:
        notes.append(f"{counted(purged[0], 'frame')} with {counted(purged[1], 'box')} of it were purged since")
    if any(not row["there"] for row in files):
        notes.append(f"files of the version are not there: dataengine dataset verify {found.label}")
    return Report(
        title=f"dataset version {found.label}: {counted(found.frames, 'frame')}, {counted(found.boxes, 'box')}",
        data={
            "version": found.label,
            "version_id": found.id,
            "parent": None if parent is None else parent.version.label,
            "made": record.created_at,
            "by": made_by(record),
            "run": record.run_id,
            "frames": found.frames,
            "boxes": found.boxes,
            "settings": record.settings,
        },
        tables={
            "classes": _classes(registry, of_class),
            "sides": _frames("side", frames, "split", side_order),
            "cameras": _frames("camera", frames, "camera", str),
            "annotators": _hands("annotator", hands, lambda hand: hand.annotator or _NOBODY),
            "reviewers": _hands("reviewer", hands, lambda hand: hand.reviewer or _NOBODY),
            "proposed_by": _hands("model", hands, lambda hand: models.get(hand.model_id or "", "drawn by people")),
            "proposals": _hands("change", hands, lambda hand: hand.change),
            "models_trained_on_it": [
                {"model": m, "kind": kind, "weights": engine.shown(key)} for m, kind, key in trained
            ],
            "files": files,
        },
        notes=tuple(notes),
    )


def _models(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """How models are called: kind and the beginning of the id."""
    found = {model_id: known_models.by_id(connection, model_id) for model_id in sorted(ids)}
    return {model_id: f"{model.kind} {model_id[:8]}" if model else model_id for model_id, model in found.items()}


def _classes(registry: ClassRegistry, groups: Iterable[ClassGroup]) -> list[Mapping[str, Any]]:
    frames: Counter[int] = Counter({category.id: 0 for category in registry})
    boxes: Counter[int] = Counter()
    for group in groups:
        frames[group.category_id] += group.frames
        boxes[group.category_id] += group.boxes
    return [
        {"class": class_name(registry, number), "frames": frames[number], "boxes": boxes[number]}
        for number in sorted(frames, key=lambda number: (-boxes[number], number))
    ]


def _frames(
    title: str, groups: Iterable[FrameGroup], name: str, order: Callable[[str], Any]
) -> list[Mapping[str, Any]]:
    sums = summed(groups, (name,))
    return [{title: key, **sums[key,].columns()} for (key,) in sorted(sums, key=lambda found: order(found[0]))]


def _hands(title: str, groups: Iterable[HandGroup], name: Callable[[HandGroup], str]) -> list[Mapping[str, Any]]:
    boxes: Counter[str] = Counter()
    for group in groups:
        boxes[name(group)] += group.boxes
    return [{title: key, "boxes": boxes[key]} for key in sorted(boxes, key=lambda key: (-boxes[key], key))]


def _files(engine: Engine, version: DatasetVersion, sides: Sequence[str]) -> list[Mapping[str, Any]]:
    """The version's own file and, of the newest, those of its sides."""
    keys = [version.key, *(f"{FOLDER}/{side}.json" for side in sides)]
    there = [engine.storage.exists(key) for key in keys]
    return [
        {"file": engine.shown(key), "there": is_there, "bytes": engine.storage.size(key) if is_there else None}
        for key, is_there in zip(keys, there, strict=True)
    ]
