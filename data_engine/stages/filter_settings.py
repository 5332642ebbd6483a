"""The settings of ``filter``."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from data_engine.stages.base import Spelled, StageSettings

StrategyName = Literal[
    "hybrid",
    "least-confidence",
    "margin",
    "entropy",
    "entropy-max",
    "missed",
    "disagreement",
    "rarity",
    "diversity",
    "random",
]
"""The names in :data:`data_engine.selection.strategies.STRATEGIES`, and those that rank without predictions."""

_LIKE = re.compile(r"(?P<picture>.+):(?P<box>[^:]+)", re.DOTALL)


def parsed_target(text: str) -> tuple[str, float]:
    """Class and share of ``no-helmet=0.2``.

    Raises:
        ValueError: it is not of that form, or the share is not between 0 and 1.
    """
    name, equals, share = text.rpartition("=")
    try:
        value = float(share)
    except ValueError:
        value = math.nan
    if not equals or not name.strip() or not 0.0 < value < 1.0:
        raise ValueError(f"{text!r} is not CLASS=SHARE with a share between 0 and 1, as in no-helmet=0.2")
    return name.strip(), value


def parsed_like(text: str) -> tuple[str, tuple[float, float, float, float]]:
    """Picture and box (left, top, width, height in pixels) of ``gate.jpg:412,96,30,40``.

    Raises:
        ValueError: it is not of that form, or the box has no area.
    """
    match = _LIKE.fullmatch(text.strip())
    try:
        sides = [float(side) for side in match["box"].split(",")] if match else []
    except ValueError:
        sides = []
    if match is None or len(sides) != 4 or not all(map(math.isfinite, sides)) or min(sides[2:]) <= 0:
        raise ValueError(f"{text!r} is not PICTURE:X,Y,W,H with a box in pixels, as in gate.jpg:412,96,30,40")
    return match["picture"], (sides[0], sides[1], sides[2], sides[3])


def _checked_target(text: str) -> str:
    parsed_target(text)
    return text


def _checked_like(text: str) -> str:
    parsed_like(text)
    return text


Target = Annotated[str, AfterValidator(_checked_target)]
Like = Annotated[str, AfterValidator(_checked_like), Spelled("PICTURE:X,Y,W,H")]


class FilterSettings(StageSettings):
    """Settings of ``filter``."""

    strategy: StrategyName = Field(
        "hybrid", description="How frames are ranked; random is the control to compare with."
    )
    confidence_threshold: float = Field(
        0.4, gt=0, le=1, description="Best score from which a box counts as seen; below it the box is doubtful."
    )
    floor: float = Field(
        0.05, ge=0.01, lt=1, description="Best score below which a box is noise; lower than the confidence threshold."
    )
    budget: int | None = Field(
        None, ge=1, description="Frames to choose; a tenth of the frames when no budget of any kind is given."
    )
    budget_boxes: int | None = Field(
        None, ge=1, description="Boxes that people shall have to draw or correct, as far as they can be foreseen."
    )
    budget_minutes: float | None = Field(
        None, gt=0, description="Minutes that people shall need, by what their finished jobs took."
    )
    minutes_per_frame: float = Field(
        0.2, gt=0, le=60, description="Minutes a frame takes besides its boxes, until finished jobs tell."
    )
    minutes_per_box: float = Field(0.12, ge=0, le=60, description="Minutes a box takes, until finished jobs tell.")
    exploration: float = Field(0.1, ge=0, le=1, description="Share of the places for frames drawn at random.")
    target: tuple[Target, ...] = Field(
        (),
        description="Share of all labels that a class shall have; the others share the rest.",
    )
    rarity_cap: float = Field(4.0, ge=1, le=100, description="Most times that the rarest class weighs more than usual.")
    calibrate: bool = Field(
        True, description="Correct the model's probabilities by what became of its boxes in accepted jobs."
    )
    like: tuple[Like, ...] = Field(
        (), description="Hunt for things that look like this box of a picture, in pixels; several examples find more."
    )
    hunt: tuple[str, ...] = Field((), description="Hunt for things that look like the accepted boxes of these classes.")
    auto_hunt: bool = Field(
        True, description="Hunt unasked for classes that are short of their share and that the model hardly finds."
    )
    hunt_share: float = Field(0.3, ge=0, le=1, description="Share of the places for what is hunted.")
    variety: float = Field(
        0.5, ge=0, le=1, description="How much it counts that a frame differs from chosen and labelled ones."
    )
    only_hard: bool = Field(
        False,
        description="Take hard frames only, even when they are fewer than the budget: no random ones, no next best.",
    )
    tolerance: int = Field(
        2, ge=0, le=64, description="Bits of the difference hash up to which two frames of one camera look alike."
    )
    min_gap: float = Field(0.5, ge=0, description="Least seconds between two chosen frames of one video.")
    allow_similar: bool = Field(
        False, description="Fill what is left of the budget with frames that look like chosen ones."
    )
    max_gap: float = Field(
        1.0, gt=0, description="Most seconds between neighbouring frames in which a box is expected to be seen again."
    )
    max_camera_share: float = Field(
        0.5, gt=0, le=1, description="Share of the places that one camera may take while others offer frames too."
    )
    max_day_share: float = Field(
        0.5, gt=0, le=1, description="Share of the places that one day may take while others offer frames too."
    )
    seed: int = Field(0, ge=0, description="Seed of the random frames and of ties.")

    @field_validator("hunt")
    @classmethod
    def _named(cls, hunt: tuple[str, ...]) -> tuple[str, ...]:
        if not all(name.strip() for name in hunt):
            raise ValueError("the name of a class to hunt must not be empty")
        return hunt

    @model_validator(mode="after")
    def _floor_below_threshold(self) -> FilterSettings:
        if self.floor >= self.confidence_threshold:
            raise ValueError(
                f"floor ({self.floor}) must be lower than the confidence threshold ({self.confidence_threshold})"
            )
        return self

    @model_validator(mode="after")
    def _targets_fit(self) -> FilterSettings:
        names = [name for name, _share in map(parsed_target, self.target)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"class {twice!r} has two target shares")
        if sum(self.targets.values()) > 1.0:
            raise ValueError(f"the target shares add up to more than 1: {', '.join(self.target)}")
        return self

    @model_validator(mode="after")
    def _random_is_random(self) -> FilterSettings:
        if self.strategy == "random" and (self.only_hard or self.target):
            raise ValueError("random frames are neither hard nor of a class: leave out only_hard and target")
        return self

    @property
    def targets(self) -> dict[str, float]:
        """Class name -> the share of all labels that it shall have."""
        return dict(map(parsed_target, self.target))
