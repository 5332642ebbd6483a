"""The checkpoint that an RF-DETR begins with, its classification rows put in the order of the new classes."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_engine.errors import DamagedInputError

_COCO_SLOTS = 91
_PRIOR = 0.01
"""Probability of a class before anything was learned, as the library begins with (RetinaNet's)."""


def parent_names(content: dict[str, Any]) -> tuple[str, ...] | None:
    """The class of each row, without the background's that comes last; None where the checkpoint does not say.

    Weights that were pretrained on COCO have a row for each category id up to 90, empty for those that COCO does not
    use, and none for the background.
    """
    rows = _weights(content)["class_embed.bias"].shape[0]
    arguments = content.get("args") or content.get("hyper_parameters") or {}
    names = arguments.get("class_names") if isinstance(arguments, dict) else getattr(arguments, "class_names", None)
    if isinstance(names, (list, tuple)) and len(names) == rows - 1 and all(isinstance(name, str) for name in names):
        return tuple(names)
    if rows == _COCO_SLOTS:
        from rfdetr.assets.coco_classes import COCO_CLASSES

        return tuple(COCO_CLASSES.get(number, "") for number in range(rows))
    return None


def private_weights(weights: Path, target: Path, names: Sequence[str], seed: int) -> tuple[str, ...] | None:
    """Write the checkpoint under a name of ours, with a row for each of ``names``; returns the parent's classes.

    A row of the same name is taken over, another begins anew.  A file that is named like published weights without
    being them is one that the library downloads again, hence the name.

    Raises:
        DamagedInputError: it is no checkpoint of an RF-DETR, or would need unpickling of other objects.
    """
    import torch

    try:
        content = torch.load(weights, map_location="cpu", weights_only=True)
        known = parent_names(content)
    except Exception as error:
        raise DamagedInputError(f"{weights} is not an RF-DETR checkpoint: {_why(error)}") from error
    if known is not None and known != tuple(names):
        generator = torch.Generator().manual_seed(seed)
        state = _weights(content)
        for key in [key for key in state if _is_head(key)]:
            state[key] = _reordered(state[key], known, names, generator)
        for held in ("args", "model_config", "hyper_parameters"):
            if isinstance(content.get(held), dict):
                content[held] = {**content[held], "num_classes": len(names), "class_names": list(names)}
    torch.save(content, target)
    return known


def _why(error: Exception) -> str:
    """What is wrong with a file, without torch's advice to load it by the very means that run what it holds."""
    # Something else in this process may have allowed torch to load more: then it is no checkpoint by what it holds.
    if isinstance(error, (pickle.UnpicklingError, TypeError, KeyError, AttributeError)):
        return "it is damaged, or holds other objects than tensors and plain values, which are never loaded"
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _weights(content: dict[str, Any]) -> dict[str, Any]:
    """Parameters by their name in the model."""
    if "model" not in content:
        # As Lightning keeps them.
        state = {key.removeprefix("model.").removeprefix("_orig_mod."): v for key, v in content["state_dict"].items()}
        content["model"] = state
    weights: dict[str, Any] = content["model"]
    return weights


def _is_head(key: str) -> bool:
    return key.startswith(("class_embed.", "transformer.enc_out_class_embed."))


def _reordered(old: Any, known: Sequence[str], names: Sequence[str], generator: Any) -> Any:
    """A classification layer's weight ``(rows, dimension)`` or bias ``(rows,)`` for other classes."""
    import torch

    new = torch.empty(len(names) + 1, *old.shape[1:], dtype=old.dtype)
    if old.ndim == 1:
        new.fill_(-math.log((1 - _PRIOR) / _PRIOR))
    else:
        # As torch begins a linear layer.
        bound = 1 / math.sqrt(old.shape[1])
        new.uniform_(-bound, bound, generator=generator)
    for row, name in enumerate(names):
        if name in known:
            new[row] = old[known.index(name)]
    if len(known) < len(old):
        new[-1] = old[-1]
    return new
