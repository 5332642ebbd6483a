"""Stage 1: videos -> the frames in which something changed.

Several videos are read at once, and what came out of them is gone through in the order of the videos: what is kept
depends on the videos and the settings alone, never on the number of workers or on where an attempt was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.stages.frame_names import key_in, sequential_name
from data_engine.stages.sample_pool import Candidates, Pool
from data_engine.stages.sample_scratch import Finished
from data_engine.stages.sample_settings import SampleSettings as SampleSettings
from data_engine.stages.sample_video import NEAR, VERSION, Order, counted, over, read_video
from data_engine.types import Failed, Frame, Sampled, Video

if TYPE_CHECKING:
    from data_engine.ports import Executor, Progress, Storage
    from data_engine.selection.near_duplicates import NearDuplicates

__all__ = ["VERSION", "SampleSettings", "sample", "sample_one"]


def sample(
    videos: Sequence[Video],
    settings: SampleSettings,
    *,
    storage: Storage,
    executor: Executor,
    progress: Progress,
    output: str,
    scratch: str,
    first_number: int = 1,
    remaining: int | None = None,
    kept_before: Mapping[str, Sequence[int]] | None = None,
) -> Generator[Sampled | Failed, None, None]:
    """Sample videos into pictures below ``output``; one outcome a video, in the order of the videos.

    A video that cannot be read is one Failed outcome.  Videos are read in parallel unless there is a limit, for then
    nobody knows which video is the last before the ones before it were read.

    Whoever asks for the next outcome has recorded the last one: what was kept to go on from is removed then.  With a
    number of frames as the budget all outcomes come at the end, belong into one record, and the scratch folder is left
    to the caller.

    Args:
        videos: what to sample.
        settings: how.
        storage: where the videos are and the pictures go.
        executor: where the work is done.
        progress: told of the frames that were decoded.
        output: key of the folder for the pictures.
        scratch: key of a folder for what lets a killed run go on, used by nobody else at the same time.
        first_number: number of the first picture where names are sequential.
        remaining: frames that may still be kept; the settings' limit or budget when not given.  When none is left, the
            videos that were not begun have no outcome.
        kept_before: difference hashes of the frames of other videos that were kept before, by camera.

    Raises:
        StorageFullError: the disk is full.
    """
    if remaining is None:
        remaining = settings.limit if settings.most is None else settings.most
    if remaining is not None and remaining <= 0:
        return
    work = _Work(settings, storage, output, scratch, progress, _Shelf(settings, first_number, kept_before or {}))
    if settings.most is not None and remaining is not None:
        outcomes = _best(work, videos, executor, remaining)
    elif remaining is not None:
        outcomes = _first(work, videos, remaining)
    else:
        outcomes = _each(work, videos, executor)
    try:
        with ExitStack() as stack:
            # Whatever happens to the one who listens, no worker outlives this.
            stack.callback(outcomes.close)
            for outcome in outcomes:
                if isinstance(outcome, Sampled) and outcome.damage:
                    progress.note(f"{PurePosixPath(outcome.video.key).name}: {outcome.damage}")
                yield outcome
    finally:
        progress.finish()


def sample_one(video: Video, settings: SampleSettings, storage: Storage, *, output: str, scratch: str) -> Sampled:
    """Sample one video into pictures below ``output``, by itself: a budget or limit over all videos does not count.

    Args:
        video: what to sample.
        settings: how.
        storage: where the video is and the pictures go.
        output: key of the folder for the pictures.
        scratch: key of a folder for what lets a killed attempt go on; what is left there is removed.

    Raises:
        MissingInputError: the video is not there.
        DamagedInputError: it is not a video, or not one of its frames can be decoded.
        StorageFullError: the disk is full.
    """
    order = Order(video, settings, storage, output, scratch)
    sampled = _Shelf(settings, 1, {}).put(order, read_video(order, lambda _amount: None))
    order.folder().clear()
    return sampled


def frames_in(videos: Sequence[Video]) -> int | None:
    """How many frames videos hold by what their containers say; None where one of them does not say."""
    total = 0.0
    for video in videos:
        if video.duration_s is None or video.frame_rate is None:
            return None
        total += video.duration_s * float(video.frame_rate)
    return round(total)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the ways to go over the videos share."""

    settings: SampleSettings
    storage: Storage
    output: str
    scratch: str
    progress: Progress
    shelf: _Shelf

    def order(
        self, video: Video, *, first: int | None = None, best: int | None = None, others: Sequence[int] = ()
    ) -> Order:
        return Order(video, self.settings, self.storage, self.output, self.scratch, first, best, tuple(others))

    def start(self, orders: Sequence[Order]) -> None:
        """Show the progress in frames; what earlier attempts decoded counts as done."""
        done = sum(order.folder().decoded() for order in orders)
        # How many keyframes there are is written nowhere.
        total = None if self.settings.method == "keyframes" else frames_in([order.video for order in orders])
        self.progress.start("sampling", total, "frames", done=done)

    def read(self, orders: Sequence[Order], executor: Executor) -> Generator[tuple[Order, Finished | Failed]]:
        """Each video with what came out of it, in their order."""
        with ExitStack() as stack:
            results = executor.map(_read, orders, advance=self.progress.advance)
            if isinstance(results, Generator):
                stack.callback(results.close)
            yield from zip(orders, results, strict=True)


def _read(order: Order, report: Callable[[int], None]) -> Finished | Failed:
    try:
        return read_video(order, report)
    except (DamagedInputError, MissingInputError) as error:
        return Failed(order.video.id, error.message)


def _each(work: _Work, videos: Sequence[Video], executor: Executor) -> Generator[Sampled | Failed]:
    """Every video for itself."""
    orders = [work.order(video) for video in videos]
    work.start(orders)
    for order, result in work.read(orders, executor):
        if isinstance(result, Failed):
            yield result
        else:
            yield work.shelf.put(order, *work.shelf.apart(order, result))
        order.folder().clear()


def _first(work: _Work, videos: Sequence[Video], left: int) -> Generator[Sampled | Failed]:
    """One video after the other, until enough frames were kept."""
    work.start([work.order(video) for video in videos])
    for video in videos:
        if left <= 0:
            return
        # Where a video's frames are chosen once all are known, they are all needed.
        first = None if work.settings.ranks else left
        order = work.order(video, first=first, others=work.shelf.hashes(video.camera))
        result = _read(order, work.progress.advance)
        if isinstance(result, Failed):
            yield result
        else:
            apart, near = work.shelf.apart(order, result)
            outcome = work.shelf.put(order, over(apart, left), near)
            left -= len(outcome.frames)
            yield outcome
        order.folder().clear()


def _best(work: _Work, videos: Sequence[Video], executor: Executor, room: int) -> Generator[Sampled | Failed]:
    """The best frames over all videos: nothing is certain before the last one was read."""
    orders = [work.order(video, best=room) for video in videos]
    pool = Pool(work.storage, work.scratch, room, orders)
    work.start(orders)
    failures = []
    for order, result in work.read(orders, executor):
        if isinstance(result, Failed):
            failures.append(result)
        else:
            pool.add(Candidates(order, *work.shelf.apart(order, result)))
    yield from failures
    for one in pool.best():
        yield work.shelf.put(one.order, one.finished, one.near)


class _Shelf:
    """Puts what stays of each video in its place, in the order of the videos.

    Args:
        settings: how.
        number: of the next picture, where names are sequential.
        kept_before: difference hashes of frames of other videos that were kept before, by camera.
    """

    def __init__(self, settings: SampleSettings, number: int, kept_before: Mapping[str, Sequence[int]]) -> None:
        self._settings = settings
        self._number = number
        self._near: NearDuplicates | None = None
        self._hashes: dict[str, list[int]] = {}
        if settings.tolerance is not None:
            from data_engine.selection.near_duplicates import NearDuplicates

            self._near = NearDuplicates(settings.tolerance)
            for camera, hashes in kept_before.items():
                self._apart(camera, hashes)

    def hashes(self, camera: str) -> Sequence[int]:
        """Difference hashes of the frames of a camera that are kept so far."""
        return tuple(self._hashes.get(camera, ()))

    def _apart(self, camera: str, hashes: Sequence[int]) -> set[int]:
        """Those of the hashes that are near one of another video; the others count from now on."""
        if self._near is None:
            return set()
        near = {dhash for dhash in hashes if not self._near.add(camera, dhash)}
        self._hashes.setdefault(camera, []).extend(dhash for dhash in hashes if dhash not in near)
        return near

    def apart(self, order: Order, finished: Finished) -> tuple[Finished, int]:
        """A video's frames without those near another video's, and how many those were."""
        near = self._apart(order.video.camera, finished.hashes)
        if not near:
            return finished, 0
        stay = [place for place, kept in enumerate(finished.frames) if kept.frame.dhash not in near]
        frames = tuple(finished.frames[place] for place in stay)
        gains = tuple(finished.gains[place] for place in stay) if finished.gains else ()
        return replace(finished, frames=frames, gains=gains), len(near)

    def put(self, order: Order, finished: Finished, near: int = 0) -> Sampled:
        """Give the frames their names, in order of time, and link their pictures there."""
        scratch = order.folder()
        frames = []
        for kept in sorted(finished.frames, key=lambda kept: kept.frame.pts or 0):
            frame = self._named(order, kept.frame)
            order.storage.link(scratch.picture(kept.frame.id), frame.key)
            frames.append(replace(kept, frame=frame))
        passed = counted(finished.passed, NEAR, near)
        return Sampled(order.video, tuple(frames), finished.decoded, passed, finished.damage)

    def _named(self, order: Order, frame: Frame) -> Frame:
        if self._settings.names == "stamped":
            return frame
        name = sequential_name(self._number)
        self._number += 1
        return replace(frame, name=name, key=key_in(order.output, name))
