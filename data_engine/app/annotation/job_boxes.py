"""The boxes of jobs as they were read, kept beside the database.

What an annotator handed in is nowhere to be had once a reviewer has changed it; and what was read once of a job is not
asked for again until the job changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from data_engine.annotation.records import Boxes
from data_engine.app.engine import STATE_FOLDER
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.formats import strict_json

if TYPE_CHECKING:
    from data_engine.app.annotation.jobs import SeenJob
    from data_engine.app.engine import Engine
    from data_engine.ports import AnnotationBackend
    from data_engine.types import Job

FOLDER = f"{STATE_FOLDER}/jobs"


class ReadBoxes(msgspec.Struct, frozen=True):
    """What a job held at some time."""

    updated_at: str
    """Of the job, when it held this."""
    boxes: Boxes


def handed_in(job: Job) -> bool:
    """Whether the annotator is done and no reviewer has begun: its boxes are the annotator's."""
    return (job.stage, job.state) in (("annotation", "completed"), ("validation", "new"))


def keep_submission(engine: Engine, job_id: str, updated_at: str, boxes: Boxes) -> None:
    """Keep what an annotator handed in; the newest counts.

    Args:
        job_id: lineage's id of the job.
        updated_at: of the job, with these boxes.
        boxes: by frame name.
    """
    _write(engine, f"{job_id}_submitted", ReadBoxes(updated_at, boxes))


def submission(engine: Engine, job_id: str) -> ReadBoxes | None:
    """What an annotator handed in last, as far as anybody looked; None where nobody did."""
    return _read(engine, f"{job_id}_submitted")


def boxes_now(engine: Engine, backend: AnnotationBackend, seen: SeenJob) -> Boxes:
    """The boxes of a job, by frame name; without those frames that were deleted."""
    kept = _read(engine, seen.known.id)
    if kept is not None and kept.updated_at == seen.job.updated_at:
        return kept.boxes
    content = backend.annotations(seen.job.id)
    boxes = {name: tuple(rows) for name, rows in content.boxes.items() if name not in content.deleted}
    # Changed while it was read, it is read again the next time.
    _write(engine, seen.known.id, ReadBoxes(seen.job.updated_at, boxes))
    return boxes


def notice(engine: Engine, backend: AnnotationBackend, seen: SeenJob) -> None:
    """Keep the boxes of a job that was just handed in, before a reviewer changes them."""
    if handed_in(seen.job):
        keep_submission(engine, seen.known.id, seen.job.updated_at, boxes_now(engine, backend, seen))


def _write(engine: Engine, name: str, read: ReadBoxes) -> None:
    engine.storage.write_bytes(f"{FOLDER}/{name}.json", msgspec.json.encode(read, order="sorted"))


def _read(engine: Engine, name: str) -> ReadBoxes | None:
    key = f"{FOLDER}/{name}.json"
    try:
        return strict_json.decode(engine.storage.read_bytes(key), ReadBoxes, name=key, what="boxes of a job")
    except (MissingInputError, DamagedInputError):
        # It only saves a question: then it is asked again.
        return None
