"""Sampling of one video: read, look, hold back what shows nothing, pick, save; and go on exactly after a kill."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError
from data_engine.stages.frame_names import frame_name, key_in
from data_engine.stages.sample_method import make_picker, open_reader
from data_engine.stages.sample_scratch import Checkpoint, Finished, Scratch
from data_engine.types import Frame, SampledFrame, Video, content_id

if TYPE_CHECKING:
    from data_engine.media.decode import VideoReader
    from data_engine.media.frame import DecodedFrame
    from data_engine.media.picking import Pick
    from data_engine.media.position import Position
    from data_engine.media.sequence import SequenceReader
    from data_engine.ports import Storage
    from data_engine.stages.sample_settings import SampleSettings

VERSION = 2
"""Raised whenever the same video would be sampled differently."""

CHECKPOINT_S = Fraction(60)
"""Seconds of video after which a checkpoint is written, as soon as the method holds no frame that it may yet keep."""
_REPORT_EVERY = 32
NEAR = "near-duplicate"
OVER = "over the limit"


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker needs for one video."""

    video: Video
    settings: SampleSettings
    storage: Storage
    output: str
    """Key of the folder for the pictures."""
    scratch: str
    """Key of the folder for the work on all videos."""
    first: int | None = None
    """Frames after which reading stops."""
    best: int | None = None
    """Frames to keep at most once all candidates are known, beside the settings' own limits."""
    others: tuple[int, ...] = ()
    """Difference hashes of frames of the same camera that no frame may be near."""

    def folder(self) -> Scratch:
        """Where the work on this video is kept, good for exactly this order."""
        crop = () if self.crop is None else self.crop
        purpose = content_id(
            "sampling",
            VERSION,
            self.settings.fingerprint(),
            self.video.id,
            self.video.name,
            self.video.camera,
            repr((crop, self.output, self.first, self.best, self.others)),
        )
        return Scratch(self.storage, f"{self.scratch}/{self.video.id}", purpose)

    @property
    def crop(self) -> tuple[int, int, int, int] | None:
        """The part of the picture that is saved; None for all of it."""
        return self.video.crop if self.settings.crop else None

    @property
    def frames(self) -> int | None:
        """How many frames the video holds by what its container says, where not all of them are decoded; else None."""
        video = self.video
        if self.settings.method != "keyframes" or video.duration_s is None or video.frame_rate is None:
            return None
        return round(video.duration_s * float(video.frame_rate))


def read_video(order: Order, report: Callable[[int], None]) -> Finished:
    """Read one video to its end, or go on where an earlier attempt stopped.  Runs in a worker process.

    What comes out is the same whether and wherever it was interrupted.

    Args:
        order: what to do.
        report: told how many frames were decoded since it was told last.

    Raises:
        MissingInputError: the video is not there.
        DamagedInputError: it is not a video, or not one of its frames can be decoded.
        StorageFullError: the disk is full.
    """
    scratch = order.folder()
    finished = scratch.finished()
    if finished is not None and _complete(order, scratch, finished.frames):
        return finished
    reading = _Reading(order, scratch)
    try:
        read = reading.to_the_end(report)
    except DamagedInputError:
        if not reading.resumed:
            raise
        # The file is not what it was when the checkpoint was written.
        scratch.clear()
        reading = _Reading(order, scratch)
        read = reading.to_the_end(report)
    finished = _best_of(order, read)
    scratch.finish(finished)
    if len(finished.frames) < len(reading.frames):
        stay = {kept.frame.id for kept in finished.frames}
        for kept in reading.frames:
            if kept.frame.id not in stay:
                order.storage.delete(scratch.picture(kept.frame.id))
    return finished


class _Reading:
    """One pass over a video, from its beginning or from a checkpoint."""

    def __init__(self, order: Order, scratch: Scratch) -> None:
        from data_engine.media.quality import QualityGates

        settings = order.settings
        self.frames: list[SampledFrame] = []
        self._order = order
        self._scratch = scratch
        self._gates = QualityGates(
            settings.min_brightness, settings.min_sharpness, settings.frozen_after, ignore=settings.ignore
        )
        self._picker = make_picker(settings)
        self._passed: Counter[str] = Counter()
        self._hashes: list[int] = []
        self._near = self._near_others = None
        if settings.tolerance is not None:
            from data_engine.selection.near_duplicates import NearDuplicates

            self._near, self._near_others = NearDuplicates(settings.tolerance), NearDuplicates(settings.tolerance)
            for dhash in order.others:
                self._near_others.add("", dhash)
        self._parted = 0, 0
        self._position = self._restored()

    def _restored(self) -> Position | None:
        """Take over the last checkpoint; returns where the reader goes on, None for the beginning."""
        from data_engine.media.position import Position

        checkpoint = self._scratch.read()
        if checkpoint is None or not _complete(self._order, self._scratch, checkpoint.frames):
            self._scratch.clear()
            return None
        self.frames, self._hashes = list(checkpoint.frames), list(checkpoint.hashes)
        self._parted = len(self.frames), len(self._hashes)
        self._passed.update(checkpoint.passed)
        self._picker.restore(checkpoint.state)
        self._gates.restore(checkpoint.state)
        if self._near is not None and self._near_others is not None:
            for dhash in self._hashes:
                self._near.add("", dhash)
                self._near_others.add("", dhash)
        return Position.from_json(checkpoint.position)

    @property
    def resumed(self) -> bool:
        """Whether it goes on from a checkpoint."""
        return self._position is not None

    def to_the_end(self, report: Callable[[int], None]) -> Finished:
        order = self._order
        with open_reader(order.video, order.settings, order.storage, self._position) as reader:
            told = 0 if self._position is None else self._position.decoded
            due: Fraction | None = None
            for decoded in reader:
                if reader.decoded - told >= _REPORT_EVERY:
                    report(reader.decoded - told)
                    told = reader.decoded
                time_s = decoded.time_s
                due = time_s + CHECKPOINT_S if due is None else due
                if self._picker.wants(time_s) and self._look(decoded):
                    break
                if time_s >= due and self._write_checkpoint(reader):
                    due = time_s + CHECKPOINT_S
            else:
                for pick in self._picker.finish():
                    if len(self.frames) != order.first:
                        self._keep(pick)
            report(reader.decoded - told)
            passed = dict(self._passed)
            if reader.damaged:
                passed["damaged packets"] = reader.damaged
            if reader.passed_over:
                passed["next to damage"] = reader.passed_over
            return Finished(tuple(self.frames), reader.decoded, passed, reader.damage)

    def _look(self, decoded: DecodedFrame) -> bool:
        """Look at a frame; returns whether there are enough now."""
        from data_engine.media.picking import Look
        from data_engine.media.quality import FROZEN

        look = Look(decoded)
        fault = self._gates.fault(look)
        if fault is not None:
            self._passed[fault] += 1
            if fault == FROZEN:
                self._picker.pass_by(look.time_s)
            return False
        for pick in self._picker.pick(look):
            self._keep(pick)
            if len(self.frames) == self._order.first:
                return True
        return False

    def _keep(self, pick: Pick) -> None:
        from data_engine.media.hashing import dhash_of_bytes
        from data_engine.media.images import encode_jpeg

        order, decoded = self._order, pick.frame
        frame_id = id_of(order.video, decoded)
        name = frame_name(order.video.name, decoded.time_s, frame_id)
        width, height = decoded.size_wh
        data = encode_jpeg(decoded.rgb(), order.settings.quality)
        # Of the file, as a picture that came without its video has it: equal files have equal hashes.
        dhash = dhash_of_bytes(data, name=name)
        if self._near is not None and not self._near.add("", dhash):
            self._passed[NEAR] += 1
            return
        if self._near_others is not None:
            self._hashes.append(dhash)
            if not self._near_others.add("", dhash):
                self._passed[NEAR] += 1
                return
        frame = Frame(
            id=frame_id,
            name=name,
            key=key_in(order.output, name),
            width=width,
            height=height,
            camera=order.video.camera,
            video_id=order.video.id,
            pts=decoded.pts,
            time_base=decoded.time_base,
            dhash=dhash,
            crop=decoded.crop,
        )
        # Not into the output: only what is on record lies there, whenever the power fails.
        order.storage.write_bytes(self._scratch.picture(frame.id), data)
        sha256 = hashlib.sha256(data).hexdigest()
        self.frames.append(SampledFrame(frame, sha256, pick.similarity, pick.weight, pick.reason))

    def _write_checkpoint(self, reader: VideoReader | SequenceReader) -> bool:
        """Returns whether one could be written here: not while the method holds a frame that it may yet keep."""
        state = self._picker.state()
        if state is None:
            return False
        frames, hashes = self._parted
        self._scratch.write(
            Checkpoint(
                reader.position().as_json(),
                {**state, **self._gates.state()},
                reader.decoded,
                dict(self._passed),
                tuple(self.frames[frames:]),
                tuple(self._hashes[hashes:]),
            )
        )
        self._parted = len(self.frames), len(self._hashes)
        return True


def _complete(order: Order, scratch: Scratch, frames: Sequence[SampledFrame]) -> bool:
    return all(order.storage.exists(scratch.picture(kept.frame.id)) for kept in frames)


def _best_of(order: Order, read: Finished) -> Finished:
    """What stays of a video's candidates: the best ones, where the settings limit their number afterwards."""
    settings = order.settings
    gains: tuple[float, ...] = ()
    frames = list(read.frames)
    if settings.ranks:
        from data_engine.selection.coverage import rank

        limits = [order.best, settings.per_video_limit, len(frames)]
        if settings.share is not None:
            limits.append(max(1, int(settings.share * (read.decoded if order.frames is None else order.frames))))
        room = min(limit for limit in limits if limit is not None)
        # A reader that reports no times at all does not exist, but the type allows it.
        places, values = rank([kept.frame.time_s or 0.0 for kept in frames], [kept.weight for kept in frames])
        chosen = [int(place) for place in places[:room]]
        if settings.most is None:
            chosen.sort()
        else:
            gains = tuple(float(value) for value in values[:room])
        frames = [frames[place] for place in chosen]
    passed = counted(read.passed, OVER, len(read.frames) - len(frames))
    hashes = tuple(kept.frame.dhash or 0 for kept in frames) if settings.tolerance is not None else ()
    return replace(read, frames=tuple(frames), passed=passed, gains=gains, hashes=hashes)


def counted(passed: dict[str, int], reason: str, more: int) -> dict[str, int]:
    """The counts with ``more`` of one reason."""
    return {**passed, reason: passed.get(reason, 0) + more} if more else passed


def over(finished: Finished, room: int) -> Finished:
    """The first ``room`` frames; the others are counted."""
    passed = counted(finished.passed, OVER, max(0, len(finished.frames) - room))
    return replace(finished, frames=finished.frames[:room], gains=finished.gains[:room], passed=passed)


def id_of(video: Video, decoded: DecodedFrame) -> str:
    """The content id of a frame; see :class:`data_engine.types.Frame`."""
    crop = () if decoded.crop is None else (f"crop {','.join(map(str, decoded.crop))}",)
    return content_id("frame", video.id, decoded.pts, str(decoded.time_base), *crop)
