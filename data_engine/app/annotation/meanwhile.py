"""Deciding on a job as it was looked at: what somebody else did meanwhile is told, and not overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_engine.errors import ConflictError
from data_engine.lineage import reviewing

if TYPE_CHECKING:
    from data_engine.app.annotation.jobs import SeenJob
    from data_engine.app.engine import Engine
    from data_engine.lineage.reviewing import Decided


def refuse_changed(engine: Engine, now: SeenJob, expected: str | None, action: Decided, actor: str | None) -> None:
    """Refuse a decision on a job that is not as it was looked at.

    The same decision by the same person passes: whoever made it lost the answer, and asks again.

    Args:
        engine: the workspace.
        now: the job as it is.
        expected: its ``updated_at`` when it was looked at; None where nobody says.
        action: what is about to be done.
        actor: by whom.

    Raises:
        ConflictError: it was decided on, handed in anew or changed otherwise.
    """
    job = now.job
    if expected is None or job.updated_at == expected:
        return
    with engine.database.read() as connection:
        last = reviewing.last_deed(connection, now.known.id)
    decided = job.accepted or (job.stage, job.state) == ("annotation", "rejected")
    if decided and last is not None and (last.action, last.actor) == (action, actor):
        return
    if decided and last is not None and last.action != "submitted":
        what = f"{last.action} by {last.actor or 'somebody'}"
    else:
        what = f"changed by somebody else (stage {job.stage}, state {job.state})"
    raise ConflictError(
        f"job {job.id} was {what} while you looked at it", hint=f"look again: dataengine review show {job.id}"
    )
