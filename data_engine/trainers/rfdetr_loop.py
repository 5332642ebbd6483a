"""The training of rfdetr by Lightning, made to go on after a kill.  Imported only where rfdetr is.

Lightning's own checkpoint holds weights, averages, optimiser and schedule in full, but no chance: see
:mod:`data_engine.trainers.checkpoints`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint
from rfdetr.training import RFDETRDataModule, RFDETRModelModule, build_trainer

from data_engine.trainers.checkpoints import Due, epoch_seed, replace_bytes, seed_epoch
from data_engine.trainers.epochs import write_epoch

_METRICS = {"val/mAP_50": "map50", "val/mAP_50_95": "map", "val/mAR": "mar"}


class SeededData(RFDETRDataModule):  # type: ignore[misc]
    """The library's data, in an order that only the seed and the epoch decide."""

    def train_dataloader(self) -> Any:
        """See the library."""
        loader = super().train_dataloader()
        self.seed(loader, self.trainer.fit_loop.epoch_progress.current.processed)
        return loader

    def seed(self, loader: Any, epoch: int) -> int:
        """Seed what decides the order of an epoch's pictures; the number that it is seeded with."""
        number = epoch_seed(self.train_config.seed, epoch, self.trainer.global_rank)
        # Two, because making an iterator draws from the loader's, and the sampler's is drawn from when it begins.
        loader.generator = torch.Generator().manual_seed(number)
        if hasattr(loader.sampler, "generator"):
            loader.sampler.generator = torch.Generator().manual_seed(number)
        return number


class Epochs(Callback):
    """Seeds an epoch, writes down what it measured, and keeps a checkpoint where one is due.

    Args:
        metrics: file that gets a line an epoch.
        state: file of the last checkpoint.
        every: seconds between two checkpoints, at least.
        told: called after a line was written.
    """

    def __init__(self, metrics: Path, state: Path, every: float, told: Callable[[], None]) -> None:
        self._metrics, self._state, self._told = metrics, state, told
        self._due = Due(every)
        self._began = time.monotonic()
        self._epoch = -1

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """See Lightning."""
        del pl_module
        self._began = time.monotonic()
        self._epoch = trainer.current_epoch
        number = self._epoch
        for loader in trainer.fit_loop._combined_loader.flattened:
            number = trainer.datamodule.seed(loader, self._epoch)
        seed_epoch(number)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """See Lightning."""
        del pl_module
        if trainer.current_epoch != self._epoch or not trainer.is_global_zero:
            # Where a training goes on, Lightning ends the checkpoint's epoch once more.
            return
        write_epoch(self._metrics, self._measured(trainer))
        if self._epoch + 1 < trainer.max_epochs and not trainer.should_stop and self._due.now():
            self._due.keep(lambda: self._keep(trainer))
        self._told()

    def _keep(self, trainer: Any) -> None:
        # What Trainer.save_checkpoint writes, but onto the disk and whole or not at all.
        buffer = io.BytesIO()
        torch.save(trainer._checkpoint_connector.dump_checkpoint(weights_only=False), buffer)
        replace_bytes(self._state, buffer.getbuffer())

    def _measured(self, trainer: Any) -> dict[str, float | None]:
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row: dict[str, float | None] = {
            "epoch": self._epoch + 1,
            "epochs": trainer.max_epochs,
            "seconds": round(time.monotonic() - self._began, 3),
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "loss": found.get("train/loss"),
        }
        if (self._epoch + 1) % trainer.check_val_every_n_epoch == 0 or self._epoch + 1 == trainer.max_epochs:
            row |= {f"valid/{name}": found[key] for key, name in _METRICS.items() if key in found}
        return row


def nobody() -> None:
    """Tell nobody."""


def fit(model_config: Any, config: Any, epochs: Epochs, state: Path, place: dict[str, Any]) -> None:
    """Train from the last checkpoint on, if there is one.

    Args:
        model_config: of the library's model.
        config: of the library's training.
        epochs: what is done at their ends.
        state: file of the last checkpoint.
        place: Lightning's ``accelerator``, ``devices`` and ``strategy``.
    """
    trainer = build_trainer(config, model_config, **place)
    # The library keeps a checkpoint in every epoch, and an archive of every tenth.
    trainer.callbacks = [each for each in trainer.callbacks if type(each) is not ModelCheckpoint]
    trainer.callbacks.append(epochs)
    trainer.fit(
        RFDETRModelModule(model_config, config),
        SeededData(model_config, config),
        ckpt_path=str(state) if state.exists() else None,
        weights_only=True,
    )
