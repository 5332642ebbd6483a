"""Rounds: what one may cost, and whether another is worth it.

Pure.  The rule: of the last rounds together it is asked what the model gained, in points of the metric (a hundredth of
it), and how many hours people gave.  When even the upper end of the gain's confidence interval, divided by these
hours, is below what an hour is to bring, no further round begins.  It is the comparison of a gain with the price of
its labels (Dimitrakakis and Savu-Krohn, "Cost-minimising strategies for data labelling", 2008), with the rounds that
were measured in the place of a model of those to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field

from data_engine.stages.base import StageSettings
from data_engine.words import counted

_ROUNDING = 1e-9


class RunSettings(StageSettings):
    """How far ``run`` goes by itself."""

    frames_per_round: int | None = Field(default=None, ge=1, description="frames that people get in a round, at most")
    minutes_per_round: float | None = Field(
        default=None, gt=0, description="minutes that people shall need for a round, at most"
    )
    rounds: int | None = Field(default=None, ge=1, description="rounds in all; none begins after them")
    worth: float = Field(
        default=0.2, ge=0, description="points (AP x 100) that an hour of people is to bring; 0 never stops"
    )
    last: int = Field(default=3, ge=2, le=50, description="rounds that are looked back on for that")
    every: float = Field(default=60.0, ge=1.0, description="seconds between two looks while --wait waits")


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of a round's budget; None where there is no such limit."""

    frames: int | None
    minutes: float | None

    @property
    def spent(self) -> bool:
        """Whether nothing more fits."""
        return self.frames == 0 or (self.minutes is not None and self.minutes <= _ROUNDING)

    def first_that_fit(self, minutes: Sequence[float]) -> int:
        """How many frames fit, from the first on, that are expected to take these minutes."""
        fit, used = 0, 0.0
        for each in minutes:
            used += each
            if self.frames is not None and fit >= self.frames:
                break
            if self.minutes is not None and used > self.minutes + _ROUNDING:
                break
            fit += 1
        return fit


def room(settings: RunSettings, *, frames: int, minutes: float) -> Room:
    """What is left when so many frames are with people, and so many minutes are expected of them."""
    return Room(
        None if settings.frames_per_round is None else max(settings.frames_per_round - frames, 0),
        None if settings.minutes_per_round is None else max(settings.minutes_per_round - minutes, 0.0),
    )


@dataclass(frozen=True, slots=True)
class Gain:
    """What a model is better than another, on the same pictures."""

    metric: str
    on: str
    """Of which pictures: ``golden``, ``validation of v3``."""
    images: int
    before: float
    after: float
    low: float
    """Lower end of the confidence interval of the difference."""
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether another round is worth it, with the numbers it follows from."""

    go_on: bool
    rounds: tuple[int, ...]
    """Numbers of those that were looked back on."""
    frames: int
    hours: float
    """Of annotators, and of reviewers as far as they were seen."""
    gain: Gain
    worth: float
    review_hours: float = 0.0
    """The reviewers' part of :attr:`hours`."""
    reviews_seen: tuple[int, int] = (0, 0)
    """Jobs whose review was seen to begin and to end, of how many."""

    @property
    def points(self) -> float:
        """Gained in all."""
        return 100 * (self.gain.after - self.gain.before)

    @property
    def at_most(self) -> float:
        """Points an hour, by the upper end of the interval; infinite where the labels cost nothing."""
        return 100 * self.gain.high / self.hours if self.hours > 0 else float("inf")

    @property
    def told(self) -> str:
        """The numbers, for people."""
        gain = self.gain
        first, last = self.rounds[0], self.rounds[-1]
        span = f"round {first}" if first == last else f"rounds {first} to {last}"
        return (
            f"{span} brought {self.points:+.1f} points of {gain.metric} ({gain.before:.3f} to {gain.after:.3f}, "
            f"95 % between {100 * gain.low:+.1f} and {100 * gain.high:+.1f}, {gain.on}, "
            f"{counted(gain.images, 'picture')}) for {self.hours:.2f} h of people{self._whose} and "
            f"{counted(self.frames, 'frame')}: "
            f"at most {self.at_most:.2g} points an hour, and an hour is to bring {self.worth:g}"
        )

    @property
    def _whose(self) -> str:
        seen, jobs = self.reviews_seen
        if not seen:
            return " (annotators; no review was seen to begin)"
        return f" (annotators, and {self.review_hours:.2f} h of reviewers, seen of {seen} of {counted(jobs, 'job')})"

    def as_json(self) -> dict[str, Any]:
        """For lineage and ``--json``."""
        at_most = self.at_most
        return {
            "go_on": self.go_on,
            "rounds": list(self.rounds),
            "frames": self.frames,
            "hours": self.hours,
            "review_hours": self.review_hours,
            "reviews_seen": list(self.reviews_seen),
            **asdict(self.gain),
            "points": self.points,
            "points_an_hour_at_most": at_most if at_most != float("inf") else None,
            "worth": self.worth,
            "told": self.told,
        }


def judge(
    gain: Gain,
    settings: RunSettings,
    *,
    rounds: Sequence[int],
    frames: int,
    minutes: float,
    review_minutes: float = 0.0,
    reviews_seen: tuple[int, int] = (0, 0),
) -> Verdict:
    """Hold what rounds brought against what they cost.

    Args:
        gain: from the model before the first of them to the best after the last.
        settings: what an hour is to bring.
        rounds: their numbers.
        frames: labelled in them.
        minutes: of annotators.
        review_minutes: of reviewers, as far as they were seen.
        reviews_seen: of how many jobs that is, and how many jobs there are.
    """
    hours = (minutes + review_minutes) / 60
    # No division: labels that cost nothing are always worth it.
    short = 100 * gain.high < settings.worth * hours
    return Verdict(not short, tuple(rounds), frames, hours, gain, settings.worth, review_minutes / 60, reviews_seen)
