"""What a YOLO training leaves: a checkpoint and its export, the same bytes whenever and wherever they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_STRIDE = 32


def forget_circumstances(content: dict[str, Any]) -> None:
    """Take out of a checkpoint when, how fast and in which folders it was made: the same model is the same bytes."""
    content |= {"date": None, "git": None, "train_results": None}
    content["model"].yaml["yaml_file"] = Path(content["model"].yaml["yaml_file"]).name
    for arguments in (content["train_args"], content["model"].args):
        arguments |= {
            name: None for name in ("data", "model", "project", "save_dir", "pretrained") if name in arguments
        }


def export(checkpoint: Path, image_size: int) -> Path:
    """Export to ONNX: any batch, pictures of one size; class names and input size are in the metadata."""
    import onnx
    from ultralytics import YOLO

    side = -(-image_size // _STRIDE) * _STRIDE
    path = Path(YOLO(str(checkpoint)).export(format="onnx", dynamic=True, simplify=False, imgsz=side, device="cpu"))
    model = onnx.load(str(path))
    # The library frees the batch and the two sides together; only the batch is wanted.
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.Clear()
        dimension.dim_value = side
    # When and in which folder: nothing that a model needs, and the same model is the same bytes without.
    kept = [entry for entry in model.metadata_props if entry.key not in ("date", "description")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, str(path))
    return path
