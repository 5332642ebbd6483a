"""What a training measured, epoch by epoch: a line in ``metrics.jsonl`` as it comes, and whoever follows it.

A line is a flat object of numbers: ``epoch`` (from 1) and ``epochs``, ``seconds`` of the epoch, ``lr``, ``loss``, its
parts as ``loss/<part>``, and where the epoch was validated ``valid/<metric>``.  The file is the way from the process
that trains to the one that tells people, which are two where several GPUs work.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
from typing import TYPE_CHECKING

from data_engine.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from data_engine.ports import Progress
    from data_engine.trainers.trackers import Tracker

METRICS_FILE = "metrics.jsonl"
_LOOK_EVERY = 0.5
"""Seconds between two looks at the file of another process."""


def write_epoch(path: Path, row: Mapping[str, float | None]) -> None:
    """Add an epoch's line; numbers that are none (a loss of NaN) are null, as JSON has no such number."""
    finite = {name: value if value is None or math.isfinite(value) else None for name, value in row.items()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(finite) + "\n")


def read_epochs(path: Path) -> list[dict[str, float | None]]:
    """The epochs of a file so far; a line that a kill cut off is left out, with what follows it."""
    rows: list[dict[str, float | None]] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return rows
    for line in lines:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class EpochLog:
    """Follows ``metrics.jsonl`` and passes every new epoch on, once.

    Args:
        path: the file.
        epochs: how many there will be, unless the training stops early.
        progress: told of every epoch.
        trackers: so too.
        done: epochs that a training which goes on has behind it; later lines of the file are taken out.
    """

    def __init__(
        self, path: Path, epochs: int, progress: Progress, trackers: Sequence[Tracker] = (), *, done: int = 0
    ) -> None:
        self._path, self._epochs, self._progress, self._trackers = path, epochs, progress, trackers
        kept = [row for row in read_epochs(path) if (row["epoch"] or 0) <= done]
        path.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
        self._offset = path.stat().st_size
        self.done = done

    def catch_up(self) -> None:
        """Pass on what was written since the last time."""
        with self._path.open(encoding="utf-8") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._offset += len(whole.encode())
        for line in whole.splitlines():
            self._pass_on(json.loads(line))

    def _pass_on(self, row: Mapping[str, float | None]) -> None:
        self.done = int(row["epoch"] or 0)
        for tracker in self._trackers:
            try:
                tracker.log(self.done, {name: value for name, value in row.items() if value is not None})
            except ServiceError as error:
                # A tracker that is away for a while must not end a training of days.
                self._progress.note(f"epoch {self.done} is not in the tracker: {error.message}")
        self._progress.note(f"epoch {self.done}/{self._epochs}: {_told(row)}")
        self._progress.advance()

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Catch up all the time while the block waits for another process to train."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(_LOOK_EVERY):
                self.catch_up()

        thread = threading.Thread(target=follow, name="epochs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.catch_up()


def _told(row: Mapping[str, float | None]) -> str:
    parts = {name.removeprefix("loss/"): value for name, value in row.items() if name.startswith("loss/")}
    losses = parts or {"loss": row.get("loss")}
    said = [f"{name} {'not a number' if value is None else f'{value:.3f}'}" for name, value in losses.items()]
    if (map50 := row.get("valid/map50")) is not None:
        said.append(f"mAP50 {map50:.3f}")
    return ", ".join(said)
