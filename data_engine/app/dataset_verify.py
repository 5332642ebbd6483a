"""``dataset verify``: recompute every hash and count of the versions, and compare every written file."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from data_engine.app.dataset_versions import version_named
from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.version_compare import first_difference, older_layout, same_but_for_places
from data_engine.app.version_files import FOLDER, sides_written
from data_engine.app.version_writing import Sheet, outline, write_whole
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import datasets, footage, soundness, tombstones
from data_engine.lineage.database import Connection
from data_engine.lineage.footage import KnownFile
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.stages.export import version_id
from data_engine.stages.verify import wrong_with_frame
from data_engine.types import DatasetVersion, Failed, Frame, Report, Split
from data_engine.words import counted

_READERS = 4
"""Threads that hash pictures; hashing releases the interpreter's lock."""
_AT_ONCE = 1_000
"""Pictures whose hashes are looked up at once."""


@dataclass(slots=True)
class _Seen:
    """What was looked at, and what is wrong with it."""

    failures: list[Failed] = field(default_factory=list)
    bad_from: int | None = None
    """Number of the first version whose rows are not sound: no file is made of it or a later one."""
    frames: int = 0
    boxes: int = 0
    files: int = 0
    pictures: int = 0
    repaired: list[str] = field(default_factory=list)

    def wrong(self, what: str, why: str, version: int | None = None) -> None:
        self.failures.append(Failed(what, why))
        if version is not None:
            self.bad_from = version if self.bad_from is None else min(version, self.bad_from)

    def sound_up_to(self, version: int) -> bool:
        return self.bad_from is None or version < self.bad_from


def verify(engine: Engine, version: str | None = None, *, repair: bool = False, pictures: bool = False) -> Report:
    """Recompute the content ids of frames and versions and all counts from the rows, and compare the versions' files.

    Args:
        version: only this one; all by default.
        repair: write files anew that are missing or differ, of versions whose rows are sound.  Rows stay as they are.
        pictures: also hash the picture of every frame of the newest version (or of the one that is named).

    Raises:
        MissingInputError: there is no version yet, or none of that name.
    """
    seen = _Seen()
    # A version that is being made has its rows before its files.
    with alone_with_versions(engine.database):
        with engine.database.read() as connection:
            newest = version_named(connection)
            chosen = datasets.versions(connection) if version is None else [version_named(connection, version)]
            stones = tombstones.known(connection)
            _look_at_rows(engine, connection, chosen, newest, stones, seen)
        # The newest one's files are written over by the next version; older ones stay as they are.
        for one in chosen:
            if one.number == newest.number:
                _look_at_files(engine, one, newest, repair, seen)
    for one in chosen:
        if one.number != newest.number:
            _look_at_files(engine, one, newest, repair, seen)
    if pictures:
        with engine.database.read() as connection:
            shown = chosen[-1]
            listed = _frames(connection, shown)
        _look_at_pictures(engine, listed, seen)
    purged = sum(boxes for _frames, boxes in tombstones.taken_from(stones).values())
    sound = not seen.failures
    names = chosen[0].label if len(chosen) == 1 else f"{len(chosen)} versions, {chosen[0].label} to {chosen[-1].label}"
    notes = [f"written anew: {name}" for name in seen.repaired]
    notes += [
        f"a purge was begun on {stone.at} and did not come to its end: run dataengine lineage purge again"
        for stone in stones
        if stone.state == "begun"
    ]
    return Report(
        title=f"{names}: all sound" if sound else f"{names}: {counted(len(seen.failures), 'thing')} wrong",
        data={
            "versions": len(chosen),
            "frames": seen.frames,
            "boxes": seen.boxes,
            "files": seen.files,
            **({"pictures": seen.pictures} if pictures else {}),
            **({"boxes_purged": purged} if purged else {}),
            "sound": sound,
        },
        notes=tuple(notes),
        failures=tuple(seen.failures),
        failure_code=DamagedInputError.exit_code,
        next="dataengine dataset verify --repair" if any(f.input_id.endswith(".json") for f in seen.failures) else "",
    )


# --- rows ---------------------------------------------------------------------------------------------------------


def _look_at_rows(
    engine: Engine,
    connection: Connection,
    chosen: Sequence[DatasetVersion],
    newest: DatasetVersion,
    stones: Sequence[tombstones.Tombstone],
    seen: _Seen,
) -> None:
    only = chosen[0] if len(chosen) == 1 else None
    ids = soundness.frame_ids(connection, None if only is None else only.number)
    lost = tombstones.gone(connection, ids)
    frames: Counter[int] = Counter()
    boxes: Counter[int] = Counter()
    engine.progress.start("recomputing the versions", len(ids), "frames")
    for number, history in enumerate(soundness.frame_histories(connection, ids), 1):
        found = wrong_with_frame(history.spans, history.boxes, newest.number, purged=history.frame_id in lost)
        for since, why in found:
            name = history.name or history.frame_id
            seen.wrong(f"v{since} frame {name}", f"{why} (frame {history.frame_id[:8]})", since)
        _count(frames, history.spans)
        _count(boxes, history.boxes)
        seen.boxes += len(history.boxes)
        if number % _AT_ONCE == 0:
            engine.progress.advance(_AT_ONCE)
    engine.progress.finish()
    seen.frames += len(ids)
    taken = tombstones.taken_from(stones)
    for version in chosen:
        _look_at_version(connection, version, frames, boxes, taken, seen)


def _count(changes: Counter[int], spans: Sequence[soundness.FrameSpan] | Sequence[soundness.BoxSpan]) -> None:
    """Add what begins and take what ends with each version; the sum up to a version is what it holds."""
    for span in spans:
        changes[span.since] += 1
        if span.until is not None:
            changes[span.until] -= 1


def _total(changes: Mapping[int, int], number: int) -> int:
    return sum(change for at, change in changes.items() if at <= number)


def _look_at_version(
    connection: Connection,
    version: DatasetVersion,
    frames: Mapping[int, int],
    boxes: Mapping[int, int],
    taken: Mapping[int, tuple[int, int]],
    seen: _Seen,
) -> None:
    number, label = version.number, version.label
    before = {known.number: known.id for known in datasets.versions(connection)}
    if version.parent_id != before.get(number - 1) or (number > 1 and number - 1 not in before):
        seen.wrong(label, "does not follow the version before it", number)
    if version_id(soundness.manifest(connection, number), version.parent_id) != version.id:
        seen.wrong(label, f"what it holds is not what its id {version.id[:8]} was made of", number)
    there = _total(frames, number)
    if there != version.frames:
        seen.wrong(label, f"holds {counted(there, 'frame')}, and {version.frames} were recorded", number)
    held = _total(boxes, number) + taken.get(number, (0, 0))[1]
    if held != version.boxes:
        seen.wrong(label, f"holds {counted(held, 'box')}, and {version.boxes} were recorded", number)


# --- files --------------------------------------------------------------------------------------------------------


def _look_at_files(engine: Engine, version: DatasetVersion, newest: DatasetVersion, repair: bool, seen: _Seen) -> None:
    keys: dict[str, Split | None] = {version.key: None}
    if version.number == newest.number:
        with engine.database.read() as connection:
            keys |= {f"{FOLDER}/{side}.json": side for side in sides_written(connection, version.number)}
    seen.files += len(keys)
    # Beside the database: they may be larger than what a system's own folder for such files takes.
    with tempfile.TemporaryDirectory(prefix="verify-", dir=engine.storage.path(STATE_FOLDER)) as folder:
        remade = {key: Path(folder) / f"{side}.json" for key, side in keys.items()}
        with engine.database.read() as connection:
            sheets = [Sheet(remade[key], side) for key, side in keys.items()]
            write_whole(connection, outline(connection, version), sheets)
        for key, path in remade.items():
            why = _wrong_with_file(engine, version, key, path)
            if why is not None and repair and seen.sound_up_to(version.number):
                with engine.storage.writing(key) as target:
                    shutil.copyfile(path, target)
                seen.repaired.append(engine.shown(key))
            elif why is not None:
                seen.wrong(key, why)


def _wrong_with_file(engine: Engine, version: DatasetVersion, key: str, remade: Path) -> str | None:
    if not engine.storage.exists(key):
        return "is not there"
    there = engine.storage.path(key)
    if filecmp.cmp(remade, there, shallow=False) or same_but_for_places(remade, there):
        return None
    if older_layout(there):
        return "was written by an earlier release, which numbered annotations otherwise: --repair writes it anew"
    at = first_difference(remade, there)
    return f"differs from what {version.label} holds, first at byte {at} of {engine.storage.size(key)}"


# --- pictures -----------------------------------------------------------------------------------------------------


def _frames(connection: Connection, version: DatasetVersion) -> list[Frame]:
    held = soundness.manifest(connection, version.number)
    lost = tombstones.gone(connection, held)
    found = footage.frames_by_id(connection, (frame for frame in held if frame not in lost))
    return sorted(found.values(), key=lambda frame: frame.key)


def _look_at_pictures(engine: Engine, frames: Sequence[Frame], seen: _Seen) -> None:
    engine.progress.start("hashing the pictures", len(frames), "pictures")
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="picture")
    try:
        for start in range(0, len(frames), _AT_ONCE):
            part = frames[start : start + _AT_ONCE]
            with engine.database.read() as connection:
                known = footage.files_by_key(connection, [frame.key for frame in part])
            expected = [_expected(frame, known.get(frame.key)) for frame in part]
            found = pool.map(partial(_wrong_with_picture, engine), part, expected)
            for frame, why in zip(part, found, strict=True):
                seen.pictures += 1
                if why is not None:
                    seen.wrong(frame.key, why)
                engine.progress.advance()
    finally:
        pool.shutdown(cancel_futures=True)
        engine.progress.finish()


def _expected(frame: Frame, file: KnownFile | None) -> str | None:
    """What the SHA-256 of a frame's picture begins with; None where that is not on record."""
    if file is not None and file.frame_id == frame.id:
        return file.sha256
    return frame.id if frame.video_id is None else None


def _wrong_with_picture(engine: Engine, frame: Frame, expected: str | None) -> str | None:
    from data_engine.media.images import sha256_of

    try:
        found = sha256_of(engine.storage.path(frame.key), name=frame.key)
    except (MissingInputError, DamagedInputError) as error:
        return error.message
    if expected is None:
        return "is a picture of which no SHA-256 is on record"
    return None if found.startswith(expected) else "is not the picture that was recorded: its SHA-256 is another"
