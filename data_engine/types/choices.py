"""Which frames were chosen for people, which were not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SelectedFrame:
    """One row of a selection."""

    frame_id: str
    rank: int
    """From 1, the most wanted first."""
    score: float
    """What it was ranked by; comparable only inside its selection."""
    reason: str
    """Why it was taken, for people: ``uncertain: no-helmet 0.31``."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """The parts of the score by name."""


@dataclass(frozen=True, slots=True)
class RefusedFrame:
    """A frame that came close and was not taken."""

    frame_id: str
    score: float
    """As of :class:`SelectedFrame`."""
    reason: str
    """What spoke for it, as of :class:`SelectedFrame`."""
    refusal: str
    """Why it was not taken, for people: ``looks like gate_000012000_ab12cd.jpg``, ``its camera has its share``."""
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """A ranked choice of frames."""

    id: str
    model_id: str | None
    """None in round 0, when there is no model yet."""
    frames: tuple[SelectedFrame, ...]
    refused: tuple[RefusedFrame, ...] = ()
    """Those that came closest, strongest first; some dozens, never all."""
