"""The records of a master dataset that grew in parts, for benchmarks: made by arithmetic, inserted directly.

Each part is the work of one round: frames sampled from its own videos, tasks of 500 frames, jobs of 50, a proposal for
eight boxes of ten; part ``p`` enters the dataset with version ``p + 1``.  The same version also takes the part before
up again: of each hundred of its frames one was corrected (a box moved, one of another class, one gone, one more), and
each thousandth is gone.  Ids, contents and versions are those that ``export`` would have made, so that everything holds
that can be recomputed; there are no pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from lineage import fill

from data_engine.app.engine import Engine
from data_engine.stages.export import version_id
from data_engine.types import content_id

BOXES_AN_IMAGE, FRAMES_A_JOB, FRAMES_A_TASK, FRAMES_A_VIDEO, CAMERAS = 10, 50, 500, 500, 20
EDITED, DROPPED = 100, 1000
"""One frame in so many is corrected, or dropped, by the version after the one that brought it."""
WIDTH, HEIGHT = 1920, 1080
NOW = "2026-01-01T00:00:00+00:00"
CLASSES = ("person", "helmet", "vest", "forklift", "no-helmet")
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
Rows = Iterator[tuple[Any, ...]]
XYWH = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """An accepted box."""

    category_id: int
    xywh: XYWH
    proposal: int | None
    """Which proposal of its frame it began as."""
    change: str


class Master:
    """The rows of every table.

    Args:
        parts: frames in each part, each a multiple of 500.
        merged: how many parts are in versions; the jobs of the others are accepted and wait.  None for all.
    """

    def __init__(self, parts: Sequence[int] = (5000,) * 20, merged: int | None = None) -> None:
        if any(size % FRAMES_A_TASK for size in parts):
            raise ValueError(f"parts are made of tasks of {FRAMES_A_TASK} frames: {list(parts)}")
        self.parts = list(parts)
        self.merged = len(self.parts) if merged is None else merged
        self.starts = [0, *accumulate(self.parts)]
        self.frames = self.starts[-1]
        self.part_of = [part for part, size in enumerate(self.parts) for _ in range(size)]

    # --- what there is ---------------------------------------------------------------------------------------------

    def frame(self, n: int) -> str:
        """Id of frame ``n``."""
        return _key(1, n)

    def name(self, n: int) -> str:
        """File name of frame ``n``, in its task and in the dataset."""
        return f"gate{n // FRAMES_A_VIDEO}_{self._pts(n):09d}_{self.frame(n)[:8]}.jpg"

    def job(self, n: int) -> str:
        """Lineage id of the job that frame ``n`` belongs to."""
        return _key(4, n // FRAMES_A_JOB)

    def side(self, n: int) -> str:
        """Side of the split."""
        return "valid" if n // 60 % 5 == 0 else "train"

    def edited(self, n: int) -> bool:
        """Whether the version after its first one changed the frame's boxes."""
        return n % EDITED == 7 and self.part_of[n] + 1 < self.merged

    def dropped(self, n: int) -> bool:
        """Whether the version after its first one no longer holds the frame."""
        return n % DROPPED == 13 and self.part_of[n] + 1 < self.merged

    def boxes(self, n: int, *, again: bool = False) -> list[Drawn]:
        """The accepted boxes of frame ``n``: as they came first, or as they were corrected, in the dataset's order."""
        made = []
        for k in range(BOXES_AN_IMAGE):
            proposal = k if k < 8 else None
            made.append(Drawn(_class_of(n, k), _place(n, k), proposal, "added" if k >= 8 else _CHANGES[k % 4]))
        if again:
            x, y, w, h = made[0].xywh
            made[0] = Drawn(made[0].category_id, (x + 4.0, y, w, h), 0, "edited")
            made[1] = Drawn(made[1].category_id % len(CLASSES) + 1, made[1].xywh, 1, "edited")
            made[2] = Drawn(1, _place(n, BOXES_AN_IMAGE), None, "added")
        return sorted(made, key=lambda box: (box.category_id, box.xywh))

    # --- as rows ---------------------------------------------------------------------------------------------------

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
        """Name, columns and rows of each table, parents first."""
        yield "categories", ("id", "name", "supercategory"), (
            (number, name, "object") for number, name in enumerate(CLASSES, 1)
        )  # fmt: skip
        yield (
            "category_names",
            ("category_id", "since", "name", "supercategory", "offered"),
            ((number, 1, name, "object", True) for number, name in enumerate(CLASSES, 1)),
        )
        stages = ("sample", "filter", "upload", "export")
        parts = range(len(self.parts))
        yield (
            "runs",
            ("id", "stage", "fingerprint", "settings", "code_version", "state", "attempts", "started_at"),
            (
                (_key(9, 10 * p + s), stage, f"{stage}{p}", "{}", "0.1", "done", 1, NOW)
                for p in parts
                for s, stage in enumerate(stages)
                if stage != "export" or p < self.merged
            ),
        )
        yield "videos", _VIDEO, map(self._video, range(-(-self.frames // FRAMES_A_VIDEO)))
        every = range(self.frames)
        yield "frames", _FRAME, map(self._frame, every)
        yield "models", _MODEL, iter([(_key(5, 0), "yolo", "models/yolo_best.onnx", _NAMES, "{}", NOW)])
        tasks, jobs = range(0, self.frames, FRAMES_A_TASK), range(0, self.frames, FRAMES_A_JOB)
        yield (
            "tasks",
            ("id", "backend", "number", "name", "plan", "run_id"),
            (
                (self._task(n), "local", n // FRAMES_A_TASK + 1, f"Batch_{n // FRAMES_A_TASK + 1:03d}", "{}", run)
                for n in tasks
                for run in (_key(9, 10 * self.part_of[n] + 2),)
            ),
        )
        yield (
            "task_frames",
            ("task_id", "frame_id", "name", "position"),
            ((self._task(n), self.frame(n), self.name(n), n % FRAMES_A_TASK) for n in every),
        )
        yield "proposals", _PROPOSAL, (row for n in every for row in self._proposals(n))
        yield "jobs", _JOB, map(self._job, jobs)
        yield "job_frames", ("job_id", "frame_id"), ((self.job(n), self.frame(n)) for n in every)
        merged = range(self.starts[self.merged])
        yield (
            "acceptances",
            ("id", "job_id", "submitted_at", "accepted_at", "accepted_by", "content", "deleted", "at"),
            (
                (_key(11, n // FRAMES_A_JOB), self.job(n), NOW, NOW, "rev", content_id("job", n), "[]", NOW)
                for n in range(0, len(merged), FRAMES_A_JOB)
            ),
        )
        yield "dataset_versions", _VERSION, map(self._version, range(self.merged))
        yield "dataset_frames", _HELD, (row for n in merged for row in self._held(n))
        yield "annotations", _BOX, (row for n in merged for row in self._boxes(n))

    def _video(self, v: int) -> tuple[Any, ...]:
        day = f"2026-01-{1 + v // CAMERAS % 28:02d}T08:00:00+00:00"
        return _key(2, v), f"videos_raw/gate{v}.mp4", f"gate{v}", f"camera{v % CAMERAS}", 1, WIDTH, HEIGHT, "h264", day

    def _pts(self, n: int) -> int:
        return n % FRAMES_A_VIDEO * 1000

    def _frame(self, n: int) -> tuple[Any, ...]:
        v = n // FRAMES_A_VIDEO
        key = f"frames_sampled/{self.name(n)}"
        return (
            self.frame(n),
            self.name(n),
            key,
            WIDTH,
            HEIGHT,
            f"camera{v % CAMERAS}",
            _key(2, v),
            self._pts(n),
            "1/1000",
        )

    def _task(self, n: int) -> str:
        return _key(3, n // FRAMES_A_TASK)

    def _job(self, n: int) -> tuple[Any, ...]:
        by = f"ann{n // FRAMES_A_JOB % 7}"
        merged = NOW if self.part_of[n] < self.merged else None
        number = n // FRAMES_A_JOB + 1
        return self.job(n), "local", number, self._task(n), "acceptance", "completed", None, by, "rev", NOW, merged

    def _proposals(self, n: int) -> Iterator[tuple[Any, ...]]:
        for k in range(8):
            label = CLASSES[_class_of(n, k) - 1]
            place = _place(n, k)
            yield _key(10, 8 * n + k), self.frame(n), self._task(n), _key(5, 0), label, *place, False, 0.5, "{}", k

    def content(self, n: int, *, again: bool = False) -> str:
        """Content id of the boxes of frame ``n``, as ``export`` makes it."""
        return content_id("boxes", *(f"{box.category_id} {box.xywh!r} 0" for box in self.boxes(n, again=again)))

    def _held(self, n: int) -> Iterator[tuple[Any, ...]]:
        since = self.part_of[n] + 1
        later = since + 1 if self.edited(n) or self.dropped(n) else None
        yield self.frame(n), since, later, self.job(n), self.content(n), self.side(n)
        if self.edited(n):
            yield self.frame(n), since + 1, None, self.job(n), self.content(n, again=True), self.side(n)

    def _boxes(self, n: int) -> Iterator[tuple[Any, ...]]:
        since = self.part_of[n] + 1
        later = since + 1 if self.edited(n) or self.dropped(n) else None
        yield from self._drawn(n, self.boxes(n), since, later)
        if self.edited(n):
            yield from self._drawn(n, self.boxes(n, again=True), since + 1, None)

    def _drawn(self, n: int, boxes: Sequence[Drawn], since: int, until: int | None) -> Iterator[tuple[Any, ...]]:
        frame, job, by, acceptance = (
            self.frame(n),
            self.job(n),
            f"ann{n // FRAMES_A_JOB % 7}",
            _key(11, n // FRAMES_A_JOB),
        )
        for box in boxes:
            yield (
                content_id("annotation", frame, job, box.category_id, repr(box.xywh), 0, 1),
                frame,
                box.category_id,
                *box.xywh,
                False,
                job,
                None if box.proposal is None else _key(10, 8 * n + box.proposal),
                None if box.proposal is None else _key(5, 0),
                box.change,
                by,
                "rev",
                acceptance,
                since,
                until,
            )

    def _version(self, p: int) -> tuple[Any, ...]:
        identity, frames = self._manifests[p]
        parent = self._manifests[p - 1][0] if p else None
        key = f"master_dataset/master_dataset_v{p + 1}.json"
        return identity, p + 1, parent, _key(9, 10 * p + 3), frames, frames * BOXES_AN_IMAGE, key, NOW

    @cached_property
    def _manifests(self) -> list[tuple[str, int]]:
        """Id of each version, and how many frames it holds."""
        made: list[tuple[str, int]] = []
        held: dict[str, tuple[str, Any]] = {}
        for p in range(self.merged):
            for n in range(self.starts[p - 1] if p else 0, self.starts[p]):
                if self.edited(n):
                    held[self.frame(n)] = self.content(n, again=True), self.side(n)
                elif self.dropped(n):
                    del held[self.frame(n)]
            for n in range(self.starts[p], self.starts[p + 1]):
                held[self.frame(n)] = self.content(n), self.side(n)
            made.append((version_id(held, made[-1][0] if made else None), len(held)))
        return made


def _key(kind: int, number: int) -> str:
    """An id of its own for each number of a kind, in no order."""
    return f"{((number << 8 | kind) * _SPREAD) % (1 << 128):032x}"


def _class_of(n: int, k: int) -> int:
    """From 1; the last class is one box in two hundred."""
    drawn = (n * 7919 + k * 104729) % 200
    return 5 if drawn == 0 else 4 if drawn < 12 else 3 if drawn < 40 else 2 if drawn < 90 else 1


def _place(n: int, k: int) -> XYWH:
    """Somewhere in the picture; of ten boxes three are small, five medium and two large."""
    side = (14.5, 20.25, 27.75, 40.5, 48.0, 60.25, 75.5, 90.75, 120.5, 240.25, 50.5)[k]
    x, y = (n * 613 + k * 7001) % 16000 / 10, (n * 397 + k * 3001) % 8000 / 10
    return x, y, side, side * 1.1


_CHANGES = ("kept", "kept", "edited", "kept")
_NAMES = '["person", "helmet", "vest", "forklift", "no-helmet"]'
_VIDEO = ("id", "key", "name", "camera", "size_bytes", "width", "height", "codec", "captured_at")
_FRAME = ("id", "name", "key", "width", "height", "camera", "video_id", "pts", "time_base")
_MODEL = ("id", "kind", "key", "class_names", "metrics", "registered_at")
_PROPOSAL = (
    *("id", "frame_id", "task_id", "model_id", "label", "x", "y", "w", "h", "iscrowd", "score", "attributes"),
    "position",
)
_JOB = (
    *("id", "backend", "number", "task_id", "stage", "state", "assignee", "annotator", "reviewer", "updated_at"),
    "merged_at",
)
_VERSION = ("id", "number", "parent_id", "run_id", "frames", "boxes", "key", "created_at")
_HELD = ("frame_id", "since", "until", "job_id", "content", "split")
_BOX = (
    *("id", "frame_id", "category_id", "x", "y", "w", "h", "iscrowd", "job_id", "proposal_id", "model_id", "change"),
    *("annotator", "reviewer", "acceptance_id", "since", "until"),
)


def make_master(engine: Engine, master: Master) -> None:
    """Insert all of it into an empty lineage database; the indexes are made afterwards.

    A server's own housekeeping would soon look at what came; it is told to do so at once.
    """
    fill(engine, master)
    if engine.database.dialect == "postgresql":
        with engine.database.engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("vacuum analyze")
