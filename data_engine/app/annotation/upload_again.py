"""``upload --again``: a task that is gone from the annotation backend, made anew as it was."""

from __future__ import annotations

from data_engine.app.engine import Engine
from data_engine.errors import ConflictError, MissingInputError
from data_engine.lineage import labelling, renumbered, uploads
from data_engine.types import Failed, Report
from data_engine.words import counted


def upload_again(engine: Engine, number: int) -> Report:
    """Make the task with its frames and the proposals that it began with; what was drawn in it is lost.

    What was exported of it stays in the dataset until its frames are accepted anew.

    Args:
        engine: the workspace.
        number: of the task that is gone.

    Raises:
        MissingInputError: no such task was uploaded from here.
        ConflictError: the task is there, or was made anew before.
    """
    from data_engine.stages import upload as stage

    backend = engine.backend()
    with engine.database.read() as connection:
        uid = uploads.task_numbers(connection, backend.name).get(number)
        later = renumbered.now(connection, backend.name, number)
    if uid is None and later is not None:
        raise ConflictError(
            f"task {number} was made anew before: it is task {later} now",
            hint=f"where that one is lost, too: dataengine upload --again {later}",
        )
    if uid is None:
        raise MissingInputError(
            f"task {number} was not uploaded from here", hint="see which are lost: dataengine status"
        )
    try:
        there = backend.jobs(number)
    except MissingInputError:
        there = []
    if there:
        raise ConflictError(
            f"task {number} is there, with {counted(len(there), 'job')}: it is not made a second time",
            hint="dataengine review list",
        )
    with engine.database.read() as connection:
        planned = uploads.planned_task(connection, uid)
    spec, people = planned.spec, planned.assignees
    (task,) = stage.upload([(spec, people)], backend, engine.progress, frames=len(spec.frames))
    if isinstance(task, Failed):
        return Report(title=f"task {number} is not made anew", failures=(task,), next="dataengine sample")
    jobs = backend.jobs(task.id)
    with engine.database.write() as connection:
        if task.id != number:
            renumbered.record(connection, uid)
        uploads.task_created(connection, uid, task.id)
        labelling.record_jobs(connection, backend.name, uid, jobs)
    return Report(
        title=f"task {number} made anew as task {task.id}: {counted(task.size, 'frame')}",
        data={"task": task.id, "was": number, "jobs": len(jobs), "frames": task.size},
        next="dataengine review list",
    )
