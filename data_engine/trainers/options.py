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
    """``auto``, ``cpu``, ``cuda:N`` or several: ``cuda:0,1``."""
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
    rare: str = "none"
    """``repeat`` shows pictures of rare classes more often, ``weights`` weighs their boxes (:mod:`trainers.rare`)."""
    rare_share: float = 0.1
    """With ``repeat``, a class is rare in less than this share of the training pictures."""
    augment: Mapping[str, float] = field(default_factory=dict)
    """Changes of the pictures by the common names of :mod:`data_engine.trainers.augment`; others as the trainer has."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further settings by the library's own names, over the trainer's recipe."""
    checkpoint_seconds: float = 30.0
    """Keep what is needed to go on after a kill at the first end of an epoch after so many seconds."""
    trackers: Mapping[str, str] = field(default_factory=dict)
    """Experiment trackers beside the files, as :func:`data_engine.trainers.trackers.opened` takes them."""

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

    def decisive(self) -> dict[str, Any]:
        """What the trained model depends on, as plain values."""
        chosen = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name in ("checkpoint_seconds", "trackers"):
            del chosen[name]
        if self.device == "cpu":
            # A CPU's training loads its pictures itself, whatever the number of workers.
            del chosen["workers"]
        if self.rare != "repeat":
            del chosen["rare_share"]
        return {**chosen, "augment": dict(self.augment), "extra": dict(self.extra)}

    def refuse(self, names: Collection[str]) -> None:
        """Refuse ``extra`` settings that would contradict an option or move the output.

        Raises:
            UsageError: ``extra`` holds one of ``names``.
        """
        for name in self.extra:
            if name in names:
                raise UsageError(f"extra setting {name!r} is decided by the trainer", hint="use the option of its own")


def resolve_device(device: str) -> str:
    """``cpu``, ``cuda:N`` or ``cuda:N,M,…`` for what was asked.

    Raises:
        UsageError: no such device here; the message names those there are.
    """
    if device == "cpu":
        return device
    import torch

    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if device == "auto":
        return there[1] if len(there) > 1 else "cpu"
    numbers = device.removeprefix("cuda").removeprefix(":").split(",") if device != "cuda" else ["0"]
    wanted = [f"cuda:{number}" for number in dict.fromkeys(numbers)]
    for name in wanted:
        if name not in there:
            reason = "no GPU that torch can use" if len(there) == 1 else ", ".join(there)
            raise UsageError(f"device {name!r} is not there: this machine has {reason}", hint="--device auto")
    return "cuda:" + ",".join(name.removeprefix("cuda:") for name in wanted)


def gpus_of(device: str) -> list[int]:
    """The numbers of the GPUs of a resolved device; none for the CPU."""
    return [] if device == "cpu" else [int(number) for number in device.removeprefix("cuda:").split(",")]


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
