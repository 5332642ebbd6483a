"""Which model is asked: the one that was named, else the champion of the kind that is trained here, else any."""

from __future__ import annotations

import pytest

from data_engine.app.models.models import champion_key, current_model
from data_engine.errors import MissingInputError
from data_engine.lineage import models, work
from data_engine.lineage.work import Run
from data_engine.types import Model


@pytest.mark.parametrize(
    ("trained", "there", "used"),
    [
        ("yolo", (), None),
        ("yolo", ("yolo",), "yolo"),
        ("yolo", ("rfdetr",), "rfdetr"),
        ("yolo", ("rfdetr", "yolo"), "yolo"),
        ("rfdetr", ("rfdetr", "yolo"), "rfdetr"),
        ("rfdetr", ("yolo",), "yolo"),
    ],
)
def test_the_order(trained, there, used, workspace):
    engine = workspace.open(retrain={"kind": trained})
    for kind in there:
        engine.storage.write_bytes(champion_key(kind), b"weights")
    found = current_model(engine, None)
    assert found == (None if used is None else engine.root / "models" / f"{used}_best.onnx")


def test_the_kind_that_was_trained_last_is_used(workspace):
    engine = workspace.open(retrain={"kind": "yolo"})
    for kind in ("yolo", "rfdetr"):
        engine.storage.write_bytes(champion_key(kind), b"weights")
    with engine.database.write() as connection:
        run = Run("r" * 32, "retrain", "f" * 32, {}, "0")
        work.start(connection, run, "2026-01-01")
        for day, kind in enumerate(("yolo", "rfdetr"), 1):
            model = Model(f"{day:032d}", kind, champion_key(kind), ("a",))
            models.add_model(connection, model, run_id=run.id, weights_key=None, registered_at=f"2026-01-0{day}")
    assert current_model(engine, None) == engine.root / "models/rfdetr_best.onnx"


def test_a_named_model_comes_first(workspace, tmp_path):
    engine = workspace.open()
    engine.storage.write_bytes(champion_key("yolo"), b"weights")
    named = tmp_path / "mine.onnx"
    with pytest.raises(MissingInputError) as caught:
        current_model(engine, named)
    assert caught.value.message == f"{named} is not there"
    assert "dataengine retrain" in caught.value.hint
    named.write_bytes(b"weights")
    assert current_model(engine, named) == named
