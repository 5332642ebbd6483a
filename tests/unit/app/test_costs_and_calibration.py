"""What the history of a workspace says about people's minutes and about the model's probabilities."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from drawn_workspace import CLASSES, truth

from data_engine.app.annotation import review
from data_engine.app.annotation.costs import cost_model, finished_jobs
from data_engine.app.annotation.upload import upload
from data_engine.app.engine import STATE_FOLDER
from data_engine.app.merge.export import export
from data_engine.app.selection.calibration import fit_calibration
from data_engine.errors import ConflictError
from data_engine.formats.predictions import pack
from data_engine.lineage import datasets, footage, models
from data_engine.selection.costs import CostModel
from data_engine.types import Detections, Model

UPLOAD = {"task_size": 4, "job_size": 2, "assignee": ["ann@example.com"]}
STATED = CostModel.stated(0.2, 0.12)


def uploaded(workspace, pictures: int = 4):
    engine = workspace.open(upload=UPLOAD)
    upload(engine, frames=workspace.draw("in", range(pictures)))
    return engine


def hand_in(engine, job: int) -> None:
    """Draw what there is to see, and submit it."""
    from data_engine.demo.people import _correct, _frames

    backend = engine.backend()
    _correct(Path(backend.link_of(job)), _frames(engine, backend.job(job).task_id), truth)
    review.submit(engine, job)


def test_minutes_are_learned_from_jobs_that_were_begun_and_handed_in(workspace, clock):
    engine = uploaded(workspace)
    assert cost_model(engine) == STATED
    for job, minutes in ((1, 7), (2, 3)):
        clock.time += timedelta(hours=30)
        report = review.start(engine, job)
        assert report.title == f"job {job} begun by ann@example.com"
        assert report.next == f"dataengine review submit {job}"
        clock.time += timedelta(minutes=minutes - 1)
        assert review.start(engine, job).title == f"job {job} begun before by ann@example.com"
        clock.time += timedelta(minutes=1)
        hand_in(engine, job)
    clock.time += timedelta(hours=30)
    review.reject(engine, 2, "a box is missing", by="rev")
    clock.time += timedelta(hours=1)
    review.start(engine, 2, by="ann@example.com")
    clock.time += timedelta(minutes=2)
    hand_in(engine, 2)
    review.accept(engine, [1, 2], by="rev")
    assert cost_model(engine) == STATED, "boxes count when they are in a version"
    export(engine)
    found = sorted(finished_jobs(engine, STATED), key=lambda job: job.minutes)
    assert [job.minutes for job in found] == pytest.approx([5, 7], abs=0.01)
    assert [job.frames for job in found] == [2, 2]
    with engine.database.read() as connection:
        version = datasets.latest(connection)
    assert sum(job.boxes for job in found) == version.boxes > 0
    learned = cost_model(engine)
    assert learned.jobs == 2
    assert "learned from 2 finished jobs" in learned.told
    assert learned.minutes(version.boxes / 4) == pytest.approx(12 / 4, rel=0.2)


def test_a_job_that_nobody_saw_begin_teaches_nothing(workspace, clock):
    engine = uploaded(workspace)
    for job, minutes in ((1, 10), (2, 4)):
        if job == 2:
            review.start(engine, job)
        clock.time += timedelta(minutes=minutes)
        hand_in(engine, job)
    review.accept(engine, [1, 2], by="rev")
    export(engine)
    assert [job.minutes for job in finished_jobs(engine, STATED)] == pytest.approx([4], abs=0.01)


def test_only_an_open_job_is_begun_and_only_by_who_has_it(workspace):
    engine = uploaded(workspace)
    with pytest.raises(ConflictError, match=r"job 1 is ann@example\.com's, not bob's"):
        review.start(engine, 1, by="bob")
    assert engine.backend().job(1).state == "new"
    hand_in(engine, 1)
    before = engine.backend().job(1)
    with pytest.raises(ConflictError, match=r"job 1 has been submitted \(stage validation, state new\)"):
        review.start(engine, 1)
    assert engine.backend().job(1) == before


def labelled(workspace, pictures: int, settings=None):
    """A workspace with a version of so many pictures, each a source of its own."""
    engine = workspace.open(
        upload={"task_size": 500, "job_size": 500}, export={"valid_fraction": 0.5}, **(settings or {})
    )
    upload(engine, frames=workspace.draw("in", range(pictures)))
    workspace.annotate(engine)
    export(engine)
    with engine.database.read() as connection:
        sides = datasets.frames_of(connection, 1)
        frames = footage.frames_by_id(connection, sides)
    return engine, sides, frames


def predicted(engine, model: Model, frames, said) -> None:
    """Store what a model is to have said: of each accepted box and of as many that are none."""
    rows = []
    for frame in frames:
        boxes, scores = [], []
        for true, (label, (x, y, w, h)) in [(True, b) for b in truth(frame)] + [(False, b) for b in truth(frame)]:
            boxes.append((x, y, x + w, y + h) if true else (x, y, x + 1, y + 1))
            scores.append([said(true) if name == label else 0.0 for name in CLASSES])
        rows.append(Detections(np.array(boxes, np.float32), np.array(scores, np.float32)))
    ids = [frame.id for frame in frames]
    key = f"{STATE_FOLDER}/predictions/{model.id}/part.npz"
    engine.storage.write_bytes(key, pack(model.id, ids, rows))
    with engine.database.write() as connection:
        models.add_model(connection, model, run_id=None, weights_key=None, registered_at=engine.now())
        models.record_predictions(connection, model.id, ids, key)


def test_a_model_that_is_too_sure_is_found_out_on_frames_that_it_was_not_trained_on(workspace):
    engine, sides, frames = labelled(workspace, 150)
    rng = np.random.default_rng(0)

    def said(true: bool) -> float:
        # Right four times of five, and 0.99 sure of it each time.
        return 0.99 if true == (rng.random() < 0.8) else 0.06

    model = Model("m" * 32, "yolo", "models/m.onnx", CLASSES)
    predicted(engine, model, list(frames.values()), said)
    fitted = fit_calibration(engine, model)
    valid = sum(2 * len(truth(frames[f])) for f, side in sides.items() if side.split == "valid")
    # Two true boxes that overlap are echoes of each other to the model's reader.
    assert 200 <= fitted.pairs <= valid < sum(2 * len(truth(frame)) for frame in frames.values())
    assert fitted.enough
    assert fitted.temperature > 1.5
    assert fitted.error_after < fitted.error_before


def test_nobody_has_judged_the_model_yet(workspace):
    engine = workspace.open()
    fitted = fit_calibration(engine, Model("m" * 32, "yolo", "models/m.onnx", CLASSES))
    assert (fitted.temperature, fitted.pairs, fitted.error_before) == (1.0, 0, None)
    assert "there are 0 (0 confirmed)" in fitted.told
