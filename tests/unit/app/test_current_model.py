"""Which model is asked: the one that was named, else the champion of the kind that is trained here, else any."""

from __future__ import annotations

import pytest

from data_engine.app.models import champion_key, current_model
from data_engine.errors import MissingInputError


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
