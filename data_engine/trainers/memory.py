"""A GPU that is too small for a batch: half the batch, twice the gradients added up, the same step.

Written after torch's and the libraries' documentation, and tested with torch's own error; not yet seen on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from data_engine.ports import Progress


@dataclass(slots=True)
class Room:
    """How many pictures at a time the GPU has memory for, as far as is known."""

    size: int
    progress: Progress

    def shrink(self, smaller: int) -> None:
        """Say that the training goes on with fewer pictures at a time."""
        self.progress.note(
            f"the GPU has not enough memory for {self.size} pictures at a time: going on with {smaller},"
            " gradients added up to the same step"
        )
        self.size = smaller


def fitting(train: Callable[[int], None], room: Room) -> None:
    """Train with as many pictures at a time as there is room for, or with the largest half, quarter … that fits.

    Args:
        train: trains with so many pictures at a time from the last checkpoint on, adding up gradients to the step that
            was asked for.
        room: begins with what was asked for, ends with what did fit.

    Raises:
        UsageError: not even one picture fits.
    """
    asked = room.size
    while True:
        try:
            return train(room.size)
        except RuntimeError as error:
            if not is_full(error):
                raise
            if room.size == 1:
                raise UsageError(
                    "the GPU has not enough memory for a single picture", hint="use a smaller --image-size or --size"
                ) from error
        # Outside the handler: the error holds the frames whose tensors must go.
        # A divisor, so that a whole number of them is the step that was asked for.
        room.shrink(next(size for size in range(room.size // 2, 0, -1) if asked % size == 0))
        _release()


def is_full(error: BaseException) -> bool:
    """Whether torch says that a GPU's memory is not enough."""
    # By name, so that asking does not import torch.
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)


def _release() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
