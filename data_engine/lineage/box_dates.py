"""When the boxes of a dataset version were proposed, handed in, accepted and merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import acceptances, dataset_versions, jobs, runs, tasks
from data_engine.types import BoxDates


@dataclass(frozen=True, slots=True)
class Calendar:
    """All dates that boxes refer to: few rows, looked up per box instead of joined to each."""

    uploads: dict[str, str]
    """When the upload of a job's proposals began, by lineage id of the job."""
    acceptances: dict[str, tuple[str | None, str]]
    """``submitted_at`` and ``accepted_at``, by id of the acceptance."""
    versions: dict[int, str]
    """When a version was made, by its number."""

    def of(self, row: Any) -> BoxDates:
        """The dates of a row of ``annotations``."""
        submitted, accepted = self.acceptances.get(row.acceptance_id, (None, None))
        proposed = None if row.proposal_id is None else self.uploads.get(row.job_id)
        return BoxDates(proposed, submitted, accepted, self.versions.get(row.since))


def calendar(connection: Connection) -> Calendar:
    """The dates that the boxes of all versions refer to."""
    begun = (
        sa.select(jobs.c.id, runs.c.started_at)
        .join(tasks, tasks.c.id == jobs.c.task_id)
        .join(runs, runs.c.id == tasks.c.run_id)
    )
    agreed = sa.select(acceptances.c.id, acceptances.c.submitted_at, acceptances.c.accepted_at)
    made = sa.select(dataset_versions.c.number, dataset_versions.c.created_at)
    return Calendar(
        {row.id: row.started_at for row in connection.execute(begun)},
        {row.id: (row.submitted_at, row.accepted_at) for row in connection.execute(agreed)},
        {row.number: row.created_at for row in connection.execute(made)},
    )
