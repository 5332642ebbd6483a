"""Pictures of coloured cells, and real ONNX graphs that name a cell by its colour."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

NAMES = ("person", "helmet", "vest")
COLOURS = np.asarray([(230, 30, 30), (30, 230, 30), (30, 30, 230)], np.uint8)
CELL, ACROSS = 16, 4
SIZE = CELL * ACROSS
BIAS = np.asarray([-4.0], np.float32)
"""As heads begin with: nothing is likely."""


def things(seed: int) -> list[tuple[int, int, int]]:
    """``(class, column, row)`` of one thing of each class, in cells of their own."""
    cells = np.random.default_rng(seed).permutation(ACROSS * ACROSS)[: len(NAMES)]
    return [(number, int(cell % ACROSS), int(cell // ACROSS)) for number, cell in enumerate(cells)]


def truth(frame):
    return [
        (NAMES[number], (CELL * x + 1.0, CELL * y + 1.0, CELL - 2.0, CELL - 2.0))
        for number, x, y in things(int(frame.name[1:-4]))
    ]


def draw(folder: Path, seeds, *, faintest: float = 1.0) -> Path:
    """A picture a seed; of things fainter than 1 the colour shows through the grey, from ``faintest`` on."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        picture = np.full((SIZE, SIZE, 3), 90, np.uint8) + rng.integers(0, 30, (SIZE, SIZE, 3), dtype=np.uint8)
        for number, x, y in things(seed):
            cell = picture[CELL * y : CELL * (y + 1), CELL * x : CELL * (x + 1)]
            strength = 1.0 if faintest == 1.0 else rng.uniform(faintest, 1.0)
            cell[:] = cell + strength * (COLOURS[number] - cell.astype(np.float64))
        cv2.imwrite(str(folder / f"p{seed}.png"), picture[..., ::-1])
    return folder


def colours(path: Path, names=NAMES, *, weights: np.ndarray | None = None, first: int = 0) -> Path:
    """An RF-DETR of 16 fixed places, which it names by their mean colour.

    Args:
        weights: ``(3, slots)`` from the mean colour to the slots, instead of one slot a colour.
        first: slot of the first colour; there is one more slot than colours.
    """
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    if weights is None:
        weights = np.zeros((3, 4), np.float32)
        weights[:, first : first + 3] = 4 * np.eye(3) - 2
    middle = (np.indices((ACROSS, ACROSS))[::-1].reshape(2, -1).T + 0.5) / ACROSS
    dets = np.concatenate([middle, np.full((16, 2), 1 / ACROSS)], axis=1)[None].astype(np.float32)
    made, kind = onnx.helper, onnx.TensorProto.FLOAT
    held = {"dets_value": dets, "shape": np.asarray([1, 3, 16]), "weights": weights.astype(np.float32), "bias": BIAS}
    graph = made.make_graph(
        [
            made.make_node("AveragePool", ["input"], ["mean"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
            made.make_node("Reshape", ["mean", "shape"], ["flat"]),
            made.make_node("Transpose", ["flat"], ["cells"], perm=[0, 2, 1]),
            made.make_node("MatMul", ["cells", "weights"], ["unbiased"]),
            made.make_node("Add", ["unbiased", "bias"], ["labels"]),
            made.make_node("Identity", ["dets_value"], ["dets"]),
        ],
        "colours",
        [made.make_tensor_value_info("input", kind, [1, 3, SIZE, SIZE])],
        [
            made.make_tensor_value_info("dets", kind, [1, 16, 4]),
            made.make_tensor_value_info("labels", kind, [1, 16, weights.shape[1]]),
        ],
        [onnx.numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    model = made.make_model(graph, opset_imports=[made.make_opsetid("", 17)], ir_version=8)
    if names:
        made.set_model_props(model, {"rfdetr_notes": json.dumps({"class_names": list(names)})})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
