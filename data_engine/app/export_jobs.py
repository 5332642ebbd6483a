"""Accepted jobs read from the annotation backend: what of them enters the dataset, and what does not, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from data_engine.app.acceptance import held
from data_engine.app.engine import Engine
from data_engine.app.jobs import SeenJob, labels_gone
from data_engine.errors import DamagedInputError
from data_engine.lineage import footage, labelling, probes
from data_engine.lineage.job_history import Held, History, histories
from data_engine.ports import AnnotationBackend
from data_engine.stages.export import ExportSettings, Merged, Proposed, merge_frame
from data_engine.stages.probes import uncaught
from data_engine.types import Box, ClassRegistry, Failed, Frame, Probe
from data_engine.words import counted, shapes

RAW_FOLDER = "cvat_exports"


@dataclass(slots=True)
class JobsRead:
    """What the jobs hold."""

    merged: dict[str, tuple[str, Merged]] = field(default_factory=dict)
    """By frame id, with the lineage id of the job; of two jobs that hold a frame, the later one's."""
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


def read_jobs(
    engine: Engine,
    backend: AnnotationBackend,
    jobs: Sequence[SeenJob],
    registry: ClassRegistry,
    settings: ExportSettings,
) -> JobsRead:
    """Read the accepted boxes, in the order of the jobs; a job that cannot be merged is left out whole."""
    read = JobsRead()
    with engine.database.read() as connection:
        past = histories(connection, [seen.known for seen in jobs])
    engine.progress.start("merging jobs", len(jobs), "jobs")
    for seen in jobs:
        try:
            _read_job(engine, backend, seen, past[seen.known.id], registry, settings, read)
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
) -> None:
    content = backend.annotations(seen.job.id)
    # Accepted, changed and read in that order would let unreviewed boxes in: look again after reading.
    if backend.job(seen.job.id).updated_at != seen.job.updated_at:
        read.failures.append(Failed(f"job {seen.job.id}", "it changed while it was read; run export again"))
        return
    if content.lacking:
        # Merged, its frames would teach that there is none of what people drew there.
        raise DamagedInputError(labels_gone(content.lacking))
    there = held(content, seen.job)
    if past.accepted_content not in (None, there.content):
        read.changed.add(seen.known.id)
        return
    task_id = seen.known.task_id
    with engine.database.read() as connection:
        ids = labelling.frame_names(connection, task_id)
        named = footage.frames_by_id(connection, (ids[name] for name in (*content.boxes, *content.deleted)))
        shown = labelling.proposals_on(connection, task_id, named)
        watched = probes.on_frames(connection, task_id, named)
    frames = {name: named[ids[name]] for name in content.boxes}
    missed: dict[str, Mapping[int, Probe]] = {
        name: uncaught(boxes, watched.get(ids[name], ())) for name, boxes in content.boxes.items()
    }
    # In the place of such a probe there is an object without its box: the frame would teach that there is none.
    unseen = {name for name, found in missed.items() if any(probe.replaces is not None for probe in found.values())}
    of_job = {
        frame.id: _merged(
            seen, past.accepted_by, frame, _without(content.boxes[name], missed[name]), shown, registry, settings
        )
        for name, frame in frames.items()
        if name not in unseen
    }
    withheld = {ids[name] for name in (*content.deleted, *unseen)}
    read.merged.update({frame_id: (seen.known.id, merged) for frame_id, merged in of_job.items()})
    read.withheld.update(dict.fromkeys(withheld, seen.known.id))
    read.frames[seen.known.id] = set(of_job)
    read.contents[seen.known.id] = there
    read.deleted += len(content.deleted)
    read.probes += sum(map(len, missed.values()))
    read.left_out.update(content.left_out)
    read.notes += _remarks(seen.job.id, content.left_out, missed, unseen)
    _keep_raw(engine, backend, seen, content.boxes, frames, registry)


def _without(boxes: Sequence[Box], missed: Mapping[int, Probe]) -> list[Box]:
    return [box for position, box in enumerate(boxes) if position not in missed]


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
    frame: Frame,
    boxes: Sequence[Box],
    shown: Mapping[str, Sequence[labelling.Proposal]],
    registry: ClassRegistry,
    settings: ExportSettings,
) -> Merged:
    return merge_frame(
        frame,
        boxes,
        [Proposed(p.id, p.model_id, p.box) for p in shown.get(frame.id, ())],
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
    frames: Mapping[str, Frame],
    registry: ClassRegistry,
) -> None:
    """Keep what the backend said, as it said it, beside the dataset that was made of it."""
    from data_engine.annotation.coco_file import write_job_file
    from data_engine.annotation.records import FrameRecord

    records = [FrameRecord(name, frames[name].width, frames[name].height) for name in frames]
    place = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in backend.name)
    key = f"{RAW_FOLDER}/{place}_task_{seen.job.task_id}_job_{seen.job.id}.json"
    engine.storage.write_bytes(key, write_job_file(records, boxes, registry.names))
