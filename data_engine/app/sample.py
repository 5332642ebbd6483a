"""``sample``: videos -> frames."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from data_engine.app.cameras import camera_of
from data_engine.app.engine import Engine, present
from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, MissingInputError, StorageFullError
from data_engine.lineage import footage, work
from data_engine.lineage.database import Connection
from data_engine.lineage.footage import KnownFile
from data_engine.runner import fingerprint_of
from data_engine.types import Failed, Report, Sampled, Video
from data_engine.words import counted

INPUT = "videos_raw"
OUTPUT = "frames_sampled"


@dataclass(slots=True)
class FoundVideos:
    """What lay in the given places."""

    videos: list[Video] = field(default_factory=list)
    """Each content once, in order of the keys."""
    failures: list[Failed] = field(default_factory=list)
    copies: int = 0
    """Files with the same bytes as another."""
    ignored: int = 0
    """Files that are no videos by their name."""


def sample(
    engine: Engine, *, inputs: Sequence[Path] = (), output: Path | None = None, only_new: bool = False
) -> Report:
    """Sample the frames of all videos found in ``inputs`` that were not sampled with these settings yet.

    Args:
        only_new: leave alone the videos that were sampled before with other settings.

    Raises:
        MissingInputError: a path that is not there, or no video in any.
        DamagedInputError: the one file that was named is not a video.
        ConflictError: with sequential names, ``output`` holds somebody else's pictures of such names.
    """
    from data_engine.stages import sample as stage

    settings = engine.settings.sample
    found = find_videos(engine, inputs or [Path(engine.shown(INPUT))])
    target = engine.key_of(output, OUTPUT)
    if only_new:
        # Those that were done just as they would be now stay: a run that goes on after a kill is the same run.
        fingerprint = fingerprint_of("sample", stage.VERSION, settings, [target])
        with engine.database.read() as connection:
            done_so = work.done(connection, fingerprint, [video.id for video in found.videos])
            otherwise = footage.sampled_videos(connection) - done_so.keys()
        found.videos = [video for video in found.videos if video.id not in otherwise]
    videos = {video.id: video for video in found.videos}
    runner = engine.runner
    sequential = settings.names == "sequential"
    if sequential:
        _refuse_to_overwrite(engine, target)
    with runner.run("sample", stage.VERSION, settings, inputs=list(videos), scope=[target]) as run:
        _forget_lost(engine, run.fingerprint, runner.done(run, list(videos)))
        # In one transaction: two that sample the same at the same moment give the same numbers.
        with engine.database.read() as connection:
            done = work.done(connection, run.fingerprint, list(videos)).keys()
            kept_before = footage.sampled_keys(connection, run.fingerprint)
            first_number = 1 + _highest_number(connection, target) if sequential else 1
        frames_before = sum(len(kept_before.get(video_id, ())) for video_id in done)
        remaining = None if settings.limit is None else max(0, settings.limit - frames_before)
        todo = [video for video in found.videos if video.id not in done]
        frames_now = decoded = 0

        def record(connection: Connection, outcomes: Sequence[Sampled]) -> None:
            nonlocal frames_now, decoded
            for outcome in outcomes:
                if sequential:
                    _give_back(engine, connection, run.fingerprint, outcome)
                stamps = {kept.frame.key: engine.storage.stamp(kept.frame.key) for kept in outcome.frames}
                footage.record_sampled(connection, run.fingerprint, outcome, stamps)
                frames_now += len(outcome.frames)
                decoded += outcome.decoded

        outcomes = stage.sample(
            todo,
            settings,
            storage=engine.storage,
            executor=engine.executor(settings.workers),
            progress=engine.progress,
            output=target,
            first_number=first_number,
            remaining=remaining,
        )
        summary = runner.stream(
            run, outcomes, input_id=lambda o: o.video.id, record=record, detail=lambda outcome: outcome.damage
        )
        ended = runner.done(run, list(videos))
    # A damaged video is reported each time it is part of the work, not only when it was first read.
    damaged = [Failed(videos[video_id].key, remark) for video_id, remark in ended.items() if remark]
    unread = [Failed(videos[failure.input_id].key, failure.reason) for failure in summary.failed]
    failures = [*found.failures, *unread, *sorted(damaged, key=lambda failure: failure.input_id)]
    total = frames_before + frames_now
    notes = []
    if found.copies:
        notes.append(f"{counted(found.copies, 'copy')} of another video left out")
    if found.ignored:
        notes.append(f"{counted(found.ignored, 'file')} passed over: not a video")
    unopened = len(todo) - summary.done - len(summary.failed)
    if unopened:
        notes.append(f"--limit {settings.limit} was reached: nothing was taken from {counted(unopened, 'video')}")
    if settings.method == "scene-change" and frames_now and frames_now == summary.done < decoded:
        notes.append("nothing but the first frame differed enough: for static cameras try --method tiles")
    return Report(
        title=_title(frames_now, summary.done, len(done)),
        data={
            "videos": len(videos),
            "videos_sampled": summary.done,
            "videos_done_before": len(done),
            "frames_decoded": decoded,
            "frames_kept": frames_now,
            "frames_in_all": total,
            "output": engine.shown(target),
        },
        notes=tuple(notes),
        failures=tuple(failures),
        next="dataengine filter" if total else "",
    )


def _title(frames: int, videos: int, before: int) -> str:
    if before and not videos:
        return f"no new frame: {counted(before, 'video')} sampled before"
    done = f" ({before} more sampled before)" if before else ""
    return f"sampled {counted(frames, 'frame')} from {counted(videos, 'video')}{done}"


def _forget_lost(engine: Engine, fingerprint: str, done: Collection[str]) -> None:
    """The done videos whose frames are no longer all on the disk are sampled again."""
    with engine.database.read() as connection:
        keys = footage.sampled_keys(connection, fingerprint)
    lost = [video_id for video_id in done if not all(map(engine.storage.exists, keys.get(video_id, ())))]
    if lost:
        with engine.database.write() as connection:
            work.forget(connection, fingerprint, lost)


def _highest_number(connection: Connection, output: str) -> int:
    """The highest of the sequential names on record in a folder, whatever sampling gave it; 0 for none.

    A file that was lost counts too: its frame may be known by that name elsewhere.
    """
    from data_engine.stages.sample import sequential_number

    paths = map(PurePosixPath, footage.files_below(connection, output))
    names = [path.name for path in paths if path.parent == PurePosixPath(output)]
    return max((number for name in names if (number := sequential_number(name)) is not None), default=0)


def _refuse_to_overwrite(engine: Engine, output: str) -> None:
    """Sequential names meet nobody's pictures but the leftovers of a sampling into that folder that was cut off.

    Raises:
        ConflictError: a picture that is not on record has a name that would be given.
    """
    from data_engine.stages.sample import sequential_number

    folder = engine.storage.path(output)
    # Looked at before the records: what another process writes just now belongs to a run that is on record.
    found = sorted(path.name for path in folder.glob("frame_*.jpg")) if folder.is_dir() else []
    with engine.database.read() as connection:
        if any(list(settings.get("scope", ())) == [output] for settings in work.unfinished(connection, "sample")):
            return
        highest = _highest_number(connection, output)
    for name in found:
        if (sequential_number(name) or 0) > highest:
            raise ConflictError(
                f"{engine.shown(output)} holds {name}, which was not sampled here and would be overwritten",
                hint="name another --output",
            )


def _give_back(engine: Engine, connection: Connection, fingerprint: str, outcome: Sampled) -> None:
    """Of a video that was sampled again, remove the files of the last time: its frames have new numbers now."""
    frames = {kept.frame.id for kept in outcome.frames}
    written = {kept.frame.key for kept in outcome.frames}
    keys = footage.sampled_keys(connection, fingerprint).get(outcome.video.id, ())
    before = footage.files_by_key(connection, set(keys) - written)
    for file in before.values():
        if file.frame_id not in frames:
            continue
        if engine.storage.exists(file.key):
            # One that somebody changed since is theirs.
            if engine.storage.stamp(file.key) != file.stamp:
                continue
            engine.storage.delete(file.key)
        footage.forget_files(connection, [file.key])


def find_videos(engine: Engine, inputs: Sequence[Path]) -> FoundVideos:
    """Probe and register the videos in these files and folders; an unchanged file is not read again."""
    from data_engine.media.probe import is_video

    found = FoundVideos()
    keys: dict[str, str] = {}
    for path in inputs:
        if not present(path):
            raise MissingInputError(f"{path} is not there", hint="put videos there, or name another --input")
        key = engine.storage.key_of(path)
        if path.is_file():
            keys[key] = PurePosixPath(key).stem
            continue
        for inside in engine.storage.list(key):
            if not is_video(inside):
                found.ignored += 1
                continue
            keys[inside] = camera_of(inside, key)
    if not keys:
        shown = ", ".join(str(path) for path in inputs)
        raise MissingInputError(f"there is no video in {shown}", hint="put videos there, or name another --input")
    named = {engine.storage.key_of(path) for path in inputs if path.is_file()}
    met: set[str] = set()
    engine.progress.start("reading videos", len(keys), "videos")
    for key in sorted(keys):
        try:
            video = _probe(engine, key, keys[key])
        except StorageFullError:
            raise
        except DataEngineError as error:
            # The one file that somebody named is the whole input: that it is bad is the result.
            if len(keys) == 1 and key in named:
                raise
            found.failures.append(Failed(key, error.message))
        else:
            if video.id in met:
                found.copies += 1
            else:
                met.add(video.id)
                found.videos.append(video)
        engine.progress.advance()
    engine.progress.finish()
    return found


def _probe(engine: Engine, key: str, camera: str) -> Video:
    from data_engine.media.probe import probe

    stamp = engine.storage.stamp(key)
    with engine.database.read() as connection:
        known = footage.files_by_key(connection, [key]).get(key)
        if known is not None and known.stamp == stamp and known.video_id is not None:
            return footage.videos_by_id(connection, [known.video_id])[known.video_id]
    video = probe(engine.storage.path(key), key=key, camera=camera)
    if engine.storage.stamp(key) != stamp:
        raise DamagedInputError(f"{key} changed while it was read", hint="run again when it has been written")
    with engine.database.write() as connection:
        # The first place where a video was seen stays its key while it is there.
        before = footage.videos_by_id(connection, [video.id]).get(video.id)
        if before is not None and engine.storage.exists(before.key):
            video = before
        else:
            footage.add_videos(connection, [video])
        # A video is known by its whole SHA-256, which its id begins.
        footage.add_files(connection, [KnownFile(key, stamp, video.id, video_id=video.id)])
    return video
