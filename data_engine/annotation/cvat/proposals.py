"""Drawing a task's proposals: only where nobody has drawn anything, and all of a job or none.

They are put as shapes and not imported as a file: the server then answers when they are there, no worker is needed,
and making the request again changes nothing.  A COCO import throws away what is drawn meanwhile, and is matched by
names and numbers that both sides count anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.shapes import content, shape_of
from data_engine.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data_engine.annotation.cvat.connection import Connection
    from data_engine.annotation.cvat.labels import Label
    from data_engine.types import TaskSpec

MOST_SHAPES = 20_000
"""In one request; a task with more is drawn job by job."""


class Proposals:
    """Draws proposals.

    Args:
        connection: to the server.
        labels: of the project, by name.
    """

    def __init__(self, connection: Connection, labels: Mapping[str, Label]) -> None:
        self._connection = connection
        self._labels = labels

    def put(self, spec: TaskSpec, number: int, *, fresh: bool) -> None:
        """Draw the proposals of a task that has its pictures.

        Args:
            spec: of the task.
            number: the server's number of it.
            fresh: nobody but this process can have seen the task yet.

        Raises:
            ServiceError: the server kept another number of shapes than it was given.
        """
        shapes = [
            shape_of(box, position, self._labels[box.label])
            for position, frame in enumerate(spec.frames)
            for box in frame.boxes
        ]
        if not shapes:
            return
        if fresh and len(shapes) <= MOST_SHAPES:
            self._replace(f"/api/tasks/{number}/annotations", shapes)
            return
        for job in self._connection.pages("/api/jobs", task_id=number, type="annotation"):
            path = f"/api/jobs/{job['id']}/annotations"
            part = [shape for shape in shapes if job["start_frame"] <= shape["frame"] <= job["stop_frame"]]
            if part and (fresh or self._is_untouched(job, path)):
                self._replace(path, part)

    def _is_untouched(self, job: Mapping[str, Any], path: str) -> bool:
        if (job["stage"], job["state"]) != ("annotation", "new"):
            return False
        drawn = self._connection.get(path)
        return not (drawn["shapes"] or drawn["tracks"] or drawn["tags"])

    def _replace(self, path: str, shapes: Sequence[dict[str, Any]]) -> None:
        kept = self._connection.request("PUT", path, json=content(shapes))
        if len(kept["shapes"]) != len(shapes):
            raise ServiceError(
                f"{self._connection.account.server} kept {len(kept['shapes'])} of {len(shapes)} boxes",
                hint="remove the task there and run: dataengine upload",
            )
