"""Runs, and which inputs are done under which fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in, upsert
from data_engine.lineage.tables import runs, work

RunState = Literal["running", "done", "partial", "failed", "interrupted"]
"""``failed``: an error ended it; ``interrupted``: somebody did (Ctrl-C), or the system."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a stage over one set of inputs; started again after a kill it is the same run."""

    id: str
    stage: str
    fingerprint: str
    """Content id of the stage's name, version and settings: what decides whether an input is done."""
    settings: Mapping[str, Any]
    code_version: str


def start(connection: Connection, run: Run, now: str) -> None:
    """Record that the run begins, or begins again."""
    row = {
        "id": run.id,
        "stage": run.stage,
        "fingerprint": run.fingerprint,
        "settings": dict(run.settings),
        "code_version": run.code_version,
        "state": "running",
        "attempts": 0,
        "started_at": now,
        "finished_at": None,
    }
    insert_new(connection, runs, [row])
    begun = {"state": "running", "attempts": runs.c.attempts + 1, "finished_at": None}
    connection.execute(sa.update(runs).where(runs.c.id == run.id).values(begun))


def finish(connection: Connection, run_id: str, state: RunState, now: str) -> None:
    """Record how the run ended."""
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(state=state, finished_at=now))


def done(connection: Connection, fingerprint: str, input_ids: Iterable[str]) -> dict[str, str | None]:
    """Those of the inputs that are done under this fingerprint, with the remark that was kept."""
    query = sa.select(work.c.input_id, work.c.detail).where(work.c.fingerprint == fingerprint, work.c.state == "done")
    return {row.input_id: row.detail for row in rows_where_in(connection, query, work.c.input_id, input_ids)}


def record(
    connection: Connection, run: Run, state: Literal["done", "failed"], inputs: Mapping[str, str | None]
) -> None:
    """Record what became of inputs, each with a remark; a failed one is tried again by the next run."""
    rows = [
        {"fingerprint": run.fingerprint, "input_id": input_id, "run_id": run.id, "state": state, "detail": detail}
        for input_id, detail in inputs.items()
    ]
    upsert(connection, work, rows)


def forget(connection: Connection, fingerprint: str, input_ids: Iterable[str]) -> None:
    """Take back that these inputs are done (their outputs are gone)."""
    gone = [{"gone": input_id} for input_id in input_ids]
    if gone:
        statement = sa.delete(work).where(work.c.fingerprint == fingerprint, work.c.input_id == sa.bindparam("gone"))
        connection.execute(statement, gone)


def latest(connection: Connection, limit: int, *, stage: str | None = None) -> list[Any]:
    """The newest runs, of all stages or of one: stage, state, attempts, started_at, finished_at, settings."""
    query = sa.select(
        runs.c.stage, runs.c.state, runs.c.attempts, runs.c.started_at, runs.c.finished_at, runs.c.settings
    )
    if stage is not None:
        query = query.where(runs.c.stage == stage)
    return list(connection.execute(query.order_by(runs.c.started_at.desc(), runs.c.id).limit(limit)))


def beginning_with(connection: Connection, stage: str, prefix: str) -> list[Any]:
    """The runs of a stage whose id begins so, the newest first: id, settings, state."""
    query = sa.select(runs.c.id, runs.c.settings, runs.c.state).where(
        runs.c.stage == stage, runs.c.id.startswith(prefix, autoescape=True)
    )
    return list(connection.execute(query.order_by(runs.c.started_at.desc(), runs.c.id)))


def unfinished(connection: Connection, fingerprint: str) -> bool:
    """Whether a run with this fingerprint did not come to its end: killed, interrupted, failed, or under way."""
    ended = runs.c.state.in_(("running", "interrupted", "failed"))
    query = sa.select(runs.c.id).where(runs.c.fingerprint == fingerprint, ended)
    return connection.scalar(query.limit(1)) is not None
