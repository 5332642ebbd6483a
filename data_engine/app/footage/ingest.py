"""``ingest``: files and folders -> registered videos."""

from __future__ import annotations

import csv as comma_separated
import io
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.footage.places import find_places
from data_engine.app.footage.videos import INPUT, Met, Reading, distinct_videos
from data_engine.errors import MissingInputError
from data_engine.lineage import footage
from data_engine.lineage import videos as lineage
from data_engine.lineage.videos import NearDuplicate
from data_engine.stages import ingest as stage
from data_engine.types import Failed, Report, Video
from data_engine.words import counted

JSONL, CSV = "ingest.jsonl", "ingest.csv"
"""Where the results are written when no file is named, relative to the workspace."""

COLUMNS = (
    "path",
    "key",
    "status",
    "reason",
    "duplicate_of",
    "distance",
    "id",
    "name",
    "camera",
    "venue",
    "event",
    "captured_at",
    "size_bytes",
    "codec",
    "pixel_format",
    "width",
    "height",
    "frame_rate",
    "variable_rate",
    "duration_s",
    "audio",
    "rotation",
    "interlaced",
    "crop",
)
"""Of the files of results.  The path is relative to the workspace, or absolute for a file outside it; a key is what the
database knows a file by."""


def ingest(
    engine: Engine, *, inputs: Sequence[Path] = (), jsonl: Path | None = None, csv: Path | None = None
) -> Report:
    """Register the videos found in ``inputs``, find their borders, and compare them with all that are registered.

    A file that is registered and unchanged is not read again, but for what these settings want and earlier ones did
    not.  What a pattern or a sidecar says of a video that is registered already is taken over; the frames that were
    sampled before keep the camera that they were sampled under.

    Args:
        jsonl: where to write the results as JSON lines, one a file.
        csv: where to write the same as CSV.

    Raises:
        UsageError: the path pattern is wrong.
        MissingInputError: a path that is not there, or no video in any.
        DamagedInputError: the one file that was named is not a video.
    """
    settings = engine.settings.ingest
    places = find_places(engine, inputs or [Path(engine.shown(INPUT))], settings)
    embedder = engine.embedder() if settings.dedup_method == "embedding" else None
    method = settings.signature_method("" if embedder is None else embedder.name)
    reading = Reading(engine, places, settings, method=method, embedder=embedder, as_settings_say=True)
    with engine.runner.run("ingest", stage.VERSION, settings, inputs=list(reading.input_ids.values())) as run:
        met = reading.read(settings.workers, run)
        alike = {} if method is None else _compare(engine, method)
    results = [_Result(one, engine, alike) for one in met]
    if jsonl is not None:
        lines = (json.dumps(result.as_data(), ensure_ascii=False) + "\n" for result in results)
        # A byte of a name that is no UTF-8 is written as \udcXX, which JSON reads and os.fsencode turns back.
        engine.storage.write_bytes(engine.storage.key_of(jsonl), "".join(lines).encode("utf-8", "backslashreplace"))
    if csv is not None:
        text = "".join(_csv_lines(results))
        engine.storage.write_bytes(engine.storage.key_of(csv), text.encode("utf-8", "backslashreplace"))
    return _report(engine, inputs, results, places.unmatched, places.ignored)


@dataclass(frozen=True, slots=True)
class _Alike:
    """The video that another one looks like."""

    original: Video
    distance: float


def _compare(engine: Engine, method: str) -> dict[str, _Alike]:
    """Compare all registered videos, record which look alike, and return that by video id."""
    with engine.database.read() as connection:
        signatures = lineage.signatures(connection, method)
        videos = footage.videos_by_id(connection, signatures)
        before = lineage.near_duplicates(connection, method)
    found = [
        NearDuplicate(one.video_id, one.original_id, one.distance)
        for one in stage.near_duplicates(list(videos.values()), signatures, engine.settings.ingest)
    ]
    if found != before:
        with engine.database.write() as connection:
            lineage.replace_near_duplicates(connection, method, found)
    return {one.video_id: _Alike(videos[one.original_id], one.distance) for one in found}


class _Result:
    """What is told about one file."""

    def __init__(self, met: Met, engine: Engine, alike: Mapping[str, _Alike]) -> None:
        self.met = met
        self.path = _path(engine, met.key)
        self.status: str = met.status
        self.reason = engine.readable(met.reason)
        self.duplicate_of: str | None = None
        """The path of the other video."""
        self.distance: float | None = None
        if met.video is None:
            return
        if met.status == "copy":
            self.duplicate_of, self.distance = _path(engine, met.video.key), 0.0
        elif met.video.id in alike:
            similar = alike[met.video.id]
            self.status, self.distance = "near-duplicate", similar.distance
            self.duplicate_of = _path(engine, similar.original.key)

    def as_data(self) -> dict[str, Any]:
        """By the names of :data:`COLUMNS`."""
        video = self.met.video
        data: dict[str, Any] = dict.fromkeys(COLUMNS)
        if video is not None:
            data |= {name: getattr(video, name) for name in COLUMNS if hasattr(video, name)}
            data["frame_rate"] = None if video.frame_rate is None else str(video.frame_rate)
            data["crop"] = None if video.crop is None else list(video.crop)
        data |= {
            "path": self.path,
            "key": self.met.key,
            "status": self.status,
            "reason": self.reason or None,
            "duplicate_of": self.duplicate_of,
            "distance": self.distance,
        }
        return data


def _csv_lines(results: Iterable[_Result]) -> Iterable[str]:
    text = io.StringIO()
    writer = comma_separated.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerow({name: _cell(value) for name, value in result.as_data().items()})
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _path(engine: Engine, key: str) -> str:
    """Relative to the workspace, or absolute for a file outside it; with the bytes of the file's name."""
    try:
        path = engine.storage.path(key)
    except MissingInputError:
        # Registered on another machine, in a folder that this one does not have.
        return key
    return str(path.relative_to(engine.root)) if path.is_relative_to(engine.root) else str(path)


def _report(
    engine: Engine, inputs: Sequence[Path], results: Sequence[_Result], unmatched: set[str], ignored: set[str]
) -> Report:
    videos = distinct_videos([result.met for result in results])
    numbers = dict.fromkeys(("registered", "known", "copy", "failed"), 0)
    for result in results:
        numbers[result.met.status] += 1
    alike = [result for result in results if result.status == "near-duplicate"]
    unknown = [video for video in videos if video.duration_s is None]
    notes = []
    if alike:
        look = "looks" if len(alike) == 1 else "look"
        notes.append(f"{counted(len(alike), 'video')} {look} like another: see the list; nothing was deleted")
    if numbers["copy"]:
        notes.append(f"{counted(numbers['copy'], 'copy')} of another video left out")
    if unmatched:
        notes.append(
            f"--pattern {engine.settings.ingest.pattern} does not fit {counted(len(unmatched), 'path')}: there the "
            "folders name the camera"
        )
    if unknown:
        notes.append(f"{counted(len(unknown), 'video')} without a known duration is not in the hours")
    if ignored:
        notes.append(f"{counted(len(ignored), 'file')} passed over: not a video")
    return Report(
        title=_title(numbers),
        data={
            "videos": len(videos),
            "registered": numbers["registered"],
            "known_before": numbers["known"],
            "copies": numbers["copy"],
            "near_duplicates": len(alike),
            "failed": numbers["failed"],
            "passed_over": len(ignored),
            "hours": round(sum(video.duration_s or 0.0 for video in videos) / 3600, 4),
        },
        rows=tuple(
            {
                "video": result.path,
                "is": result.status,
                "of": result.duplicate_of,
                "distance": result.distance,
            }
            for result in results
            if result.duplicate_of is not None
        ),
        notes=tuple(notes),
        failures=tuple(Failed(one.met.key, one.met.reason) for one in results if one.met.video is None),
        next=_next(inputs) if videos else "",
    )


def _title(numbers: Mapping[str, int]) -> str:
    text = f"registered {counted(numbers['registered'], 'video')}"
    return text + (f", {numbers['known']} known before" if numbers["known"] else "")


def _next(inputs: Sequence[Path]) -> str:
    return "dataengine sample" + "".join(f" --input {shlex.quote(str(path))}" for path in inputs)
