"""Who did what with a job, and when: what ``review show`` tells of it."""

from __future__ import annotations

from data_engine.app.annotation.jobs import SeenJob
from data_engine.app.engine import Engine
from data_engine.lineage.job_history import histories


def hands(engine: Engine, seen: SeenJob) -> dict[str, str]:
    """Its annotator and reviewer with the dates of handing in and of acceptance, by the backend's clock.

    What is not known, or has not happened, is left out.
    """
    with engine.database.read() as connection:
        history = histories(connection, [seen.known])[seen.known.id]
    told = {
        "annotator": seen.known.annotator,
        "submitted": history.submitted_at,
        "reviewer": history.accepted_by if seen.job.accepted else seen.known.reviewer,
        "accepted": history.since if seen.job.accepted else None,
    }
    return {name: value for name, value in told.items() if value is not None}
