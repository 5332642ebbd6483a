"""The settings of ``simulate``."""

from __future__ import annotations

from pydantic import Field, field_validator

from data_engine.stages.base import StageSettings
from data_engine.stages.filter_settings import StrategyName

CONTROL = "random"
"""What every strategy is compared with."""


class SimulateSettings(StageSettings):
    """Settings of ``simulate``."""

    strategies: tuple[StrategyName, ...] = Field(
        ("hybrid", "entropy", "diversity"), description="Strategies to compare with random, which always takes part."
    )
    rounds: int = Field(3, ge=2, le=50, description="Models trained one after another, the first one included.")
    initial: int = Field(40, ge=1, description="Pictures labelled before the first model, drawn at random.")
    step: int = Field(20, ge=1, description="Pictures labelled in each round after it.")
    seeds: int = Field(5, ge=1, le=1000, description="Times that everything is repeated with other random pictures.")
    first_seed: int = Field(0, ge=0, description="The first of the seeds.")
    passes: int | None = Field(
        None,
        ge=1,
        description="Pictures that every model sees in its training, however many are labelled; else as --epochs says.",
    )
    test_share: float = Field(
        0.3, gt=0, lt=1, description="Share of the pictures to measure on, where the data set has no split of its own."
    )
    at_once: int = Field(1, ge=1, le=256, description="Trainings at once, a process each.")

    @field_validator("strategies")
    @classmethod
    def _others(cls, names: tuple[StrategyName, ...]) -> tuple[StrategyName, ...]:
        others = tuple(name for name in dict.fromkeys(names) if name != CONTROL)
        if not others:
            raise ValueError("name a strategy to compare with random")
        if "missed" in others or "disagreement" in others:
            raise ValueError(
                "missed needs neighbouring frames and disagreement a second model: neither can be replayed"
            )
        return others

    @property
    def arms(self) -> tuple[str, ...]:
        """Every strategy that takes part, the control first."""
        return (CONTROL, *self.strategies)
