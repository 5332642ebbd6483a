"""The folder of the local backend's tasks: where each file lies, who may change it now, and what is in it.

The files are listed in :mod:`data_engine.annotation.records`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from data_engine.annotation.records import Boxes, JobRecord, TaskRecord, decode, encode
from data_engine.errors import ConflictError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from data_engine.ports import Storage

_NEW = ".new"
"""The folder of a task that is being built; a leading dot keeps it out of every listing."""
_LAST = ".last.json"
"""The largest numbers that were given to a task and to a job."""


class TaskFolder:
    """Tasks and jobs as files below a prefix.

    Args:
        storage: must keep its files on a disk of this machine.
        prefix: the folder of everything.
        clock: the time now.
        lock_timeout_s: seconds to wait while another process changes something.
    """

    def __init__(self, storage: Storage, prefix: str, *, clock: Callable[[], datetime], lock_timeout_s: float) -> None:
        self.storage = storage
        self._prefix = prefix.rstrip("/")
        self._clock = clock
        self._lock_timeout_s = lock_timeout_s
        self.known: dict[int, TaskRecord] = {}
        """The tasks by number, as :meth:`tasks` found them last."""

    # --- where things lie -----------------------------------------------------------------------------------------

    @property
    def building(self) -> Path:
        """Where a task is built before it appears by one renaming, and where it goes before it is removed."""
        return self.path(_NEW)

    def key(self, *parts: str) -> str:
        """The storage key of something below the folder of the tasks."""
        return "/".join((self._prefix, "tasks", *parts))

    def building_key(self, *parts: str) -> str:
        """The storage key of something in the task that is being built."""
        return self.key(_NEW, *parts)

    def job_key(self, job_id: int, task_id: int, file: str) -> str:
        """The storage key of a file of a job."""
        return self.key(str(task_id), "jobs", str(job_id), file)

    def path(self, *parts: str) -> Path:
        """The path of something below the folder of the tasks."""
        return self.storage.path(self.key(*parts))

    # --- one at a time --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else reads or changes anything meanwhile.

        Raises:
            ConflictError: another process has been at it for ``lock_timeout_s``.
        """
        with self._lock(fcntl.LOCK_EX):
            yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Nobody changes anything meanwhile; see :meth:`changing`."""
        with self._lock(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        path = self.storage.path(f"{self._prefix}/.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file, self._held(file.fileno(), kind, self._prefix):
            yield

    @contextlib.contextmanager
    def alone_with(self, job_id: int) -> Iterator[None]:
        """Nobody else edits or hands in this job meanwhile; other jobs are not kept waiting.

        It is taken before :meth:`changing` and :meth:`reading`, never inside them.

        Raises:
            MissingInputError: an unknown number.
            ConflictError: as of :meth:`changing`.
        """
        folder = self.path(str(self.task_of(job_id)), "jobs", str(job_id))
        try:
            # The folder itself: its files are replaced, and one more would be found by whoever compares folders.
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _no_job(job_id) from None
        try:
            with self._held(handle, fcntl.LOCK_EX, f"job {job_id}"):
                yield
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def _held(self, handle: int, kind: int, what: str) -> Iterator[None]:
        """The lock of an open file or folder, until that is closed."""
        give_up = time.monotonic() + self._lock_timeout_s
        while True:
            try:
                fcntl.flock(handle, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise ConflictError(
                        f"another process has been changing {what} for {self._lock_timeout_s:g} s",
                        hint="end it, or run the same command again later",
                    ) from None
            time.sleep(0.02)
        yield

    def now(self) -> str:
        """The time now, as it is written down."""
        return self._clock().astimezone(UTC).isoformat(timespec="microseconds")

    def touched(self, record: JobRecord) -> JobRecord:
        """The record with a later date, also where the clock stands still or was set back."""
        least = datetime.fromisoformat(record.updated_at) + timedelta(microseconds=1)
        now = max(self._clock().astimezone(UTC), least)
        return msgspec.structs.replace(record, updated_at=now.isoformat(timespec="microseconds"))

    # --- tasks ----------------------------------------------------------------------------------------------------

    def tasks(self) -> dict[int, TaskRecord]:
        """The tasks by ascending number."""
        # A task's record changes only where pictures are taken out of it, and then what was written is kept here.
        self.known = {number: self.known.get(number) or self._read_task(number) for number in self._numbers()}
        return self.known

    def task(self, number: int) -> TaskRecord:
        """One task, without a look at the others; MissingInputError where there is none of this number."""
        if not self.path(str(number)).is_dir():
            raise MissingInputError(f"there is no task {number}", hint="dataengine review list")
        self.known[number] = record = self.known.get(number) or self._read_task(number)
        return record

    def _numbers(self) -> list[int]:
        try:
            return sorted(int(entry.name) for entry in self.path().iterdir() if entry.name.isdecimal())
        except FileNotFoundError:
            return []

    def _read_task(self, number: int) -> TaskRecord:
        key = self.key(str(number), "task.json")
        return decode(self.storage.read_bytes(key), TaskRecord, key)

    def last_numbers(self) -> tuple[int, int]:
        """The largest numbers of a task and of a job that ever were: those of a task that is gone are not used again.

        To be called under the lock; they are kept in a file, which is behind at most by what :meth:`tasks` lists.
        """
        key = f"{self._prefix}/{_LAST}"
        kept = (0, 0)
        if self.storage.exists(key):
            kept = decode(self.storage.read_bytes(key), tuple[int, int], key)
        jobs = (job for record in self.known.values() for job in record.jobs)
        last = max(kept[0], *self.known, 0), max(kept[1], *jobs, 0)
        if last != kept:
            self.storage.write_bytes(key, msgspec.json.encode(last))
        return last

    def task_of(self, job_id: int) -> int:
        """The number of the task that a job belongs to; MissingInputError for an unknown job.

        Only that task's record is read, and is in :attr:`known` then.
        """
        for number in self._numbers():
            # The folder of a job that its task does not name is only not gone yet.
            if self.path(str(number), "jobs", str(job_id)).is_dir() and job_id in self.task(number).jobs:
                return number
        raise _no_job(job_id)

    # --- jobs -----------------------------------------------------------------------------------------------------

    def job(self, job_id: int, task_id: int) -> JobRecord:
        """A job's record."""
        key = self.job_key(job_id, task_id, "job.json")
        return decode(self.storage.read_bytes(key), JobRecord, key)

    def expected(self, job_id: int, task_id: int, updated_at: str | None) -> JobRecord:
        """The job, if it is still the one that the caller saw; to be called under the lock.

        Raises:
            ConflictError: it has changed since ``updated_at``.
        """
        record = self.job(job_id, task_id)
        if updated_at is not None and record.updated_at != updated_at:
            raise ConflictError(
                f"job {job_id} was changed by somebody else just now (stage {record.stage}, state {record.state})",
                hint=f"look again: dataengine review show {job_id}",
            )
        return record

    def write_job(self, job_id: int, task_id: int, record: JobRecord) -> None:
        """Replace a job's record."""
        self.storage.write_bytes(self.job_key(job_id, task_id, "job.json"), encode(record))

    def boxes(self, job_id: int, task_id: int) -> Boxes:
        """A job's boxes as last put."""
        key = self.job_key(job_id, task_id, "boxes.json")
        return decode(self.storage.read_bytes(key), Boxes, key)

    def write_boxes(self, job_id: int, task_id: int, boxes: Boxes) -> None:
        """Replace a job's boxes."""
        self.storage.write_bytes(self.job_key(job_id, task_id, "boxes.json"), encode(boxes))


def _no_job(job_id: int) -> MissingInputError:
    return MissingInputError(f"there is no job {job_id}", hint="dataengine review list")
