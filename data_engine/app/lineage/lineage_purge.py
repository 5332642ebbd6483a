"""``lineage purge``: remove a source, for privacy, from everything that derives from it.

In this order, so that a purge that was killed anywhere goes on: the tombstone is set up, the files go, the rows go with
a new version that does not hold it, the versions' files are written without it, the tombstone is done.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from typing import Any

from data_engine.app.collector import seldom_collected
from data_engine.app.engine import Engine
from data_engine.app.lineage.purge_annotation import take_out_of_tasks
from data_engine.app.lineage.purge_files import drop_unfinished, remove_empty, sweep
from data_engine.app.lineage.purge_known import known_by
from data_engine.app.lineage.purge_outside import found_outside
from data_engine.app.lineage.purge_plan import plan_of, remarks, report, summary
from data_engine.app.lineage.purge_versions import drop_from_newest, write_without
from data_engine.errors import MissingInputError, UsageError
from data_engine.formats.pruning import Marks
from data_engine.lineage import purge_sources, purge_texts, purging, tombstones
from data_engine.lineage.database import Connection
from data_engine.lineage.purge_sources import Source
from data_engine.lineage.tombstones import SourceKind, Tombstone
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.runner import settings_of
from data_engine.types import ID_LENGTH, Report

STAGE = "lineage purge"
VERSION = 1


@seldom_collected()
def purge(
    engine: Engine,
    *,
    camera: str | None = None,
    video: str | None = None,
    frame: str | None = None,
    reason: str | None = None,
    actor: str | None = None,
    originals: bool = False,
    dry_run: bool = False,
    sure: Callable[[str], bool],
) -> Report:
    """Remove a camera, a video or a frame: pictures, boxes, predictions, names.

    Args:
        engine: the workspace.
        camera: its name.
        video: id, name or file.
        frame: id, name or file.
        reason: kept with the tombstone.
        actor: who purges; whoever is logged in by default.
        originals: also remove videos and pictures that lie outside the workspace.
        dry_run: only tell what would go.
        sure: asked before anything is removed.

    Raises:
        UsageError: not one source was named, or several go by that name.
        MissingInputError: nothing is recorded of it; or it was purged already.
    """
    given: dict[SourceKind, str | None] = {"camera": camera, "video": video, "frame": frame}
    named = [(kind, name) for kind, name in given.items() if name is not None]
    if len(named) != 1:
        raise UsageError("name one of --camera, --video and --frame", hint="dataengine lineage purge --help")
    ((kind, name),) = named
    with engine.database.read() as connection:
        begun = tombstones.known(connection, "begun")
    if begun and not dry_run:
        # What was agreed to before it was killed goes on first: its names may be gone already.
        done = [_carry_out(engine, stone, originals) for stone in begun]
        if any(stone.kind == kind for stone in begun):
            return done[-1]
    with engine.database.read() as connection:
        plan = plan_of(engine, connection, kind, name)
    told = f"{kind} {plan.target}: {summary(plan)}"
    if dry_run:
        return Report(
            title=f"would purge {told}",
            data={"kind": kind, "target": plan.target, "frames": len(plan.source.frames), "models": list(plan.models)},
            rows=plan.rows(),
            notes=remarks(engine, plan.told(), plan.videos, originals),
        )
    if not sure(f"purge {told}; this cannot be undone"):
        return Report(title="nothing was purged")
    stone = Tombstone(
        plan.id,
        plan.kind,
        plan.target,
        reason,
        actor or getpass.getuser(),
        engine.now(),
        "begun",
        {
            "versions": {str(n): {"frames": f, "boxes": b} for n, (f, b) in plan.versions.items()},
            "elsewhere": [],
            **plan.told(),
        },
    )
    with engine.database.write() as connection:
        sums = {sha[:ID_LENGTH] for sha in purge_sources.picture_sums(connection, plan.source)}
        ids = {"frame": plan.source.frames, "video": plan.source.videos, "picture": sorted(sums)}
        tombstones.begin(connection, stone, ids)
    return _carry_out(engine, stone, originals)


def _carry_out(engine: Engine, stone: Tombstone, originals: bool) -> Report:
    settings = settings_of({"tombstone": stone.id, "kind": stone.kind})
    with (
        alone_with_versions(engine.database),
        engine.runner.run(STAGE, VERSION, settings, inputs=[stone.id]) as run,
    ):
        with engine.database.read() as connection:
            source = Source(
                tuple(tombstones.ids_of(connection, stone.id, "frame")),
                tuple(tombstones.ids_of(connection, stone.id, "video")),
            )
            parts = purge_sources.tasks_of(connection, source)
            videos = purge_sources.video_keys(connection, source)
            marks, pictures = known_by(connection, source, videos)
        elsewhere = list(stone.detail.get("elsewhere", ()))
        emptied, on_servers = take_out_of_tasks(engine, parts)
        elsewhere += [one for one in on_servers if one not in elsewhere]
        outside = _remove_recorded(engine, videos, pictures.keys, originals)
        elsewhere += [{"file": key} for key in outside if {"file": key} not in elsewhere]
        kept = {str(engine.storage.path(key)) for key in outside}
        named, unseen = found_outside(engine, marks, pictures)
        elsewhere += [{"found": path} for path in named if path not in kept and {"found": path} not in elsewhere]
        # What was found is told of nowhere else once the logs and rows are without it.
        detail = {**stone.detail, "elsewhere": elsewhere}
        with engine.database.write() as connection:
            tombstones.note(connection, stone.id, detail)
        drop_unfinished(engine, stone.target if stone.kind == "camera" else None)
        swept = sweep(engine, marks, pictures, frozenset(source.frames))
        with engine.database.write() as connection:
            _clean_texts(connection, marks)
            drop_from_newest(engine, connection, source.frames, run.id)
            removed = purging.remove_rows(connection, source)
            purging.retire_tasks(connection, parts, emptied)
        write_without(engine, [int(number) for number in stone.detail["versions"]], source.frames)
        said = engine.database.forget_deleted()
        with engine.database.write() as connection:
            engine.runner.finish_input(connection, run, [stone.id])
    # After the end of its run: what is done is not taken up again.
    with engine.database.write() as connection:
        tombstones.finish(connection, stone.id, detail)
    more = [f"not all files were looked at: there are too many in {folder}" for folder in unseen]
    return report(engine, stone, source, detail, swept, removed, [*more, *([said] if said else [])])


def _remove_recorded(engine: Engine, videos: Mapping[str, str], pictures: frozenset[str], originals: bool) -> list[str]:
    """Remove the videos and pictures on record; what lies outside the workspace is told, unless it is to go as well."""
    from data_engine.app.footage.sidecars import sidecar_keys
    from data_engine.media.sequence import CODEC

    keys = set(pictures)
    for key, codec in videos.items():
        folder = codec == CODEC
        if folder and _is_known(engine, key):
            keys |= set(engine.storage.list(key))
        keys |= {key, *sidecar_keys(key, folder=folder)}
    outside = []
    for key in sorted(keys):
        if not _is_known(engine, key) or not engine.storage.exists(key):
            continue
        if key.startswith("@") and not originals:
            outside.append(key)
        else:
            engine.storage.delete(key)
            remove_empty(engine, engine.storage.path(key))
    return outside


def _is_known(engine: Engine, key: str) -> bool:
    try:
        engine.storage.path(key)
    except MissingInputError:
        return False  # in a folder that this machine does not have
    return True


def _clean_texts(connection: Connection, marks: Marks) -> None:
    """Take the names out of what people and programs wrote: reasons, remarks, settings of runs."""
    from data_engine.formats.pruning import GONE, pruned

    for table, identity, column, value in list(purge_texts.texts(connection)):
        kept: Any = marks.without(value) if isinstance(value, str) else pruned(value, marks)
        if kept != value:
            purge_texts.set_text(connection, table, identity, column, GONE if kept is None else kept)
