"""The sections of ``retrain`` that are no options: ``[retrain.augment]`` and ``[retrain.trackers]``."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _read(value: object) -> object:
    """An environment variable holds a whole section as JSON."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("a section is given as JSON: {...}") from None
    return value


Share = Annotated[float | None, Field(ge=0, le=1)]
Degrees = Annotated[float | None, Field(ge=0, le=180)]


class AugmentSettings(BaseModel):
    """How training pictures are changed.  What is not given is as the trainer does it; 0 switches it off."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    hflip: Share = Field(None, description="Share of pictures turned left to right.")
    vflip: Share = Field(None, description="Share of pictures turned upside down.")
    scale: Share = Field(None, description="Made larger or smaller by up to this share.")
    translate: Share = Field(None, description="Moved by up to this share of the side.")
    rotate: Degrees = Field(None, description="Turned by up to so many degrees.")
    shear: Degrees = Field(None, description="Slanted by up to so many degrees.")
    hue: Share = Field(None, description="Hue shifted by up to this share of the circle of colours.")
    saturation: Share = Field(None, description="Saturation changed by up to this share.")
    value: Share = Field(None, description="Brightness changed by up to this share.")
    mosaic: Share = Field(None, description="Share of pictures put together from four (yolo only).")
    mixup: Share = Field(None, description="Share of pictures blended with another (yolo only).")

    def chosen(self) -> dict[str, float]:
        """What is given, by name."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class TrackerSettings(BaseModel):
    """Where the numbers of a training go beside its folder.  Secrets are those of each tool's own environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mlflow: str = Field("", description="MLflow's tracking address: http://… or sqlite:///…")
    experiment: str = Field("", description="MLflow's experiment; dataengine when not given.")
    wandb: str = Field("", description="Project at Weights & Biases.")

    def chosen(self) -> dict[str, str]:
        """What is given, by name."""
        return {name: value for name, value in self.model_dump().items() if value}


Augment = Annotated[AugmentSettings, BeforeValidator(_read)]
Trackers = Annotated[TrackerSettings, BeforeValidator(_read)]
