"""What a command tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Failed:
    """One input that could not be used; the rest of the run goes on."""

    input_id: str
    """Id of the input, or its storage key where it has none yet."""
    reason: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that ``doctor`` looked at."""

    name: str
    state: Literal["ok", "absent", "warn", "bad"]
    """``absent``: an optional part, or one that is still to come; ``warn``: it may do."""
    detail: str
    repair: str = ""
    """What to do when it is not ok."""

    @property
    def told(self) -> str:
        """What was found and what to do about it."""
        return f"{self.detail}; {self.repair}" if self.repair else self.detail


@dataclass(frozen=True, slots=True)
class Report:
    """What a command did: printed as text or as JSON, by the command line only."""

    title: str
    """One line: ``sampled 212 frames from 3 videos``."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The result as plain JSON values; the text shows the scalar ones as ``name: value`` lines."""
    rows: tuple[Mapping[str, Any], ...] = ()
    """A table, when the result is one; part of the JSON as ``rows``."""
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Tables besides it, each under its name, in the JSON too; the text shows them above ``rows``."""
    every_row: Callable[[], Iterable[Mapping[str, Any]]] | None = None
    """Where there are too many for the text, or to be held: makes those that are the JSON's ``rows``."""
    notes: tuple[str, ...] = ()
    """Remarks for people, on stderr."""
    failures: tuple[Failed, ...] = ()
    """Inputs that failed; any makes the exit code 8, or the next field's."""
    failure_code: int | None = None
    """Exit code where there are failures; None for 8."""
    next: str = ""
    """The next command to type."""
    text: str = ""
    """What people get to see in the place of title, values and table; no part of the JSON."""
