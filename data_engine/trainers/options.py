"""What a training run was asked for, checked once and shared by all trainers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from data_engine.errors import DamagedInputError, MissingInputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The options of :meth:`data_engine.ports.Trainer.train`; bounds are those of the retrain settings."""

    epochs: int = 50
    batch: int = 8
    image_size: int | None = None
    """Pixels of the square input; None for the usual one of the architecture."""
    seed: int = 0
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda:N``."""
    learning_rate: float | None = None
    """None for the trainer's own."""
    size: str | None = None
    """Architecture to build from scratch; None for the trainer's own.  A checkpoint brings its own."""
    patience: int = 0
    """Stop after so many epochs without a better validation; 0 trains them all and keeps the last."""
    threads: int = 1
    """CPU threads of the arithmetic."""
    workers: int = 4
    """Processes that load pictures while a GPU trains; on a CPU there are none."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further settings by the library's own names, over the trainer's recipe."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TrainOptions:
        """Options from plain values.

        Raises:
            UsageError: an unknown name.
        """
        known = [entry.name for entry in fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise UsageError(f"unknown training option {unknown[0]!r}", hint=f"known: {', '.join(known)}")
        return cls(**options)

    def refuse(self, names: Collection[str]) -> None:
        """Refuse ``extra`` settings that would contradict an option or move the output.

        Raises:
            UsageError: ``extra`` holds one of ``names``.
        """
        for name in self.extra:
            if name in names:
                raise UsageError(f"extra setting {name!r} is decided by the trainer", hint="use the option of its own")


def resolve_device(device: str) -> str:
    """``cpu`` or ``cuda:N`` for what was asked.

    Raises:
        UsageError: no such device here; the message names those there are.
    """
    import torch

    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if device == "auto":
        return there[1] if len(there) > 1 else "cpu"
    wanted = "cuda:0" if device == "cuda" else device
    if wanted not in there:
        raise UsageError(f"device {device!r} is not there: this machine has {', '.join(there)}", hint="--device auto")
    return wanted


def checked_weights(weights: Path | None, suffixes: tuple[str, ...]) -> Path | None:
    """An absolute path of weights that exist and are named as the library expects.

    Raises:
        MissingInputError: there is no such file.
        DamagedInputError: another kind of file.
    """
    if weights is None:
        return None
    if not weights.is_file():
        raise MissingInputError(f"the weights {weights} are not there")
    if weights.suffix not in suffixes:
        raise DamagedInputError(f"{weights} is not a checkpoint to learn from ({' or '.join(suffixes)})")
    return weights.resolve()
