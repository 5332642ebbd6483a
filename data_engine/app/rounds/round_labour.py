"""The reviewers' part of what rounds cost in minutes, as far as it was seen; nothing is guessed of it.

An annotator's minutes that nobody saw are expected from frames and boxes.  What a review takes follows from neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_engine.app.annotation.costs import cost_model, minutes_worked
from data_engine.app.engine import Engine
from data_engine.lineage import job_times
from data_engine.lineage import rounds as lineage
from data_engine.lineage.rounds import Round


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What reviewers were seen to spend on a round's jobs."""

    minutes: float = 0.0
    jobs: int = 0
    """Whose review was seen to begin and to end."""

    def __add__(self, other: Reviewed) -> Reviewed:
        return Reviewed(self.minutes + other.minutes, self.jobs + other.jobs)


def reviewed(engine: Engine, found: Sequence[Round]) -> Mapping[int, Reviewed]:
    """The reviewers' minutes of rounds, by number.

    Args:
        engine: the workspace.
        found: all rounds, in their order: a round's jobs are those that the version before it did not have.
    """
    cost = cost_model(engine)
    told: dict[int, Reviewed] = {}
    with engine.database.read() as connection:
        seen = minutes_worked(job_times.changes(connection), job_times.contents(connection), cost, review=True)
        low = 0
        for one in found:
            if one.version is None:
                continue
            parts = lineage.labelled(connection, low, one.version) if seen else []
            mine = [seen[part.job_id] for part in parts if part.first and part.job_id in seen]
            told[one.number] = Reviewed(sum(mine), len(mine))
            low = one.version
    return told
