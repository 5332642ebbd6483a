"""An import that comes again, changed or not, after whatever became of the dataset in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from drawn_workspace import draw

from data_engine.app.annotation.requeue import requeue
from data_engine.app.dataset import dataset_log, dataset_verify
from data_engine.app.dataset.convert import convert
from data_engine.app.dataset.dataset_revert import revert
from data_engine.app.merge import dataset_import
from data_engine.app.merge.dataset_import import Wanted, import_dataset
from data_engine.app.merge.export import export
from data_engine.app.status import status
from data_engine.demo.people import work
from data_engine.lineage import deliveries
from data_engine.lineage.tables import acceptances, accepted, dataset_frames, dataset_versions, jobs, task_frames
from data_engine.types import Report

XYWH = tuple[float, float, float, float]
PERSON: XYWH = (3.0, 4.0, 12.0, 20.0)
OTHER: XYWH = (40.0, 2.0, 12.0, 20.0)
THIRD: XYWH = (20.0, 30.0, 10.0, 8.0)


def moved(box: XYWH, by: float) -> XYWH:
    return box[0] + by, *box[1:]


def deliver(folder: Path, *of_pictures: Sequence[XYWH], first: int = 1) -> Path:
    """A dataset of pictures that are drawn once, with these boxes of persons."""
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for number, drawn in enumerate(of_pictures, first):
        path = folder / f"p{number}.png"
        if not path.exists():
            draw(path, number)
        images.append({"id": number, "file_name": path.name, "width": 64, "height": 48})
        for box in drawn:
            boxes.append({"id": len(boxes) + 1, "image_id": number, "category_id": 1, "bbox": list(box)})
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "person"}]}
    (folder / "labels.json").write_text(json.dumps(document))
    return folder


def brought(engine: Any, path: Path, **wanted: Any) -> Report:
    return import_dataset(engine, path, Wanted(**wanted))


def counts(report: Report) -> tuple[int, int, int, int]:
    """Boxes added, changed and removed, and those that were there."""
    data = report.data
    return data["boxes_added"], data["boxes_changed"], data["boxes_removed"], data.get("same_boxes", 0)


def held(engine: Any, number: int | None = None) -> dict[str, list[XYWH]]:
    """The boxes of a version, of the newest by default, by the name of the picture; read from the rows alone."""
    with engine.database.read() as connection:
        newest = connection.scalar(sa.select(sa.func.max(dataset_versions.c.number)))
        at = newest if number is None else number
        found: dict[str, list[XYWH]] = {}
        for table in (dataset_frames, accepted):
            within = (table.c.since <= at) & (table.c.until.is_(None) | (table.c.until > at))
            for row in connection.execute(sa.select(table).where(within)):
                boxes = found.setdefault(row.frame_id, [])
                if table is accepted:
                    boxes.append((row.x, row.y, row.w, row.h))
        called = {row.frame_id: row.name for row in connection.execute(sa.select(task_frames))}
    return {called[frame].partition("_")[0]: sorted(boxes) for frame, boxes in found.items()}


def sound(engine: Any) -> bool:
    return not dataset_verify.verify(engine).failures


def corrected(engine: Any, picture: str, *boxes: XYWH) -> None:
    """People look at a frame of the dataset again, and leave these boxes on it."""
    requeue(engine, frames=[f"{picture}.png"], reason="look again")
    work(engine, lambda _frame: [("person", box) for box in boxes], annotator="ann@example.com", reviewer="rev@x.com")
    export(engine)


def test_what_a_revert_took_back_comes_again_with_the_same_boxes(workspace, tmp_path):
    engine = workspace.open()
    brought(engine, deliver(tmp_path / "ants", [PERSON]))
    bees = deliver(tmp_path / "bees", [OTHER, THIRD], [PERSON], first=5)
    brought(engine, bees)
    revert(engine, "v1")
    assert set(held(engine)) == {"p1"}
    tried = brought(engine, bees, dry_run=True)
    assert (tried.title, tried.next) == (
        "would import bees: 2 frames, 3 boxes added",
        f"dataengine dataset import {bees}",
    )
    again = brought(engine, bees)
    assert (again.title, counts(again)) == ("imported bees as v4: 2 frames, 3 boxes added", (3, 0, 0, 0))
    assert held(engine) == held(engine, 2)
    with engine.database.read() as connection:
        of_version = [
            set(connection.scalars(sa.select(accepted.c.id).where(accepted.c.since == number))) for number in (2, 4)
        ]
        # The one job, accepted anew.
        assert of_version[0] == of_version[1]
        assert connection.scalar(sa.select(sa.func.count()).select_from(jobs)) == 2
        assert connection.scalar(sa.select(sa.func.count()).select_from(acceptances)) == 3
    assert brought(engine, bees).title == "bees was imported before: nothing to do"
    assert sound(engine)


def test_an_earlier_delivery_once_more_takes_the_place_of_the_later(workspace, tmp_path):
    engine = workspace.open()
    first, second = [[PERSON, OTHER], [THIRD]], [[moved(PERSON, 2), THIRD], [THIRD]]
    bees = deliver(tmp_path / "bees", *first)
    done = [brought(engine, bees)]
    for said in (second, first, second):
        done += [brought(engine, deliver(bees, *said), dry_run=dry) for dry in (True, False)]
    assert [counts(report) for report in done] == [(3, 0, 0, 0), *[(1, 1, 1, 1)] * 6]
    assert done[-1].title == "imported bees as v4: 1 frame, 1 box added, 1 changed, 1 removed"
    assert held(engine, 1) == held(engine, 3) == {"p1": sorted(first[0]), "p2": first[1]}
    assert held(engine, 2) == held(engine, 4) == {"p1": sorted(second[0]), "p2": second[1]}
    rows = dataset_log.log(engine).rows
    assert [(row["by"], row["boxes_changed"]) for row in rows] == [
        ("import (name bees)", change) for change in ["+1 ~1 -1"] * 3 + ["+3 ~0 -0"]
    ]
    assert sound(engine)


def test_conflicts_are_decided_otherwise_by_the_same_import(workspace, tmp_path):
    engine = workspace.open()
    brought(engine, deliver(tmp_path / "ants", [PERSON], [OTHER]))
    bees = deliver(tmp_path / "bees", [moved(PERSON, 4), THIRD], [OTHER])
    first = brought(engine, bees)
    assert (first.title, first.data["conflicts"], counts(first)) == ("nothing of bees came in", 1, (0, 0, 0, 1))
    assert first.notes[0].endswith("(--on-conflict newest takes these)")
    same = brought(engine, bees)
    assert (same.data["conflicts"], same.title) == (1, "bees was imported before: nothing to do")
    tried = brought(engine, bees, on_conflict="newest", dry_run=True)
    newest = brought(engine, bees, on_conflict="newest")
    assert counts(tried) == counts(newest) == (1, 1, 0, 1)
    assert held(engine) == {"p1": [moved(PERSON, 4), THIRD], "p2": [OTHER]}
    # Once more, either way, there is nothing left of it to do.
    assert brought(engine, bees, on_conflict="newest").data["new"] is False
    assert brought(engine, bees).data["new"] is False
    # What the import of ants said is not its word any more; it says so, and how it would be.
    other = brought(engine, tmp_path / "ants")
    assert (other.data["frames_changed_by_others"], other.data["new"]) == (1, False)
    assert other.notes[0].startswith("1 frame changed by others since, and left so: p1_")
    back = brought(engine, tmp_path / "ants", name="more ants", on_conflict="newest")
    assert back.data["boxes_changed"] == 1
    assert sound(engine)


def test_what_was_taken_back_and_then_kept_out_comes_in_when_that_is_asked_for(workspace, tmp_path):
    engine = workspace.open()
    brought(engine, deliver(tmp_path / "ants", [PERSON]))
    bees = deliver(tmp_path / "bees", [moved(PERSON, 4)])
    assert brought(engine, bees, on_conflict="newest").data["version"] == "v2"
    revert(engine, "v1")
    for _time in range(2):
        kept = brought(engine, bees)
        assert (kept.data["new"], kept.data["conflicts"], held(engine)) == (False, 1, {"p1": [PERSON]})
    assert counts(brought(engine, bees, on_conflict="newest")) == (0, 1, 0, 0)
    assert held(engine) == {"p1": [moved(PERSON, 4)]}
    assert sound(engine)


def test_what_a_frame_keeps_for_ever_is_said_when_an_import_asks_for_something_else(workspace, tmp_path):
    engine = workspace.open(export={"valid_fraction": 0.0})
    bees = tmp_path / "bees"
    deliver(bees / "test", [PERSON])
    brought(engine, bees, camera="gate")
    again = brought(engine, bees, camera="hall", split="keep")
    assert again.notes == (
        f"1 frame not on the side that the source says, for a frame never changes its side: {only_name(engine)}",
        "1 picture known before and left with the camera that it has: gate",
    )


def only_name(engine: Any) -> str:
    with engine.database.read() as connection:
        return str(connection.scalar(sa.select(task_frames.c.name)))


def test_what_people_made_of_boxes_stays_when_the_same_comes_again_or_something_else_changed(workspace, tmp_path):
    engine = workspace.open()
    bees = deliver(tmp_path / "bees", [PERSON, OTHER], [THIRD])
    brought(engine, bees)
    # One box is moved and the other removed: not a box of the import is left there.
    corrected(engine, "p1", moved(PERSON, 3))
    assert held(engine)["p1"] == [moved(PERSON, 3)]
    for on_conflict in ("held", "newest"):
        report = brought(engine, bees, on_conflict=on_conflict)
        assert (report.data["new"], report.data["frames_changed_by_others"]) == (False, 1)
    later = brought(engine, deliver(bees, [PERSON, OTHER], [THIRD, PERSON]))
    assert (counts(later), later.data.get("conflicts")) == ((1, 0, 0, 1), None)
    assert held(engine) == {"p1": [moved(PERSON, 3)], "p2": sorted([PERSON, THIRD])}
    assert sound(engine)


def test_a_delivery_takes_away_what_an_earlier_one_gave_and_only_that(workspace, tmp_path):
    engine = workspace.open()
    bees = deliver(tmp_path / "bees", [PERSON, OTHER])
    brought(engine, bees)
    corrected(engine, "p1", PERSON, OTHER, THIRD)
    second = brought(engine, deliver(bees, [moved(PERSON, 2), OTHER]))
    assert (counts(second), held(engine)["p1"]) == ((0, 1, 0, 1), sorted([moved(PERSON, 2), OTHER, THIRD]))
    third = brought(engine, deliver(bees, [moved(PERSON, 2)]))
    assert (counts(third), held(engine)["p1"]) == ((0, 0, 1, 1), sorted([moved(PERSON, 2), THIRD]))
    assert sound(engine)


def test_a_frame_that_people_deleted_stays_away(workspace, tmp_path):
    engine = workspace.open()
    bees = deliver(tmp_path / "bees", [PERSON], [OTHER])
    brought(engine, bees)
    corrected(engine, "p1", moved(PERSON, 3))
    with engine.database.write() as connection:  # as an export records what was deleted on a server
        (job,) = connection.scalars(sa.select(jobs.c.id).where(jobs.c.backend == "local"))
        (task,) = connection.scalars(sa.select(jobs.c.task_id).where(jobs.c.id == job))
        connection.execute(sa.update(task_frames).where(task_frames.c.task_id == task).values(deleted=True))
        here = dataset_frames.c.job_id == job
        gone = list(connection.scalars(sa.select(dataset_frames.c.frame_id).where(here)))
        assert deliveries.deleted(connection, gone) == set(gone)
        for table in (dataset_frames, accepted):
            connection.execute(sa.update(table).where(table.c.frame_id.in_(gone)).values(until=2))
    report = brought(engine, bees)
    assert (report.data["new"], report.data["frames_deleted_by_others"]) == (False, 1)
    assert report.notes[0].startswith("1 frame deleted by people since, and not taken again: p1_")


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("command", ["import", "convert", "export", "verify"])
def test_after_a_kill_before_its_files_whatever_comes_next_writes_them(workspace, tmp_path, monkeypatch, command):
    engine = workspace.open(export={"valid_fraction": 0.0})
    bees = deliver(tmp_path / "bees", [PERSON], [OTHER], [THIRD], [PERSON, OTHER])

    def killed(*_arguments: object) -> None:
        raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(dataset_import, "write_version", killed)
        with pytest.raises(_KilledError):
            brought(engine, bees)
    assert not (engine.root / "master_dataset" / "train.json").exists()
    assert status(engine).next == "dataengine export"
    if command == "import":
        assert brought(engine, bees).data["new"] is False
    elif command == "convert":
        assert convert(engine).data["parts"] == 4
        assert engine.notes == ["v1 was recorded without its files, which are written now"]
    elif command == "export":
        report = export(engine)
        assert (report.title, report.next) == ("dataset version v1: its files are written", "dataengine convert")
    else:
        dataset_verify.verify(engine, repair=True)
    files = {path.name for path in (engine.root / "master_dataset").iterdir()}
    assert {"master_dataset_v1.json", "train.json", "valid.json"} <= files
    assert sound(engine)
