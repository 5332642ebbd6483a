"""Real models for the detectors' suite, made on the spot: small YOLOs, a shrunken RF-DETR, and broken ONNX graphs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = ["red", "green", "blue"]
COLOURS = [(220, 40, 40), (40, 200, 60), (50, 70, 230)]
SIZE = 96
_YAML = """
nc: 3
end2end: {end2end}
reg_max: {reg_max}
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, C2f, [16, True]]
  - [-1, 1, Conv, [24, 3, 2]]
  - [-1, 1, C2f, [24, True]]
  - [-1, 1, Conv, [32, 3, 2]]
  - [-1, 1, C2f, [32, True]]
head:
  - [[4, 6], 1, Detect, [nc]]
"""


def drawn(width: int, height: int, seed: int) -> tuple[np.ndarray, list[tuple[int, int, int, int, int]]]:
    """An RGB picture with coloured rectangles on grey noise, and ``(class, x, y, w, h)`` for each."""
    random = np.random.default_rng(seed)
    picture = random.integers(90, 150, (height, width, 3)).astype(np.uint8)
    boxes = []
    for _ in range(3):
        label = int(random.integers(len(NAMES)))
        w, h = int(random.integers(width // 6, width // 3)), int(random.integers(height // 6, height // 3))
        x, y = int(random.integers(width - w)), int(random.integers(height - h))
        picture[y : y + h, x : x + w] = COLOURS[label]
        boxes.append((label, x, y, w, h))
    return picture, boxes


def pictures() -> list[np.ndarray]:
    """Pictures of many sizes: wide, tall, small, odd."""
    sizes = [(160, 96), (96, 160), (96, 96), (333, 201), (61, 47), (640, 360), (97, 300)]
    return [drawn(width, height, 1000 + number)[0] for number, (width, height) in enumerate(sizes)]


def write_training_folder(folder: Path, count: int) -> Path:
    """A folder as ultralytics reads it; returns its ``data.yaml``."""
    for split in ("train", "valid"):
        for part in ("images", "labels"):
            (folder / split / part).mkdir(parents=True)
    for number in range(count):
        split = "valid" if number % 8 == 0 else "train"
        picture, boxes = drawn(SIZE, SIZE, number)
        cv2.imwrite(str(folder / split / "images" / f"{number:03}.png"), picture[..., ::-1])
        rows = [f"{c} {(x + w / 2) / SIZE} {(y + h / 2) / SIZE} {w / SIZE} {h / SIZE}" for c, x, y, w, h in boxes]
        (folder / split / "labels" / f"{number:03}.txt").write_text("\n".join(rows))
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(NAMES))
    data = folder / "data.yaml"
    data.write_text(f"path: {folder}\ntrain: train/images\nval: valid/images\nnames:\n{names}")
    return data


def trained_yolo(folder: Path, *, end2end: bool = False) -> Path:
    """Train for a few seconds; returns the checkpoint."""
    from ultralytics import YOLO

    yaml = folder / "tiny.yaml"
    yaml.write_text(_YAML.format(end2end=end2end, reg_max=1 if end2end else 16))
    YOLO(str(yaml), task="detect").train(
        data=str(write_training_folder(folder / "data", 64)),
        epochs=20,
        imgsz=SIZE,
        batch=8,
        nbs=8,
        optimizer="AdamW",
        lr0=0.004,
        warmup_epochs=1,
        mosaic=0,
        val=False,
        plots=False,
        workers=0,
        cache="ram",
        amp=False,
        device="cpu",
        seed=0,
        verbose=False,
        project=str(folder),
        name="run",
        exist_ok=True,
    )
    return folder / "run" / "weights" / "best.pt"


def exported(checkpoint: Path, target: Path, **options: Any) -> Path:
    """Export a checkpoint to ONNX as ``target``."""
    from ultralytics import YOLO

    made = YOLO(str(checkpoint)).export(
        format="onnx", simplify=False, device="cpu", **{"imgsz": SIZE, "verbose": False, **options}
    )
    Path(made).rename(target)
    return target


def end_to_end(checkpoint: Path, target: Path) -> Path:
    """A copy of the checkpoint that answers with its one-to-one head, as older end-to-end checkpoints do."""
    from ultralytics import YOLO

    model = YOLO(str(checkpoint))
    model.model.end2end = True
    model.model.fuse(verbose=False)
    assert model.model.model[-1].end2end
    model.save(str(target))
    return target


@contextlib.contextmanager
def small_backbone() -> Iterator[None]:
    """While it lasts, RF-DETR's small backbone is smaller still."""
    from rfdetr.models.backbone import dinov2

    config, width = dinov2.get_config, dinov2.size_to_width["small"]
    small = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    dinov2.get_config = lambda *args: {**config(*args), **small}
    dinov2.size_to_width["small"] = 64
    try:
        yield
    finally:
        dinov2.get_config, dinov2.size_to_width["small"] = config, width


def shrunken_rfdetr(folder: Path) -> tuple[Any, Path, Path]:
    """A real RF-DETR with a small backbone and random heads, its export, and its checkpoint as its trainer writes one.

    The checkpoint opens inside :func:`small_backbone` only.
    """
    import torch
    from rfdetr import RFDETRNano

    with small_backbone():
        torch.manual_seed(0)
        model = RFDETRNano(
            pretrain_weights=None,
            num_classes=len(NAMES),
            device="cpu",
            resolution=128,
            positional_encoding_size=8,
            out_feature_indexes=[1, 2, 3],
            hidden_dim=64,
            sa_nheads=4,
            ca_nheads=4,
            num_queries=30,
            num_select=30,
            group_detr=1,
        )
    # Fresh heads answer the same box everywhere, with probabilities near 0: shake them.
    with torch.no_grad():
        for name, weights in model.model.model.named_parameters():
            if "bbox_embed" in name or "class_embed" in name:
                weights.add_(torch.randn_like(weights) * 0.05)
            if name == "class_embed.bias":
                weights.fill_(-1.0)
    notes = {"class_names": NAMES}
    path = model.export(output_dir=str(folder), format="onnx", verbose=False, dynamic_batch=True, notes=notes)
    checkpoint = folder / "last_ema.pth"
    kept = {
        "model": model.model.model.state_dict(),
        "args": {"class_names": NAMES, "num_classes": len(NAMES)},
        "model_name": "RFDETRNano",
        "model_config": model.model_config.model_dump(exclude={"device"}),
    }
    torch.save(kept, checkpoint)
    return model, Path(path), checkpoint


def constant_model(path: Path, outputs: dict[str, np.ndarray], metadata: dict[str, str], size: int = 32) -> Path:
    """An ONNX graph that answers every picture of ``size`` with the same arrays."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, f"{name}_value"))
        for name, value in outputs.items()
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    checker.check_model(model)
    save(model, str(path))
    return path
