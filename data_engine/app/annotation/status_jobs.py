"""The jobs on the annotation backend, by stage, state and person, with the oldest of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from data_engine.app.annotation.jobs import SeenJob
from data_engine.app.engine import Engine
from data_engine.lineage.job_history import histories
from data_engine.types import Stage, State
from data_engine.words import elapsed


@dataclass(frozen=True, slots=True)
class Pile:
    """Jobs that wait for the same."""

    stage: Stage
    state: State
    person: str
    """Who has them; empty for nobody."""
    jobs: int
    oldest: int
    """Number of the one that has waited longest."""
    since: str
    """When that one was first seen so; ISO 8601, by the backend's clock."""


def piles(engine: Engine, jobs: Sequence[SeenJob]) -> list[Pile]:
    """The jobs that wait for the same together, in the order of the work, the largest piles first."""
    with engine.database.read() as connection:
        found = histories(connection, [seen.known for seen in jobs])
    groups: dict[tuple[Stage, State, str], list[tuple[datetime, int, str]]] = {}
    for seen in jobs:
        job = seen.job
        since = found[seen.known.id].since or job.updated_at
        entry = (datetime.fromisoformat(since), job.id, since)
        groups.setdefault((job.stage, job.state, job.assignee or ""), []).append(entry)
    made = [
        Pile(stage, state, person, len(entries), oldest, since)
        for (stage, state, person), entries in groups.items()
        for _at, oldest, since in [min(entries)]
    ]
    stages, states = get_args(Stage), get_args(State)
    return sorted(made, key=lambda p: (stages.index(p.stage), states.index(p.state), -p.jobs, p.person))


def rows_of(found: Sequence[Pile], now: datetime) -> list[dict[str, object]]:
    """A row a stage and state, with its people: ``anna 3 (oldest: job 7, 2 d), nobody 1 (job 9, 5 min)``.

    Args:
        found: of :func:`piles`.
        now: the present by this machine's clock; one that is behind the backend's shows an age of 0 s.
    """
    rows: dict[tuple[str, str], list[Pile]] = {}
    for pile in found:
        rows.setdefault((pile.stage, pile.state), []).append(pile)
    return [
        {
            "step": f"  {stage}, {state}",
            "count": sum(pile.jobs for pile in of_state),
            "detail": ", ".join(_person(pile, now) for pile in of_state),
        }
        for (stage, state), of_state in rows.items()
    ]


def _person(pile: Pile, now: datetime) -> str:
    age = elapsed((now - datetime.fromisoformat(pile.since)).total_seconds())
    oldest = f"job {pile.oldest}" if pile.jobs == 1 else f"oldest: job {pile.oldest}"
    return f"{pile.person or 'nobody'} {pile.jobs} ({oldest}, {age})"
