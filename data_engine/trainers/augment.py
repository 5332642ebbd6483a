"""Common names for what is done to training pictures, and what each library calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

YOLO = {
    "hflip": "fliplr",
    "vflip": "flipud",
    "scale": "scale",
    "translate": "translate",
    "rotate": "degrees",
    "shear": "shear",
    "hue": "hsv_h",
    "saturation": "hsv_s",
    "value": "hsv_v",
    "mosaic": "mosaic",
    "mixup": "mixup",
}
"""The common name to that of ultralytics, whose units are the common ones."""
_WITHOUT = ("mosaic", "mixup")
"""What RF-DETR has no counterpart of."""


def for_yolo(chosen: Mapping[str, float]) -> dict[str, float]:
    """Settings of ultralytics."""
    return {YOLO[name]: value for name, value in chosen.items()}


def for_rfdetr(chosen: Mapping[str, float]) -> dict[str, Any]:
    """Settings of rfdetr; empty where nothing is chosen, which leaves its own flip of half the pictures.

    Where anything is chosen, what is not named is not done.

    Raises:
        UsageError: something that RF-DETR cannot do.
    """
    if refused := [name for name in _WITHOUT if chosen.get(name)]:
        raise UsageError(
            f"RF-DETR has no {refused[0]}", hint=f"take {refused[0]} out of [retrain.augment], or train yolo"
        )
    if not chosen:
        return {}
    steps: dict[str, dict[str, Any]] = {}
    for name, step in (("hflip", "HorizontalFlip"), ("vflip", "VerticalFlip")):
        if chance := chosen.get(name):
            steps[step] = {"p": chance}
    moved: dict[str, Any] = {}
    if scale := chosen.get("scale"):
        moved["scale"] = (1.0 - scale, 1.0 + scale)
    if translate := chosen.get("translate"):
        moved["translate_percent"] = (-translate, translate)
    if rotate := chosen.get("rotate"):
        moved["rotate"] = (-rotate, rotate)
    if shear := chosen.get("shear"):
        moved["shear"] = (-shear, shear)
    if moved:
        steps["Affine"] = {**moved, "p": 1.0}
    colours = [chosen.get(name, 0.0) for name in ("hue", "saturation", "value")]
    if any(colours):
        hue, saturation, value = colours
        # Shares of the whole range: hue of 180 degrees' steps, the others of 255.
        limits = {"hue_shift_limit": hue * 180, "sat_shift_limit": saturation * 255, "val_shift_limit": value * 255}
        steps["HueSaturationValue"] = {**limits, "p": 1.0}
    return {"aug_config": steps, "augmentation_backend": "albumentations"}
