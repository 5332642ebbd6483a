"""The classes of an import: those that are retired, those that nobody can be called, and two that are one here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from drawn_workspace import Silent, draw

from data_engine.app.classes import class_changes, classes
from data_engine.app.dataset import dataset_verify
from data_engine.app.init import init
from data_engine.app.merge.dataset_import import Wanted, import_dataset
from data_engine.app.models.models import registered_classes
from data_engine.errors import UsageError
from data_engine.lineage.tables import accepted
from data_engine.settings import FILE_NAME
from data_engine.types import Report, wrong_with_name

HERE, THERE = [3, 4, 20, 12], [40, 30, 8, 8]


def deliver(folder: Path, *boxes: tuple[str, list[int]]) -> Path:
    """A dataset of one picture with these boxes."""
    draw(folder / "a.png", 1)
    names = list(dict.fromkeys(label for label, _box in boxes))
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": names.index(label) + 1, "bbox": box}
            for n, (label, box) in enumerate(boxes, 1)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names, 1)],
    }
    (folder / "labels.json").write_text(json.dumps(document))
    return folder


def brought(engine: Any, path: Path, **wanted: Any) -> Report:
    return import_dataset(engine, path, Wanted(**wanted))


def held(engine: Any) -> list[tuple[int, float]]:
    with engine.database.read() as connection:
        rows = connection.execute(sa.select(accepted).where(accepted.c.until.is_(None)))
        return sorted((row.category_id, row.x) for row in rows)


def test_boxes_of_a_class_that_nobody_is_offered_come_in_and_are_told(workspace, tmp_path):
    engine = workspace.open()
    class_changes.retire(engine, "helmet", keep_boxes=True)
    report = brought(engine, deliver(tmp_path / "bees", ("person", HERE), ("helmet", HERE), ("helmet", THERE)))
    assert report.notes[0] == (
        "retired with their boxes kept, so nobody is offered them, and these count all the same: 2 boxes of 'helmet'"
    )
    assert held(engine) == [(1, 3), (2, 3), (2, 40)]
    assert registered_classes(engine).offered.names == ("person",)


def test_a_retired_class_comes_back_only_when_that_is_asked_for(workspace, tmp_path):
    engine = workspace.open()
    class_changes.retire(engine, "helmet")
    bees = deliver(tmp_path / "bees", ("person", HERE), ("helmet", HERE))
    with pytest.raises(UsageError) as caught:
        brought(engine, bees)
    assert caught.value.message.endswith("which are person; retired before: helmet")
    assert "which brings retired ones back: --allow-new-classes" in caught.value.hint
    report = brought(engine, bees, allow_new_classes=True)
    assert "retired before, and offered again with this import: helmet" in report.notes
    assert held(engine) == [(1, 3), (2, 3)]


def test_a_class_with_a_comma_is_registered_by_no_command(workspace, tmp_path):
    engine = workspace.open()
    reason = "the class 'red, cell' has a comma in its name"
    bees = deliver(tmp_path / "bees", ("red, cell", HERE))
    with pytest.raises(UsageError, match=reason) as caught:
        brought(engine, bees, allow_new_classes=True)
    assert caught.value.hint == "rename it: --classes-map 'red, cell=red cell'"
    for change in (
        lambda: classes.add(engine, ["red, cell"]),
        lambda: class_changes.rename(engine, "person", "red, cell"),
        lambda: class_changes.merge(engine, ["person"], "red, cell"),
        lambda: class_changes.split(engine, "person", ["red, cell"]),
        lambda: init(tmp_path / "new", classes=("red, cell",), progress=Silent()),
    ):
        with pytest.raises(UsageError, match=reason):
            change()
    assert not (tmp_path / "new").exists()
    assert registered_classes(engine).names == ("person", "helmet")
    assert not (engine.root / "imported").exists()
    # As the hint says it, the comma in the old name is no end of it.
    brought(engine, bees, classes_map="red, cell=red cell", allow_new_classes=True)
    assert registered_classes(engine).names == ("person", "helmet", "red cell")


def test_settings_that_name_such_a_class_register_nothing(workspace):
    file = workspace.root / FILE_NAME
    file.write_text(file.read_text("utf-8").replace('"helmet"]', '"helmet", "a,b"]'), "utf-8")
    engine = workspace.open()
    with pytest.raises(UsageError, match="'a,b' has a comma"):
        classes.list_classes(engine)
    with engine.database.read() as connection:
        assert len(classes.classes.registry(connection)) == 2


@pytest.mark.parametrize("name", ["", " ", "a,b", "a\nb", "a\x07b"])
def test_names_that_no_class_has(name):
    assert wrong_with_name(name) is not None
    assert wrong_with_name("hard hat (größe 2)") is None


def test_two_classes_that_are_one_here_have_a_thing_once(workspace, tmp_path):
    engine = workspace.open()
    bees = deliver(tmp_path / "bees", ("man", HERE), ("woman", HERE), ("woman", THERE), ("woman", THERE))
    tried = brought(engine, bees, classes_map="man=person,woman=person", dry_run=True)
    report = brought(engine, bees, classes_map="man=person,woman=person")
    assert tried.data["boxes_added"] == report.data["boxes_added"] == 3
    # Two equal boxes of one class are as they were drawn.
    assert held(engine) == [(1, 3), (1, 40), (1, 40)]
    assert "1 box in the place of another that is of the same class here left out" in report.notes


def test_the_same_import_is_the_same_after_its_classes_became_one(workspace, tmp_path):
    engine = workspace.open()
    bees = deliver(tmp_path / "bees", ("person", HERE), ("helmet", HERE), ("helmet", THERE))
    brought(engine, bees)
    merged = class_changes.merge(engine, ["helmet"], "person")
    assert (merged.data["boxes_changed"], merged.data["boxes_ended"]) == (1, 1)
    assert merged.notes[0] == "1 box in the very place of another that is 'person' now withdrawn: one stays"
    assert held(engine) == [(1, 3), (1, 40)]
    again = brought(engine, bees)
    assert (again.title, again.data["same_boxes"]) == ("bees was imported before: nothing to do", 2)
    assert brought(engine, bees, name="wasps").title == "nothing of wasps is new"
    assert dataset_verify.verify(engine).failures == ()
