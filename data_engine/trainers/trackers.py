"""Where a training's numbers can be looked at: TensorBoard's files always, MLflow and Weights & Biases where asked for.

Each is imported when it is opened.  What an earlier attempt of the same training wrote after the epoch where it goes on
is superseded: TensorBoard is told so, MLflow shows the later value of a step, and Weights & Biases keeps the first,
which on a CPU is the same.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Protocol

from data_engine.errors import MissingDependencyError, ServiceError, UsageError
from data_engine.words import installing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TENSORBOARD_FOLDER = "tensorboard"
KNOWN = ("mlflow", "wandb", "experiment", "name")
"""What may be configured: MLflow's tracking address, the project at Weights & Biases, MLflow's experiment, the run."""
_MOST = 200
"""Characters of what a tracker says."""


class Tracker(Protocol):
    """Takes the numbers of an epoch."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """The numbers of an epoch (from 1)."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


@contextlib.contextmanager
def opened(
    folder: Path, wanted: Mapping[str, str], settings: Mapping[str, Any], *, kind: str, done: int
) -> Iterator[Sequence[Tracker]]:
    """The trackers of a training, closed at the end.

    Args:
        folder: the training's own, where files go.
        wanted: as :data:`KNOWN`; one that is empty is not wanted.
        settings: what the training was asked for, shown beside its numbers.
        kind: the part of this package's extras that brings what is missing.
        done: epochs that a training which goes on has behind it.

    Raises:
        MissingDependencyError: a package of a tracker is not installed.
        ServiceError: a tracker did not answer.
        UsageError: an unknown tracker.
    """
    if unknown := sorted(set(wanted) - set(KNOWN)):
        raise UsageError(f"there is no tracker setting {unknown[0]!r}", hint=f"known: {', '.join(KNOWN)}")
    with contextlib.ExitStack() as stack:
        trackers: list[Tracker] = []
        for tracker in _each(folder, wanted, settings, kind, done):
            stack.callback(_closed, tracker)
            trackers.append(tracker)
        yield trackers


def _closed(tracker: Tracker) -> None:
    # What was measured is safe in the training's folder: no reason to end it as a failure.
    with contextlib.suppress(ServiceError):
        tracker.close()


def _each(
    folder: Path, wanted: Mapping[str, str], settings: Mapping[str, Any], kind: str, done: int
) -> Iterator[Tracker]:
    name = wanted.get("name") or folder.name
    yield TensorBoard(folder / TENSORBOARD_FOLDER, kind, done)
    if address := wanted.get("mlflow"):
        yield MlflowRun(address, wanted.get("experiment") or "dataengine", name, settings)
    if project := wanted.get("wandb"):
        yield WandbRun(folder, project, name, settings)


class TensorBoard:
    """Event files in a folder."""

    def __init__(self, folder: Path, kind: str, done: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(f"training needs tensorboard ({error})", hint=installing(kind)) from None
        # Steps of an attempt that was killed after its last checkpoint come again.
        self._writer: Any = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """See :class:`Tracker`."""
        for name, value in values.items():
            if name not in ("epoch", "epochs"):
                self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """See :class:`Tracker`."""
        self._writer.close()


class MlflowRun:
    """A run at an MLflow server or in a local folder or database; found again by its name when training goes on."""

    def __init__(self, address: str, experiment: str, name: str, settings: Mapping[str, Any]) -> None:
        try:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
        except ImportError:
            raise MissingDependencyError("tracking with MLflow needs mlflow", hint="pip install mlflow") from None
        self._failure, self._address = MlflowException, address
        with self._answered(address):
            self._client = MlflowClient(tracking_uri=address)
            found = self._client.get_experiment_by_name(experiment)
            home = found.experiment_id if found is not None else self._client.create_experiment(experiment)
            runs = self._client.search_runs([home], f"attributes.run_name = '{name}'", max_results=1)
            run = runs[0] if runs else self._client.create_run(home, run_name=name)
            self._run = run.info.run_id
            self._client.update_run(self._run, status="RUNNING")
            if not runs:
                for key, value in settings.items():
                    self._client.log_param(self._run, key, value)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """See :class:`Tracker`."""
        with self._answered(self._address):
            for name, value in values.items():
                if name not in ("epoch", "epochs"):
                    self._client.log_metric(self._run, name, value, step=epoch)

    def close(self) -> None:
        """See :class:`Tracker`."""
        with self._answered(self._address):
            self._client.set_terminated(self._run)

    @contextlib.contextmanager
    def _answered(self, address: str) -> Iterator[None]:
        try:
            yield
        except self._failure as error:
            raise ServiceError(
                f"MLflow at {address} does not take it: {str(error).splitlines()[0][:_MOST]}",
                hint="[retrain.trackers] says where it is",
            ) from error


class WandbRun:
    """A run at Weights & Biases, or in the training's folder where ``WANDB_MODE=offline``."""

    def __init__(self, folder: Path, project: str, name: str, settings: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError:
            raise MissingDependencyError(
                "tracking with Weights & Biases needs wandb", hint="pip install wandb"
            ) from None
        # Its own chatter would stand between the lines of the progress.
        os.environ.setdefault("WANDB_SILENT", "true")
        try:
            self._run: Any = wandb.init(
                project=project, name=name, id=name, resume="allow", dir=str(folder), config=dict(settings)
            )
        except wandb.errors.Error as error:
            raise ServiceError(
                f"Weights & Biases refused: {str(error).splitlines()[0][:_MOST]}",
                hint="log in with wandb login, or set WANDB_MODE=offline",
            ) from error

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """See :class:`Tracker`."""
        self._run.log({name: value for name, value in values.items() if name not in ("epoch", "epochs")}, step=epoch)

    def close(self) -> None:
        """See :class:`Tracker`."""
        self._run.finish()
