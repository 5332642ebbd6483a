"""A task's frames and jobs, made of what was uploaded: the work of a ``create`` request."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from .records import Data, Frame, Job, Task
from .state import State
from .workers import WorkError

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")


def create(state: State, task: Task, sent: dict[str, Any]) -> None:
    """Reads the images and makes the jobs.

    Args:
        sent: the parameters of Upload-Finish.

    Raises:
        WorkError: as the real server words it.
    """
    data = task.data
    assert data is not None
    data.image_quality = int(sent.get("image_quality", 70))
    data.chunk_size = int(sent.get("chunk_size") or 72)
    frames = [_frame(name, file) for name, file in _media(data)]
    if not frames:
        raise WorkError("ValueError: No media data found")
    mapping = sent.get("job_file_mapping")
    ordered = _ordered(frames, sent, task.id)
    pool = sent.get("validation_params")
    if pool and pool.get("mode") == "gt_pool":
        _with_pool(state, task, data, ordered, pool)
    else:
        sizes = [len(names) for names in mapping] if mapping else None
        data.frames = ordered
        _segments(state, task, len(ordered), sizes)
        if mapping:
            task.segment_size = 0
    now = state.now()
    data.ready, data.updated, task.updated = True, now, now


def complete(state: State, task: Task, sent: dict[str, Any]) -> None:
    """The ground-truth job, where one was asked for: made when all else is there."""
    pool = sent.get("validation_params") or {}
    if pool.get("mode") == "gt":
        task.validation_mode = "gt"
        ground_truth(state, task, pool)
    elif pool.get("mode") == "gt_pool":
        frames = task.validation["validation_frames"]
        new_job(state, task, "ground_truth", frames[0], frames[-1])
    state.touch_task(task)


def _media(data: Data) -> list[tuple[str, Path]]:
    """Names and files: the uploads themselves, or what is in the one archive."""
    if len(data.files) == 1 and next(iter(data.files)).endswith(".zip"):
        archive = next(iter(data.files.values()))
        folder = data.folder / "unpacked"
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(folder)
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGES)
        return [(path.relative_to(folder).as_posix(), path) for path in paths]
    return list(data.files.items())


def _frame(name: str, file: Path) -> Frame:
    try:
        with Image.open(file) as image:
            width, height = image.size
    # The third where ultralytics, imported in the same process, has taught PIL to ask for a package of its own.
    except (OSError, Image.DecompressionBombError, ModuleNotFoundError):
        raise WorkError(f"PIL.UnidentifiedImageError: cannot identify image file '{file}'") from None
    return Frame(name, width, height, file)


def _ordered(frames: list[Frame], sent: dict[str, Any], task: int) -> list[Frame]:
    by_name = {frame.name: frame for frame in frames}
    if mapping := sent.get("job_file_mapping"):
        return [by_name[name] for names in mapping for name in names]
    method = sent.get("sorting_method", "lexicographical")
    if method == "predefined":
        order = sent.get("upload_file_order")
        return [by_name[name] for name in order] if order else frames
    if method == "random":
        random.Random(task).shuffle(frames)
        return frames
    return sorted(frames, key=lambda frame: frame.name)


def _segments(state: State, task: Task, count: int, sizes: list[int] | None) -> None:
    """Jobs of ``segment_size`` frames that share ``overlap`` frames with the one before, or of given sizes."""
    size = task.segment_size if 0 < task.segment_size < count else count
    overlap = min(task.overlap or 0, size - 1) if size > 1 else 0
    task.overlap = overlap if sizes is None else 0
    if sizes is None:
        task.segment_size = size
        starts = list(range(0, max(count - overlap, 1), size - overlap))
        ranges = [(start, min(start + size, count) - 1) for start in starts]
    else:
        ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
        ranges = [(end - size, end - 1) for size, end in zip(sizes, ends, strict=True)]
    for start, stop in ranges:
        job = new_job(state, task, "annotation", start, stop)
        for _ in range(task.consensus_replicas):
            new_job(state, task, "consensus_replica", start, stop, parent=job.id)


def new_job(
    state: State,
    task: Task,
    kind: str,
    start: int,
    stop: int,
    *,
    parent: int | None = None,
    included: list[int] | None = None,
) -> Job:
    now = state.now()
    job = Job(state.next_id("job"), task.id, kind, start, stop, now, state.now(), parent=parent, included=included)
    job.chunks_updated = now
    state.jobs[job.id] = job
    state.task_jobs[task.id].append(job.id)
    return job


def _with_pool(state: State, task: Task, data: Data, frames: list[Frame], asked: dict[str, Any]) -> None:
    """Honeypots: a pool of frames at the end in a ground-truth job, and repeats of them mixed into every other job."""
    dice = random.Random(asked.get("random_seed", task.id))
    size = asked.get("frame_count") or max(1, round(len(frames) * asked.get("frame_share", 0.1)))
    each = asked.get("frames_per_job_count") or 1
    pool = dice.sample(frames, size)
    names = {frame.name for frame in pool}
    rest = [frame for frame in frames if frame.name not in names]
    step = task.segment_size or len(rest)
    made: list[Frame] = []
    total = len(rest) + each * -(-len(rest) // step)
    for start in range(0, len(rest), step):
        part = rest[start : start + step]
        for number in dice.sample(range(size), each):
            repeated = pool[number]
            copy = Frame(repeated.name, repeated.width, repeated.height, repeated.file, honeypot_of=total + number)
            part.insert(dice.randrange(len(part) + 1), copy)
        new_job(state, task, "annotation", len(made), len(made) + len(part) - 1)
        made += part
    data.frames = made + pool
    honeypots = [number for number, frame in enumerate(made) if frame.honeypot_of is not None]
    task.segment_size, task.overlap, task.validation_mode = 0, 0, "gt_pool"
    task.validation = {
        "mode": "gt_pool",
        "frames_per_job_count": each,
        "validation_frames": list(range(len(made), len(made) + size)),
        "disabled_frames": [],
        "honeypot_count": len(honeypots),
        "honeypot_frames": honeypots,
        "honeypot_real_frames": [made[number].honeypot_of for number in honeypots],
    }


def ground_truth(state: State, task: Task, asked: dict[str, Any]) -> Job:
    """A ground-truth job over frames that are named by number or drawn."""
    assert task.data is not None
    count = len(task.data.frames)
    method = asked.get("frame_selection_method", "manual")
    dice = numpy.random.Generator(numpy.random.MT19937(asked.get("random_seed")))
    if method == "manual":
        chosen = [int(frame) for frame in asked["frames"]]
    elif method == "random_per_job":
        chosen = []
        for job in state.jobs_of(task.id, "annotation"):
            share = asked.get("frames_per_job_count") or round(asked["frames_per_job_share"] * len(job.frames()))
            chosen += dice.choice(job.frames(), min(max(1, share), len(job.frames())), replace=False).tolist()
    else:
        wanted = asked.get("frame_count") or round(asked["frame_share"] * count)
        chosen = dice.choice(range(count), min(max(1, wanted), count), replace=False, shuffle=False).tolist()
    return new_job(state, task, "ground_truth", 0, count - 1, included=sorted(set(chosen)))
