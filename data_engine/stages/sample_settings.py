"""Settings of ``sample``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from data_engine.stages.base import Spelled, StageSettings
from data_engine.types import Region, content_id

_ONLY_FOR = {
    "threshold": {"scene-change"},
    "interval": {"interval"},
    "tiles_contrast": {"tiles"},
    "tiles_area": {"tiles"},
    "tiles_again": {"tiles"},
    "content_threshold": {"content"},
    "content_min_change": {"content"},
    "look_gap": {"scene-change", "tiles"},
}
_NEVER = {"workers", "skip_near_duplicates"}
"""They change how, or of which videos, frames are taken, not which frames of a video are."""
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_REGION = re.compile(r"\s*".join(["", r"(\d{1,6})", ",", r"(\d{1,6})", ",", r"(\d{1,6})", ",", r"(\d{1,6})", ""]))


def _region(value: object) -> object:
    """``"10,20,300,40"`` to ``(10, 20, 300, 40)``."""
    if isinstance(value, str):
        found = _REGION.fullmatch(value)
        if found is None:
            raise ValueError(f"a region is left,top,width,height in whole pixels, not {value!r}")
        value = tuple(map(int, found.groups()))
    if isinstance(value, Sequence) and len(value) == 4:
        if not all(isinstance(number, int) for number in value) or min(value[:2]) < 0 or min(value[2:]) < 1:
            raise ValueError("a region begins inside the picture and is at least one pixel wide and high")
        return tuple(value)
    raise ValueError("a region is left,top,width,height in whole pixels")


def _budget(value: object) -> object:
    """``10000``, ``"10000"`` or ``"2 %"`` to ``"10000"`` or ``"2%"``."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    share = _SHARE.fullmatch(text)
    if share is not None and 0 < Fraction(share[1]) <= 100:
        return f"{share[1]}%"
    if re.fullmatch(r"0*[1-9]\d{0,11}", text):
        return str(int(text))
    raise ValueError("a budget is a number of frames (10000), or a share of each video's (2%)")


class SampleSettings(StageSettings):
    """Settings of ``sample``."""

    method: Literal["scene-change", "tiles", "interval", "keyframes", "content"] = Field(
        "scene-change",
        description="How frames are chosen: when the picture as a whole changed, when something came into it or moved "
        "(static cameras), at fixed intervals, the video's own keyframes (fastest), or where PySceneDetect sees a new "
        "scene.",
    )
    threshold: float = Field(
        0.85,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="scene-change: mean structural similarity from which on a frame counts as the same as the last "
        "kept one.",
    )
    interval: float = Field(1.0, gt=0, allow_inf_nan=False, description="interval: seconds from frame to frame.")
    tiles_contrast: float = Field(
        14.0,
        gt=0,
        le=255,
        allow_inf_nan=False,
        description="tiles: grey levels (of 255) by which something must differ from the empty scene to count.",
    )
    tiles_area: float = Field(
        0.1,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="tiles: part of the picture, in percent, that something must cover to count.",
    )
    tiles_again: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="tiles: seconds after which something that moves about is kept again.",
    )
    content_threshold: float = Field(
        3.0,
        gt=0,
        allow_inf_nan=False,
        description="content: how many times larger than its neighbours' a frame's change must be to begin a new "
        "scene.",
    )
    content_min_change: float = Field(
        15.0,
        ge=0,
        le=255,
        allow_inf_nan=False,
        description="content: least change of hue, saturation and brightness (0 to 255) that can begin a new scene.",
    )
    min_gap: float = Field(0.0, ge=0, allow_inf_nan=False, description="Least seconds between two kept frames.")
    max_gap: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds without a kept frame after which one is kept whatever the method says.",
    )
    look_gap: float = Field(
        0.2,
        ge=0,
        allow_inf_nan=False,
        description="scene-change, tiles: least seconds between two frames that are compared; 0 compares every frame.",
    )
    ignore: tuple[Annotated[Region, BeforeValidator(_region), Spelled("X,Y,W,H")], ...] = Field(
        (),
        description="A part of the picture that does not count (a burnt-in clock): left, top, width and height in "
        "pixels of the saved frame; may be given again.",
    )
    limit: int | None = Field(
        None, ge=1, description="Most frames in all: the first ones, in the order of the videos; then reading stops."
    )
    per_video_limit: int | None = Field(
        None, ge=1, description="Most frames of one video: the best spread over what happens in it, not the first."
    )
    budget: Annotated[str, BeforeValidator(_budget), Spelled("FRAMES|SHARE%")] | None = Field(
        None,
        description="The best frames up to a number over all videos (10000), or up to a share of each video's (2%).",
    )
    min_brightness: int = Field(
        20,
        ge=0,
        le=255,
        description="Brightness (0 to 255) that a thousandth of the picture must reach, else it is black and left out; "
        "0 keeps black frames.",
    )
    min_sharpness: float = Field(
        0.0,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="Sharpness, as a share of what this camera showed lately, below which a frame is blurred and left "
        "out; 0 keeps all.",
    )
    frozen_after: float = Field(
        10.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds without the slightest change after which a picture is frozen and left out; 0 keeps "
        "frozen frames.",
    )
    tolerance: int | None = Field(
        None,
        ge=0,
        le=64,
        description="Bits of 64 in which the difference hashes of two frames of one camera may differ for the later "
        "one to be left out as a near-duplicate; by default none is.",
    )
    skip_near_duplicates: bool = Field(
        False, description="Leave out the videos that ingest found to look like another one."
    )
    crop: bool = Field(True, description="Cut off the black borders that were found around the picture.")
    quality: int = Field(92, ge=1, le=100, description="JPEG quality of the saved frames.")
    names: Literal["stamped", "sequential"] = Field(
        "stamped",
        description="File names: video, time in ms and a short id, the same on every run; or frame_00001.jpg onwards.",
    )
    workers: int = Field(0, ge=0, description="Videos read at the same time; 0 for as many as there are cores.")

    @model_validator(mode="after")
    def _agree(self) -> SampleSettings:
        if self.limit is not None and self.most is not None:
            raise ValueError("limit (the first frames) and budget (the best frames) cannot both be a number of frames")
        if self.max_gap is not None and self.max_gap < self.min_gap:
            raise ValueError("max_gap must not be below min_gap")
        return self

    @property
    def most(self) -> int | None:
        """Frames over all videos that the budget allows; None where it is a share, or not given."""
        return int(self.budget) if self.budget is not None and not self.budget.endswith("%") else None

    @property
    def share(self) -> Fraction | None:
        """The share of each video's frames that the budget allows, exactly; None where it is none."""
        return Fraction(self.budget[:-1]) / 100 if self.budget is not None and self.budget.endswith("%") else None

    @property
    def ranks(self) -> bool:
        """Whether frames are chosen once all of a video's candidates are known."""
        return self.budget is not None or self.per_video_limit is not None

    def fingerprint(self) -> str:
        """A content id of the values that can change the result: not the workers, nor another method's settings."""
        idle = {name for name, methods in _ONLY_FOR.items() if self.method not in methods}
        values = self.model_dump(mode="json", exclude=idle | _NEVER)
        # Which part is named first makes no difference.
        values["ignore"] = sorted(values["ignore"])
        return content_id("settings", type(self).__name__, *(f"{name}={values[name]!r}" for name in sorted(values)))
