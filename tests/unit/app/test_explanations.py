"""The files beside the list that tell why: what they hold, and that no picture can stop them."""

from __future__ import annotations

import json
import re

import numpy as np

from data_engine.app.footage.pictures import frames_in
from data_engine.app.models.models import OpenedModel
from data_engine.app.selection.gallery import write_explanations
from data_engine.formats.predictions import pack
from data_engine.lineage import models
from data_engine.stages.base import StageSettings
from data_engine.types import Detections, Model, RefusedFrame, SelectedFrame, Selection


class Settings(StageSettings):
    strategy: str = "hybrid"
    floor: float = 0.05
    confidence_threshold: float = 0.4
    budget: int | None = 2
    budget_minutes: float | None = 7.5
    like: tuple[str, ...] = ()
    calibrate: bool = True


def test_both_files_lie_beside_the_list_and_come_out_the_same_again(workspace):
    engine = workspace.open()
    frames, _ = frames_in(engine, workspace.draw("in", range(4)), hint="")
    chosen = Selection(
        "5e1ec7",
        None,
        tuple(SelectedFrame(one.id, rank, 0.5, "diverse: far") for rank, one in enumerate(frames[:3], 1)),
        (RefusedFrame(frames[3].id, 0.1, "diverse: near", f"looks like {frames[0].id}"),),
    )
    lost = frames[1]
    (workspace.root / lost.key).write_bytes(b"no picture")
    (workspace.root / frames[2].key).unlink()
    by_id = {one.id: one for one in frames}

    def write() -> list[bytes]:
        header = ("# 3 of 4 frames chosen", "# chosen for diversity")
        keys = write_explanations(
            engine, chosen, by_id, None, "lists/räum.txt", Settings(), header, spent=[("minutes", "about 6")]
        )
        assert keys == ["lists/räum.json", "lists/räum.html"]
        return [engine.storage.read_bytes(key) for key in keys]

    described, page = write()
    read = json.loads(described)
    assert [row["file"] for row in read["chosen"]] == [one.name for one in frames[:3]]
    assert read["refused"][0]["refusal"] == f"looks like {frames[0].name}"
    assert read["summary"] == ["3 of 4 frames chosen", "chosen for diversity"]
    assert read["settings"]["budget_minutes"] == 7.5
    text = page.decode()
    assert "<h1>3 of 4 frames chosen</h1><p>chosen for diversity</p>" in text
    assert text.count("<img ") == 2
    assert text.count("this picture could not be read") == 2
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    assert facts == {
        "chosen": "3 frames",
        "budget": "2 frames, 7.5 min",
        "strategy": "diversity",
        "model": "none yet",
        "minutes": "about 6",
    }
    settings = dict(re.findall(r'<th scope="row">([a-z ]+)</th><td>(.*?)</td>', text))
    assert settings["like"] == "none"
    assert settings["calibrate"] == "yes"
    assert write() == [described, page]


def test_boxes_are_those_that_the_model_is_recorded_to_have_seen(workspace):
    engine = workspace.open()
    frames, _ = frames_in(engine, workspace.draw("in", range(2)), hint="")
    model = Model("a" * 32, "rfdetr", "models/rfdetr_best.onnx", ("person", "helmet"))
    seen = Detections(np.array([[4, 6, 24, 36]], np.float32), np.array([[0.25, 0.5]], np.float32))
    part = ".dataengine/predictions/part.npz"
    engine.storage.write_bytes(part, pack(model.id, [frames[0].id], [seen]))
    with engine.database.write() as connection:
        models.add_classes(connection, model.class_names)
        models.add_model(connection, model, run_id=None, weights_key=None, registered_at=engine.now())
        models.record_predictions(connection, model.id, [frames[0].id], part)
    chosen = Selection("5e1ec7", model.id, (SelectedFrame(frames[0].id, 1, 0.5, "uncertain: helmet 0.50"),))
    opened = OpenedModel(model, workspace.root / "models" / "rfdetr_best.onnx")
    described, page = (
        engine.storage.read_bytes(key).decode()
        for key in write_explanations(
            engine, chosen, {one.id: one for one in frames}, opened, "hard_frames.txt", Settings(), ()
        )
    )
    (box,) = json.loads(described)["chosen"][0]["boxes"]
    assert box == {
        "label": "helmet",
        "xywh": [4.0, 6.0, 20.0, 30.0],
        "score": 0.5,
        "probabilities": {"helmet": 0.5, "person": 0.25},
    }
    assert '<rect class="c1" x="4.0" y="6.0" width="20.0" height="30.0"' in page
    assert "<dd>rfdetr_best.onnx</dd>" in page
