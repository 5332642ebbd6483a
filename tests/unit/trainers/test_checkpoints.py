"""When a checkpoint is kept, what chance is in an epoch, and a state that is written whole or not at all."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from data_engine.trainers.checkpoints import Due, epoch_seed, read_state, replace_bytes, seed_epoch, write_state

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_checkpoint_is_due_after_its_time_and_never_takes_more_than_its_share() -> None:
    clock = Clock()
    due = Due(10.0, clock)
    assert not due.now()
    clock.now += 10
    assert due.now()

    def slow() -> None:
        clock.now += 3

    due.keep(slow)
    clock.now += 100
    assert not due.now()  # three seconds are two in a hundred of 150
    clock.now += 50
    assert due.now()


def test_one_may_be_asked_for_in_every_epoch() -> None:
    clock = Clock()
    due = Due(0.0, clock)
    due.keep(lambda: None)
    assert due.now()


def test_every_seed_epoch_and_process_has_chances_of_its_own_that_come_again() -> None:
    numbers = {epoch_seed(seed, epoch, rank) for seed in range(5) for epoch in range(20) for rank in range(2)}
    assert len(numbers) == 200
    assert all(0 <= number < 2**32 for number in numbers)
    torch = pytest.importorskip("torch")

    def drawn() -> tuple[float, ...]:
        seed_epoch(epoch_seed(3, 7))
        return random.random(), float(np.random.random()), float(torch.rand(()))

    assert drawn() == drawn()


def test_a_state_that_could_not_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "state.pt"
    write_state(path, {"epoch": 1, "model": {"a": torch.ones(2)}})

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_state(path, {"epoch": 2})
    state = read_state(path)
    assert state is not None
    assert (state["epoch"], state["model"]["a"].tolist()) == (1, [1.0, 1.0])
    assert [found.name for found in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("content", [None, b"", b"not a state"])
def test_a_state_that_cannot_be_read_is_none(content: bytes | None, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "state.pt"
    if content is not None:
        replace_bytes(path, content)
    assert read_state(path) is None


def test_a_state_is_never_unpickled_freely(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"epoch": Bomb()}, tmp_path / "state.pt")
    assert read_state(tmp_path / "state.pt") is None
    assert exploded == []


exploded: list[str] = []


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (exploded.append, ("unpickled",))
