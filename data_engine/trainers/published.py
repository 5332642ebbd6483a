"""Checkpoints that a library publishes, by the library's own download."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.errors import ServiceError
from data_engine.trainers.quiet import talking_to

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 120
"""Characters of what a library says."""


def downloaded(name: str, folder: Path, download: Callable[[Path], object], *loggers: str) -> Path:
    """``folder/name``, downloaded if it is not there, whole or not at all.

    Args:
        name: of the file.
        folder: where it is kept.
        download: the library's own, to a path with that name.
        loggers: of the library; what they say is not shown.

    Raises:
        ServiceError: it could not be downloaded.
    """
    target = folder / name
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".download-", dir=folder)))
        try:
            with talking_to(place / "log", *loggers):
                download(place / name)
        except Exception as error:
            raise _not_there(name, str(error).strip().splitlines()) from error
        if not (place / name).is_file():
            raise _not_there(name, [])
        shutil.move(place / name, target)
    return target


def _not_there(name: str, lines: list[str]) -> ServiceError:
    # Libraries put a decoration before it, and a trace of every layer behind.
    said = lines[0].encode("ascii", "ignore").decode().strip()[:_MOST] if lines else ""
    reason = f": {said}" if said else ""
    return ServiceError(
        f"the published weights {name} could not be downloaded{reason}",
        hint="download the file where there is a network, and name it: --weights FILE",
    )
