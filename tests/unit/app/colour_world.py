"""A world in which a model is as good as its weights say: one coloured thing of each class a picture, real ONNX graphs.

A model of :func:`colour_models.colours` names sixteen fixed places by their mean colour, so what it confuses, doubts or
overlooks is what its matrix of colours to classes says.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from colour_models import CELL, COLOURS, NAMES, SIZE, colours, things, truth

from data_engine.app.annotation.upload import upload
from data_engine.app.merge.export import export
from data_engine.demo.people import work

__all__ = ["NAMES", "annotated", "draw", "good", "weak"]

SEEN = 4 * np.eye(3) - 2
"""From a mean colour, mean and deviation of ImageNet taken off, to the logits of the classes."""


def draw(folder: Path, seeds, *, odd=()) -> Path:
    """Pictures of a numbered series; on those of ``odd`` seeds things have the colour of another class."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        ground = np.full((SIZE, SIZE, 3), 90) + np.random.default_rng(seed).integers(0, 30, (SIZE, SIZE, 3))
        for number, x, y in things(seed):
            ground[CELL * y : CELL * (y + 1), CELL * x : CELL * (x + 1)] = COLOURS[
                (number + (seed in odd)) % len(NAMES)
            ]
        cv2.imwrite(str(folder / f"p{seed:04}.png"), ground.astype(np.uint8)[..., ::-1])
    return folder


def annotated(engine, folder: Path) -> None:
    """What people make a dataset version of: every thing in its place."""
    upload(engine, frames=folder)
    work(engine, truth, annotator="ann@example.com", reviewer="rev@example.com")
    export(engine)


def good(folder: Path) -> Path:
    """A model that knows the colours."""
    return colours(folder / "good.onnx", weights=_slots(SEEN))


def weak(folder: Path) -> Path:
    """One that takes half of the helmets for persons, as far as noise decides, and is sure of nothing."""
    dull = 0.5 * SEEN.copy()
    dull[:, 1] = 0.9 * dull[:, 0]
    return colours(folder / "weak.onnx", weights=_slots(dull))


def _slots(weights: np.ndarray) -> np.ndarray:
    return np.concatenate([weights, np.full((3, 1), -2.0)], axis=1).astype(np.float32)
