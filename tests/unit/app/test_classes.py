"""Classes are renamed, merged, split and retired, while every version goes on reading as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_engine.app.annotation.review import accept, reject, submit
from data_engine.app.annotation.upload import upload
from data_engine.app.classes import class_changes, class_versions, classes
from data_engine.app.dataset.convert import convert
from data_engine.app.dataset.dataset_revert import revert
from data_engine.app.dataset.dataset_verify import verify
from data_engine.app.dataset.version_writing import Sheet, outline, write_whole
from data_engine.app.footage.pictures import frames_in
from data_engine.app.merge.export import export
from data_engine.app.models.model_classes import columns_of
from data_engine.app.models.models import registered_classes, stored_columns, stored_predictions
from data_engine.demo.people import _correct, _frames
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.formats.predictions import pack
from data_engine.lineage import class_boxes, datasets, models, uploads
from data_engine.lineage.tables import accepted
from data_engine.types import Category, ClassRegistry, Detections, Model

UPLOAD = {"task_size": 4, "job_size": 2, "assignee": ["ann@example.com"]}


@pytest.fixture
def engine(workspace):
    """A version of four frames: on each a person and, inside it, a helmet."""
    made = workspace.open(upload=UPLOAD)
    upload(made, frames=workspace.draw("in", range(4)))
    annotate(made, both)
    export(made)
    return made


def both(_frame):
    return [("person", (1.0, 2.0, 30.0, 40.0)), ("helmet", (9.0, 3.0, 12.0, 10.0))]


def annotate(engine, seen, jobs=None) -> None:
    backend = engine.backend()
    for job in backend.jobs():
        if (jobs is None and not job.accepted) or job.id in (jobs or ()):
            _correct(Path(backend.link_of(job.id)), _frames(engine, job.task_id), seen)
            submit(engine, job.id)
            accept(engine, [job.id], by="rev")


def document(engine, number: int) -> dict[str, Any]:
    return json.loads((engine.root / f"master_dataset/master_dataset_v{number}.json").read_bytes())


def named(engine, number: int) -> dict[int, str]:
    return {category["id"]: category["name"] for category in document(engine, number)["categories"]}


def told(engine, number: int) -> dict[str, int]:
    names, counts = named(engine, number), dict.fromkeys(named(engine, number).values(), 0)
    for annotation in document(engine, number)["annotations"]:
        counts[names[annotation["category_id"]]] += 1
    return counts


def unchanged(engine, number: int, tmp_path: Path) -> bool:
    """Whether a version is written again as it was."""
    with engine.database.read() as connection:
        version = datasets.versions(connection)[number - 1]
    with engine.database.read() as connection:
        write_whole(connection, outline(connection, version), [Sheet(tmp_path / "again.json")])
    return (tmp_path / "again.json").read_bytes() == engine.storage.read_bytes(version.key)


def test_a_renamed_class_keeps_its_id_and_older_versions_their_names(engine, tmp_path):
    before = engine.storage.read_bytes("master_dataset/master_dataset_v1.json")
    report = class_changes.rename(engine, "helmet", "hard hat", by="lea", reason="as the customer says")
    assert report.title == "class 2, 'helmet' before, is 'hard hat' from v2 on"
    assert engine.storage.read_bytes("master_dataset/master_dataset_v1.json") == before
    assert named(engine, 1) == {1: "person", 2: "helmet"}
    assert named(engine, 2) == {1: "person", 2: "hard hat"}
    assert told(engine, 2) == {"person": 4, "hard hat": 4}
    assert unchanged(engine, 1, tmp_path)
    assert unchanged(engine, 2, tmp_path)
    (row,) = classes.history(engine, "helmet").rows[-1:]
    assert (row["change"], row["from"], row["to"], row["version"], row["by"]) == (
        "renamed",
        "helmet",
        "hard hat",
        "v2",
        "lea",
    )
    # The settings go on saying helmet; nothing is registered anew by that.
    assert registered_classes(engine).names == ("person", "hard hat")
    assert class_changes.rename(engine, "helmet", "hard hat").title.startswith("nothing to do")
    assert export(engine).data["new"] is False


def test_what_is_labelled_by_the_old_name_after_a_renaming_is_of_the_class(engine):
    reject(engine, 1, "look again")
    class_changes.rename(engine, "helmet", "hard hat")
    annotate(engine, lambda _frame: [("helmet", (5.0, 5.0, 8.0, 8.0))], jobs=[1])
    assert export(engine).data["boxes"] == 2 * 1 + 2 * 2
    assert told(engine, 3) == {"person": 2, "hard hat": 4}
    with engine.database.read() as connection:
        tasks = uploads.task_numbers(connection, "local")
        assert uploads.task_labels(connection, tasks[1]) == ("person", "helmet")


def test_new_tasks_say_the_new_name(engine, workspace):
    class_changes.rename(engine, "helmet", "hard hat")
    upload(engine, frames=workspace.draw("more", range(10, 12)))
    annotate(engine, lambda _frame: [("hard hat", (5.0, 5.0, 8.0, 8.0))])
    export(engine)
    assert told(engine, 3) == {"person": 4, "hard hat": 6}


def test_merged_classes_are_one_from_the_next_version_on(engine, tmp_path):
    classes.add(engine, ["vest"])
    report = class_changes.merge(engine, ["helmet", "vest"], "gear", by="lea")
    assert report.data["boxes_changed"] == 4
    assert named(engine, 2) == {1: "person", 4: "gear"}
    assert told(engine, 2) == {"person": 4, "gear": 4}
    assert told(engine, 1) == {"person": 4, "helmet": 4}
    assert unchanged(engine, 1, tmp_path)
    assert unchanged(engine, 2, tmp_path)
    with engine.database.read() as connection:
        rows = connection.execute(accepted.select().where(accepted.c.category_id.in_([2, 4]))).all()
    # The box is the same box, with who made it, under another class.
    assert {row.id for row in rows if row.category_id == 2} == {row.id for row in rows if row.category_id == 4}
    assert {(row.since, row.until) for row in rows} == {(1, 2), (2, None)}
    assert len({row.acceptance_id for row in rows}) == 2
    assert export(engine).data["new"] is False
    # Read again under the old name, a job says the same as the dataset.
    reject(engine, 1, "look again")
    assert export(engine).data["frames"] == 2
    annotate(engine, both, jobs=[1])
    assert export(engine).data["frames"] == 4
    assert told(engine, 4) == {"person": 4, "gear": 4}
    assert class_changes.merge(engine, ["helmet", "vest"], "gear").title.startswith("nothing to do")
    # No id is used twice, and no name means two things.
    assert classes.add(engine, ["boot"]).data["classes"] == ["person", "gear", "boot"]
    assert registered_classes(engine).id_of("boot") == 5
    with pytest.raises(UsageError, match="'vest' is what 'gear' was called before"):
        class_changes.rename(engine, "person", "vest")


def test_of_two_boxes_in_one_place_that_are_one_class_now_one_stays(engine, tmp_path):
    reject(engine, 1, "look again")
    place, other = (5.0, 5.0, 8.0, 8.0), (9.0, 3.0, 12.0, 10.0)
    classes.add(engine, ["cap"])
    annotate(engine, lambda _frame: [("helmet", place), ("person", place), ("helmet", other)], jobs=[1])
    export(engine)
    assert told(engine, 2) == {"person": 4, "helmet": 6, "cap": 0}
    report = class_changes.merge(engine, ["person", "helmet"], "gear")
    # Of the classes that are merged, the boxes of the one with the least id go on.
    assert (report.data["boxes_changed"], report.data["boxes_ended"]) == (8, 2)
    assert told(engine, 3) == {"cap": 0, "gear": 8}
    with engine.database.read() as connection:
        ended = connection.execute(accepted.select().where(accepted.c.until == 3)).all()
        begun = {row.id for row in connection.execute(accepted.select().where(accepted.c.since == 3))}
    gone = [row for row in ended if row.id not in begun]
    assert [(row.category_id, row.x, row.y) for row in gone] == [(2, 5.0, 5.0)] * 2
    assert unchanged(engine, 2, tmp_path)
    # Read again under the old names, the job says the same as the dataset.
    reject(engine, 1, "look again")
    export(engine)
    annotate(engine, lambda _frame: [("helmet", place), ("person", place), ("helmet", other)], jobs=[1])
    assert export(engine).data["boxes"] == 8
    assert verify(engine).failures == ()


def test_going_back_brings_a_merged_class_back(engine):
    class_changes.merge(engine, ["helmet"], "person")
    revert(engine, "v1")
    assert named(engine, 3) == {1: "person", 2: "helmet"}
    assert told(engine, 3) == {"person": 4, "helmet": 4}
    assert registered_classes(engine).id_of("helmet") == 2
    assert classes.history(engine, "helmet").rows[-1]["change"] == "restored"


def test_one_class_takes_another_in(engine):
    class_changes.merge(engine, ["person", "helmet"], "person")
    assert told(engine, 2) == {"person": 8}
    assert registered_classes(engine).id_of("helmet") == 1


def test_a_retired_class_leaves_and_what_comes_back_is_told(engine, tmp_path):
    report = class_changes.retire(engine, "helmet")
    assert report.title == "class 'helmet' is retired from v2 on: 4 boxes on 4 frames left the dataset"
    assert told(engine, 2) == {"person": 4}
    assert told(engine, 1) == {"person": 4, "helmet": 4}
    assert unchanged(engine, 2, tmp_path)
    reject(engine, 1, "look again")
    annotate(engine, both, jobs=[1])
    again = export(engine)
    assert again.data["new"] is False
    assert any("2 boxes of the retired class 'helmet' left out" in note for note in again.notes)
    with pytest.raises(MissingInputError, match="class 'helmet' is retired") as error:
        class_changes.rename(engine, "helmet", "hat")
    assert error.value.hint == "bring it back: dataengine classes add helmet"
    (row,) = [row for row in classes.list_classes(engine).rows if row["id"] == 2]
    assert (row["class"], row["state"]) == ("helmet", "retired in v2")
    assert classes.add(engine, ["helmet"]).data["added"] == ["helmet"]
    assert registered_classes(engine).id_of("helmet") == 2
    assert class_changes.retire(engine, "helmet").data["version"] == "v3"


def test_a_retired_class_whose_boxes_stay_is_offered_to_nobody(engine, workspace):
    report = class_changes.retire(engine, "helmet", keep_boxes=True)
    # It makes no version; what it says is what the history says.
    assert classes.history(engine, "helmet").rows[-1]["version"] == report.data["since"] == "v2"
    assert "version" not in report.data
    assert export(engine).data["new"] is False
    upload(engine, frames=workspace.draw("more", range(10, 12)))
    with engine.database.read() as connection:
        tasks = uploads.task_numbers(connection, "local")
        assert uploads.task_labels(connection, tasks[2]) == ("person",)
        assert class_boxes.counts(connection) == {1: 4, 2: 4}
    assert classes.add(engine, ["helmet"]).data["added"] == ["helmet"]
    assert registered_classes(engine).offered.names == ("person", "helmet")


def test_a_split_class_keeps_its_boxes_until_they_were_looked_at(engine):
    report = class_changes.split(engine, "helmet", ["hard hat", "cap"])
    assert (report.data["boxes"], report.data["frames"]) == (4, 4)
    assert report.next.startswith("dataengine review requeue --class helmet")
    registry = registered_classes(engine)
    assert registry.names == ("person", "helmet", "hard hat", "cap")
    assert registry.offered.names == ("person", "hard hat", "cap")
    again = class_changes.split(engine, "helmet", ["hard hat", "cap"])
    assert again.data["into"] == ["hard hat", "cap"]
    assert [row["change"] for row in classes.history(engine, "helmet").rows].count("split") == 2


@pytest.mark.parametrize(
    ("names", "error", "text"),
    [
        (("boot", "shoe"), MissingInputError, "there is no class 'boot'"),
        (("helmet", "person"), ConflictError, "'person' is class 1"),
        (("helmet", " "), UsageError, "a class needs a name"),
    ],
)
def test_names_that_cannot_be(engine, names, error, text):
    with pytest.raises(error, match=text):
        class_changes.rename(engine, *names)
    assert named(engine, 1) == {1: "person", 2: "helmet"}
    with engine.database.read() as connection:
        assert len(datasets.versions(connection)) == 1


def test_a_class_may_have_its_old_name_back_but_no_other_may(engine):
    class_changes.rename(engine, "helmet", "hat")
    with pytest.raises(UsageError, match="'helmet' is what 'hat' was called before"):
        class_changes.rename(engine, "person", "helmet")
    with pytest.raises(UsageError, match="'helmet' is what 'hat' was called before"):
        class_changes.split(engine, "person", ["helmet", "worker"])
    class_changes.rename(engine, "hat", "helmet")
    assert named(engine, 3) == {1: "person", 2: "helmet"}
    assert registered_classes(engine).now("hat") == "helmet"


def test_the_last_class_stays(engine):
    class_changes.retire(engine, "helmet")
    with pytest.raises(UsageError, match="'person' is the only class"):
        class_changes.retire(engine, "person")


def test_before_the_first_version_a_class_is_renamed_for_it(workspace):
    engine = workspace.open(upload=UPLOAD)
    upload(engine, frames=workspace.draw("in", range(2)))
    assert class_changes.rename(engine, "helmet", "hat").data["version"] is None
    annotate(engine, both)
    export(engine)
    assert named(engine, 1) == {1: "person", 2: "hat"}
    assert told(engine, 1) == {"person": 2, "hat": 2}


def test_a_change_that_was_killed_before_its_files_is_finished_by_the_same_command(engine, monkeypatch):
    def killed(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(class_versions, "write_version", killed)
        with pytest.raises(KeyboardInterrupt):
            class_changes.merge(engine, ["helmet"], "person")
    assert not (engine.root / "master_dataset/master_dataset_v2.json").exists()
    class_changes.merge(engine, ["helmet"], "person")
    assert told(engine, 2) == {"person": 8}
    with engine.database.read() as connection:
        assert len(datasets.versions(connection)) == 2


def test_a_conversion_follows_and_an_older_version_converts_as_it_was(engine):
    convert(engine)
    class_changes.rename(engine, "person", "worker")
    convert(engine)
    described = (engine.root / "final_labels/yolo/data.yaml").read_text("utf-8")
    assert "worker" in described
    assert "person" not in described
    class_changes.retire(engine, "worker")
    convert(engine)
    assert "worker" not in (engine.root / "final_labels/yolo/data.yaml").read_text("utf-8")
    for number, name in ((1, "person"), (2, "worker")):
        old = engine.root / f"old{number}"
        convert(engine, input=engine.root / f"master_dataset/master_dataset_v{number}.json", output=old)
        assert name in (old / "yolo/data.yaml").read_text("utf-8")


def test_a_model_answers_in_the_classes_of_now(engine):
    model = Model("a" * 32, "rfdetr", "models/rfdetr_best.onnx", ("helmet", "cap", "cone", "person"))
    classes.add(engine, ["cap", "cone"])
    frames, _ = frames_in(engine, engine.root / "in", hint="")
    seen = [
        Detections(
            np.array([[0, 0, 9, 9], [5, 5, 20, 20], [7, 7, 30, 30]], np.float32),
            np.array([[0.25, 0.5, 0, 0.125], [0, 0, 0.75, 0], [0.0625, 0, 0, 0.5]], np.float32),
        ),
        Detections(np.array([[1, 1, 8, 8]], np.float32), np.array([[0, 0, 0.75, 0]], np.float32)),
    ]
    ids = [frame.id for frame in frames[:2]]
    engine.storage.write_bytes("part.npz", pack(model.id, ids, seen))
    with engine.database.write() as connection:
        models.add_model(connection, model, run_id=None, weights_key=None, registered_at=engine.now())
        models.record_predictions(connection, model.id, ids, "part.npz")
    class_changes.merge(engine, ["helmet", "cap"], "hat")
    class_changes.rename(engine, "person", "worker")
    class_changes.retire(engine, "cone")
    columns = columns_of(model, registered_classes(engine))
    assert columns.names == ("hat", "worker")
    assert columns.single == ("worker",)
    assert columns.sentences == (
        "the model's classes are taken for what they are called now: 'helmet' for 'hat', 'cap' for 'hat', "
        "'person' for 'worker'",
        "what the model says of retired classes does not count: 'cone'",
    )
    found = stored_predictions(engine, model, ids)
    np.testing.assert_array_equal(found[ids[0]].scores, [[0.5, 0.125], [0.0625, 0.5]])
    np.testing.assert_array_equal(found[ids[0]].xyxy[:, 0], [0, 7])
    assert len(found[ids[1]]) == 0
    order, offsets, xyxy, scores = stored_columns(engine, model, ids)
    assert dict(zip(order, np.diff(offsets).tolist(), strict=True)) == {ids[0]: 2, ids[1]: 0}
    np.testing.assert_array_equal(scores, [[0.5, 0.125], [0.0625, 0.5]])
    np.testing.assert_array_equal(xyxy[:, 0], [0, 7])
    assert len(stored_predictions(engine, model, ids, as_trained=True)[ids[0]]) == 3


def test_a_registry_never_gives_an_id_twice():
    held = ClassRegistry([Category(1, "a")], former={"b": 1}, retired={"c": 3, "d": 2}, last=5)
    assert held.names == ("a",)
    assert [name in held for name in "abcd"] == [True, True, False, False]
    assert (held.id_of("b"), held.now("b"), held.former_names(1)) == (1, "a", ("b",))
    grown = held.extended(["b", "e", "c"])
    assert [(c.id, c.name) for c in grown] == [(1, "a"), (3, "c"), (6, "e")]
    assert grown.id_of("b") == 1
    assert grown.extended(["f", "d"]).id_of("f") == 7
    assert held.ever.names == ("a", "d", "c")
    with pytest.raises(ValueError, match="must mean a class"):
        ClassRegistry([Category(1, "a")], former={"b": 2})


@pytest.mark.required
def test_the_same_on_postgresql(workspace, new_postgres, tmp_path):
    engine = workspace.open(upload=UPLOAD, database={"url": new_postgres()})
    upload(engine, frames=workspace.draw("in", range(4)))
    annotate(engine, both)
    export(engine)
    class_changes.rename(engine, "helmet", "hat")
    class_changes.merge(engine, ["person"], "hat")
    assert told(engine, 3) == {"hat": 8}
    revert(engine, "v2")
    class_changes.retire(engine, "hat")
    assert [told(engine, number) for number in (1, 2, 4, 5)] == [
        {"person": 4, "helmet": 4},
        {"person": 4, "hat": 4},
        {"person": 4, "hat": 4},
        {"person": 4},
    ]
    assert all(unchanged(engine, number, tmp_path) for number in range(1, 6))
    assert export(engine).data["new"] is False
