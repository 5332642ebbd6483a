"""The jobs as lineage saw them last, for pages: nobody waits for an annotation server."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from data_engine.app.annotation.jobs import Look, SeenJob
from data_engine.app.engine import Engine
from data_engine.lineage.recorded_jobs import on_backend
from data_engine.types import Job

if TYPE_CHECKING:
    from data_engine.types import Stage, State


def look_recorded(engine: Engine) -> Look:
    """What :func:`data_engine.app.annotation.jobs.look` said the last time, but for the names of the jobs' frames."""
    backend = engine.backend()
    with engine.database.read() as connection:
        found = on_backend(connection, backend.name)
    return Look(
        tuple(
            SeenJob(
                Job(
                    known.number,
                    task,
                    cast("Stage", known.stage),
                    cast("State", known.state),
                    known.assignee,
                    (),
                    known.updated_at,
                ),
                known,
            )
            for task, known in found
        )
    )
