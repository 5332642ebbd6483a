"""What a purge would take and took, as people are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.lineage_find import meant
from data_engine.app.purge_files import Swept
from data_engine.errors import MissingInputError
from data_engine.lineage import purging, tombstones
from data_engine.lineage.database import Connection
from data_engine.lineage.purging import Source, TaskPart
from data_engine.lineage.tombstones import SourceKind, Tombstone
from data_engine.types import Report, content_id
from data_engine.words import counted, listed

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes with a source."""

    kind: SourceKind
    target: str
    source: Source
    versions: Mapping[int, tuple[int, int]]
    """Frames and boxes that each version holds of it."""
    models: tuple[str, ...]
    tasks: tuple[TaskPart, ...]
    pictures: int
    """Files with its pictures that are on record."""
    videos: tuple[str, ...]
    """Keys of its videos."""
    look_alikes: tuple[str, ...]

    @property
    def id(self) -> str:
        return content_id("tombstone", self.kind, self.target, *self.source.frames, *self.source.videos)

    def rows(self) -> tuple[dict[str, object], ...]:
        told: list[dict[str, object]] = [
            {"what": "frames", "number": len(self.source.frames)},
            {"what": "files with their pictures", "number": self.pictures},
            {"what": "videos", "number": len(self.source.videos)},
            {"what": "annotation tasks", "number": len(self.tasks)},
        ]
        told += [
            {"what": f"frames of v{number}", "number": frames, "boxes": boxes}
            for number, (frames, boxes) in self.versions.items()
        ]
        return tuple(told)


def plan_of(engine: Engine, connection: Connection, kind: SourceKind, name: str) -> Plan:
    found = meant(engine, connection, (kind, name), command="purge")
    if tombstones.gone(connection, [found.key]):
        raise MissingInputError(f"{kind} {found.key} was purged already", hint="dataengine dataset log")
    source = purging.source(connection, kind, found.key)
    versions = purging.held_by_versions(connection, source)
    _names, keys = purging.names_and_keys(connection, source)
    return Plan(
        kind,
        found.key,
        source,
        versions,
        tuple(purging.models_trained_on(connection, versions)),
        tuple(purging.tasks_of(connection, source)),
        len(keys),
        tuple(sorted(purging.video_keys(connection, source))),
        tuple(purging.look_alikes(connection, source)),
    )


def summary(plan: Plan) -> str:
    held = f", {counted(max(n for n, _boxes in plan.versions.values()), 'frame')} in versions" if plan.versions else ""
    return f"{counted(len(plan.source.frames), 'frame')} of {counted(len(plan.source.videos), 'video')}{held}"


def remarks(
    engine: Engine, videos: tuple[str, ...], look_alikes: tuple[str, ...], models: tuple[str, ...], originals: bool
) -> tuple[str, ...]:
    notes = []
    outside = [engine.readable(key) for key in videos if key.startswith("@")]
    if outside and not originals:
        notes.append(f"outside the workspace, and not removed without --originals: {listed(outside[:_SHOWN])}")
    if look_alikes:
        notes.append(f"videos that look like it, and are not purged with it: {listed([v[:8] for v in look_alikes])}")
    if models:
        notes.append(f"models that were trained on it, and are not changed: {listed([m[:8] for m in models])}")
    return tuple(notes)


def report(
    engine: Engine,
    stone: Tombstone,
    source: Source,
    detail: Mapping[str, Any],
    swept: Swept,
    removed: Mapping[str, int],
    more: list[str],
) -> Report:
    versions = sorted(int(number) for number in detail["versions"])
    notes = list(remarks(engine, (), tuple(detail["look_alikes"]), tuple(detail["models"]), originals=True))
    for one in detail["elsewhere"]:
        if "file" in one:
            notes.append(
                f"still there, outside the workspace: {engine.readable(one['file'])} (remove it, or --originals)"
            )
        else:
            notes.append(
                f"still on {one['backend']}: task {one['task']}, {counted(len(one['frames']), 'frame')}: "
                f"delete {'the task' if one['whole'] else listed(one['frames'][:_SHOWN])} there"
            )
    return Report(
        title=f"purged {stone.kind} {stone.target}: {counted(len(source.frames), 'frame')}, "
        f"{counted(len(source.videos), 'video')}",
        data={
            "tombstone": stone.id,
            "kind": stone.kind,
            "target": stone.target,
            "frames": len(source.frames),
            "videos": len(source.videos),
            "versions": [f"v{number}" for number in versions],
            "models": list(detail["models"]),
            "files_removed": dict(sorted(swept.removed.items())),
            "files_rewritten": dict(sorted(swept.rewritten.items())),
            "rows_removed": dict(sorted(removed.items())),
            "elsewhere": detail["elsewhere"],
        },
        rows=tuple(
            {"version": f"v{number}", "frames": held["frames"], "boxes": held["boxes"]}
            for number, held in sorted(detail["versions"].items(), key=lambda item: int(item[0]))
        ),
        notes=(*notes, *more),
        failures=tuple(swept.failures),
        next="dataengine convert" if versions else "",
    )
