"""Drawing a task's proposals: only where nobody has drawn anything, and all of a job or none.

They are put as shapes and not imported as a file: the server then answers when they are there, no worker is needed,
and making the request again changes nothing.  A COCO import throws away what is drawn meanwhile, and is matched by
names and numbers that both sides count anew.

Two such requests that overlap leave everything twice: each removes what it found, and nobody waits for the other.  One
whose answer was lost may still be at work, so it is waited for before it is made again, and what came twice is removed.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.shapes import content, shape_of
from data_engine.errors import ServiceError
from data_engine.types import PROPOSAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data_engine.annotation.cvat.connection import Connection
    from data_engine.annotation.cvat.labels import Label
    from data_engine.types import TaskSpec

MOST_SHAPES = 5_000
"""In one request; a task with more is drawn job by job.  The server took 21 s for 18,000 on a busy machine."""
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Between two looks for what a request may still be drawing; CVAT 2.73 draws a thousand boxes a second or fewer."""


class _TakenError(Exception):
    """Somebody has drawn where proposals were to be drawn."""


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
            self._replace(f"/api/tasks/{number}/annotations", shapes, fresh=fresh)
            return
        for job in self._connection.pages("/api/jobs", task_id=number, type="annotation"):
            path = f"/api/jobs/{job['id']}/annotations"
            part = [shape for shape in shapes if job["start_frame"] <= shape["frame"] <= job["stop_frame"]]
            if part and (fresh or self._is_untouched(job, path)):
                # Who drew on it while this had to wait has begun without the rest.
                with contextlib.suppress(_TakenError):
                    self._replace(path, part, fresh=fresh)

    def _is_untouched(self, job: Mapping[str, Any], path: str) -> bool:
        if (job["stage"], job["state"]) != ("annotation", "new"):
            return False
        return not self._is_drawn_on(path)

    def _is_drawn_on(self, path: str) -> bool:
        drawn = self._connection.get(path)
        return bool(drawn["shapes"] or drawn["tracks"] or drawn["tags"])

    def _replace(self, path: str, shapes: Sequence[dict[str, Any]], *, fresh: bool) -> None:
        connection, troubles = self._connection, self._connection.troubles

        def look() -> dict[str, Any] | None:
            found = self._late(path, len(shapes)) if connection.troubles != troubles else None
            if found is None and not fresh and self._is_drawn_on(path):
                raise _TakenError
            return found

        kept = connection.request("PUT", path, json=content(shapes), look=look, always=not fresh)
        if len(kept["shapes"]) != len(shapes):
            raise ServiceError(
                f"{connection.account.server} kept {len(kept['shapes'])} of {len(shapes)} boxes",
                hint="remove the task there and run: dataengine upload",
            )
        if connection.troubles != troubles or not fresh:
            self._remove_doubles(path)

    def _late(self, path: str, number: int) -> dict[str, Any] | None:
        """What a request has drawn whose answer was lost; None where it is not there after some seconds."""
        for pause in _PAUSES_S:
            drawn = dict(self._connection.get(path))
            if len(drawn["shapes"]) == number:
                return drawn
            self._connection.patience.sleep(pause)
        return None

    def _remove_doubles(self, path: str) -> None:
        drawn = self._connection.get(path)["shapes"]
        named = [entry for label in self._labels.values() for entry in label.attributes.items()]
        specs = {number for number, name in named if name == PROPOSAL}
        seen: set[tuple[int, str]] = set()
        doubles = []
        for shape in sorted(drawn, key=lambda shape: int(shape["id"])):
            proposal = next((str(a["value"]) for a in shape["attributes"] if a["spec_id"] in specs), "")
            if proposal and (shape["frame"], proposal) in seen:
                doubles.append(shape)
            seen.add((shape["frame"], proposal))
        if doubles:
            self._connection.request("PATCH", path, query={"action": "delete"}, json=content(doubles))
