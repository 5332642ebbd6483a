"""What models were measured to be worth, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from data_engine.lineage import evaluations, footage, models
from data_engine.lineage.evaluations import EvaluationRow
from data_engine.types import Model, Video, content_id

MODEL = Model("m" * 32, "yolo", "models/yolo/x/model.onnx", ("person",))
ROW = EvaluationRow(
    id=content_id("evaluation", 1),
    model_id=MODEL.id,
    kind="golden",
    dataset_version_id=None,
    data_digest="d" * 32,
    settings={"resamples": 1000, "recall": ["0.9"]},
    environment="predict 1, onnxruntime 1.20, evaluate 1, pycocotools 2.0",
    images=12,
    boxes=40,
    metrics={"map": [0.5, 0.4, 0.6], "per_class": {"person": {"map": [None, None, None]}}},
    key=".dataengine/evaluations/m/x.npz",
    at="2026-01-01T00:00:00.000+00:00",
)


def known(database) -> None:
    with database.write() as connection:
        models.add_model(connection, MODEL, run_id=None, weights_key=None, registered_at=ROW.at)


def test_what_is_recorded_is_read_and_the_newest_comes_first(database):
    known(database)
    later = replace(ROW, id=content_id("evaluation", 2), kind="validation", at="2026-01-02T00:00:00.000+00:00")
    with database.write() as connection:
        evaluations.record(connection, ROW)
        evaluations.record(connection, later)
    with database.read() as connection:
        assert evaluations.by_id(connection, ROW.id) == ROW
        assert evaluations.by_id(connection, "x" * 32) is None
        assert evaluations.of_model(connection, MODEL.id) == [later, ROW]
        assert evaluations.of_model(connection, MODEL.id, "golden") == [ROW]
        assert evaluations.of_model(connection, "x" * 32) == []


def test_the_same_again_is_one_row(database):
    known(database)
    with database.write() as connection:
        evaluations.record(connection, ROW)
        evaluations.record(connection, replace(ROW, key="elsewhere.npz"))
    with database.read() as connection:
        assert [row.key for row in evaluations.of_model(connection, MODEL.id)] == ["elsewhere.npz"]


def test_when_recordings_began_is_known_of_some(database):
    dated = Video("a" * 32, "a.mp4", "a", "a", 10, 64, 48, "h264", Fraction(25), 4.0, captured_at="2026-03-01T10:00:00")
    with database.write() as connection:
        footage.add_videos(connection, [dated, replace(dated, id="b" * 32, key="b.mp4", captured_at=None)])
    with database.read() as connection:
        assert evaluations.captured(connection, ["a" * 32, "b" * 32]) == {"a" * 32: "2026-03-01T10:00:00"}
