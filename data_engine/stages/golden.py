"""``dataset golden``: how much of the dataset is kept for judging models."""

from __future__ import annotations

from pydantic import Field

from data_engine.stages.base import StageSettings

STAGE = "dataset golden"
VERSION = 1


class GoldenSettings(StageSettings):
    """How much the golden set should hold."""

    fraction: float = Field(0.05, gt=0.0, le=0.5, description="share of the frames to judge models on, in whole blocks")
    min_per_class: int = Field(20, ge=0, le=1_000_000, description="boxes of every class to judge it by at least")
