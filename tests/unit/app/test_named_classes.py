"""The names that a user gives to the classes of a file that holds none can be given anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_engine.app.footage.pictures import frames_in
from data_engine.app.models.models import predict_missing, register_model, registered_classes
from data_engine.errors import DamagedInputError, UsageError
from data_engine.media.images import sha256_of
from data_engine.types import ID_LENGTH


def rfdetr(path: Path, names: tuple[str, ...] = ()) -> Path:
    """An RF-DETR of two classes that sees the same box of its first class in every picture."""
    onnx = pytest.importorskip("onnx")
    arrays = {
        "dets": np.array([[[0.5, 0.5, 0.2, 0.2]]], np.float32),
        "labels": np.array([[[2.0, -3.0, -3.0]]], np.float32),
    }
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        [make.make_node("Identity", [f"c_{name}"], [name]) for name in arrays],
        "model",
        [make.make_tensor_value_info("input", kind, [1, 3, 32, 32])],
        [make.make_tensor_value_info(name, kind, array.shape) for name, array in arrays.items()],
        [onnx.numpy_helper.from_array(array, f"c_{name}") for name, array in arrays.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    if names:
        make.set_model_props(model, {"rfdetr_notes": json.dumps({"class_names": list(names)})})
    onnx.save(model, str(path))
    return path


def named(*names: str) -> dict[str, dict[str, object]]:
    return {"predict": {"classes": names, "device": "cpu"}}


def test_other_names_make_another_model_of_a_file_without_names(workspace, tmp_path):
    pytest.importorskip("onnxruntime")
    path = rfdetr(tmp_path / "nameless.onnx")
    folder = workspace.draw("in", [1])
    seen = []
    for names, asked in ((("helmet", "person"), 1), (("person", "helmet"), 1), (("helmet", "person"), 0)):
        engine = workspace.open(**named(*names))
        frames, _ = frames_in(engine, folder, hint="")
        opened = register_model(engine, path)
        assert opened.model.class_names == names
        # What was said under other names is not used again.
        assert predict_missing(engine, opened, frames) == (asked, ())
        seen.append(opened.model.id)
    assert seen[0] == seen[2] != seen[1]
    with pytest.raises(UsageError, match="does not name its classes"):
        register_model(workspace.open(), path)


def test_a_file_that_names_its_classes_is_known_by_its_bytes(workspace, tmp_path):
    pytest.importorskip("onnxruntime")
    path = rfdetr(tmp_path / "named.onnx", ("person", "helmet"))
    for settings in (named("person", "helmet"), {}):
        assert register_model(workspace.open(**settings), path).model.id == sha256_of(path)[:ID_LENGTH]
    with pytest.raises(UsageError, match=r"named\.onnx names its classes person, helmet; given were helmet, person"):
        register_model(workspace.open(**named("helmet", "person")), path)


def test_corrected_names_are_added_where_the_workspace_names_none(workspace, tmp_path):
    pytest.importorskip("onnxruntime")
    path = rfdetr(tmp_path / "nameless.onnx")
    with pytest.raises(DamagedInputError, match="knows classes that the registry does not: persn"):
        register_model(workspace.open(**named("persn", "helmet")), path)
    free = {"workspace": {"classes": ()}}
    (workspace.root / ".dataengine/lineage.db").unlink()
    register_model(workspace.open(**named("persn", "helmet"), **free), path)
    engine = workspace.open(**named("person", "helmet"), **free)
    assert register_model(engine, path).model.class_names == ("person", "helmet")
    assert registered_classes(engine).names == ("persn", "helmet", "person")
