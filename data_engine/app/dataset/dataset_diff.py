"""``dataset diff``: what distinguishes two versions, by frame and box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_engine.app.classes.class_differences import class_differences, said_of
from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.dataset.difference import Difference, class_name, table_rows
from data_engine.app.engine import Engine
from data_engine.app.outputs import output_key
from data_engine.errors import MissingInputError
from data_engine.lineage import datasets
from data_engine.lineage import version_changes as changes
from data_engine.lineage.database import Connection
from data_engine.stages.dataset_diff import BoxChange, FrameChange, Kind
from data_engine.stages.export import dataset_name
from data_engine.types import ClassRegistry, DatasetVersion, Frame, Report
from data_engine.words import counted

LIMIT = 20
"""Rows of the table."""


def diff(
    engine: Engine,
    first: str | None = None,
    second: str | None = None,
    *,
    limit: int = LIMIT,
    pictures: Path | None = None,
) -> Report:
    """Tell what distinguishes version ``second`` from version ``first``.

    Args:
        first: the version to go out from; without any, the parent of the newest.
        second: the other; without it the newest.
        limit: rows of the table.
        pictures: a page to write with the frames that differ.

    Raises:
        MissingInputError: no version is called so; the newest has no parent.
        UsageError: ``pictures`` is a folder.
        ConflictError: ``pictures`` is a place of the workspace's own.
    """
    if pictures is not None:
        output_key(engine, "--pictures", pictures)
    with engine.database.read() as connection:
        pair = Difference(connection, *_versions(connection, first, second))
        totals = _Totals(pair)
        rows: list[Mapping[str, Any]] = []
        for frame, change in pair.frames(connection, ("changed",)):
            totals.add(frame, change)
            if len(rows) < limit:
                rows += table_rows(pair, frame, change)
        totals.add_whole(connection)
        for frame, change in pair.frames(connection, ("removed", "added")) if len(rows) < limit else ():
            rows += table_rows(pair, frame, change)
            if len(rows) >= limit:
                break
        anew = changes.accepted_anew(connection, *pair.numbers)
        renamed = class_differences(connection, *pair.numbers)
    title = "; ".join(filter(None, (totals.title(), said_of(renamed))))
    notes = []
    if totals.rows > limit:
        notes.append(
            f"the table has the first {limit} of {totals.rows} rows: --limit {totals.rows} or --json tells all"
        )
    if anew:
        notes.append(f"{counted(anew, 'frame')} accepted anew with the same boxes")
    written = {}
    if pictures is not None:
        from data_engine.app.dataset.dataset_pictures import write_page

        facts = [(name.replace("_", " "), str(number)) for name, number in totals.counts().items() if number]
        written["pictures"] = write_page(engine, pair, pictures, title=title, facts=facts)
    return Report(
        title=title,
        data={"from": pair.first.label, "to": pair.second.label, **totals.counts(), **written},
        tables={"classes": totals.classes(), "cameras": totals.cameras(), "class_changes": renamed},
        rows=tuple(rows[:limit]),
        every_row=lambda: _every(engine, pair),
        notes=tuple(notes),
    )


def _versions(connection: Connection, first: str | None, second: str | None) -> tuple[DatasetVersion, DatasetVersion]:
    newest = version_named(connection, second)
    if first is not None:
        return version_named(connection, first), newest
    parents = [version for version in datasets.versions(connection) if version.id == newest.parent_id]
    if not parents:
        raise MissingInputError(
            f"dataset version {newest.label} is the first: there is nothing to compare it with",
            hint="dataengine dataset show",
        )
    return parents[0], newest


class _Totals:
    """What the changes add up to."""

    def __init__(self, pair: Difference) -> None:
        self._pair = pair
        self._frames: Counter[str] = Counter()
        self._boxes: Counter[str] = Counter()
        self._of_class: dict[str, Counter[str]] = {}
        self._of_camera: dict[str, Counter[str]] = {}
        self.rows = 0
        """Of the table, were there no limit."""

    def add(self, frame: Frame, change: FrameChange) -> None:
        """A frame that both versions hold."""
        camera = self._of_camera.setdefault(frame.camera, Counter())
        self._frames["frames_changed"] += 1
        camera["frames_changed"] += 1
        self._frames["sides_changed"] += change.changed_sides
        self.rows += change.changed_sides + len(change.boxes)
        for box in change.boxes:
            if box.kind != "changed":
                self._count(camera, box.kind, self._name(box), 1)
                continue
            self._boxes["boxes_changed"] += 1
            camera["boxes_changed"] += 1
            self._boxes["boxes_moved"] += box.moved_px > 0
            self._boxes["boxes_reclassified"] += box.reclassified
            if box.before is not None and box.after is not None:
                was, now = self._pair.name_before(box.before), self._pair.name_after(box.after)
                if box.reclassified:
                    self._of_class.setdefault(was, Counter())["reclassified_away"] += 1
                    self._of_class.setdefault(now, Counter())["reclassified_here"] += 1
                self._of_class.setdefault(now, Counter())["moved"] += box.moved_px > 0

    def add_whole(self, connection: Connection) -> None:
        """The frames that only one of the versions holds, counted by the database."""
        whole: tuple[tuple[Kind, ClassRegistry], ...] = (("added", self._pair.after), ("removed", self._pair.before))
        for kind, registry in whole:
            for share in changes.shares(connection, kind, *self._pair.numbers):
                camera = self._of_camera.setdefault(share.camera, Counter())
                for counts in (self._frames, camera):
                    counts[f"frames_{kind}"] += share.frames
                for counts in (self._boxes, camera):
                    counts[f"boxes_{kind}"] += share.boxes
                self.rows += share.frames
            for category, number in changes.class_shares(connection, kind, *self._pair.numbers).items():
                self._of_class.setdefault(class_name(registry, category), Counter())[kind] += number

    def counts(self) -> dict[str, int]:
        """All of them, by name."""
        frames = ("frames_added", "frames_removed", "frames_changed", "sides_changed")
        boxes = ("boxes_added", "boxes_removed", "boxes_changed", "boxes_moved", "boxes_reclassified")
        return {name: self._frames[name] for name in frames} | {name: self._boxes[name] for name in boxes}

    def title(self) -> str:
        """One line that says it."""
        first, second = self._pair.first.label, self._pair.second.label
        if not self._frames.total():
            return f"{first} -> {second}: they hold the same boxes"
        counts = self.counts()
        said = [
            ", ".join(f"{counts[f'{what}_{kind}']} {kind}" for kind in ("added", "removed", "changed"))
            for what in ("frames", "boxes")
        ]
        return f"{first} -> {second}: frames {said[0]}; boxes {said[1]}"

    def classes(self) -> tuple[Mapping[str, Any], ...]:
        """A row a class, the one with most changes first."""
        columns = ("added", "removed", "moved", "reclassified_here", "reclassified_away")
        return tuple(
            {
                "class": name,
                **{column: found[column] for column in columns},
                "balance": found["added"] - found["removed"] + found["reclassified_here"] - found["reclassified_away"],
            }
            for name, found in sorted(self._of_class.items(), key=lambda item: (-item[1].total(), item[0]))
        )

    def cameras(self) -> tuple[Mapping[str, Any], ...]:
        """A row a camera."""
        columns = [f"{what}_{kind}" for what in ("frames", "boxes") for kind in ("added", "removed", "changed")]
        return tuple(
            {"camera": name, **{column: found[column] for column in columns}}
            for name, found in sorted(self._of_camera.items())
        )

    def _count(self, camera: Counter[str], kind: Kind, name: str, number: int) -> None:
        self._boxes[f"boxes_{kind}"] += number
        camera[f"boxes_{kind}"] += number
        self._of_class.setdefault(name, Counter())[kind] += number

    def _name(self, box: BoxChange) -> str:
        if box.after is not None:
            return self._pair.name_after(box.after)
        return "" if box.before is None else self._pair.name_before(box.before)


def _every(engine: Engine, pair: Difference) -> Iterator[Mapping[str, Any]]:
    """The frames that differ, whole; versions never change, so it is the same that was counted."""
    with engine.database.read() as connection:
        for frame, change in pair.frames(connection):
            yield {
                "frame": dataset_name(frame),
                "frame_id": frame.id,
                "camera": frame.camera,
                "change": change.kind,
                "side_before": change.side_before,
                "side_after": change.side_after,
                "boxes": [_box(pair, box) for box in change.boxes],
            }


def _box(pair: Difference, box: BoxChange) -> Mapping[str, Any]:
    was, now = box.before, box.after
    known = now or was
    return {
        "change": box.kind,
        "class_before": None if was is None else pair.name_before(was),
        "class_after": None if now is None else pair.name_after(now),
        "xywh_before": None if was is None else was.xywh,
        "xywh_after": None if now is None else now.xywh,
        "moved_px": box.moved_px,
        "id_before": None if was is None else was.id,
        "id_after": None if now is None else now.id,
        "proposal": None if known is None else known.proposal_id,
        "annotator": None if known is None else known.annotator,
        "reviewer": None if known is None else known.reviewer,
    }
