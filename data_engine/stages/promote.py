"""Promote: may a challenger take the place of the model in use?  The rule, pure.

Decision 0036 says why it is this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from data_engine.stages.base import StageSettings
from data_engine.types.evaluation import Compared
from data_engine.words import counted, listed

if TYPE_CHECKING:
    from data_engine.types.evaluation import Comparison, Delta

LEAST_STRETCHES = 6
"""Independent stretches of footage below which nothing is shown: that five of five go one way comes by luck once in 32
times, six of six once in 64, and a 95 % interval leaves one in 40 on either side."""
_METRICS = {"map50": "mAP50", "map": "mAP", "recall": "recall at equal false alarms"}
_OF_CLASS = {"map50": "AP50", "map": "AP", "recall": "recall at equal false alarms"}
CAMERA, RECALL = "camera:", "recall:"
"""Before the name of a camera in the settings, and before a class of whose recall something is said."""

Evidence = Literal["better", "not-worse"]


class PromoteSettings(StageSettings):
    """What a challenger has to show."""

    metric: Compared = Field("map50", description="What decides: map50, map, or recall at equal false alarms.")
    decisive_class: str = Field("", description="Class that decides, not the mean over all.")
    evidence: Literal["auto", "better", "not-worse"] = Field(
        "auto", description="What is to be shown; auto: better on a golden set, else not worse."
    )
    tolerance: float = Field(
        0.02, ge=0, le=1, description="What any class or camera may lose (and, where not worse is enough, the mean)."
    )
    tolerances: tuple[str, ...] = Field(
        (), description="CLASS=VALUE, camera:NAME=VALUE or recall:CLASS=VALUE, for one."
    )

    @field_validator("tolerances")
    @classmethod
    def _readable(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            name, _, value = text.rpartition("=")
            try:
                fine = 0 <= float(value) <= 1
            except ValueError:
                fine = False
            if not (name.strip() and fine):
                raise ValueError(f"{text!r} is not NAME=VALUE with a value from 0 to 1")
        return given

    @property
    def _single(self) -> dict[str, float]:
        return {name.strip(): float(value) for name, _, value in (text.rpartition("=") for text in self.tolerances)}

    @property
    def named_classes(self) -> list[str]:
        """The classes that have a tolerance of their own, of whatever."""
        return [name.removeprefix(RECALL) for name in self._single if not name.startswith(CAMERA)]

    @property
    def named_cameras(self) -> list[str]:
        """The cameras that have one."""
        return [name.removeprefix(CAMERA) for name in self._single if name.startswith(CAMERA)]

    @property
    def of_recall(self) -> dict[str, float]:
        """What classes may lose of their recall, whatever decides; the others are not held to any."""
        return {name.removeprefix(RECALL): value for name, value in self._single.items() if name.startswith(RECALL)}

    def tolerance_of(self, part: str) -> float:
        """What a class, or a camera as ``camera:NAME``, may lose of what decides."""
        return self._single.get(part, self.tolerance)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a challenger comes into use."""

    promoted: bool
    """Whether it is in use now."""
    reasons: tuple[str, ...] = ()
    """All that speaks against it, for people; where it was forced they were overruled."""
    notes: tuple[str, ...] = ()
    """What was not, or could not be, looked at; what is remarkable though no reason."""
    over_id: str | None = None
    """The model that it was held against; None where there was none."""
    on: str | None = None
    """Name of the pictures that both were asked about; None where nothing was compared."""
    forced: bool = False
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """What it was decided by, as plain JSON values."""


def evidence_of(comparison: Comparison, settings: PromoteSettings) -> tuple[Evidence, tuple[str, ...]]:
    """What is asked for on these pictures, and remarks on it."""
    if settings.evidence != "auto":
        return settings.evidence, ()
    if comparison.kind == "validation":
        return "not-worse", ()
    if comparison.stretches < LEAST_STRETCHES:
        few = counted(comparison.stretches, "independent stretch")
        return "not-worse", (f"{comparison.on} has {few} of footage: too few to show that a model is better",)
    return "better", ()


def judge(
    comparison: Comparison, settings: PromoteSettings, *, stretches: Mapping[str, int], bars: tuple[str, ...] = ()
) -> Decision:
    """Hold a challenger against the model in use.

    Args:
        comparison: of the two, by the metric of the settings.
        settings: the rule's.
        stretches: independent stretches of footage that hold a box of a class, by its name, or are of a camera, by
            ``camera:NAME``; of one that is missing as many as there are in all.
        bars: what speaks against it already.
    """
    reasons, (evidence, remarks) = list(bars), evidence_of(comparison, settings)
    notes = list(remarks)
    decisive, name = _decisive(comparison, settings)
    if decisive is None:
        reasons.append(f"{comparison.on} has no box of {settings.decisive_class}, by which it is to be decided")
    else:
        held = stretches.get(settings.decisive_class, comparison.stretches)
        against = _overall(decisive, evidence, settings, min(held, comparison.stretches))
        if against is not None:
            reasons.append(f"{name} on {comparison.on} is {against}: {_told(decisive, comparison.level)}")
    for part, words, delta, tolerance in _parts(comparison, settings):
        if delta.difference is None or delta.difference >= -tolerance:
            continue
        told = f"{words} lost more than {tolerance:g}: {_told(delta, comparison.level)}"
        if delta.high is None or delta.high >= 0:
            notes.append(f"{told}; it may be chance")
        elif stretches.get(part, comparison.stretches) < LEAST_STRETCHES:
            few = counted(stretches.get(part, comparison.stretches), "stretch")
            notes.append(f"{told}; it is seen in {few} of footage only, and may be chance")
        else:
            reasons.append(told)
    if comparison.champion_only:
        reasons.append(f"it does not know {listed(comparison.champion_only)}, which the model in use does")
    if comparison.unmeasured:
        notes.append(f"{comparison.on} has no box of {listed(comparison.unmeasured)}: nothing is known of it")
    return Decision(
        promoted=not reasons,
        reasons=tuple(reasons),
        notes=(*notes, *comparison.notes),
        over_id=comparison.champion_id,
        on=comparison.on,
        numbers=numbers_of(comparison, evidence, settings),
    )


def _decisive(comparison: Comparison, settings: PromoteSettings) -> tuple[Delta | None, str]:
    if not settings.decisive_class:
        return comparison.overall, _METRICS[comparison.metric]
    name = f"{_OF_CLASS[comparison.metric]} of {settings.decisive_class}"
    return comparison.per_class.get(settings.decisive_class), name


def _overall(delta: Delta, evidence: Evidence, settings: PromoteSettings, stretches: int) -> str | None:
    """What speaks against a challenger by the metric that decides."""
    if delta.difference is None:
        # Where the model in use finds nothing that can be measured, there is nothing to be better than.
        return None if delta.champion is None and evidence == "not-worse" else "not known of both models"
    shown = delta.low is not None and delta.high is not None and stretches >= LEAST_STRETCHES
    if evidence == "better":
        if shown and delta.low is not None and delta.low > 0:
            return None
        if not shown:
            return f"not shown to be better, for there are only {counted(stretches, 'stretch')} of footage"
        return "worse" if delta.high is not None and delta.high < 0 else "not shown to be better"
    if shown and delta.high is not None and delta.high < 0:
        return "worse"
    tolerance = settings.tolerance_of(settings.decisive_class)
    return f"worse by more than {tolerance:g}" if delta.difference < -tolerance else None


def _parts(comparison: Comparison, settings: PromoteSettings) -> Iterator[tuple[str, str, Delta, float]]:
    """Name among the stretches, words, numbers and tolerance of each class and camera, and of recalls."""
    for name, delta in comparison.per_class.items():
        yield name, f"class {name}", delta, settings.tolerance_of(name)
    # A single camera is the mean over again.
    if len(comparison.per_camera) > 1:
        for name, delta in comparison.per_camera.items():
            part = f"{CAMERA}{name}"
            yield part, f"camera {name}", delta, settings.tolerance_of(part)
    for name, tolerance in settings.of_recall.items():
        if name in comparison.recall:
            yield name, f"recall of {name} at equal false alarms", comparison.recall[name], tolerance


def numbers_of(comparison: Comparison, evidence: Evidence, settings: PromoteSettings) -> dict[str, Any]:
    """The comparison as it is kept with the decision and shown as JSON."""
    return {
        "on": comparison.on,
        "set": comparison.kind,
        "data_digest": comparison.data_digest,
        "images": comparison.images,
        "boxes": comparison.boxes,
        "stretches": comparison.stretches,
        "metric": comparison.metric,
        "level": comparison.level,
        "evidence": evidence,
        "decisive_class": settings.decisive_class or None,
        "tolerance": settings.tolerance,
        "tolerances": list(settings.tolerances),
        "overall": _plain(comparison.overall),
        "per_class": {name: _plain(delta) for name, delta in comparison.per_class.items()},
        "per_camera": {name: _plain(delta) for name, delta in comparison.per_camera.items()},
        "recall": {name: _plain(delta) for name, delta in comparison.recall.items()},
    }


def _plain(delta: Delta) -> dict[str, float | int | None]:
    return {name: getattr(delta, name) for name in type(delta).__dataclass_fields__}


def _told(delta: Delta, level: float) -> str:
    """``0.412, was 0.387, +0.025 [-0.010, +0.061] at 95 %``."""
    if delta.difference is None:
        return f"{_value(delta.challenger)}, was {_value(delta.champion)}"
    sure = "" if delta.low is None else f" [{delta.low:+.3f}, {delta.high:+.3f}] at {level:.0%}".replace("%", " %")
    return f"{_value(delta.challenger)}, was {_value(delta.champion)}, {delta.difference:+.3f}{sure}"


def _value(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"
