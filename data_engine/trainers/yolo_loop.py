"""The training loop of ultralytics, made to go on after a kill.  Imported only where ultralytics is.

The library's own ``resume`` restores half-precision averages in place of the weights, a half-precision optimiser and no
chance; a training that goes on would end with another model.  Here everything is kept in full, and the library's own
checkpoint is written once, at the end, or whenever it is the best so far.  With several GPUs the class runs in
processes that the library starts: what it needs to know lies in ``loop.json`` beside the run's folder, and what it
measures goes into the file that is named there.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import strip_optimizer, unwrap_model

from data_engine.errors import UsageError
from data_engine.trainers.checkpoints import Due, epoch_seed, read_state, seed_epoch, write_state
from data_engine.trainers.epochs import write_epoch
from data_engine.trainers.yolo_files import forget_circumstances

LOOP_FILE = "loop.json"
_METRICS = {"metrics/mAP50(B)": "map50", "metrics/mAP50-95(B)": "map", "metrics/precision(B)": "precision"}


@dataclass(frozen=True, slots=True)
class Loop:
    """What a training's processes share."""

    state: str
    """File of the last checkpoint."""
    metrics: str
    """File that gets a line an epoch."""
    every: float
    """Seconds between two checkpoints, at least."""
    threads: int
    """Of the arithmetic on a CPU; 0 leaves them as they are."""

    def write(self, folder: Path) -> None:
        """For :meth:`of` in whatever process."""
        (folder / LOOP_FILE).write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def of(cls, folder: Path) -> Loop:
        """What was written in a folder."""
        return cls(**json.loads((folder / LOOP_FILE).read_text("utf-8")))


class ResumableTrainer(DetectionTrainer):  # type: ignore[misc]
    """The library's trainer with checkpoints in full, and without validation that nobody asked for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        # Before the library's own beginning, which sets what it adds up over.
        self._steps = _Steps()
        super().__init__(*arguments, **named)
        self._loop = Loop.of(Path(self.args.project))
        self._due = Due(self._loop.every)
        for event, callback in (
            ("on_train_start", _set_threads),
            ("on_train_epoch_start", _seed),
            ("on_train_epoch_start", _begin_epoch),
            ("on_train_batch_start", _begin_batch),
        ):
            if callback not in self.callbacks[event]:
                self.add_callback(event, callback)

    def resume_training(self, ckpt: Any) -> None:
        """Go on from the last checkpoint, if there is one; ``ckpt``, of the library's own kind, is not used."""
        del ckpt
        state = read_state(Path(self._loop.state))
        if state is None:
            return
        # The library's own way for what it does restore; its averages come from elsewhere and are read below.
        self.resume = True
        super().resume_training({**state, "ema": None})
        self.resume = False
        unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["averages"])
        self.ema.updates = state["updates"]
        # With other batches the count is another, and begins anew.
        if state["batch"] == self.batch_size and "stepped" in state:
            self._steps.left, self._steps.last = state["gradients"], state["stepped"]
        self.fitness = state["fitness"]
        if RANK in {-1, 0}:
            self.csv.write_text(state["csv"], "utf-8")
            if state["best"] is not None:
                self.best.write_bytes(bytes(state["best"].numpy()))

    @property
    def accumulate(self) -> int:
        """Batches whose gradients are added up to a step.

        The library counts them from the last step, which it keeps to itself, and where it goes on it counts from the
        beginning of the training: until the first step there are as many more.
        """
        return self._steps.wanted + self._steps.behind

    @accumulate.setter
    def accumulate(self, batches: int) -> None:
        self._steps.wanted = batches

    def optimizer_step(self) -> None:
        """See the library."""
        super().optimizer_step()
        self._steps.last, self._steps.behind = self._steps.now, 0

    def _build_train_pipeline(self) -> None:
        """Where the library takes a smaller batch, it counts anew."""
        self._steps = _Steps()
        super()._build_train_pipeline()

    def validate(self) -> Any:
        """Only where epochs are compared: a last validation of its own, as the library insists on, tells nothing."""
        return super().validate() if self.args.val else (self.metrics, None)

    def save_model(self) -> bool:
        """Keep the library's checkpoint if it is the best or the last, and all of the state if it is due."""
        over = self.stop or self.epoch + 1 >= self.epochs
        if over or (self.args.val and self.best_fitness == self.fitness):
            super().save_model()
        write_epoch(Path(self._loop.metrics), self._measured())
        if not over and self._due.now():
            self._due.keep(lambda: write_state(Path(self._loop.state), self._state()))
        return True

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Give up where the loss is no number: the same epoch again would have the same chances."""
        lost = self.loss is not None and not bool(self.loss.isfinite())
        if lost or (self.fitness is not None and not math.isfinite(self.fitness)):
            raise UsageError(
                f"the training diverged: in epoch {epoch + 1} the loss is not a number",
                hint="use a smaller --learning-rate",
            )
        return False

    def final_eval(self) -> None:
        """Strip the checkpoint that is used, as the library does, without validating once more."""
        if RANK not in {-1, 0}:
            return
        if not self.args.val:
            # Without a validation none is better than another.
            self.best.unlink(missing_ok=True)
        for checkpoint in (self.last, self.best):
            if checkpoint.exists():
                content = strip_optimizer(checkpoint)
                forget_circumstances(content)
                torch.save(content, checkpoint)

    def _state(self) -> dict[str, Any]:
        model = unwrap_model(self.model)
        best = self.best.read_bytes() if self.args.val and self.best.exists() else None
        return {
            "epoch": self.epoch,
            "batch": self.batch_size,
            "model": model.state_dict(),
            "averages": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            # Added up for a step that comes in the next epoch.
            "gradients": {name: p.grad for name, p in model.named_parameters() if p.grad is not None},
            "stepped": self._steps.last,
            "scaler": self.scaler.state_dict(),
            "best_fitness": _number(self.best_fitness),
            "fitness": _number(self.fitness),
            "stopper": {
                "best_fitness": _number(self.stopper.best_fitness),
                "best_epoch": self.stopper.best_epoch,
                "possible_stop": self.stopper.possible_stop,
            },
            "csv": self.csv.read_text("utf-8"),
            "best": None if best is None else torch.frombuffer(bytearray(best), dtype=torch.uint8),
        }

    def _measured(self) -> dict[str, float | None]:
        losses = {name: float(value) for name, value in self.tloss.items()}
        row: dict[str, float | None] = {
            "epoch": self.epoch + 1,
            "epochs": self.epochs,
            "seconds": round(time.time() - self.epoch_time_start, 3),
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            "loss": sum(losses.values()),
            **{f"loss/{name.removesuffix('_loss')}": value for name, value in losses.items()},
        }
        if self.args.val:
            row |= {f"valid/{name}": float(self.metrics[key]) for key, name in _METRICS.items() if key in self.metrics}
        return row


@dataclass(slots=True)
class _Steps:
    """Where a training stands between two steps of its optimiser; batches count from 0 over all epochs."""

    wanted: int = 1
    """Batches to a step."""
    last: int = -1
    """After which the last step was taken."""
    now: int = -1
    """The one that is computed."""
    behind: int = 0
    """Batches that the library does not know of, until the first step after it went on."""
    left: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Gradients that were added up before, by the parameter's name, until the first epoch begins."""


def _set_threads(trainer: ResumableTrainer) -> None:
    if trainer.device.type == "cpu" and trainer._loop.threads:
        torch.set_num_threads(trainer._loop.threads)


def _begin_epoch(trainer: ResumableTrainer) -> None:
    steps = trainer._steps
    steps.now = trainer.epoch * len(trainer.train_loader) - 1
    if trainer.epoch == trainer.start_epoch and steps.last >= 0:
        # Here, because the library forgets all gradients before its first epoch.
        for name, parameter in unwrap_model(trainer.model).named_parameters():
            if name in steps.left:
                parameter.grad = steps.left[name].to(parameter.device)
        steps.behind, steps.left = steps.last + 1, {}


def _begin_batch(trainer: ResumableTrainer) -> None:
    trainer._steps.now += 1


def _seed(trainer: ResumableTrainer) -> None:
    number = epoch_seed(trainer.args.seed, trainer.epoch, max(RANK, 0))
    seed_epoch(number)
    loader = trainer.train_loader
    _forget_pictures(loader.dataset)
    if loader.num_workers:
        # They have drawn ahead for this epoch, with the chances of the one before.
        loader.reset()
    # Two generators where the library has one: how often an iterator is made, which draws from it, differs when a
    # training goes on, and the order of the pictures must not.
    loader.generator = torch.Generator().manual_seed(number)
    if getattr(loader.sampler, "generator", None) is not None:
        loader.sampler.generator = torch.Generator().manual_seed(number)


def _forget_pictures(dataset: Any) -> None:
    """Empty the pictures that a mosaic draws from where not all are in memory: they would be those of another epoch.

    Workers have a copy of the data set each, which begins anew with every epoch.
    """
    if dataset.cache == "ram":
        return
    for place in dataset.buffer:
        dataset.ims[place] = dataset.im_hw0[place] = dataset.im_hw[place] = None
    dataset.buffer = []


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
