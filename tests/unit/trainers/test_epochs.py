"""Epochs as they come: a line each, passed on once, and none twice after a kill."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from data_engine.errors import ServiceError
from data_engine.trainers.epochs import EpochLog, read_epochs, write_epoch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Watch:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps = 0

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None:
        self.steps += amount

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None: ...


class Tracked:
    def __init__(self) -> None:
        self.seen: list[tuple[int, dict[str, float]]] = []

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        self.seen.append((epoch, dict(values)))

    def close(self) -> None: ...


def row(epoch: int, **more: float | None) -> dict[str, float | None]:
    return {"epoch": epoch, "epochs": 3, "seconds": 1.0, "lr": 0.01, "loss": 2.0, **more}


def test_an_epoch_is_on_disk_before_the_next_and_passed_on_once(tmp_path: Path) -> None:
    path, watch, tracked = tmp_path / "metrics.jsonl", Watch(), Tracked()
    log = EpochLog(path, 3, watch, [tracked])
    write_epoch(path, row(1, **{"loss/box": 1.5, "loss/cls": 0.5}))
    assert json.loads(path.read_text()) == row(1, **{"loss/box": 1.5, "loss/cls": 0.5})
    log.catch_up()
    log.catch_up()
    write_epoch(path, row(2, **{"valid/map50": 0.25}))
    log.catch_up()
    assert watch.notes == ["epoch 1/3: box 1.500, cls 0.500", "epoch 2/3: loss 2.000, mAP50 0.250"]
    assert (watch.steps, log.done) == (2, 2)
    assert [epoch for epoch, _values in tracked.seen] == [1, 2]


def test_a_loss_that_is_no_number_is_null_and_said_so(tmp_path: Path) -> None:
    path, watch, tracked = tmp_path / "metrics.jsonl", Watch(), Tracked()
    log = EpochLog(path, 3, watch, [tracked])
    write_epoch(path, row(1) | {"loss": float("nan")})
    log.catch_up()
    assert "NaN" not in path.read_text()
    assert watch.notes == ["epoch 1/3: loss not a number"]
    assert "loss" not in tracked.seen[0][1]


def test_what_was_measured_after_the_last_checkpoint_is_taken_out_with_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path, watch = tmp_path / "metrics.jsonl", Watch()
    for epoch in (1, 2):
        write_epoch(path, row(epoch))
    with path.open("a") as file:
        file.write('{"epoch": 3, "los')
    assert [found["epoch"] for found in read_epochs(path)] == [1, 2]
    log = EpochLog(path, 3, watch, done=1)
    log.catch_up()
    assert (watch.steps, log.done) == (0, 1)
    write_epoch(path, row(2, lr=0.5))
    log.catch_up()
    assert [found["lr"] for found in read_epochs(path)] == [0.01, 0.5]
    assert watch.steps == 1


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path, watch = tmp_path / "metrics.jsonl", Watch()
    log = EpochLog(path, 3, watch)
    whole = json.dumps(row(1)) + "\n"
    path.write_text(whole[:20])
    log.catch_up()
    assert watch.steps == 0
    path.write_text(whole)
    log.catch_up()
    assert watch.steps == 1


def test_a_tracker_that_does_not_answer_is_told_of_and_ends_nothing(tmp_path: Path) -> None:
    class Away(Tracked):
        def log(self, epoch: int, values: Mapping[str, float]) -> None:
            raise ServiceError("MLflow at http://nowhere does not take it: refused")

    path, watch, other = tmp_path / "metrics.jsonl", Watch(), Tracked()
    log = EpochLog(path, 3, watch, [Away(), other])
    write_epoch(path, row(1))
    log.catch_up()
    assert watch.notes[0] == "epoch 1 is not in the tracker: MLflow at http://nowhere does not take it: refused"
    assert (watch.steps, len(other.seen)) == (1, 1)


def test_another_process_s_epochs_are_followed(tmp_path: Path) -> None:
    path, watch = tmp_path / "metrics.jsonl", Watch()
    log = EpochLog(path, 3, watch)
    with log.following():
        write_epoch(path, row(1))
    assert watch.steps == 1
