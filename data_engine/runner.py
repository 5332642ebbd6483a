"""One stage: what is left to do, do it, record it.

What an input became and the fact that it is done are committed in one transaction, so a run that was killed anywhere
goes on where it was and ends where an undisturbed one ends.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from data_engine import __version__
from data_engine.lineage import work
from data_engine.lineage.database import Connection, Database
from data_engine.lineage.work import Run
from data_engine.types import Failed, content_id

log = logging.getLogger(__name__)
T = TypeVar("T")


class Settings(Protocol):
    """What the runner needs of a stage's settings."""

    def fingerprint(self) -> str: ...

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did."""

    done: int
    """Inputs done now."""
    failed: tuple[Failed, ...]


class Runner:
    """Runs stages and records them.

    Args:
        database: where lineage lies.
        clock: the present time; passed in, so that nothing below reads it.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.database = database
        self.clock = clock

    def now(self) -> str:
        """The present, ISO 8601 in UTC to the millisecond."""
        return self.clock().isoformat(timespec="milliseconds")

    @contextlib.contextmanager
    def run(
        self,
        stage: str,
        version: int,
        settings: Settings,
        *,
        inputs: Sequence[str],
        scope: Sequence[str] = (),
        record: Mapping[str, Any] | None = None,
    ) -> Iterator[Run]:
        """Record a run around a block.

        Args:
            stage: the stage's name.
            version: raised when the stage's results change for the same settings.
            inputs: ids of everything the run works on, in any order.
            scope: what else decides whether an input is done (the output folder, the model).
            record: circumstances that decide nothing but are kept with the settings.
        """
        fingerprint = fingerprint_of(stage, version, settings, scope)
        run = Run(
            id=content_id("run", fingerprint, *sorted(inputs)),
            stage=stage,
            fingerprint=fingerprint,
            settings={
                **settings.model_dump(mode="json"),
                "scope": list(scope),
                "version": version,
                **({} if record is None else {"record": dict(record)}),
            },
            code_version=__version__,
        )
        with self.database.write() as connection:
            work.start(connection, run, self.now())
        log.info("run begins", extra={"stage": stage, "run": run.id, "inputs": len(inputs)})
        try:
            yield run
        except BaseException as error:
            # The database itself may be what failed: then the run stays "running" and the next attempt goes on.
            with contextlib.suppress(Exception):
                self._finish(run, "failed" if isinstance(error, Exception) else "interrupted")
            raise
        with self.database.read() as connection:
            done = work.done(connection, fingerprint, inputs)
        self._finish(run, "done" if len(done) >= len(set(inputs)) or not inputs else "partial")

    def _finish(self, run: Run, state: work.RunState) -> None:
        with self.database.write() as connection:
            work.finish(connection, run.id, state, self.now())
        log.info("run ends", extra={"stage": run.stage, "run": run.id, "state": state})

    def done(self, run: Run, input_ids: Sequence[str]) -> dict[str, str | None]:
        """The inputs that need no work, with the remark kept with each."""
        with self.database.read() as connection:
            return work.done(connection, run.fingerprint, input_ids)

    def stream(
        self,
        run: Run,
        outcomes: Iterator[T | Failed],
        *,
        input_id: Callable[[T], str],
        record: Callable[[Connection, Sequence[T]], None],
        detail: Callable[[T], str | None] = lambda _outcome: None,
        batch: int = 1,
    ) -> Summary:
        """Consume a stage's outcomes and commit each batch together with what it made.

        Batches hold a fixed number of good outcomes, never what came in some seconds nor what failed (and will be
        tried again), so that a run that was killed writes the same column files as one that was not.
        """
        done = 0
        failed: list[Failed] = []
        # A generator is closed whatever happens here, so that no worker outlives the run.
        with contextlib.ExitStack() as stack:
            if isinstance(outcomes, Generator):
                stack.callback(outcomes.close)
            for good, bad in _batches(outcomes, batch):
                with self.database.write() as connection:
                    if good:
                        record(connection, good)
                    work.record(connection, run, "done", {input_id(outcome): detail(outcome) for outcome in good})
                    work.record(connection, run, "failed", {failure.input_id: failure.reason for failure in bad})
                for failure in bad:
                    log.warning(
                        "input failed", extra={"stage": run.stage, "input": failure.input_id, "reason": failure.reason}
                    )
                done += len(good)
                failed += bad
        return Summary(done, tuple(failed))

    def finish_input(self, connection: Connection, run: Run, input_ids: Sequence[str]) -> None:
        """Record in the caller's transaction that inputs are done (for stages that end in one piece).

        One that was done before stays with the run that did it.
        """
        before = work.done(connection, run.fingerprint, input_ids)
        work.record(connection, run, "done", {input_id: None for input_id in input_ids if input_id not in before})


def fingerprint_of(stage: str, version: int, settings: Settings, scope: Sequence[str]) -> str:
    """What decides whether an input is done; arguments as of :meth:`Runner.run`."""
    return content_id("stage", stage, version, settings.fingerprint(), *scope)


def _batches(outcomes: Iterator[T | Failed], size: int) -> Iterator[tuple[list[T], list[Failed]]]:
    """Groups of ``size`` good outcomes, each with the failures that came among them."""
    good: list[T] = []
    bad: list[Failed] = []
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            bad.append(outcome)
        else:
            good.append(outcome)
        if len(good) == size:
            yield good, bad
            good, bad = [], []
    if good or bad:
        yield good, bad


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Settings of a step that has no settings model of its own, from plain values."""
    return _Plain(dict(values))


@dataclass(frozen=True, slots=True)
class _Plain:
    values: dict[str, Any]

    def fingerprint(self) -> str:
        return content_id("settings", *(f"{name}={self.values[name]}" for name in sorted(self.values)))

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        del mode
        return dict(self.values)
