"""What a training needs to go on after a kill as if nothing had been: when it is kept, how, and what chance is then.

Neither library keeps its random generators.  So every epoch begins with generators seeded by the training's seed and
the epoch's number: where a training goes on, its chances are those of an undisturbed one, and nothing of them has to be
kept.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SHARE = 0.02
"""Of the time that may go into keeping checkpoints, where ``every`` would take more."""


@dataclass(slots=True)
class Due:
    """Says at the end of an epoch whether a checkpoint is worth its cost."""

    every: float
    """Seconds between two checkpoints, at least."""
    clock: Callable[[], float] = time.monotonic
    _last: float = field(init=False)
    _cost: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._last = self.clock()

    def now(self) -> bool:
        """Whether enough was done since the last one."""
        return self.clock() - self._last >= max(self.every, self._cost / _SHARE if self.every else 0.0)

    def keep(self, save: Callable[[], None]) -> None:
        """Keep one now; the time that it takes counts for when the next is due."""
        began = self.clock()
        save()
        self._last = self.clock()
        self._cost = self._last - began


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """The seed of an epoch's chances, ``0 .. 2**32 - 1``: unlike for every seed, epoch and process."""
    return int.from_bytes(hashlib.sha256(f"{seed} {epoch} {rank}".encode()).digest()[:4], "big")


def seed_epoch(number: int) -> None:
    """Seed every generator of this process that training draws from."""
    import numpy as np
    import torch

    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Keep tensors and plain values under ``path``, whole or not at all.

    Raises:
        OSError: it could not be written; what was kept before is still there.
    """
    import torch

    # Serialized in memory first: torch's own writer does not say that a disk is full.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_bytes(path, buffer.getbuffer())


def replace_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file beside ``path``, onto the disk, then put it in its place."""
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_state(path: Path) -> dict[str, Any] | None:
    """What :func:`write_state` kept; None where there is nothing that can be read."""
    import torch

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        # Not there, or of another version of torch: then the training begins anew.
        return None
    return state
