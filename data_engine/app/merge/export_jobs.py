"""Accepted jobs read from the annotation backend: what of them enters the dataset, and what does not, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from data_engine.app.annotation.acceptance import held
from data_engine.app.annotation.jobs import SeenJob, labels_gone
from data_engine.app.engine import Engine
from data_engine.app.merge.merge_spool import Spool, Spooled
from data_engine.errors import DamagedInputError
from data_engine.lineage import probes, shown_boxes, uploads
from data_engine.lineage.job_history import Held, History, histories
from data_engine.lineage.uploads import PictureSize
from data_engine.ports import AnnotationBackend
from data_engine.stages.export import ExportSettings, Merged, merge_frame
from data_engine.stages.probes import uncaught
from data_engine.types import Box, ClassRegistry, Failed, Probe, Proposed
from data_engine.words import counted, shapes

RAW_FOLDER = "cvat_exports"


@dataclass(slots=True)
class JobsRead:
    """What the jobs hold."""

    spool: Spool
    merged: dict[str, list[Spooled]] = field(default_factory=dict)
    """By frame id; of two jobs that hold a frame, the one that was accepted later comes later."""
    withheld: dict[str, str] = field(default_factory=dict)
    """Frame id -> job: deleted there, or a probe took the place of an object and nobody noticed."""
    frames: dict[str, set[str]] = field(default_factory=dict)
    """Job -> its frames but those that it withholds."""
    contents: dict[str, Held] = field(default_factory=dict)
    """Job -> what it holds, which was accepted."""
    changed: set[str] = field(default_factory=set)
    """Jobs that hold something else than what was accepted, whatever their dates say."""
    deleted: int = 0
    """Frames that somebody took out of a task."""
    probes: int = 0
    """Known-wrong boxes that came back untouched."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Shapes that no detector here takes, by what they are."""
    notes: list[str] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    named: Mapping[str, PictureSize] = field(default_factory=dict)
    """The frames of the task that was read last, by their names in it."""
    frames_of: str = ""


def read_jobs(
    engine: Engine,
    backend: AnnotationBackend,
    jobs: Sequence[SeenJob],
    registry: ClassRegistry,
    settings: ExportSettings,
    spool: Spool,
    *,
    keep_raw: bool = True,
) -> JobsRead:
    """Read the accepted boxes, in the order of the jobs; a job that cannot be merged is left out whole.

    Args:
        engine: the workspace.
        backend: where the jobs are.
        jobs: in the order in which they count.
        registry: the classes.
        settings: of the export.
        spool: takes the boxes.
        keep_raw: whether to keep what the backend said beside the dataset.
    """
    read = JobsRead(spool)
    with engine.database.read() as connection:
        past = histories(connection, [seen.known for seen in jobs])
    engine.progress.start("merging jobs", len(jobs), "jobs")
    for seen in jobs:
        try:
            boxes = _read_job(engine, backend, seen, past[seen.known.id], registry, settings, read)
            if boxes is not None and keep_raw:
                _keep_raw(engine, backend, seen, *boxes, registry)
        except DamagedInputError as error:
            read.failures.append(Failed(f"job {seen.job.id}", error.message))
        engine.progress.advance()
    engine.progress.finish()
    return read


def _read_job(
    engine: Engine,
    backend: AnnotationBackend,
    seen: SeenJob,
    past: History,
    registry: ClassRegistry,
    settings: ExportSettings,
    read: JobsRead,
) -> tuple[Mapping[str, Sequence[Box]], Mapping[str, PictureSize]] | None:
    """Read one job; what was drawn, and the frames, by their names in the task; None where it counts for nothing."""
    content = backend.annotations(seen.job.id)
    # Accepted, changed and read in that order would let unreviewed boxes in: look again after reading.
    if backend.job(seen.job.id).updated_at != seen.job.updated_at:
        read.failures.append(Failed(f"job {seen.job.id}", "it changed while it was read; run export again"))
        return None
    if content.lacking:
        # Merged, its frames would teach that there is none of what people drew there.
        raise DamagedInputError(labels_gone(content.lacking))
    there = held(content, seen.job)
    if past.accepted_content not in (None, there.content):
        read.changed.add(seen.known.id)
        return None
    task_id = seen.known.task_id
    with engine.database.read() as connection:
        if read.frames_of != task_id:
            read.named, read.frames_of = uploads.pictures_of(connection, task_id), task_id
        named = read.named
        # Frames that were purged here may still be on the server.
        drawn = {name: boxes for name, boxes in content.boxes.items() if name in named}
        content = replace(content, boxes=drawn, deleted=content.deleted & named.keys())
        ids = [named[name].id for name in content.boxes]
        shown = shown_boxes.shown_on(connection, task_id, ids)
        watched = probes.on_frames(connection, task_id, ids) if probes.any_in(connection, task_id) else {}
    frames = {name: named[name] for name in content.boxes}
    missed: dict[str, Mapping[int, Probe]] = {
        name: uncaught(boxes, watched.get(frames[name].id, ())) if watched else {}
        for name, boxes in content.boxes.items()
    }
    # In the place of such a probe there is an object without its box: the frame would teach that there is none.
    unseen = {name for name, found in missed.items() if any(probe.replaces is not None for probe in found.values())}
    of_job = {
        frame.id: _merged(
            seen,
            past.accepted_by,
            frame,
            _without(content.boxes[name], missed[name], registry.retired),
            shown,
            registry,
            settings,
        )
        for name, frame in frames.items()
        if name not in unseen
    }
    withheld = {named[name].id for name in (*content.deleted, *unseen)}
    for frame_id, merged in of_job.items():
        read.merged.setdefault(frame_id, []).append(read.spool.put(seen.known.id, merged))
    read.withheld.update(dict.fromkeys(withheld, seen.known.id))
    read.frames[seen.known.id] = set(of_job)
    read.contents[seen.known.id] = there
    read.deleted += len(content.deleted)
    read.probes += sum(map(len, missed.values()))
    left_out = Counter(content.left_out)
    left_out.update(
        f"box of the retired class {box.label!r}"
        for boxes in content.boxes.values()
        for box in boxes
        if box.label in registry.retired
    )
    read.left_out.update(left_out)
    read.notes += _remarks(seen.job.id, left_out, missed, unseen)
    return content.boxes, frames


def _without(boxes: Sequence[Box], missed: Mapping[int, Probe], retired: Container[str]) -> list[Box]:
    return [box for position, box in enumerate(boxes) if position not in missed and box.label not in retired]


def _remarks(
    job: int, left_out: Mapping[str, int], missed: Mapping[str, Mapping[int, Probe]], unseen: Iterable[str]
) -> list[str]:
    notes = []
    strange = shapes(left_out)
    if strange:
        notes.append(f"job {job}: {strange} left out: the detectors take upright boxes of known classes only")
    number = sum(map(len, missed.values()))
    if number:
        away = f", and {counted(len(list(unseen)), 'frame')} whose object they stood for" if unseen else ""
        notes.append(
            f"job {job}: {counted(number, 'probe')} came back untouched and left out{away}; "
            f"it was not looked at: dataengine review reject {job} --reason '...'"
        )
    return notes


def _merged(
    seen: SeenJob,
    accepted_by: str | None,
    frame: PictureSize,
    boxes: Sequence[Box],
    shown: Mapping[str, Sequence[Proposed]],
    registry: ClassRegistry,
    settings: ExportSettings,
) -> Merged:
    return merge_frame(
        frame,
        boxes,
        shown.get(frame.id, ()),
        registry,
        job_id=seen.known.id,
        annotator=seen.known.annotator,
        reviewer=accepted_by,
        match_iou=settings.match_iou,
    )


def _keep_raw(
    engine: Engine,
    backend: AnnotationBackend,
    seen: SeenJob,
    boxes: Mapping[str, Sequence[Box]],
    frames: Mapping[str, PictureSize],
    registry: ClassRegistry,
) -> None:
    """Keep what the backend said, as it said it, beside the dataset that was made of it."""
    from data_engine.annotation.coco_file import write_job_file
    from data_engine.annotation.records import FrameRecord

    records = [FrameRecord(name, frames[name].width, frames[name].height) for name in frames]
    place = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in backend.name)
    key = f"{RAW_FOLDER}/{place}_task_{seen.job.task_id}_job_{seen.job.id}.json"
    # A task goes on saying what a class was called when it was made.
    strange = {box.label for rows in boxes.values() for box in rows} - set(registry.names)
    engine.storage.write_bytes(key, write_job_file(records, boxes, (*registry.names, *sorted(strange))))
