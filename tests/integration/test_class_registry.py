"""Changes of classes on both databases, and what a CVAT server's labels mean after them."""

from __future__ import annotations

import pytest

from data_engine.lineage import class_boxes, classes, datasets, models
from data_engine.lineage.database import Database
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.migrate import ensure
from data_engine.lineage.tables import accepted, dataset_frames, dataset_versions, frames, jobs, runs, tasks
from data_engine.stages.export import boxes_content
from data_engine.types import Annotation

BOXES = 600
"""More than are changed at once."""


@pytest.fixture
def database(database_url):
    made = Database(database_url)
    ensure(made)
    with made.write() as connection:
        models.add_classes(connection, ["person", "helmet", "vest"])
        run = {"id": "r", "stage": "export", "fingerprint": "f", "settings": {}, "code_version": "", "state": "done"}
        connection.execute(runs.insert(), [{**run, "attempts": 1, "started_at": "", "finished_at": ""}])
        connection.execute(tasks.insert(), [{"id": "t", "backend": "b", "name": "t", "plan": {}, "run_id": "r"}])
        job = {"id": "j", "backend": "b", "number": 1, "task_id": "t", "stage": "acceptance", "state": "completed"}
        connection.execute(jobs.insert(), [{**job, "updated_at": ""}])
        ids = [f"frame{number}" for number in range(BOXES)]
        picture = {"key": "k", "width": 64, "height": 48, "camera": "c"}
        connection.execute(frames.insert(), [{"id": i, "name": i, **picture} for i in ids])
        held = {i: [box(i, 1 + number % 3), box(i, 1, 7.5)] for number, i in enumerate(ids)}
        of = [DatasetFrame(i, "j", boxes_content(shapes(held[i])), "train") for i in ids]
        datasets.replace_frames(connection, 1, of, held)
        row = {"id": "v1", "number": 1, "run_id": "r", "frames": BOXES, "boxes": 2 * BOXES, "key": "", "created_at": ""}
        connection.execute(dataset_versions.insert(), [row])
    yield made
    made.close()


def box(frame: str, category: int, x: float = 0.1) -> Annotation:
    return Annotation(f"{frame} {category} {x}", frame, category, (x, 0.2, 3.0, 4.0), "j")


def shapes(boxes):
    return [(one.category_id, one.xywh, one.iscrowd) for one in boxes]


def sound(connection, number: int) -> bool:
    """Whether every frame's content id is that of its boxes."""
    boxes = datasets.boxes_of(connection, number)
    return all(
        entry.content == boxes_content(shapes(boxes.get(frame, ())))
        for frame, entry in datasets.frames_of(connection, number).items()
    )


@pytest.mark.parametrize("into", [2, None])
def test_boxes_of_a_class_are_of_another_or_leave_and_the_version_before_stays(database, into):
    with database.read() as connection:
        before = datasets.boxes_of(connection, 1)
    with database.write() as connection:
        changed, ended, contents = class_boxes.change_classes(connection, {3}, into, since=2, content_of=boxes_content)
    assert (changed, len(contents)) == (BOXES // 3, BOXES // 3)
    with database.read() as connection:
        assert datasets.boxes_of(connection, 1) == before
        assert sound(connection, 1)
        assert sound(connection, 2)
        assert len(datasets.frames_of(connection, 2)) == BOXES
        assert class_boxes.counts(connection) == (
            {1: 4 * BOXES // 3, 2: 2 * BOXES // 3} if into else {1: 4 * BOXES // 3, 2: BOXES // 3}
        )
        rows = connection.execute(accepted.select().where(accepted.c.since == 2)).all()
        assert {row.frame_id for row in rows} == set(contents)
        ended = connection.execute(dataset_frames.select().where(dataset_frames.c.until == 2)).all()
        assert {row.frame_id for row in ended} == set(contents)


def test_names_are_those_of_the_version(database):
    with database.write() as connection:
        classes.rename(connection, 2, "hat", since=2)
        classes.note(connection, "renamed", 2, old_name="helmet", new_name="hat", version=2)
        classes.unlist(connection, 3, since=2)
        classes.note(connection, "merged", 3, into_id=2, old_name="vest", version=2)
        classes.add(connection, ["boot"])
    with database.read() as connection:
        assert classes.registry_at(connection, 1).names == ("person", "helmet", "vest")
        assert classes.registry_at(connection, 2).names == ("person", "hat", "boot")
        now = classes.registry(connection)
        assert [now.id_of(name) for name in ("helmet", "vest", "hat", "boot")] == [2, 2, 2, 4]
        assert now.extended(["shoe"]).id_of("shoe") == 5
    with database.write() as connection:
        assert classes.relist(connection, {1, 2, 3}, since=3) == [3]
    with database.read() as connection:
        assert classes.registry_at(connection, 2).names == ("person", "hat", "boot")
        assert classes.registry_at(connection, 3).names == ("person", "hat", "vest", "boot")
        assert classes.registry(connection).id_of("vest") == 3


def test_a_class_that_was_merged_and_came_back_can_be_retired(database):
    with database.write() as connection:
        classes.unlist(connection, 3, since=2)
        classes.note(connection, "merged", 3, into_id=2, old_name="vest", version=2)
        classes.relist(connection, {3}, since=3)
        classes.unlist(connection, 3, since=4)
        classes.note(connection, "retired", 3, old_name="vest", version=4)
    with database.read() as connection:
        assert classes.registry(connection).retired == {"vest": 3}
        assert [change.number for change in classes.history(connection, {3})] == [3, 4, 5, 6]
