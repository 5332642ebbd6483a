"""TensorBoard's files always, other trackers where they are asked for and installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from data_engine.errors import MissingDependencyError, UsageError
from data_engine.stages.retrain_sections import TrackerSettings
from data_engine.trainers.trackers import KNOWN, TENSORBOARD_FOLDER, opened

if TYPE_CHECKING:
    from pathlib import Path


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / TENSORBOARD_FOLDER)).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_shows_every_epoch_once_also_after_a_kill(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for done, values in ((0, {1: 4.0, 2: 3.0, 3: 2.0}), (1, {2: 2.5, 3: 1.5})):
        with opened(tmp_path, {}, {}, kind="yolo", done=done) as trackers:
            for epoch, value in values.items():
                for tracker in trackers:
                    tracker.log(epoch, {"epoch": epoch, "loss": value})
    assert scalars(tmp_path, "loss") == [(1, 4.0), (2, 2.5), (3, 1.5)]


@pytest.mark.parametrize(("wanted", "package"), [({"mlflow": "sqlite:///x.db"}, "mlflow"), ({"wandb": "p"}, "wandb")])
def test_a_tracker_whose_package_is_not_there_names_it(
    wanted: dict[str, str], package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError) as caught, opened(tmp_path, wanted, {}, kind="yolo", done=0):
        pass
    assert caught.value.hint == f"pip install {package}"


def test_without_tensorboard_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError) as caught, opened(tmp_path, {}, {}, kind="yolo", done=0):
        pass
    assert caught.value.hint == "pip install '.[yolo]' in your checkout of dataengine"


def test_an_unknown_tracker_is_refused_and_the_settings_know_no_other(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="no tracker setting 'clearml'"),
        opened(tmp_path, {"clearml": "on"}, {}, kind="yolo", done=0),
    ):
        pass
    assert set(TrackerSettings.model_fields) <= set(KNOWN)


def test_mlflow_finds_its_run_again(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    address = f"sqlite:///{tmp_path / 'runs.db'}"
    wanted = {"mlflow": address, "name": "of a training"}
    for epoch in (1, 2):
        with opened(tmp_path, wanted, {"epochs": 2}, kind="yolo", done=epoch - 1) as trackers:
            for tracker in trackers:
                tracker.log(epoch, {"loss": 3.0 - epoch})
    client = mlflow.MlflowClient(tracking_uri=address)
    (run,) = client.search_runs([client.get_experiment_by_name("dataengine").experiment_id])
    assert (run.data.params, run.info.status) == ({"epochs": "2"}, "FINISHED")
    assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [2.0, 1.0]
