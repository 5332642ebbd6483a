"""Frames of the dataset are looked at again in a task of their own, and stay as they are until that is accepted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_engine.app.annotation.requeue import requeue
from data_engine.app.annotation.review import accept, reject, submit
from data_engine.app.annotation.upload import upload
from data_engine.app.classes import class_changes
from data_engine.app.dataset import label_errors
from data_engine.app.dataset.dataset_diff import diff
from data_engine.app.dataset.dataset_log import log
from data_engine.app.dataset.dataset_revert import revert
from data_engine.app.lineage.lineage_show import show
from data_engine.app.merge.export import export
from data_engine.app.merge.export_dry_run import try_export
from data_engine.app.models.models import OpenedModel
from data_engine.demo.people import _correct, _frames
from data_engine.errors import MissingInputError, UsageError
from data_engine.formats.label_errors import read
from data_engine.formats.predictions import pack
from data_engine.lineage import datasets, models, seen_by
from data_engine.lineage.tables import accepted, requeued
from data_engine.types import Detections, Model

UPLOAD = {"task_size": 20, "job_size": 10, "assignee": ["ann@example.com"]}
FRAMES = 16
PERSON, HELMET = (1.0, 2.0, 30.0, 40.0), (9.0, 3.0, 12.0, 10.0)


def both(_frame):
    return [("person", PERSON), ("helmet", HELMET)]


def annotate(engine, seen, jobs=None) -> list[int]:
    backend, done = engine.backend(), []
    for job in backend.jobs():
        if not job.accepted if jobs is None else job.id in jobs:
            _correct(Path(backend.link_of(job.id)), _frames(engine, job.task_id), seen)
            submit(engine, job.id)
            accept(engine, [job.id], by="rev")
            done.append(job.id)
    return done


@pytest.fixture
def engine(workspace, monkeypatch):
    """A version of 16 frames with a person and a helmet each, and a model that contradicts three of them."""
    made = workspace.open(upload=UPLOAD)
    upload(made, frames=workspace.draw("in", range(FRAMES)))
    annotate(made, both)
    export(made)
    model = Model("a" * 32, "yolo", "models/yolo_best.onnx", ("person", "helmet"))
    with made.database.read() as connection:
        ids = sorted(datasets.frames_of(connection, 1))
    seen = [Detections(corners(PERSON, HELMET), [[0.9, 0.05], [0.05, 0.8]]) for _ in ids]
    seen[0] = Detections(corners(PERSON, HELMET, (45, 30, 12, 10)), [[0.9, 0.05], [0.05, 0.8], [0.1, 0.97]])
    seen[1] = Detections(corners(PERSON, HELMET), [[0.9, 0.05], [0.95, 0.03]])
    seen[2] = Detections(corners(PERSON, (13, 6, 12, 10)), [[0.9, 0.05], [0.05, 0.9]])
    made.storage.write_bytes("part.npz", pack(model.id, ids, seen))
    with made.database.write() as connection:
        models.add_model(connection, model, run_id=None, weights_key=None, registered_at=made.now())
        models.record_predictions(connection, model.id, ids, "part.npz")
    path = workspace.root / "models/yolo_best.onnx"
    path.write_bytes(b"what it said is stored")
    monkeypatch.setattr(label_errors, "register_model", lambda *_: OpenedModel(model, path))
    made.worst = ids[:3]
    return made


def corners(*boxes):
    xywh = np.array(boxes, np.float32)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def boxes_of(engine, frame_id: str) -> list[tuple[int, tuple[float, ...]]]:
    with engine.database.read() as connection:
        rows = seen_by.boxes_on(connection, [frame_id])
    return sorted((row[2], row[3:7]) for row in rows)


def test_what_the_model_contradicts_is_listed_and_shown(engine):
    report = label_errors.errors(engine)
    assert [(row["kind"], row["label"], row["says"]) for row in report.rows] == [
        ("overlooked", None, "helmet"),
        ("swapped", "helmet", "person"),
        ("badly placed", "helmet", "helmet"),
    ]
    found = read((engine.root / "label_errors.json").read_bytes(), name="it")
    assert [one.frame for one in found.findings] == engine.worst
    assert found.findings[0].where == (45.0, 30.0, 12.0, 10.0)
    assert found.findings[1].question == "labelled helmet: is it a person? (the model: 0.95)"
    assert found.classes["helmet"].boxes == FRAMES
    page = (engine.root / "label_errors.html").read_text("utf-8")
    assert page.count("<figure") == 3
    assert page.count("data:image/jpeg") == 3
    # A model from elsewhere may have learned from all of the train side.
    with engine.database.read() as connection:
        learned, known = seen_by.learned_from(connection, "a" * 32)
        sides = {i: entry.split for i, entry in datasets.frames_of(connection, 1).items()}
    assert not known
    assert learned == {i for i, side in sides.items() if side == "train"}
    assert [row["learned"] for row in report.rows] == [sides[i] == "train" for i in engine.worst]
    only = label_errors.errors(engine, name="person", held_out=False)
    assert [row["kind"] for row in only.rows] == ["swapped"]
    apart = label_errors.errors(engine, held_out=True, output=engine.root / "apart.json")
    assert len(apart.rows) == sum(sides[i] != "train" for i in engine.worst)
    with pytest.raises(MissingInputError, match="there is no class 'hat'"):
        label_errors.errors(engine, name="hat")


def test_a_model_that_finds_next_to_nothing_is_not_trusted(engine, monkeypatch):
    model = Model("b" * 32, "yolo", "models/yolo_best.onnx", ("person", "helmet"))
    with engine.database.read() as connection:
        ids = sorted(datasets.frames_of(connection, 1))
    engine.storage.write_bytes("none.npz", pack(model.id, ids, [Detections.empty(2) for _ in ids]))
    with engine.database.write() as connection:
        models.add_model(connection, model, run_id=None, weights_key=None, registered_at=engine.now())
        models.record_predictions(connection, model.id, ids, "none.npz")
    monkeypatch.setattr(label_errors, "register_model", lambda *_: OpenedModel(model, engine.root / "m.onnx"))
    report = label_errors.errors(engine)
    assert report.data["spurious"] == 2 * FRAMES
    assert any(note.startswith("m.onnx finds 0% of the boxes") for note in report.notes)


def test_findings_become_a_task_with_the_boxes_and_a_remark_each(engine):
    label_errors.errors(engine)
    before = boxes_of(engine, engine.worst[0])
    report = requeue(engine, top=2, by="lea")
    assert report.title == "2 frames to be looked at again, with 2 questions"
    backend = engine.backend()
    (job,) = [job for job in backend.jobs() if not job.accepted]
    issues = backend.issues(job.id)
    assert [issue.message for issue in issues] == [
        "is a helmet overlooked here? (the model: 0.97)",
        "labelled helmet: is it a person? (the model: 0.95)",
    ]
    assert {issue.author for issue in issues} == {"lea"}
    assert issues[0].xywh == (45.0, 30.0, 12.0, 10.0)
    shown = backend.annotations(job.id).boxes
    assert {len(rows) for rows in shown.values()} == {2}
    # Nothing leaves the dataset meanwhile, and nobody is asked twice.
    assert export(engine).data["new"] is False
    assert boxes_of(engine, engine.worst[0]) == before
    again = requeue(engine, top=2)
    assert (again.data["frames"], again.data["frames_at_work_already"]) == (0, 2)
    assert len(backend.issues(job.id)) == 2


def test_what_is_accepted_there_takes_the_place_of_what_the_frame_had(engine):
    label_errors.errors(engine)
    requeue(engine, top=1)
    narrow, missed = (1.0, 2.0, 24.0, 40.0), (45.0, 30.0, 12.0, 10.0)
    (job,) = annotate(engine, lambda _frame: [("person", narrow), ("helmet", HELMET), ("helmet", missed)])
    assert export(engine).data["boxes"] == 2 * FRAMES + 1
    assert boxes_of(engine, engine.worst[0]) == [(1, narrow), (2, HELMET), (2, missed)]
    with engine.database.read() as connection:
        held = datasets.frames_of(connection, 2)
        rows = connection.execute(accepted.select().where(accepted.c.frame_id == engine.worst[0])).all()
    assert len({entry.job_id for entry in held.values()}) == 3
    was = {row.category_id: row.id for row in rows if row.until == 2}
    now = {(row.category_id, row.x): row for row in rows if row.until is None}
    # What is as it was is the same box; what was corrected goes on from the box that it was.
    assert now[2, HELMET[0]].id == was[2]
    assert (now[1, 1.0].proposal_id, now[1, 1.0].change) == (was[1], "edited")
    assert (now[2, missed[0]].proposal_id, now[2, missed[0]].change) == (None, "added")
    told = show(engine, [now[1, 1.0].id], up=True, depth=4)
    assert ("box", f"box:{was[1]}") in {(node["kind"], node["id"]) for node in told.data["nodes"]}
    assert "looked at again as" in {edge["relation"] for edge in told.data["edges"]}
    assert show(engine, [was[1]]).title.startswith("box")
    # The first job goes on standing for its other frames.
    assert export(engine).data["new"] is False
    assert requeue(engine).data["frames"] == 2
    assert job not in {1, 2}


def drag(engine, left: float) -> None:
    """The annotator drags the person, and the tool keeps the box's attributes."""
    (job,) = [job for job in engine.backend().jobs() if not job.accepted]
    path = Path(engine.backend().link_of(job.id))
    document = json.loads(path.read_text("utf-8"))
    person = next(box for box in document["annotations"] if box["category_id"] == 1)
    person["bbox"] = [left, 2.0, 12.0, 40.0]
    path.write_text(json.dumps(document), "utf-8")
    submit(engine, job.id)
    accept(engine, [job.id], by="rev")


def test_a_box_that_moved_far_there_is_told_as_moved(engine):
    for left in (40.0, 20.0):
        requeue(engine, frames=[engine.worst[0]], reason="look")
        drag(engine, left)
        would = try_export(engine)
        assert (would.data["boxes_changed"], would.data["boxes_added"]) == (1, 0)
        export(engine)
    for first, second in (("v1", "v2"), ("v2", "v3"), ("v1", "v3"), ("v3", "v1")):
        report = diff(engine, first, second)
        counts = {name: report.data[name] for name in ("boxes_moved", "boxes_added", "boxes_removed")}
        assert counts == {"boxes_moved": 1, "boxes_added": 0, "boxes_removed": 0}, (first, second)
    assert [row["boxes_changed"] for row in log(engine).every_row()][:2] == [1, 1]


def test_what_was_taken_back_there_comes_again_when_it_is_accepted_again(engine):
    label_errors.errors(engine)
    requeue(engine, top=1)
    narrow, missed = (1.0, 2.0, 24.0, 40.0), (45.0, 30.0, 12.0, 10.0)
    (job,) = annotate(engine, lambda _frame: [("person", narrow), ("helmet", missed)])
    first = boxes_of(engine, engine.worst[0])
    export(engine)
    corrected = boxes_of(engine, engine.worst[0])
    reject(engine, job, "look again", by="rev@example.com")
    assert export(engine).data["frames_dropped"] == 0
    assert boxes_of(engine, engine.worst[0]) == first
    submit(engine, job)
    accept(engine, [job], by="rev@example.com")
    export(engine)
    assert boxes_of(engine, engine.worst[0]) == corrected
    # Nor is it lost to a revert.
    revert(engine, "v1")
    assert boxes_of(engine, engine.worst[0]) == first
    assert export(engine).data["new"] is False
    reject(engine, job, "once more", by="rev@example.com")
    submit(engine, job)
    accept(engine, [job], by="rev@example.com")
    export(engine)
    assert boxes_of(engine, engine.worst[0]) == corrected


def test_frames_of_a_task_that_is_gone_can_be_sent_again(engine):
    requeue(engine, frames=[engine.worst[0]], reason="blurred")
    backend = engine.backend()
    (job,) = [job for job in backend.jobs() if not job.accepted]
    again = requeue(engine, frames=[engine.worst[0]], reason="blurred")
    assert again.notes == (f"1 frame at work already (job {job.id}): accept and export what is there first",)
    shutil.rmtree(Path(backend.link_of(job.id)).parents[2])
    assert job.id not in {one.id for one in backend.jobs()}
    report = requeue(engine, frames=[engine.worst[0]], reason="blurred")
    assert report.title == "1 frame to be looked at again, with 1 question"
    assert f"1 frame asked about once more: job {job.id} is gone from local" in report.notes
    assert requeue(engine, frames=[engine.worst[0]], reason="blurred").data["frames_at_work_already"] == 1


def test_frames_by_name_and_by_class(engine):
    class_changes.split(engine, "helmet", ["hard hat", "cap"])
    with engine.database.read() as connection:
        from data_engine.lineage import footage

        (frame,) = footage.frames_by_id(connection, engine.worst[:1]).values()
    requeue(engine, frames=[frame.name], reason="blurred")
    with engine.database.read() as connection:
        assert [row.message for row in connection.execute(requeued.select())] == ["blurred"]
    report = requeue(engine, name="helmet", reason="hard hat or cap?")
    assert (report.data["frames"], report.data["frames_at_work_already"]) == (FRAMES - 1, 1)
    # The class is offered to nobody else, but here, where its boxes are.
    hats = [("person", PERSON), ("hard hat", HELMET)]
    annotate(engine, lambda _frame: hats)
    export(engine)
    with engine.database.read() as connection:
        assert datasets.label_counts(connection) == {"person": 16, "helmet": 0, "hard hat": 16, "cap": 0}


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, MissingInputError, "label_errors.json is not there"),
        ({"frames": ["x.jpg"], "reason": "why"}, MissingInputError, "no frame of the newest version is called 'x.jpg'"),
        ({"frames": ["x.jpg"]}, UsageError, "why are these frames to be looked at again"),
        ({"name": "helmet", "top": 3}, UsageError, "findings are told by --from"),
        ({"name": "hat"}, MissingInputError, "there is no class 'hat'"),
    ],
)
def test_what_cannot_be_looked_at_again(engine, given, error, text):
    with pytest.raises(error, match=text):
        requeue(engine, **given)


@pytest.mark.parametrize("place", ["create_task", "add_issue"])
def test_one_that_was_killed_is_finished_by_the_same_command(engine, monkeypatch, place):
    from data_engine.annotation.local import LocalBackend

    label_errors.errors(engine)
    real, calls = getattr(LocalBackend, place), []

    def killed(self, *arguments, **named):
        calls.append(1)
        if place == "create_task" or len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, place, killed)
        with pytest.raises(KeyboardInterrupt):
            requeue(engine)
    requeue(engine)
    backend = engine.backend()
    (job,) = [job for job in backend.jobs() if not job.accepted]
    assert len(job.frame_names) == 3
    assert len(backend.issues(job.id)) == 3
