"""Retrain over changed data and from the model in use: every training keeps a folder of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from drawn_workspace import CLASSES, draw

from data_engine.app.models.models import champion_key
from data_engine.app.models.retrain import retrain
from data_engine.app.models.retrain_like import repeat
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import models, work

GIT = re.compile(r"[0-9a-f]{40}")
TINY = {"size": "tiny", "epochs": 1, "image_size": 64, "device": "cpu", "workers": 0}


def foreign_data(folder: Path) -> Path:
    for split, seeds in (("train", (1, 2)), ("valid", (3,))):
        for seed in seeds:
            label = folder / split / "labels" / f"{seed}.txt"
            draw(folder / split / "images" / f"{seed}.jpg", seed)
            label.parent.mkdir(exist_ok=True)
            label.write_text("0 0.5 0.5 0.4 0.4\n")
    (folder / "data.yaml").write_text(f"names: [{', '.join(CLASSES)}]\n")
    return folder


def test_every_training_keeps_its_model(workspace, tmp_path):
    pytest.importorskip("ultralytics")
    data = foreign_data(tmp_path / "data")
    engine = workspace.open(retrain=TINY)
    first = retrain(engine, data=data).data
    again = retrain(workspace.open(retrain={**TINY, "workers": 2}), data=data).data
    assert again == first

    (data / "train/labels/1.txt").write_text("1 0.3 0.3 0.2 0.2\n")
    second = retrain(engine, data=data).data
    assert second["model_id"] != first["model_id"]
    with engine.database.read() as connection:
        rows = [models.by_id(connection, data["model_id"]) for data in (first, second)]
    assert len({row.key for row in rows}) == 2
    assert all(engine.storage.exists(row.key) for row in rows)

    # The file in use decides, not the newest training.
    engine.storage.link(rows[0].key, champion_key("yolo"))
    third = retrain(workspace.open(retrain={**TINY, "weights": "champion"}), data=data).data
    with engine.database.read() as connection:
        child = models.by_id(connection, third["model_id"])
        (run,) = [row for row in work.beginning_with(connection, "retrain", "") if row.settings["weights"]]
    assert child.parent_id == first["model_id"]
    record = json.loads(engine.storage.path(child.key).with_name("record.json").read_text("utf-8"))
    assert (record["parent"], record["seed"], record["settings"]["epochs"]) == (first["model_id"], 0, 1)
    assert record["arguments"]["imgsz"] == 64
    assert record["environment"]["libraries"].keys() >= {"torch", "ultralytics", "numpy"}
    assert record["code"]["commit"] is None or GIT.fullmatch(record["code"]["commit"])
    assert run.settings["record"] == {name: record[name] for name in ("code", "environment", "data", "begun", "parent")}

    # From the record alone: of the training from scratch on other data only once that data is back.
    again = repeat(workspace.open(), third["model_id"][:9], data=data).data
    assert (again["same"], again["run"], again["differences"]) == (True, run.id, [])
    assert not engine.storage.path(child.key).parent.with_name(f"{run.id[:12]}-again").exists()
    with pytest.raises(ConflictError, match="does not hold what run"):
        repeat(workspace.open(), first["model_id"], data=data)
    with pytest.raises(UsageError, match="--epochs was given too"):
        repeat(workspace.open(retrain={"epochs": 1}), third["model_id"], data=data)
    with pytest.raises(MissingInputError, match="nothing is recorded of model"):
        repeat(workspace.open(), "f" * 32, data=data)
    assert all(engine.storage.exists(row.key) for row in (*rows, child))

    weights = engine.storage.path(rows[0].key).with_name("model.pt")
    by_path = retrain(workspace.open(retrain={**TINY, "weights": str(weights)}), data=data).data
    assert by_path["model_id"] == third["model_id"]


def test_a_second_training_of_the_same_is_refused_while_the_first_is_at_it(workspace, tmp_path):
    pytest.importorskip("ultralytics")
    data = foreign_data(tmp_path / "data")
    engine, other = workspace.open(retrain=TINY), workspace.open(retrain=TINY)
    refused = []

    class Watching(type(engine.progress)):
        def start(self, *args, **kwargs):
            if not refused:
                with pytest.raises(ConflictError, match="another process is at this very training") as told:
                    retrain(other, data=data)
                refused.append(told)
            return super().start(*args, **kwargs)

    engine.progress = Watching()
    model = retrain(engine, data=data).data["model_id"]
    assert len(refused) == 1
    assert retrain(other, data=data).data["model_id"] == model


def test_a_champion_from_elsewhere_has_no_checkpoint(workspace, tmp_path):
    engine = workspace.open(retrain={**TINY, "weights": "champion"})
    data = foreign_data(tmp_path / "data")
    with pytest.raises(MissingInputError, match="no yolo model was trained here yet"):
        retrain(engine, data=data)
    engine.storage.write_bytes(champion_key("yolo"), b"somebody else's")
    with pytest.raises(MissingInputError, match="has no checkpoint of a training here"):
        retrain(engine, data=data)
