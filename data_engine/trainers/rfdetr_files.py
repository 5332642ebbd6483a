"""What an RF-DETR training leaves: a checkpoint and its export, the same bytes whenever and wherever they were made."""

from __future__ import annotations

from pathlib import Path


def forget_circumstances(checkpoint: Path) -> None:
    """Take out of a checkpoint where and in how many attempts it was made: the same model is the same bytes."""
    import torch

    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    content["args"] |= {"dataset_dir": None, "output_dir": None, "resume": None}
    content.pop("callbacks", None)
    torch.save(content, checkpoint)


def export(checkpoint: Path, class_names: list[str], folder: Path) -> Path:
    """Export to ONNX: any batch, pictures of one size; class names are in the metadata ``rfdetr_notes``."""
    import rfdetr

    model = rfdetr.RFDETR.from_checkpoint(checkpoint, device="cpu")
    return Path(
        model.export(
            output_dir=str(folder),
            format="onnx",
            verbose=False,
            dynamic_batch=True,
            notes={"class_names": class_names},
        )
    )
