"""Ground truth: frames that are labelled a second time, unseen, and what the server makes of the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat import background
from data_engine.annotation.cvat.failures import RefusedError
from data_engine.errors import MissingInputError, UsageError
from data_engine.ports import frames_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data_engine.annotation.cvat.connection import Connection


def ground_truth(connection: Connection, task_id: int, size: int, share: float, seed: int) -> int:
    """The number of the task's ground-truth job; where there is none, it is made of ``share`` of its ``size`` frames.

    Raises:
        MissingInputError: there is no such task.
        UsageError: the server makes none of this task.
    """

    def there() -> dict[str, Any] | None:
        return next(iter(connection.pages("/api/jobs", task_id=task_id, type="ground_truth")), None)

    known = there()
    if known is not None:
        return int(known["id"])
    body = {
        "type": "ground_truth",
        "task_id": task_id,
        "frame_selection_method": "random_uniform",
        "frame_count": frames_of(share, size),
        "random_seed": seed,
    }
    try:
        return int(connection.request("POST", "/api/jobs", json=body, look=there)["id"])
    except RefusedError as error:
        if error.status == 404:
            raise MissingInputError(f"there is no task {task_id}", hint="dataengine review list") from None
        raise UsageError(f"{connection.account.server} makes no ground truth: {error.said}") from None


def quality(connection: Connection, task_id: int) -> Mapping[str, Any]:
    """The server's summary of a new report on a task: ``precision``, ``recall``, ``accuracy`` …

    Empty while there is no ground truth that is accepted and completed.
    """
    jobs = connection.pages("/api/jobs", task_id=task_id, type="ground_truth")
    if not any((job["stage"], job["state"]) == ("acceptance", "completed") for job in jobs):
        return {}
    try:
        answer = connection.request("POST", "/api/quality/reports", json={"task_id": task_id})
    except RefusedError as error:
        if error.status != 409:  # one is at work already, and what it finds will do
            raise
        answer = error.body
    background.wait(connection, background.started(answer), f"comparing task {task_id} with its ground truth")
    reports = connection.pages("/api/quality/reports", task_id=task_id, target="task")
    return dict(reports[-1]["summary"]) if reports else {}
