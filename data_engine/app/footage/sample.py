"""``sample``: videos -> frames."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from data_engine.app.engine import Engine
from data_engine.app.footage import live
from data_engine.app.footage.sample_numbers import give_back, highest_number, numbering, refuse_to_overwrite
from data_engine.app.footage.sample_scratch import scratch_folder
from data_engine.app.footage.videos import INPUT as INPUT
from data_engine.app.footage.videos import FoundVideos, find_videos
from data_engine.app.lineage.purged import without_purged
from data_engine.errors import MissingInputError
from data_engine.lineage import footage, work
from data_engine.lineage import videos as lineage
from data_engine.lineage.database import Connection
from data_engine.media.address import LiveUrl
from data_engine.runner import Summary, fingerprint_of
from data_engine.stages.sample_settings import SampleSettings
from data_engine.types import Failed, Report, Sampled, Video, content_id
from data_engine.words import counted

OUTPUT = "frames_sampled"
MOST_ROWS = 50
"""Videos that the report tells of one by one."""


def sample(
    engine: Engine,
    *,
    inputs: Sequence[Path | LiveUrl] = (),
    output: Path | None = None,
    duration_s: float | None = None,
    only_new: bool = False,
) -> Report:
    """Sample the frames of all videos found in ``inputs`` that were not sampled with these settings yet.

    Args:
        inputs: files, folders, and live sources, which are recorded first.
        output: the folder for the frames.
        duration_s: seconds to record the live sources.
        only_new: leave alone the videos that were sampled before with other settings.

    Raises:
        UsageError: a live source without a duration, or a duration without a live source.
        ServiceError: the one input is a live source that did not answer.
        MissingInputError: a path that is not there, or no video in any.
        DamagedInputError: the one file that was named is not a video.
        ConflictError: with sequential names, ``output`` holds somebody else's pictures of such names.
    """
    from data_engine.stages import sample as stage

    settings = engine.settings.sample
    taken = live.take(engine, inputs, duration_s)
    found = find_videos(engine, taken.paths or [Path(engine.shown(INPUT))], cameras=taken.cameras)
    target = engine.key_of(output, OUTPUT)
    alike = _leave_out_near_duplicates(engine, found)
    fingerprint = fingerprint_of("sample", stage.VERSION, settings, [target])
    if only_new:
        # Those that were done just as they would be now stay: a run that goes on after a kill is the same run.
        with engine.database.read() as connection:
            done_so = _done(connection, fingerprint, found.videos, settings)
            otherwise = footage.sampled_videos(connection) - done_so.keys()
        found.videos = [video for video in found.videos if video.id not in otherwise]
    videos = {video.id: video for video in found.videos}
    inputs_of = {video.id: _input_id(video, settings) for video in found.videos}
    runner = engine.runner
    sequential = settings.names == "sequential"
    with ExitStack() as stack:
        if sequential:
            stack.enter_context(numbering(engine, target))
            refuse_to_overwrite(engine, target, fingerprint)
        run = stack.enter_context(
            runner.run("sample", stage.VERSION, settings, inputs=list(inputs_of.values()), scope=[target])
        )
        _forget_lost(engine, run.fingerprint, found.videos, settings)
        with engine.database.read() as connection:
            done = _done(connection, run.fingerprint, found.videos, settings).keys()
            keys_before = footage.sampled_keys(connection, run.fingerprint)
            hashes = footage.sampled_hashes(connection, run.fingerprint) if settings.tolerance is not None else {}
            first_number = 1 + highest_number(connection, target) if sequential else 1
        told = _Told(sum(len(keys_before.get(video_id, ())) for video_id in done))
        todo = [video for video in found.videos if video.id not in done]
        kept_before: dict[str, list[int]] = {}
        for video_id, (camera, values) in hashes.items():
            if video_id in done or video_id not in videos:
                kept_before.setdefault(camera, []).extend(values)

        def record(connection: Connection, outcomes: Sequence[Sampled]) -> None:
            for found_now in outcomes:
                outcome = without_purged(engine, connection, found_now)
                told.purged += len(found_now.frames) - len(outcome.frames)
                if sequential:
                    give_back(engine, connection, run.fingerprint, outcome)
                stamps = {kept.frame.key: engine.storage.stamp(kept.frame.key) for kept in outcome.frames}
                footage.record_sampled(connection, run.fingerprint, outcome, stamps)
                told.add(outcome)

        with scratch_folder(engine, run.fingerprint) as scratch:
            outcomes = stage.sample(
                todo,
                settings,
                storage=engine.storage,
                executor=engine.executor(settings.workers),
                progress=engine.progress,
                output=target,
                scratch=scratch,
                first_number=first_number,
                remaining=_room(settings, keys_before, done, videos),
                kept_before=kept_before,
            )
            summary = runner.stream(
                run,
                outcomes,
                input_id=lambda o: inputs_of[o.video.id],
                record=record,
                detail=lambda outcome: outcome.damage,
                # What was weighed against one another is recorded together.
                batch=1 if settings.most is None else max(1, len(todo)),
            )
        with engine.database.read() as connection:
            ended = _done(connection, run.fingerprint, found.videos, settings)
    # A damaged video is reported each time it is part of the work, not only when it was first read.
    damaged = [Failed(videos[video_id].key, remark) for video_id, remark in ended.items() if remark]
    unread = [Failed(videos[failure.input_id].key, failure.reason) for failure in summary.failed]
    total = told.frames_before + told.kept
    return Report(
        title=_title(told.kept, summary.done, len(done)),
        data={
            "videos": len(videos),
            "videos_sampled": summary.done,
            "videos_done_before": len(done),
            "frames_decoded": told.decoded,
            "frames_kept": told.kept,
            "frames_in_all": total,
            **told.left_out(),
            "output": engine.shown(target),
            **({"live": taken.data} if taken.data else {}),
        },
        rows=tuple(told.rows(engine)) if len(told.outcomes) > 1 else (),
        notes=(*taken.notes, *_notes(settings, found, alike, told, summary, unopened=len(todo) - _ended(summary))),
        failures=(*taken.failures, *found.failures, *unread, *sorted(damaged, key=lambda failure: failure.input_id)),
        next="dataengine filter" if total else "",
    )


@dataclass(slots=True)
class _Told:
    """What the report tells."""

    frames_before: int
    """Frames on record of the videos that were done before."""
    kept: int = 0
    decoded: int = 0
    purged: int = 0
    """Frames that were purged, and do not come back."""
    outcomes: list[tuple[str, tuple[int, int, int]]] = field(default_factory=list)
    """Of each video: its key, frames decoded, frames kept, frames left out."""
    _passed: Counter[str] = field(default_factory=Counter)
    _lost: int = 0

    def add(self, outcome: Sampled) -> None:
        self.kept += len(outcome.frames)
        self.decoded += outcome.decoded
        passed = dict(outcome.passed)
        # No frame came of them.
        self._lost += passed.pop("damaged packets", 0)
        self._passed.update(passed)
        self.outcomes.append((outcome.video.key, (outcome.decoded, len(outcome.frames), sum(passed.values()))))

    def left_out(self) -> dict[str, int]:
        """How many frames were not kept although the method may have wanted them, and why; and lost packets."""
        told = {f"left_out_{re.sub('[ -]', '_', why)}": number for why, number in sorted(self._passed.items())}
        return told | ({"damaged_packets": self._lost} if self._lost else {})

    def rows(self, engine: Engine) -> list[dict[str, object]]:
        """A line a video; beyond some, one for all the rest."""
        shown = self.outcomes if len(self.outcomes) <= MOST_ROWS else self.outcomes[: MOST_ROWS - 1]
        rest = self.outcomes[len(shown) :]
        rows = [_row(engine.readable(key), *numbers) for key, numbers in shown]
        if rest:
            rows.append(_row(counted(len(rest), "more video"), *map(sum, zip(*(n for _key, n in rest), strict=True))))
        return rows


def _row(name: str, decoded: int, kept: int, left_out: int) -> dict[str, object]:
    share = round(100 * kept / decoded, 2) if decoded else 0.0
    return {"video": name, "decoded": decoded, "kept": kept, "percent": share, "left out": left_out}


def _ended(summary: Summary) -> int:
    return summary.done + len(summary.failed)


def _room(
    settings: SampleSettings, kept: Mapping[str, Sequence[str]], done: Collection[str], videos: Collection[str]
) -> int | None:
    """How many frames may still be kept in all; None for any number.

    Args:
        kept: the frames that these settings gave before, by video.
        done: those of the videos that need no work.
        videos: all that this run is about.
    """
    if settings.limit is not None:
        return max(0, settings.limit - sum(len(kept.get(video, ())) for video in done))
    if settings.most is not None:
        # Frames of videos elsewhere were weighed with the same budget.
        before = sum(len(keys) for video, keys in kept.items() if video in done or video not in videos)
        return max(0, settings.most - before)
    return None


def _leave_out_near_duplicates(engine: Engine, found: FoundVideos) -> int:
    """Take the videos that look like another one out of what was found, where that is wanted; returns how many."""
    if not engine.settings.sample.skip_near_duplicates:
        return 0
    from data_engine.stages.ingest import IngestSettings

    with engine.database.read() as connection:
        last = next(iter(work.latest(connection, 1, stage="ingest")), None)
        if last is None:
            raise MissingInputError("no videos were compared with one another yet", hint="run first: dataengine ingest")
        # As the last ingest compared them, whatever the settings say now.
        known = {name: value for name, value in last.settings.items() if name in IngestSettings.model_fields}
        method = IngestSettings(**known).signature_method(engine.embedder().name)
        alike = set() if method is None else {one.video_id for one in lineage.near_duplicates(connection, method)}
    before = len(found.videos)
    found.videos = [video for video in found.videos if video.id not in alike]
    return before - len(found.videos)


def _notes(
    settings: SampleSettings, found: FoundVideos, alike: int, told: _Told, summary: Summary, *, unopened: int
) -> list[str]:
    notes = []
    if found.copies:
        notes.append(f"{counted(found.copies, 'copy')} of another video left out")
    if alike:
        notes.append(f"{counted(alike, 'video')} left out for looking like another")
    if found.ignored:
        notes.append(f"{counted(found.ignored, 'file')} passed over: not a video")
    if told.purged:
        notes.append(f"{counted(told.purged, 'frame')} left out: purged before, and not to come back")
    if unopened:
        reached = f"--limit {settings.limit}" if settings.most is None else f"--budget {settings.budget}"
        notes.append(f"{reached} was reached: nothing was taken from {counted(unopened, 'video')}")
    if settings.method == "scene-change" and told.kept and told.kept == summary.done < told.decoded:
        notes.append("nothing but the first frame differed enough: for static cameras try --method tiles")
    return notes


def _title(frames: int, videos: int, before: int) -> str:
    if before and not videos:
        return f"no new frame: {counted(before, 'video')} sampled before"
    done = f" ({before} more sampled before)" if before else ""
    return f"sampled {counted(frames, 'frame')} from {counted(videos, 'video')}{done}"


def _input_id(video: Video, settings: SampleSettings) -> str:
    """What is done when this video was sampled: with other borders it is something else."""
    if video.crop is None or not settings.crop:
        return video.id
    return content_id("video", video.id, "crop", *video.crop)


def _done(
    connection: Connection, fingerprint: str, videos: Sequence[Video], settings: SampleSettings
) -> dict[str, str | None]:
    """Those of the videos that need no work, by id, with the remark that was kept."""
    videos_of = {_input_id(video, settings): video.id for video in videos}
    done = work.done(connection, fingerprint, videos_of)
    return {videos_of[input_id]: remark for input_id, remark in done.items()}


def _forget_lost(engine: Engine, fingerprint: str, videos: Sequence[Video], settings: SampleSettings) -> None:
    """The done videos whose frames are no longer all on the disk are sampled again."""
    with engine.database.read() as connection:
        done = _done(connection, fingerprint, videos, settings)
        keys = footage.sampled_keys(connection, fingerprint)
    lost = [
        _input_id(video, settings)
        for video in videos
        if video.id in done and not all(map(engine.storage.exists, keys.get(video.id, ())))
    ]
    if lost:
        with engine.database.write() as connection:
            work.forget(connection, fingerprint, lost)
