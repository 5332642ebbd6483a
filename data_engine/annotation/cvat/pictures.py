"""Sending pictures: in requests of a bounded size, each picture once, under the name of its frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.failures import RefusedError, TroubleError
from data_engine.errors import DamagedInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from data_engine.annotation.cvat.connection import Connection
    from data_engine.types import TaskFrame

MOST_BYTES = 32 * 2**20
"""Of pictures in one request; it is held in memory twice.  A picture that is larger goes alone."""
MOST_PICTURES = 500
"""In one request."""
QUALITY = 90
"""JPEG quality of what the browser shows first; exports hold the bytes that were sent."""


def groups(
    frames: Sequence[TaskFrame], sizes: Mapping[str, int], *, most_bytes: int = MOST_BYTES
) -> Iterator[list[TaskFrame]]:
    """The frames in their order, split so that each part fits one request; ``sizes`` are bytes by frame name."""
    part: list[TaskFrame] = []
    held = 0
    for frame in frames:
        size = sizes[frame.name]
        if part and (held + size > most_bytes or len(part) == MOST_PICTURES):
            yield part
            part, held = [], 0
        part.append(frame)
        held += size
    if part:
        yield part


def send(connection: Connection, task: int, part: Sequence[TaskFrame], read: Callable[[str], bytes]) -> None:
    """Send some pictures to a task that has no data yet.

    The server takes a name only once, and answers 500 to one that it has.  So a try whose answer was lost is made
    again, and 500 to the second then counts as done; what is really missing, the server tells when the data is
    finished.

    Raises:
        DamagedInputError: one picture is larger than the server takes.
    """
    doubtful = False

    def call() -> None:
        nonlocal doubtful
        fields: list[tuple[str, Any]] = [("image_quality", str(QUALITY))]
        fields += [
            (f"client_files[{number}]", (frame.name, read(frame.key), "application/octet-stream"))
            for number, frame in enumerate(part)
        ]
        try:
            connection.once("POST", f"/api/tasks/{task}/data/", None, None, fields, {"Upload-Multiple": ""})
        except TroubleError as error:
            if doubtful and error.trouble.status == 500:
                return
            doubtful = doubtful or error.trouble.done
            raise

    try:
        connection.trying(call)
    except RefusedError as error:
        if error.status != 413:
            raise
        if len(part) == 1:
            raise DamagedInputError(
                f"{part[0].key} is larger than {connection.account.server} takes at once",
                hint="raise the limit of what stands before the server (nginx: client_max_body_size)",
            ) from None
        half = len(part) // 2
        send(connection, task, part[:half], read)
        send(connection, task, part[half:], read)
