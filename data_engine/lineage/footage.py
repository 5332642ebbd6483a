"""Videos, frames, and the files that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in, upsert
from data_engine.lineage.tables import files, frames, sampled, videos
from data_engine.types import Frame, Region, Sampled, Video


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that was read before."""

    key: str
    stamp: str
    """What the storage said of it then; another stamp means that it must be read again."""
    sha256: str
    frame_id: str | None = None
    video_id: str | None = None


def add_videos(connection: Connection, found: Iterable[Video], *, searched: bool = False) -> None:
    """Register videos; one that moved is known by its new key from now on.

    Args:
        searched: whether black borders were looked for, so that a video without a crop is known to have none.
    """
    upsert(
        connection,
        videos,
        [
            {
                "id": v.id,
                "key": v.key,
                "name": v.name,
                "camera": v.camera,
                "size_bytes": v.size_bytes,
                "width": v.width,
                "height": v.height,
                "codec": v.codec,
                "frame_rate": None if v.frame_rate is None else str(v.frame_rate),
                "duration_s": v.duration_s,
                "pixel_format": v.pixel_format,
                "variable_rate": v.variable_rate,
                "audio": v.audio,
                "rotation": v.rotation,
                "interlaced": v.interlaced,
                "captured_at": v.captured_at,
                "venue": v.venue,
                "event": v.event,
                "crop": _NO_BORDERS if v.crop is None and searched else _region_text(v.crop),
            }
            for v in found
        ],
    )


def videos_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Video]:
    """The registered ones of these videos."""
    found = rows_where_in(connection, sa.select(videos), videos.c.id, ids)
    return {row.id: _video(row) for row in found}


def searched_for_borders(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of these videos in which black borders were looked for, found or not."""
    query = sa.select(videos.c.id).where(videos.c.crop.is_not(None))
    return {row.id for row in rows_where_in(connection, query, videos.c.id, ids)}


def _video(row: Any) -> Video:
    return Video(
        id=row.id,
        key=row.key,
        name=row.name,
        camera=row.camera,
        size_bytes=row.size_bytes,
        width=row.width,
        height=row.height,
        codec=row.codec,
        frame_rate=None if row.frame_rate is None else Fraction(row.frame_rate),
        duration_s=row.duration_s,
        pixel_format=row.pixel_format,
        variable_rate=row.variable_rate,
        audio=row.audio,
        rotation=row.rotation or 0,
        interlaced=row.interlaced,
        captured_at=row.captured_at,
        venue=row.venue,
        event=row.event,
        crop=_region(row.crop),
    )


_NO_BORDERS = "none"
"""What stands in the column of a video in which borders were looked for and none were found."""


def _region_text(region: Region | None) -> str | None:
    return None if region is None else ",".join(map(str, region))


def _region(text: str | None) -> Region | None:
    if text is None or text == _NO_BORDERS:
        return None
    left, top, width, height = map(int, text.split(","))
    return left, top, width, height


def add_frames(connection: Connection, found: Iterable[Frame]) -> None:
    """Register frames; one that is known keeps its first record."""
    insert_new(
        connection,
        frames,
        [
            {
                "id": f.id,
                "name": f.name,
                "key": f.key,
                "width": f.width,
                "height": f.height,
                "camera": f.camera,
                "video_id": f.video_id,
                "pts": f.pts,
                "time_base": None if f.time_base is None else str(f.time_base),
                # SQL integers are signed: the hash's 64 bits are kept as they are.
                "dhash": None if f.dhash is None else f.dhash - (1 << 64) * (f.dhash >> 63),
                "crop": _region_text(f.crop),
            }
            for f in found
        ],
    )


def move_frames(connection: Connection, keys: Mapping[str, str]) -> None:
    """Record under which key a frame's picture is read from now on (frame id -> key)."""
    if keys:
        statement = sa.update(frames).where(frames.c.id == sa.bindparam("frame")).values(key=sa.bindparam("to"))
        connection.execute(statement, [{"frame": frame, "to": key} for frame, key in keys.items()])


def frames_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Frame]:
    """The registered ones of these frames."""
    found = rows_where_in(connection, sa.select(frames), frames.c.id, ids)
    return {row.id: _frame(row) for row in found}


def sampled_frames(connection: Connection) -> list[Frame]:
    """Every frame that sampling kept, in no particular order."""
    query = sa.select(frames).where(frames.c.id.in_(sa.select(sampled.c.frame_id)))
    return [_frame(row) for row in connection.execute(query)]


def cameras(connection: Connection) -> set[str]:
    """The cameras of all videos and frames."""
    return {name for table in (videos, frames) for name in connection.scalars(sa.select(table.c.camera).distinct())}


def lone_frames(connection: Connection, cameras: Iterable[str]) -> list[Frame]:
    """The frames of these cameras that came without their video."""
    query = sa.select(frames).where(frames.c.video_id.is_(None))
    return [_frame(row) for row in rows_where_in(connection, query, frames.c.camera, cameras)]


def sampled_videos(connection: Connection) -> set[str]:
    """Ids of the videos that were sampled, with whatever settings."""
    return set(connection.scalars(sa.select(sampled.c.video_id).distinct()))


def count(connection: Connection) -> dict[str, int]:
    """How many videos and frames are registered, and how many different frames sampling kept."""
    return {
        "videos": connection.scalar(sa.select(sa.func.count()).select_from(videos)) or 0,
        "frames": connection.scalar(sa.select(sa.func.count()).select_from(frames)) or 0,
        "sampled": connection.scalar(sa.select(sa.func.count(sampled.c.frame_id.distinct()))) or 0,
    }


@lru_cache(maxsize=1024)
def _fraction(text: str) -> Fraction:
    return Fraction(text)


def _frame(row: Any) -> Frame:
    return Frame(
        id=row.id,
        name=row.name,
        key=row.key,
        width=row.width,
        height=row.height,
        camera=row.camera,
        video_id=row.video_id,
        pts=row.pts,
        time_base=None if row.time_base is None else _fraction(row.time_base),
        dhash=None if row.dhash is None else row.dhash & ((1 << 64) - 1),
        crop=_region(row.crop),
    )


def add_files(connection: Connection, found: Sequence[KnownFile]) -> None:
    """Remember what these files hold."""
    upsert(
        connection,
        files,
        [
            {"key": f.key, "stamp": f.stamp, "sha256": f.sha256, "frame_id": f.frame_id, "video_id": f.video_id}
            for f in found
        ],
    )


def forget_files(connection: Connection, keys: Iterable[str]) -> None:
    """Forget files that are gone."""
    gone = [{"gone": key} for key in keys]
    if gone:
        connection.execute(sa.delete(files).where(files.c.key == sa.bindparam("gone")), gone)


def files_by_key(connection: Connection, keys: Iterable[str]) -> dict[str, KnownFile]:
    """What is known of the files at these keys."""
    return {row.key: KnownFile(*row) for row in rows_where_in(connection, _FILES, files.c.key, keys)}


def files_below(connection: Connection, folder: str) -> dict[str, KnownFile]:
    """What is known of the files in a folder (``.`` is the root), also of those that are no longer there."""
    query = _FILES if folder == "." else _FILES.where(files.c.key.startswith(f"{folder}/", autoescape=True))
    return {row.key: KnownFile(*row) for row in connection.execute(query)}


def files_by_hash(connection: Connection, hashes: Iterable[str]) -> dict[str, KnownFile]:
    """A known file with the content of each of these SHA-256 sums; of several always the same one."""
    # The last row of a sum is the one that stays: the first by its key.
    query = _FILES.order_by(files.c.key.desc())
    return {row.sha256: KnownFile(*row) for row in rows_where_in(connection, query, files.c.sha256, hashes)}


_FILES = sa.select(files.c.key, files.c.stamp, files.c.sha256, files.c.frame_id, files.c.video_id)


def record_sampled(connection: Connection, fingerprint: str, outcome: Sampled, stamps: Mapping[str, str]) -> None:
    """Record what sampling with these settings kept of one video, in the place of what they kept of it before.

    Args:
        fingerprint: of the settings and the output folder.
        stamps: the storage's stamp of each written key.
    """
    # With other borders the same moments are other frames.
    connection.execute(
        sa.delete(sampled).where(sampled.c.fingerprint == fingerprint, sampled.c.video_id == outcome.video.id)
    )
    add_frames(connection, [kept.frame for kept in outcome.frames])
    move_frames(connection, {kept.frame.id: kept.frame.key for kept in outcome.frames})
    add_files(
        connection,
        [KnownFile(k.frame.key, stamps[k.frame.key], k.sha256, frame_id=k.frame.id) for k in outcome.frames],
    )
    upsert(
        connection,
        sampled,
        [
            {
                "fingerprint": fingerprint,
                "frame_id": kept.frame.id,
                "video_id": outcome.video.id,
                "key": kept.frame.key,
                "similarity": kept.similarity,
                "weight": kept.weight,
                "reason": kept.reason,
            }
            for kept in outcome.frames
        ],
    )


def sampled_keys(connection: Connection, fingerprint: str, video_id: str | None = None) -> dict[str, list[str]]:
    """The files that sampling with these settings wrote, by video id: of all videos, or of one."""
    query = sa.select(sampled.c.video_id, sampled.c.key).where(sampled.c.fingerprint == fingerprint)
    if video_id is not None:
        query = query.where(sampled.c.video_id == video_id)
    keys: dict[str, list[str]] = {}
    for row in connection.execute(query.order_by(sampled.c.key)):
        keys.setdefault(row.video_id, []).append(row.key)
    return keys


def sampled_hashes(connection: Connection, fingerprint: str) -> dict[str, tuple[str, list[int]]]:
    """The camera and the difference hashes of the frames that sampling with these settings kept, by video id."""
    query = (
        sa.select(sampled.c.video_id, frames.c.camera, frames.c.dhash)
        .select_from(sampled.join(frames))
        .where(sampled.c.fingerprint == fingerprint)
        .order_by(frames.c.pts, frames.c.id)
    )
    found: dict[str, tuple[str, list[int]]] = {}
    for video_id, camera, dhash in connection.execute(query):
        if dhash is not None:
            found.setdefault(video_id, (camera, []))[1].append(dhash & ((1 << 64) - 1))
    return found
