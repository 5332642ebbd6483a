"""Names of tasks on the server: they carry the beginning of the uid, so that a task is found by it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_engine.types import TaskSpec

_MARK = 12
"""Characters of the uid in a task's name."""
_LONGEST_NAME = 256 - _MARK - 3


def name_of(spec: TaskSpec) -> str:
    """The name on the server: ``Batch_03 (1/4) [a1b2c3d4e5f6]``."""
    return f"{spec.name[:_LONGEST_NAME]}{mark_of(spec.uid)}"


def mark_of(uid: str) -> str:
    """What a name on the server ends with."""
    return f" [{uid[:_MARK]}]"


def shown_name(name: str) -> str:
    """A name from the server without its mark."""
    return re.sub(r" \[[0-9a-f]{12}\]$", "", name)
