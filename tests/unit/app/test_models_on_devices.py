"""Frames asked about on one device or several, in one run or in pieces, give the same column files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_engine.app.footage.pictures import frames_in
from data_engine.app.models import models
from data_engine.app.models.models import predict_missing, register_model, stored_columns, stored_predictions
from data_engine.errors import DamagedInputError, MissingDependencyError, UsageError
from data_engine.types import MOST_BOXES


def colours(path: Path) -> Path:
    """An RF-DETR of two classes whose only box and its probabilities follow from the picture's mean colour."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    constants = {
        "shape": np.array([0, 1, 3], np.int64),
        "turn": np.array([[0.02, -0.03, 0.01, 0], [0.01, 0.02, 0, 0.03], [0, 0.01, 0.02, 0.01]], np.float32),
        "place": np.array([0.5, 0.5, 0.3, 0.3], np.float32),
    }
    nodes = [
        make.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        make.make_node("Reshape", ["pooled", "shape"], ["labels"]),
        make.make_node("MatMul", ["labels", "turn"], ["turned"]),
        make.make_node("Add", ["turned", "place"], ["dets"]),
    ]
    shapes = {"dets": ["n", 1, 4], "labels": ["n", 1, 3]}
    graph = make.make_graph(
        nodes,
        "colours",
        [make.make_tensor_value_info("input", kind, ["n", 3, 32, 32])],
        [make.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    make.set_model_props(model, {"rfdetr_notes": json.dumps({"class_names": ["person", "helmet"]})})
    onnx.save(model, str(path))
    return path


def files_of(root: Path) -> dict[str, bytes]:
    folder = root / ".dataengine" / "predictions"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.npz")}


def without_predictions(engine) -> None:
    """Lose the column files: then the model is asked again."""
    for path in (engine.root / ".dataengine" / "predictions").rglob("*.npz"):
        path.unlink()


def test_several_devices_write_the_files_of_one(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "PART", 8)
    path = colours(tmp_path / "colours.onnx")
    folder = workspace.draw("in", range(1, 31))
    (folder / "pbroken.jpg").write_bytes((folder / "pb.jpg").read_bytes()[:300])
    written = {}
    for devices in ("cpu", "cpu,cpu"):
        engine = workspace.open(predict={"device": devices, "batch": 2})
        frames, _ = frames_in(engine, folder, hint="")
        opened = register_model(engine, path)
        without_predictions(engine)
        engine.notes.clear()
        assert predict_missing(engine, opened, frames)[0] == 30
        written[devices] = files_of(workspace.root)
        told = [note for note in engine.notes if "runs on" in note]
        assert set(told) == {"colours.onnx runs on CPUExecutionProvider"}
        assert 1 <= len(told) <= len(devices.split(","))
    assert len(written["cpu"]) == 4
    assert written["cpu"] == written["cpu,cpu"]


def test_a_run_in_pieces_writes_the_same_predictions(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "PART", 4)
    path = colours(tmp_path / "colours.onnx")
    folder = workspace.draw("in", range(1, 17))
    engine = workspace.open(predict={"device": "cpu", "batch": 3})
    frames, _ = frames_in(engine, folder, hint="")
    opened = register_model(engine, path)
    predict_missing(engine, opened, frames)
    whole = files_of(workspace.root)
    kept = sorted(whole)[1]
    without_predictions(engine)
    (workspace.root / ".dataengine" / "predictions" / kept).write_bytes(whole[kept])
    assert predict_missing(engine, opened, frames)[0] == 12
    again = stored_predictions(engine, opened.model, [frame.id for frame in frames])
    without_predictions(engine)
    predict_missing(engine, opened, frames)
    fresh = stored_predictions(engine, opened.model, [frame.id for frame in frames])
    assert fresh.keys() == again.keys() == {frame.id for frame in frames}
    for frame_id, seen in fresh.items():
        np.testing.assert_array_equal(seen.xyxy, again[frame_id].xyxy)
        np.testing.assert_array_equal(seen.scores, again[frame_id].scores)
    assert files_of(workspace.root) == whole


def test_a_device_that_is_not_there_ends_the_run(workspace, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime offers CUDA")
    path = colours(tmp_path / "colours.onnx")
    folder = workspace.draw("in", range(1, 6))
    engine = workspace.open(predict={"device": "cpu,cuda:1", "batch": 1})
    frames, _ = frames_in(engine, folder, hint="")
    opened = register_model(engine, path)
    with pytest.raises(MissingDependencyError, match="this ONNX Runtime has no CUDA: it offers"):
        predict_missing(engine, opened, frames)
    with pytest.raises(UsageError, match="auto chooses one device"):
        register_model(workspace.open(predict={"device": "auto,cpu"}), path)


def test_columns_are_what_was_predicted(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "PART", 4)
    monkeypatch.setattr(models, "_LOOKED_UP", 5)
    path = colours(tmp_path / "colours.onnx")
    folder = workspace.draw("in", range(1, 15))
    engine = workspace.open(predict={"device": "cpu"})
    frames, _ = frames_in(engine, folder, hint="")
    opened = register_model(engine, path)
    predict_missing(engine, opened, frames)
    wanted = [frame.id for frame in frames[::-1] if frame is not frames[3]] + ["f" * 32, frames[0].id]
    ids, offsets, xyxy, scores = stored_columns(engine, opened.model, wanted)
    seen = stored_predictions(engine, opened.model, wanted)
    assert set(ids) == set(seen) == set(wanted) - {"f" * 32}
    assert len(ids) == 13
    assert (offsets.dtype, xyxy.dtype, scores.dtype) == (np.int64, np.float32, np.float16)
    assert offsets[0] == 0
    assert offsets[-1] == len(xyxy) == len(scores) > 5
    for number, frame_id in enumerate(ids):
        rows = slice(offsets[number], offsets[number + 1])
        np.testing.assert_array_equal(xyxy[rows], seen[frame_id].xyxy)
        np.testing.assert_array_equal(scores[rows], seen[frame_id].scores)
        assert len(xyxy[rows]) <= MOST_BOXES


def test_columns_of_nothing_and_of_a_damaged_file(workspace, tmp_path):
    path = colours(tmp_path / "colours.onnx")
    folder = workspace.draw("in", range(1, 4))
    engine = workspace.open(predict={"device": "cpu"})
    frames, _ = frames_in(engine, folder, hint="")
    opened = register_model(engine, path)
    ids, offsets, xyxy, scores = stored_columns(engine, opened.model, [frame.id for frame in frames])
    assert (ids, offsets.tolist(), xyxy.shape, scores.shape) == ((), [0], (0, 4), (0, 2))
    predict_missing(engine, opened, frames)
    (part,) = (workspace.root / ".dataengine" / "predictions").rglob("*.npz")
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(DamagedInputError) as caught:
        stored_columns(engine, opened.model, [frame.id for frame in frames])
    assert caught.value.hint == "delete it and run again: the model is asked anew"
