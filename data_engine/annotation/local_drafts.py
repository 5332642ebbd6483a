"""Saving frame by frame into the file that people edit, so that no two who edit it overwrite each other.

``annotations.json`` stays the one place of what is being drawn: what a page saves, a tool that edits COCO files sees,
and the other way round.  A frame's revision is the content of its boxes, so a change by any tool is noticed.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NoReturn

import msgspec

from data_engine.annotation.coco_file import read_submission, write_job_file
from data_engine.annotation.records import Boxes, FrameRecord, JobRecord, checked_boxes, decode
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, UsageError
from data_engine.formats.boxes import clipped
from data_engine.types import CONFIDENCE, PROPOSAL, Box, Draft, DraftMovedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from data_engine.annotation.local_files import TaskFolder

_LEAST_PX = 0.01
"""A thinner box is none: pages keep a hundredth of a pixel, which is finer than any hand."""
_EDITED, _SAVED = "annotations.json", "saved.json"


class SavedRecord(msgspec.Struct, frozen=True):
    """Who saved a frame last."""

    revision: str
    """Of what they saved: another one there now is of somebody who edited the file."""
    by: str | None
    at: str


class Drafts:
    """The drafts of the jobs in a folder; see :class:`data_engine.ports.DraftKeeper`."""

    def __init__(self, files: TaskFolder) -> None:
        self._files = files

    def read(self, job_id: int, frame_name: str) -> Draft:
        """A frame as it is being edited."""
        task_id = self._files.task_of(job_id)
        record = self._files.job(job_id, task_id)
        _frame_of(record, frame_name, job_id)
        key = self._files.job_key(job_id, task_id, _EDITED)
        boxes = self._parsed(job_id, task_id, record, self._files.storage.read_bytes(key), key)
        return self._draft(job_id, task_id, frame_name, boxes)

    def save(self, job_id: int, frame_name: str, boxes: Sequence[Box], *, expected: str, by: str | None) -> Draft:
        """Replace a frame's boxes, if they are still those that the caller saw."""
        storage = self._files.storage
        # Of this job one at a time; those of other jobs share the folder, and whoever changes jobs has it alone.
        with self._files.alone_with(job_id), self._files.reading():
            task_id = self._files.task_of(job_id)
            record = self._files.job(job_id, task_id)
            _refuse_standing(record, job_id, by)
            frame = _frame_of(record, frame_name, job_id)
            labels = self._files.known[task_id].labels
            key = self._files.job_key(job_id, task_id, _EDITED)
            while True:
                stamp = storage.stamp(key)
                there = self._parsed(job_id, task_id, record, storage.read_bytes(key), key)
                now = self._draft(job_id, task_id, frame_name, there)
                handed_in = self._files.boxes(job_id, task_id).get(frame_name, ())
                wanted = Draft(_checked(boxes, frame, labels, (*handed_in, *now.boxes)), by, self._files.now())
                if wanted.revision == now.revision:
                    return now
                if expected != now.revision:
                    _refuse_moved(now, job_id, frame_name)
                text = write_job_file(record.frames, {**there, frame_name: wanted.boxes}, labels)
                # A tool that edits files knows no lock: what it wrote since is read again, not replaced.
                if storage.stamp(key) != stamp:
                    continue
                storage.write_bytes(key, text)
                self._note(job_id, task_id, frame_name, wanted)
                return wanted

    def drawn_by(self, job_id: int) -> set[str]:
        """Everybody who saved a frame of the job last."""
        saved = self._saved(job_id, self._files.task_of(job_id)).values()
        return {record.by for record in saved if record.by is not None}

    def without(self, job_id: int, task_id: int, names: Collection[str]) -> None:
        """Forget who saved these frames, which are going."""
        saved = self._saved(job_id, task_id)
        if saved.keys() & set(names):
            self._write(job_id, task_id, {name: record for name, record in saved.items() if name not in names})

    def _parsed(self, job_id: int, task_id: int, record: JobRecord, data: bytes, key: str) -> Boxes:
        sizes = {frame.name: (frame.width, frame.height) for frame in record.frames}
        seen = record.seen_as(job_id, task_id)
        return read_submission(data, seen, self._files.known[task_id].labels, name=key, sizes=sizes)

    def _draft(self, job_id: int, task_id: int, frame_name: str, boxes: Boxes) -> Draft:
        draft = Draft(boxes[frame_name])
        saved = self._saved(job_id, task_id).get(frame_name)
        if saved is not None and saved.revision == draft.revision:
            return Draft(draft.boxes, saved.by, saved.at)
        return draft

    def _note(self, job_id: int, task_id: int, frame_name: str, draft: Draft) -> None:
        record = SavedRecord(draft.revision, draft.by, draft.at or "")
        self._write(job_id, task_id, {**self._saved(job_id, task_id), frame_name: record})

    def _saved(self, job_id: int, task_id: int) -> dict[str, SavedRecord]:
        key = self._files.job_key(job_id, task_id, _SAVED)
        try:
            return decode(self._files.storage.read_bytes(key), dict[str, SavedRecord], key)
        except (MissingInputError, DamagedInputError):
            return {}  # it only says who it was

    def _write(self, job_id: int, task_id: int, saved: Mapping[str, SavedRecord]) -> None:
        key = self._files.job_key(job_id, task_id, _SAVED)
        self._files.storage.write_bytes(key, msgspec.json.encode(saved, order="sorted"))


def _frame_of(record: JobRecord, name: str, job_id: int) -> FrameRecord:
    for frame in record.frames:
        if frame.name == name:
            return frame
    raise MissingInputError(f"job {job_id} has no frame {name!r}", hint=f"dataengine review show {job_id}")


def _refuse_standing(record: JobRecord, job_id: int, by: str | None) -> None:
    hint = f"dataengine review show {job_id}"
    if record.stage != "annotation":
        raise ConflictError(f"job {job_id} was handed in: its boxes are not edited any more", hint=hint)
    if by is not None and record.assignee not in (None, by):
        raise ConflictError(f"job {job_id} is {record.assignee}'s now", hint=hint)


def _refuse_moved(now: Draft, job_id: int, frame_name: str) -> NoReturn:
    who = f"by {now.by}" if now.by else "in the file or by somebody else"
    raise DraftMovedError(
        f"the boxes on {frame_name} were changed {who} since they were read", now, hint=f"look again at job {job_id}"
    )


def _checked(
    boxes: Sequence[Box], frame: FrameRecord, labels: Collection[str], known: Sequence[Box]
) -> tuple[Box, ...]:
    proposals = {box.proposal_id: box for box in known if box.proposal_id is not None}
    scores = {box.score for box in known if box.proposal_id is None}
    named: set[str] = set()
    rows: list[Box] = []
    for box in boxes:
        of = box.proposal_id
        if of is None:
            # In the file these two attributes would make it a proposal.
            others = {name: value for name, value in box.attributes.items() if name not in (CONFIDENCE, PROPOSAL)}
            score = box.score if box.score in scores else None
            rows.append(_cut(Box(box.label, box.xywh, score, None, box.iscrowd, others), frame))
            continue
        if of in named or of not in proposals:
            raise UsageError(f"a box on {frame.name} names a proposal that {'another' if of in named else 'no'} box is")
        named.add(of)
        was = proposals[of]
        rows.append(_cut(Box(box.label, box.xywh, was.score, of, was.iscrowd, was.attributes), frame))
    try:
        return checked_boxes({frame.name: rows}, {frame.name}, labels, "this job")[frame.name]
    except DamagedInputError as error:
        raise UsageError(error.message) from None


def _cut(box: Box, frame: FrameRecord) -> Box:
    """The part of the box that lies in the picture; one that fits is left as it is."""
    part = clipped(box.xywh, frame.width, frame.height) if all(map(isfinite, box.xywh)) else box.xywh
    if part is None or 0 < min(part[2:]) < _LEAST_PX:
        raise UsageError(f"a box of {box.label!r} on {frame.name} has no area in the picture")
    return Box(box.label, part, box.score, box.proposal_id, box.iscrowd, box.attributes)
