"""A workspace that is made in a moment: a few drawn pictures instead of videos, and truth that anybody can compute."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_engine.app.engine import Engine, open_engine
from data_engine.app.init import init
from data_engine.demo.people import Worked, work
from data_engine.types import Frame

CLASSES = ("person", "helmet")
SIZE = (64, 48)


class Silent:
    """A progress that tells nobody."""

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def draw(path: Path, seed: int) -> Path:
    """A small picture of blobs that looks like no other's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC))
    assert ok
    path.write_bytes(data.tobytes())
    return path


def truth(frame: Frame) -> list[tuple[str, tuple[float, float, float, float]]]:
    """One to three boxes that follow from the frame's id."""
    rng = np.random.default_rng(int(frame.id[:8], 16))
    return [
        (CLASSES[int(rng.integers(2))], (float(x), float(y), 12.0, 10.0))
        for x, y in rng.integers(0, 36, (int(rng.integers(1, 4)), 2))
    ]


class Workspace:
    """A workspace and its engines, all on one clock."""

    def __init__(self, root: Path, clock: Any, stack: ExitStack) -> None:
        self.root = root
        self._clock = clock
        self._stack = stack
        init(root, classes=CLASSES, progress=Silent())

    def open(self, **overrides: dict[str, Any]) -> Engine:
        """The workspace with these settings, by section."""
        return self._stack.enter_context(
            open_engine(
                self.root,
                workspace=self.root,
                overrides=overrides,
                progress=Silent(),
                environ={},
                clock=self._clock,
            )
        )

    def draw(self, folder: str, seeds: Sequence[int], *, numbered: bool = False) -> Path:
        """A folder of pictures, one a seed; with numbers they are a series, without each is a source of its own."""
        for seed in seeds:
            name = f"{seed:04d}" if numbered else chr(97 + seed % 26) * (seed // 26 + 1)
            draw(self.root / folder / f"p{name}.jpg", seed)
        return self.root / folder

    def annotate(self, engine: Engine, **changes: Any) -> Worked:
        return work(engine, truth, **{"annotator": "ann@example.com", "reviewer": "rev@example.com", **changes})
