"""Finding the videos in files and folders, and registering what is found out about them.

An unchanged file is not read again, and what was found out is committed file by file: a command that was killed goes on
where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from data_engine.app.engine import Engine
from data_engine.app.footage.cameras import Said, moment
from data_engine.app.footage.places import Place, Places, find_places, folder_name
from data_engine.app.footage.sidecars import read_sidecar
from data_engine.app.lineage.purged import was_purged
from data_engine.errors import DamagedInputError, DataEngineError, MissingInputError, StorageFullError
from data_engine.lineage import footage, tombstones, work
from data_engine.lineage import videos as lineage
from data_engine.lineage.database import Connection
from data_engine.lineage.footage import KnownFile
from data_engine.lineage.work import Run
from data_engine.ports import Embedder
from data_engine.stages import ingest as stage
from data_engine.stages.ingest import Ingested, IngestSettings, Source
from data_engine.types import Failed, Video, content_id

INPUT = "videos_raw"


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
    unmatched: int = 0
    """Videos whose path does not fit the pattern."""


@dataclass(frozen=True, slots=True)
class Met:
    """What became of one place."""

    key: str
    status: Literal["registered", "known", "copy", "failed"]
    video: Video | None = None
    """As it is registered; of a copy the first file's."""
    reason: str = ""


def find_videos(engine: Engine, inputs: Sequence[Path], *, cameras: Mapping[str, str] | None = None) -> FoundVideos:
    """The videos in these files and folders; those met for the first time are probed and registered.

    What was registered before is taken as it is, with its borders or without.

    Args:
        cameras: key -> camera of files whose path does not say it (recordings of live sources).

    Raises:
        MissingInputError: a path that is not there, or no video in any.
        DamagedInputError: the one file that was named is not a video.
    """
    settings = engine.settings.ingest.model_copy(update={"dedup_method": "none"})
    places = find_places(engine, inputs, settings)
    for key in places.by_key.keys() & (cameras or {}).keys():
        places.by_key[key] = replace(places.by_key[key], fallback=(cameras or {})[key])
    workers = engine.settings.sample.workers
    found = FoundVideos(ignored=len(places.ignored), unmatched=len(places.unmatched))
    distinct: dict[str, Video] = {}
    for met in Reading(engine, places, settings, method=None, as_settings_say=False).read(workers):
        if met.video is None:
            found.failures.append(Failed(met.key, met.reason))
        elif met.video.id in distinct:
            found.copies += 1
        else:
            distinct[met.video.id] = met.video
    found.videos = list(distinct.values())
    return found


class Reading:
    """Reads what is not known yet of the videos in some places, and registers it.

    Args:
        engine: the workspace.
        places: where they lie.
        settings: what is to be found out about them.
        method: what signatures are kept under; None when none are made.
        embedder: makes them, with the method ``embedding``.
        as_settings_say: find out, about registered videos too, what these settings want and earlier ones did not.
    """

    def __init__(
        self,
        engine: Engine,
        places: Places,
        settings: IngestSettings,
        *,
        method: str | None,
        embedder: Embedder | None = None,
        as_settings_say: bool,
    ) -> None:
        self._engine = engine
        self._places = places
        self._settings = settings
        self._method = method
        self._embedder = embedder
        self._as_settings_say = as_settings_say
        self._said: dict[str, Said] = {}
        self._stamps: dict[str, str] = {}
        self._errors: dict[str, DataEngineError] = {}
        self._new: set[str] = set()
        """Keys of the files whose content was not known, wherever it lay."""
        for key in sorted(places.by_key):
            self._look_at(places.by_key[key])

    def _look_at(self, place: Place) -> None:
        storage = self._engine.storage
        try:
            said = place.said
            if place.sidecar is not None:
                said = read_sidecar(storage.read_bytes(place.sidecar), key=place.sidecar).over(said)
            self._stamps[place.key] = stage.stamp_of(storage, place.key, sequence=place.sequence)
            self._said[place.key] = said
        except StorageFullError:
            raise
        except DataEngineError as error:
            self._stamps.pop(place.key, None)
            self._errors[place.key] = error

    @cached_property
    def input_ids(self) -> dict[str, str]:
        """For the record of a run: key -> an id of the file as it was met."""
        return {key: content_id("file", key, stamp) for key, stamp in self._stamps.items()}

    def read(self, workers: int, run: Run | None = None) -> list[Met]:
        """Read and register; what became of each place, in order of the keys.

        Args:
            workers: processes, 0 for one a core.
            run: what the work is recorded under.

        Raises:
            DamagedInputError, MissingInputError: the one file that was named can't be read, or was purged.
        """
        alone = self._alone()
        if alone in self._errors:
            raise self._errors[alone]
        of_key, sources = self._plan()
        known = tuple(of_key)
        # Whatever happens here, no worker outlives it.
        with closing(self._outcomes(sources, workers, alone)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Failed):
                    self._errors[outcome.input_id] = DataEngineError(outcome.reason)
                    self._record(run, "failed", {outcome.input_id: outcome.reason})
                    continue
                key = outcome.source.key
                if (stone := self._purged(outcome.video.id)) is not None:
                    self._errors[key] = DamagedInputError(was_purged("video", stone))
                    if key == alone:
                        raise self._errors[key]
                    continue
                with self._engine.database.write() as connection:
                    self._register(connection, outcome)
                    if run is not None:
                        work.record(connection, run, "done", {self.input_ids[key]: None})
                of_key[key] = outcome.video.id
        self._record(run, "done", dict.fromkeys(known, None))
        return self._met(of_key)

    def _purged(self, video_id: str) -> tombstones.Tombstone | None:
        with self._engine.database.read() as connection:
            return tombstones.of(connection, video_id)

    def _alone(self) -> str | None:
        """The one file that somebody named is the whole input: that it is bad is the result."""
        (first, *more) = self._places.by_key.values()
        return first.key if first.named and not more else None

    def _record(self, run: Run | None, state: Literal["done", "failed"], inputs: Mapping[str, str | None]) -> None:
        if run is not None and inputs:
            with self._engine.database.write() as connection:
                ids = self.input_ids
                before = work.done(connection, run.fingerprint, [ids[key] for key in inputs])
                told = {ids[key]: detail for key, detail in inputs.items() if ids[key] not in before}
                work.record(connection, run, state, told)

    # --- what is to be read -------------------------------------------------------------------------------------------

    def _plan(self) -> tuple[dict[str, str], list[Source]]:
        """What is known (key -> video id), and what has to be read."""
        with self._engine.database.read() as connection:
            files = footage.files_by_key(connection, self._stamps)
            ids = {file.video_id for file in files.values() if file.video_id is not None}
            videos = footage.videos_by_id(connection, ids)
            searched = footage.searched_for_borders(connection, ids)
            signed = set() if self._method is None else lineage.signed(connection, self._method, ids)
        known: dict[str, str] = {}
        sources: list[Source] = []
        read_now: set[str] = set()
        for key, stamp in self._stamps.items():
            place, file = self._places.by_key[key], files.get(key)
            video = None
            if file is not None and file.stamp == stamp and file.video_id is not None:
                video = videos[file.video_id]
            if video is not None and self._is_current(video, place):
                source = Source(
                    key, stamp, video.camera, place.sequence, video, video.id in searched, video.id in signed
                )
                if video.id in read_now or not self._lacks(source):
                    known[key] = video.id
                    continue
                read_now.add(video.id)
                sources.append(source)
            else:
                camera = self._said[key].camera or place.fallback
                sources.append(Source(key, stamp, camera, place.sequence))
        return known, sources

    def _is_current(self, video: Video, place: Place) -> bool:
        """Whether all is known of it that this release finds out by opening a file."""
        if video.pixel_format is None:
            return False
        return not (self._as_settings_say and place.sequence) or video.frame_rate == self._settings.rate

    def _lacks(self, source: Source) -> bool:
        if not self._as_settings_say:
            return False
        return source.searched != self._settings.crop or (self._method is not None and not source.signed)

    def _outcomes(
        self, sources: Sequence[Source], workers: int, alone: str | None
    ) -> Generator[Ingested | Failed, None, None]:
        engine, settings, embedder = self._engine, self._settings, self._embedder
        if not sources:
            return
        if alone is not None:
            engine.progress.start("reading videos", 1, "videos")
            yield stage.ingest_one(sources[0], settings, engine.storage, embedder=embedder)
            engine.progress.advance()
            engine.progress.finish()
            return
        yield from stage.ingest(
            sources,
            settings,
            storage=engine.storage,
            # A process takes longer to start than a short file to read.
            executor=engine.executor(1 if len(sources) == 1 else workers),
            progress=engine.progress,
            embedder=embedder,
        )

    # --- what is found out --------------------------------------------------------------------------------------------

    def _register(self, connection: Connection, outcome: Ingested) -> None:
        key, video = outcome.source.key, outcome.video
        before = footage.videos_by_id(connection, [video.id]).get(video.id)
        searched = self._settings.crop
        if before is None:
            self._new.add(key)
            video = _described(video, self._said[key])
        else:
            if not self._as_settings_say and before.pixel_format is not None:
                searched = bool(footage.searched_for_borders(connection, [video.id]))
                video = replace(video, crop=before.crop)
            if before.crop != video.crop:
                # They are of the picture inside the borders.
                lineage.forget_signatures(connection, [video.id])
            # The first place where a video was seen stays its key while it is there.
            stays = before.key == key or self._is_there(before)
            if stays:
                video = replace(video, key=before.key, name=before.name, camera=before.camera)
            # What the name of a copy says is no news.
            captured_at = before.captured_at or (video.captured_at if before.key == key or not stays else None)
            video = replace(video, venue=before.venue, event=before.event, captured_at=captured_at)
            if video.key == key:
                video = _described(video, self._said[key])
        footage.add_videos(connection, [video], searched=searched)
        if outcome.signature is not None and self._method is not None:
            lineage.add_signatures(connection, self._method, {video.id: outcome.signature})
        # A video is known by its whole SHA-256, which its id begins.
        footage.add_files(connection, [KnownFile(key, outcome.source.stamp, video.id, video_id=video.id)])

    def _is_there(self, video: Video) -> bool:
        storage = self._engine.storage
        try:
            return storage.exists(video.key) or (_is_folder(video) and storage.path(video.key).is_dir())
        except MissingInputError:
            # In a folder that this machine does not have.
            return False

    def _met(self, of_key: Mapping[str, str]) -> list[Met]:
        self._settle(of_key)
        with self._engine.database.read() as connection:
            videos = footage.videos_by_id(connection, set(of_key.values()))
        met: list[Met] = []
        for key in sorted(self._places.by_key):
            if key in self._errors:
                met.append(Met(key, "failed", reason=self._errors[key].message))
                continue
            video = videos[of_key[key]]
            if video.key != key:
                met.append(Met(key, "copy", video))
            else:
                met.append(Met(key, "registered" if key in self._new else "known", video))
        reason = "the folder cannot be read: permission denied"
        met += [Met(key, "failed", reason=reason) for key in self._places.unreadable]
        return sorted(met, key=lambda one: one.key)

    def _settle(self, of_key: Mapping[str, str]) -> None:
        """Of what was registered before: take over what is said now, and the new place of what is gone from its own."""
        with self._engine.database.read() as connection:
            videos = footage.videos_by_id(connection, set(of_key.values()))
            files = footage.files_by_key(connection, {video.key for video in videos.values()})
            searched = footage.searched_for_borders(connection, videos)
        moved: dict[str, Video] = {}
        described: dict[str, Video] = {}
        for key in sorted(of_key):
            video = moved.get(of_key[key]) or videos[of_key[key]]
            file = files.get(video.key)
            elsewhere = file is not None and file.video_id != video.id
            if video.key != key and video.id not in moved and (elsewhere or not self._is_there(video)):
                place = self._places.by_key[key]
                name = folder_name(self._engine, key) if place.sequence else PurePosixPath(key).stem
                video = replace(video, key=key, name=name, camera=place.fallback)
                moved[video.id] = _described(video, self._said[key])
            elif video.key == key and (new := _described(video, self._said[key])) != video:
                described[video.id] = new
        if not moved and not described:
            return
        with self._engine.database.write() as connection:
            for video in moved.values():
                footage.add_videos(connection, [video], searched=video.id in searched)
            lineage.describe(connection, described.values())


def _described(video: Video, said: Said) -> Video:
    return replace(
        video,
        camera=said.camera or video.camera,
        venue=said.venue or video.venue,
        event=said.event or video.event,
        captured_at=moment(said.captured_at, video.captured_at),
    )


def _is_folder(video: Video) -> bool:
    from data_engine.media.sequence import CODEC

    return bool(video.codec == CODEC)


def distinct_videos(met: Collection[Met]) -> list[Video]:
    """The videos that were met, each once, in order of the keys."""
    return list({one.video.id: one.video for one in met if one.video is not None}.values())
