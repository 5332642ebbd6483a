"""A trained model: its export is really held against its weights before it comes into use, and both can be had."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colour_models import NAMES, draw, truth
from drawn_workspace import Workspace

from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.convert import convert
from data_engine.app.merge.export import export
from data_engine.app.models.evaluation_report import evaluated
from data_engine.app.models.in_use import champion_key
from data_engine.app.models.model_export import export_model
from data_engine.app.models.model_registry import list_models, show_model
from data_engine.app.models.model_thin import thin
from data_engine.app.models.promote import consider, promote
from data_engine.app.models.retrain import retrain
from data_engine.app.models.rollback import rollback
from data_engine.app.status import standing
from data_engine.demo.people import work
from data_engine.detectors.loading import open_detector
from data_engine.errors import ConflictError, DamagedInputError, MissingDependencyError, MissingInputError, UsageError
from data_engine.lineage import champions, models
from data_engine.media.images import sha256_of
from data_engine.types import ID_LENGTH

TINY = {
    "size": "tiny",
    "epochs": 14,
    "image_size": 96,
    "batch": 4,
    "learning_rate": 0.01,
    "device": "cpu",
    "workers": 0,
}
SETTINGS = {
    "workspace": {"classes": NAMES},
    "predict": {"device": "cpu"},
    "upload": {"job_size": 200},
    "export": {"valid_fraction": 0.4},
    "evaluate": {"resamples": 200},
    "retrain": TINY,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, new_clock) -> Path:
    """A workspace in which one model was trained, and nothing decided about it."""
    pytest.importorskip("ultralytics")
    with ExitStack() as stack:
        made = Workspace(tmp_path_factory.mktemp("trained") / "w", new_clock(), stack)
        engine = made.open(**{**SETTINGS, "retrain": {**TINY, "promote": False}})
        upload(engine, frames=draw(made.root / "in", range(0, 1600, 40)))
        work(engine, truth, annotator="ann@example.com", reviewer="rev@example.com")
        export(engine)
        convert(engine)
        report = retrain(engine)
        assert report.data["in_use"] is None
        assert any("nothing was decided about it" in note for note in report.notes)
        assert not engine.storage.exists(champion_key("yolo"))
    return made.root


@pytest.fixture
def engine(trained, workspace):
    shutil.copytree(trained, workspace.root, dirs_exist_ok=True)
    return workspace.open(**SETTINGS)


def the_model(engine):
    with engine.database.read() as connection:
        return models.trained_last(connection)


def test_what_was_killed_before_a_decision_comes_next_and_is_decided(engine):
    """With ``promote`` on, as if the training had been killed just after its model was registered."""
    assert standing(engine).undecided
    assert standing(engine).next() == "dataengine promote"
    assert promote(engine).data["promoted"] is True
    assert not standing(engine).undecided
    with engine.database.read() as connection:
        row = champions.newest(connection)
    compared = row.detail["export"]
    assert compared["same"]
    assert compared["boxes"] > 20
    assert compared["largest_score_difference"] < 1e-4
    assert "torch" not in compared["environment"]
    # The training is not done again, and the model stays in use.
    again = retrain(engine)
    assert again.data["in_use"] is True
    assert again.data["model"].endswith("models/yolo_best.onnx")


def test_an_export_that_answers_otherwise_than_its_weights_stays_out_of_use(engine):
    import onnx

    model = the_model(engine)
    file = engine.storage.path(model.key)
    graph = onnx.load(str(file))
    # The largest: somewhere in the middle of the network.
    tensor = max(graph.graph.initializer, key=lambda one: len(one.raw_data))
    values = onnx.numpy_helper.to_array(tensor)
    noise = np.random.default_rng(0).normal(0, 0.1, values.shape).astype(values.dtype)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values + noise, tensor.name))
    onnx.save(graph, str(file))
    with engine.database.write() as connection:
        weights = models.weights_of(connection, model.id)
        model = replace(model, id=sha256_of(file)[:ID_LENGTH])
        models.add_model(connection, model, run_id=None, weights_key=weights, registered_at=engine.now())
    (reason,) = [text for text in consider(engine, model).reasons if "export" in text]
    assert reason.startswith("its export answers otherwise than the weights it was made of: ")
    assert not engine.storage.exists(champion_key("yolo"))


def test_weights_that_are_gone_or_none_can_t_vouch_for_an_export(engine):
    model = the_model(engine)
    with engine.database.read() as connection:
        key = models.weights_of(connection, model.id)
    engine.storage.write_bytes(key, b"PK\x03\x04 no weights")
    (reason,) = consider(engine, model).reasons
    assert reason.startswith("the export can't be held against its weights: ")
    engine.storage.delete(key)
    (reason,) = consider(engine, model).reasons
    assert reason.startswith("its weights are gone (")


def test_a_model_is_listed_shown_and_taken_out(engine, tmp_path, monkeypatch):
    model = the_model(engine)
    promote(engine)
    (row,) = list_models(engine).rows
    assert (row["model"], row["version"], row["in_use_until"]) == (model.id[:12], "v1", None)
    assert row["in_use_since"]
    shown = show_model(engine, model.id[:8])
    assert shown.data["formats"] == ["onnx", "torch"]
    assert [one["decided"] for one in shown.tables["decisions"]] == ["crowned"]
    assert show_model(engine, "champion").data["id"] == show_model(engine, "newest").data["id"] == model.id

    told = export_model(engine, "champion", tmp_path / "a.onnx").data
    beside = json.loads((tmp_path / "a.onnx.json").read_text("utf-8"))
    assert {name: told[name] for name in beside} == beside
    assert (beside["id"], beside["sha256"]) == (model.id, sha256_of(tmp_path / "a.onnx"))
    assert beside["sha256"].startswith(model.id)
    assert beside["classes"] == list(NAMES)
    assert (beside["input"]["width"], beside["input"]["height"]) == (96, 96)
    export_model(engine, model.id, tmp_path / "a.pt", "torch")
    pair = [open_detector(tmp_path / name, device="cpu") for name in ("a.onnx", "a.pt")]
    assert pair[0].class_names == pair[1].class_names == NAMES
    with pytest.raises(UsageError, match="is a folder"):
        export_model(engine, model.id, tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="TensorRT is not installed"):
        export_model(engine, model.id, tmp_path / "a.engine", "tensorrt")
    assert not (tmp_path / "a.engine").exists()


def test_killed_while_it_is_measured_a_model_is_not_yet_one_of_a_version(engine, monkeypatch):
    model = the_model(engine)
    with engine.database.write() as connection:
        for table, column in (("canaries", "model_id"), ("models", "id")):
            connection.exec_driver_sql(f"delete from {table} where {column} = '{model.id}'")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("data_engine.app.models.retrain.on_golden", killed)
        with pytest.raises(KeyboardInterrupt):
            retrain(engine)
    assert (standing(engine).model_version, standing(engine).undecided) == (0, False)
    assert retrain(engine).data["model_id"] == model.id
    assert (the_model(engine), standing(engine).model_version) == (model, 1)


@pytest.mark.parametrize("harm", ["written over", "another training's"])
def test_a_checkpoint_that_is_not_the_model_s_any_more_is_not_handed_out(engine, tmp_path, harm):
    model = the_model(engine)
    with engine.database.read() as connection:
        key = models.weights_of(connection, model.id)
    if harm == "written over":
        engine.storage.write_bytes(key, engine.storage.read_bytes(key) + b" and more")
    else:
        beside = engine.storage.path(key).with_name("result.json")
        told = json.loads(beside.read_text("utf-8"))
        beside.write_text(json.dumps({**told, "sha256": [told["sha256"][0], "0" * 64]}), "utf-8")
    for format, name in (("torch", "a.pt"), ("tensorrt", "a.engine")):
        with pytest.raises(DamagedInputError, match=f"is not the checkpoint of model {model.id[:8]} any more"):
            export_model(engine, model.id, tmp_path / name, format)
        assert not (tmp_path / name).exists()
    export_model(engine, model.id, tmp_path / "a.onnx")


def test_a_device_that_is_not_there_is_refused_also_where_the_answer_is_known(engine, workspace):
    model = the_model(engine)
    evaluated(engine, model=model.id)
    asked = workspace.open(**{**SETTINGS, "predict": {"device": "cuda"}})
    with pytest.raises((UsageError, MissingDependencyError), match="CUDA"):
        evaluated(asked, model=model.id)


def test_data_that_was_changed_since_it_was_converted_is_not_trained_on(engine):
    """By content what is text; a picture by its time and size, and by content where only its time differs."""
    picture = next(engine.storage.path("final_labels/yolo/train/images").iterdir())
    before = picture.stat()
    data, yaml = picture.read_bytes(), engine.storage.path("final_labels/yolo/data.yaml")
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    assert retrain(engine).data["model_id"] == the_model(engine).id
    picture.write_bytes(bytes([data[0], data[1] ^ 1]) + data[2:])
    with pytest.raises(ConflictError, match=f"{picture.name} was changed since v1 was converted"):
        retrain(engine)
    picture.write_bytes(data)
    text = yaml.read_text("utf-8")
    yaml.write_text(text.replace("person", "people"), "utf-8")
    with pytest.raises(ConflictError, match=r"data\.yaml was changed since v1 was converted"):
        retrain(engine)
    yaml.write_text(text, "utf-8")
    assert retrain(engine).data["model_id"] == the_model(engine).id


def test_old_weights_are_thinned_out_and_trained_again_they_are_whole(engine, monkeypatch):
    # The others are copies of one file, under ids of their own.
    monkeypatch.setattr("data_engine.app.models.rollback.refuse_changed", lambda *_: None)
    first = the_model(engine)
    promote(engine)
    assert thin(engine, keep=0).data["thinned"] == []
    with engine.database.write() as connection:
        for place in range(4):
            key = f"models/yolo/other{place}/model.onnx"
            engine.storage.write_bytes(key, engine.storage.read_bytes(first.key))
            row = type(first)(f"{place:032d}", "yolo", key, NAMES, parent_id=first.id if place == 2 else None)
            models.add_model(connection, row, run_id=None, weights_key=None, registered_at=f"2027-01-0{place + 1}")
        for place in (2, 3):
            champions.crown(connection, f"{place:032d}", "yolo", at=engine.now(), decision={}, over_id=first.id)
    planned = thin(engine, keep=1, dry_run=True)
    assert planned.data["thinned"] == [f"{place:032d}" for place in (0, 1)]
    assert planned.data["bytes"] == 2 * engine.storage.size(first.key)
    assert [(row["model"], row["kept"]) for row in planned.rows] == [
        ("0" * 12, "in use"),
        ("0" * 12, "a rollback returns to it"),
        ("0" * 12, None),
        ("0" * 12, None),
        (first.id[:12], f"{'0' * 8} was begun from it"),
    ]
    thin(engine, keep=0)
    with engine.database.read() as connection:
        gone = {one.model.id for one in models.registered(connection) if one.thinned_at}
    assert gone == {f"{place:032d}" for place in (0, 1)}
    assert not engine.storage.exists("models/yolo/other0/model.onnx")
    # What the next rollback returns to is there; the one after that has no way.
    rollback(engine)
    with engine.database.write() as connection:
        models.set_thinned(connection, [first.id], engine.now())
    with pytest.raises(MissingInputError, match="were thinned out on 2026-01-01"):
        rollback(engine)
