"""What a purge would take and took, as people are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.lineage.lineage_find import meant
from data_engine.app.lineage.purge_annotation import open_jobs_emptied
from data_engine.app.lineage.purge_files import Swept
from data_engine.errors import MissingInputError
from data_engine.lineage import purge_sources, tombstones
from data_engine.lineage.database import Connection
from data_engine.lineage.purge_sources import Source, TaskPart
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
    same_axis: tuple[str, ...] = ()
    """Ids of other videos that are counted on the time axis of its own."""
    cameras: Mapping[str, int] = field(default_factory=dict)
    """Frames of other cameras that go because their pictures have the same bytes."""
    open_jobs: tuple[str, ...] = ()
    """Jobs that are not accepted and of which nothing is left."""

    def told(self) -> dict[str, Any]:
        """What the tombstone keeps of it, besides the counts of versions; ids of models and videos, names of others."""
        return {
            "models": list(self.models),
            "look_alikes": list(self.look_alikes),
            "same_axis": list(self.same_axis),
            "cameras": dict(self.cameras),
            "open_jobs": list(self.open_jobs),
        }

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
    source = purge_sources.source(connection, kind, found.key)
    versions = purge_sources.held_by_versions(connection, source)
    _names, keys = purge_sources.names_and_keys(connection, source)
    cameras = purge_sources.cameras_of(connection, source)
    own = {found.key} if kind == "camera" else purge_sources.own_cameras(connection, kind, found.key)
    parts = tuple(purge_sources.tasks_of(connection, source))
    return Plan(
        kind,
        found.key,
        source,
        versions,
        tuple(purge_sources.models_trained_on(connection, versions)),
        parts,
        len(keys),
        tuple(sorted(purge_sources.video_keys(connection, source))),
        tuple(purge_sources.look_alikes(connection, source)),
        tuple(purge_sources.on_the_same_axis(connection, source)),
        {camera: number for camera, number in sorted(cameras.items()) if camera not in own},
        tuple(open_jobs_emptied(engine, parts)),
    )


def summary(plan: Plan) -> str:
    held = f", {counted(max(n for n, _boxes in plan.versions.values()), 'frame')} in versions" if plan.versions else ""
    return f"{counted(len(plan.source.frames), 'frame')} of {counted(len(plan.source.videos), 'video')}{held}"


def remarks(
    engine: Engine, told: Mapping[str, Any], videos: tuple[str, ...] = (), originals: bool = True
) -> tuple[str, ...]:
    """What people are to know besides the counts.

    Args:
        engine: the workspace.
        told: as of :meth:`Plan.told`; tombstones of earlier releases have less of it.
        videos: keys of its videos.
        originals: whether those outside the workspace go as well.
    """
    notes = []
    outside = [engine.readable(key) for key in videos if key.startswith("@")]
    if outside and not originals:
        notes.append(f"outside the workspace, and not removed without --originals: {listed(outside[:_SHOWN])}")
    if told["look_alikes"]:
        notes.append(f"videos that look like it, and are not purged with it: {_videos(engine, told['look_alikes'])}")
    if told.get("same_axis"):
        shown = _videos(engine, told["same_axis"])
        notes.append(f"copies, cuts or recordings of nearly the same time, not purged with it: {shown}")
    for camera, number in told.get("cameras", {}).items():
        which = "goes" if number == 1 else "go"
        notes.append(
            f"{counted(number, 'frame')} of camera {camera} {which} with it: the picture is the same to the byte"
        )
    if told.get("open_jobs"):
        shown = listed(told["open_jobs"][:_SHOWN])
        notes.append(f"{counted(len(told['open_jobs']), 'open job')} off the list, for nothing is left in it: {shown}")
    if told["models"]:
        shown = listed([model[:8] for model in told["models"]])
        notes.append(f"models that were trained on it, and are not changed: {shown}")
    return tuple(notes)


def _videos(engine: Engine, ids: Sequence[str]) -> str:
    with engine.database.read() as connection:
        names = purge_sources.names_of_videos(connection, ids)
    return listed([f"{names.get(video, 'video')} ({video[:8]})" for video in ids[:_SHOWN]])


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
    notes = list(remarks(engine, detail))
    found: list[str] = []
    for one in detail["elsewhere"]:
        if "file" in one:
            notes.append(
                f"still there, outside the workspace: {engine.readable(one['file'])} (remove it, or --originals)"
            )
        elif "found" in one:
            found.append(one["found"])
        else:
            notes.append(
                f"still on {one['backend']}: task {one['task']}, {counted(len(one['frames']), 'frame')}: "
                f"delete {'the task' if one['whole'] else listed(one['frames'][:_SHOWN])} there"
            )
    for what, files in (
        ("outside the workspace, with something of it, and left", found),
        ("pictures that look like it, and are left: another moment, or a copy", swept.alike),
        ("could not be looked into, and are left", swept.closed),
    ):
        if files:
            rest = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
            notes.append(f"{what}: {listed(files[:_SHOWN])}{rest}")
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
            "pictures_alike": list(swept.alike),
            "not_looked_into": list(swept.closed),
            **{name: detail[name] for name in ("same_axis", "cameras", "open_jobs") if detail.get(name)},
        },
        rows=tuple(
            {"version": f"v{number}", "frames": held["frames"], "boxes": held["boxes"]}
            for number, held in sorted(detail["versions"].items(), key=lambda item: int(item[0]))
        ),
        notes=(*notes, *more),
        failures=tuple(swept.failures),
        next="dataengine convert" if versions else "",
    )
