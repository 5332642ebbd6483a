"""``dataset verify``: recompute every hash and count of the versions, and compare every written file."""

from __future__ import annotations

import contextlib
import filecmp
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_engine.app.collector import seldom_collected
from data_engine.app.dataset.dataset_certificate import certificate_key, made_anew, remark
from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.dataset.picture_check import check_pictures
from data_engine.app.dataset.version_compare import first_difference, older_layout, same_but_for_places
from data_engine.app.dataset.version_files import FOLDER, sides_written
from data_engine.app.dataset.version_writing import Sheet, outline, write_from_before, write_whole
from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.errors import DamagedInputError
from data_engine.lineage import datasets, purging, soundness, tombstones, version_rows
from data_engine.lineage.database import Connection
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.stages.export import version_id
from data_engine.stages.verify import wrong_with_frame
from data_engine.types import DatasetVersion, Failed, Report, Split
from data_engine.words import counted

_TOLD = 1_000
"""Frames after which progress is told."""


@dataclass(slots=True)
class _Seen:
    """What was looked at, and what is wrong with it."""

    failures: list[Failed] = field(default_factory=list)
    bad_from: int | None = None
    """Number of the first version whose rows are not sound: no file is made of it or a later one."""
    frames: int = 0
    """That are held, each once; those that were purged are counted apart."""
    boxes: int = 0
    """That are held, each once."""
    purged: int = 0
    """Frames that were purged."""
    files: int = 0
    certificates: int = 0
    pictures: int = 0
    rows: list[dict[str, object]] = field(default_factory=list)
    """What each version holds, and what of it was purged."""
    repaired: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wrong(self, what: str, why: str, version: int | None = None) -> None:
        self.failures.append(Failed(what, why))
        if version is not None:
            self.bad_from = version if self.bad_from is None else min(version, self.bad_from)

    def sound_up_to(self, version: int) -> bool:
        return self.bad_from is None or version < self.bad_from


@seldom_collected()
def verify(engine: Engine, version: str | None = None, *, repair: bool = False, pictures: bool = False) -> Report:
    """Recompute the content ids of frames and versions and all counts from the rows, and compare the versions' files
    and certificates.

    Args:
        version: only this one; all by default.
        repair: write files anew that are missing or differ, of versions whose rows are sound.  Rows stay as they are.
        pictures: also hash the pictures of all frames of these versions, each once.

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
            _look_at_rows(engine, connection, chosen, newest, _carried_out(connection, stones), seen)
        # The newest one's files are written over by the next version; older ones stay as they are.
        for one in chosen:
            if one.number == newest.number:
                with _scratch(engine) as folder:
                    _look_at_files(engine, one, newest, repair, seen, folder)
    with _scratch(engine) as folder:
        before: Path | None = None
        for last, one in zip([None, *chosen], chosen, strict=False):
            if one.number != newest.number:
                follows = last is not None and last.number == one.number - 1
                made = _look_at_files(engine, one, newest, repair, seen, folder, before if follows else None)
                if before is not None:
                    before.unlink()
                before = made
    if pictures:
        for key, why in check_pictures(engine, None if version is None else chosen[0].number):
            seen.pictures += 1
            if why is not None:
                seen.wrong(key, why)
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
            **({"frames_purged": seen.purged} if seen.purged else {}),
            "files": seen.files,
            "certificates": seen.certificates,
            **({"pictures": seen.pictures} if pictures else {}),
            "sound": sound,
        },
        rows=tuple(seen.rows),
        notes=(*notes, *seen.notes),
        failures=tuple(seen.failures),
        failure_code=DamagedInputError.exit_code,
        next="dataengine dataset verify --repair" if any(f.input_id.endswith(".json") for f in seen.failures) else "",
    )


def _carried_out(connection: Connection, stones: Sequence[tombstones.Tombstone]) -> list[tombstones.Tombstone]:
    """Those purges whose rows are gone; of one that was begun they may all be there."""
    stubs = purging.stubs(connection)
    return [
        stone
        for stone in stones
        if stone.state == "done" or not stubs.isdisjoint(tombstones.ids_of(connection, stone.id, "frame"))
    ]


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
    lost = {frame for stone in stones for frame in tombstones.ids_of(connection, stone.id, "frame")}.intersection(ids)
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
        seen.boxes += len({box.id for box in history.boxes if only is None or _in(box, only.number)})
        if number % _TOLD == 0:
            engine.progress.advance(_TOLD)
    engine.progress.finish()
    seen.frames, seen.purged = len(ids) - len(lost), len(lost)
    taken = tombstones.taken_from(stones)
    for version in chosen:
        lacks = taken.get(version.number, (0, 0))
        held = _look_at_version(connection, version, frames, boxes, lacks, seen)
        row = {"version": version.label, "frames": held[0] - lacks[0], "boxes": held[1]}
        seen.rows.append(row | ({"frames_purged": lacks[0], "boxes_purged": lacks[1]} if taken else {}))


def _in(span: soundness.BoxSpan, number: int) -> bool:
    return span.since <= number and (span.until is None or number < span.until)


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
    taken: tuple[int, int],
    seen: _Seen,
) -> tuple[int, int]:
    """Its frames, purged ones among them, and the boxes that are there."""
    number, label = version.number, version.label
    before = {known.number: known.id for known in datasets.versions(connection)}
    if version.parent_id != before.get(number - 1) or (number > 1 and number - 1 not in before):
        seen.wrong(label, "does not follow the version before it", number)
    if version_id(soundness.manifest(connection, number), version.parent_id) != version.id:
        seen.wrong(label, f"what it holds is not what its id {version.id[:8]} was made of", number)
    there = _total(frames, number)
    if there != version.frames:
        seen.wrong(label, f"holds {counted(there, 'frame')}, and {version.frames} were recorded", number)
    held = _total(boxes, number)
    if held + taken[1] != version.boxes:
        purged = f" and {taken[1]} were purged" if taken[1] else ""
        seen.wrong(label, f"holds {counted(held, 'box')}{purged}, and {version.boxes} were recorded", number)
    return there, held


# --- files --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _scratch(engine: Engine) -> Iterator[Path]:
    """A folder beside the database: files may be larger than what a system's own folder for such takes."""
    with tempfile.TemporaryDirectory(prefix="verify-", dir=engine.storage.path(STATE_FOLDER)) as folder:
        yield Path(folder)


def _look_at_files(
    engine: Engine,
    version: DatasetVersion,
    newest: DatasetVersion,
    repair: bool,
    seen: _Seen,
    folder: Path,
    before: Path | None = None,
) -> Path:
    """Compare a version's files with what its rows say; its own as it was made of them, in ``folder``.

    Args:
        before: that of the version before: then boxes are read of the frames of which any row begins or ends here.
    """
    keys: dict[str, Split | None] = {version.key: None}
    with engine.database.read() as connection:
        if version.number == newest.number:
            keys |= {f"{FOLDER}/{side}.json": side for side in sides_written(connection, version.number)}
        seen.files += len(keys)
        remade = {key: folder / f"{version.label}_{side}.json" for key, side in keys.items()}
        held = outline(connection, version)
        if before is not None:
            differ = version_rows.touched(connection, version.number, boxes=True)
            write_from_before(connection, held, [Sheet(remade[version.key], before=before)], differ)
        else:
            write_whole(connection, held, [Sheet(remade[key], side) for key, side in keys.items()])
    for key, path in remade.items():
        why = _wrong_with_file(engine, version, key, path)
        if why is not None and repair and seen.sound_up_to(version.number):
            with engine.storage.writing(key) as target:
                shutil.copyfile(path, target)
            seen.repaired.append(engine.shown(key))
        elif why is not None:
            seen.wrong(key, why)
    _look_at_certificate(engine, version, repair, seen)
    return remade[version.key]


def _look_at_certificate(engine: Engine, version: DatasetVersion, repair: bool, seen: _Seen) -> None:
    key = certificate_key(version.number)
    seen.certificates += 1
    with engine.database.read() as connection:
        counts = made_anew(connection, version)
    there = engine.storage.read_bytes(key) if engine.storage.exists(key) else None
    if there != counts and repair and seen.sound_up_to(version.number):
        engine.storage.write_bytes(key, counts)
        seen.repaired.append(engine.shown(key))
    elif there is None:
        seen.wrong(key, "is not there")
    elif there != counts:
        seen.wrong(key, f"says other counts than the rows of {version.label} do")
    if (said := remark(engine, version)) is not None:
        seen.notes.append(said)


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
