"""``dataset revert``: a new version that holds what an older one held."""

from __future__ import annotations

from data_engine.app.dataset.dataset_certificate import remark as certificate_remark
from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.dataset.version_files import add_version, write_version
from data_engine.app.engine import Engine
from data_engine.lineage import class_boxes, classes, reverting, soundness, tombstones, withdrawals
from data_engine.lineage.database import Connection
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.runner import fingerprint_of, settings_of
from data_engine.types import DatasetVersion, Report, content_id
from data_engine.words import counted

STAGE = "dataset revert"
VERSION = 1


def revert(engine: Engine, to: str) -> Report:
    """Make a version with the frames and boxes of an older one; nothing is deleted.

    A frame stays on the side of the split that it was on last.  Jobs that gave what is taken back give it again when
    they were accepted anew, not at the next export.  What was purged does not come back.

    Args:
        to: the older version: ``v3``, ``3``, the beginning of its id.

    Raises:
        MissingInputError: there is no such version.
    """
    with alone_with_versions(engine.database):
        with engine.database.read() as connection:
            target = version_named(connection, to)
            newest = version_named(connection)
            change = _Change(connection, target, newest)
            maker = reverting.made_by(connection, newest.number)
            parent = newest.parent_id
        settings = settings_of({"to": target.label, "to_id": target.id})
        base = newest.id
        if not change:
            # Of one that was killed between its record and the files, the version is there and the run not at its end.
            same = content_id("run", fingerprint_of(STAGE, VERSION, settings, []), parent or "")
            if parent is None or maker is None or maker.run_id != same or maker.state == "done":
                write_version(engine, newest, newest.key)
                return _nothing_to_do(target, newest, change)
            base = parent
        restored, dropped = len(change.restored), len(change.dropped)
        with engine.runner.run(STAGE, VERSION, settings, inputs=[base]) as run:
            if change:
                with engine.database.write() as connection:
                    newest = _add(engine, connection, target, newest, change, run.id)
                    engine.runner.finish_input(connection, run, [base])
            sides = write_version(engine, newest, newest.key)
    with engine.database.read() as connection:
        frames_open, jobs_open = reverting.open_jobs(connection, newest.number)
    notes = []
    if frames_open:
        notes.append(
            f"{counted(frames_open, 'frame')} of {counted(jobs_open, 'job')} that is not accepted any more: "
            "the next export takes them out, until it is accepted again"
        )
    notes += [*change.lacking(), *filter(None, [certificate_remark(engine, newest)])]
    return Report(
        title=f"dataset version {newest.label} holds {'what is left of ' if change.lacks else ''}"
        f"what {target.label} held: "
        f"{counted(newest.frames, 'frame')}, {counted(newest.boxes, 'box')}",
        data={
            "version": newest.label,
            "version_id": newest.id,
            "new": True,
            "reverted_to": target.label,
            "frames_restored": restored,
            "frames_dropped": dropped,
            "frames": newest.frames,
            "boxes": newest.boxes,
            **dict(sorted(sides.items())),
            "output": engine.shown(newest.key),
        },
        notes=tuple(notes),
        next="dataengine convert",
    )


class _Change:
    """What has to change for the newest version to hold what an older one held."""

    def __init__(self, connection: Connection, target: DatasetVersion, newest: DatasetVersion) -> None:
        wanted, held = (soundness.manifest(connection, version.number) for version in (target, newest))
        lost = tombstones.gone(connection, wanted)
        self._target, self._purged = target, len(lost)
        taken = tombstones.taken_from(tombstones.known(connection))
        self._boxes_purged = taken.get(target.number, (0, 0))[1]
        self.contents = {frame: content for frame, (content, _side) in wanted.items() if frame not in lost}
        self.restored = [
            frame for frame, content in self.contents.items() if frame not in held or held[frame][0] != content
        ]
        self.dropped = [frame for frame in held if frame not in self.contents]

    def __bool__(self) -> bool:
        return bool(self.restored or self.dropped)

    @property
    def lacks(self) -> bool:
        """Whether something of the older version was purged, and cannot come back."""
        return self._purged > 0

    def lacking(self) -> list[str]:
        """What people are told of that."""
        if not self.lacks:
            return []
        lost = f"{counted(self._purged, 'frame')} and {counted(self._boxes_purged, 'box')} of {self._target.label}"
        return [f"{lost} were purged since, and are gone for good: dataengine dataset log"]


def _add(
    engine: Engine,
    connection: Connection,
    target: DatasetVersion,
    newest: DatasetVersion,
    change: _Change,
    run_id: str,
) -> DatasetVersion:
    number = newest.number + 1
    sides = reverting.last_sides(connection, change.contents)
    reverting.restore(connection, target.number, number, {f: sides[f] for f in change.restored}, change.dropped)
    withdrawals.record(connection, [*change.restored, *change.dropped], number)
    # A class that was merged or retired since has boxes again.
    why = f"dataset revert {target.label}"
    classes.relist(connection, class_boxes.counts(connection), since=number, reason=why, at=engine.now())
    contents = {frame: (content, sides[frame]) for frame, content in change.contents.items()}
    return add_version(engine, connection, newest, contents, run_id)


def _nothing_to_do(target: DatasetVersion, newest: DatasetVersion, change: _Change) -> Report:
    said = (
        f"{target.label} is the newest version"
        if target == newest
        else f"{newest.label} holds {'what is left of ' if change.lacks else ''}what {target.label} held"
    )
    return Report(
        title=f"nothing to do: {said}",
        data={"version": newest.label, "version_id": newest.id, "new": False, "reverted_to": target.label},
        notes=tuple(change.lacking()),
    )
