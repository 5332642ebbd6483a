"""What a model is worth on a set of pictures, and two models side by side; from what was matched, nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from data_engine.stages.base import StageSettings
from data_engine.types.evaluation import Metric, Threshold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from data_engine.metrics.matching import Matches
    from data_engine.metrics.measuring import Sampled
    from data_engine.metrics.operating import Judged
    from data_engine.types.evaluation import Curve, Delta, Reliability, Scores

VERSION = 1
STAGE = "evaluate"
RECALL = 0.9
"""Wanted of every class for which no other is named."""
MOST_WITH_INTERVALS = 50
"""Cameras, or days, that get an interval: those with the most pictures."""


class EvaluateSettings(StageSettings):
    """How models are measured."""

    metric: Metric = Field("map", description="What models are compared by: COCO's mAP, or mAP50.")
    recall: tuple[str, ...] = Field(("0.9",), description="Wanted of every class, or of one as CLASS=RECALL.")
    iou: float = Field(0.5, gt=0, le=1, description="Overlap of the confusion matrix and of the pictures.")
    score: float = Field(0.25, ge=0.01, le=1, description="Boxes below it are in neither of the two.")
    resamples: int = Field(1000, ge=100, le=100_000, description="Resamples of the footage, for intervals.")
    level: float = Field(0.95, gt=0.5, lt=1, description="Confidence of the intervals.")

    @field_validator("recall")
    @classmethod
    def _shares(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            share = text.rpartition("=")[2]
            try:
                fits = 0 < float(share) <= 1
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(f"{text!r} is not a share above 0 to 1, or CLASS=SHARE")
        return given

    def wanted(self) -> tuple[float, dict[str, float]]:
        """The recall wanted of every class, and those of single classes by name; the last that is given counts."""
        every, single = RECALL, {}
        for text in self.recall:
            name, equals, share = text.rpartition("=")
            if equals:
                single[name.strip()] = float(share)
            else:
                every = float(share)
        return every, single


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """How the pictures of a set hang together."""

    units: NDArray[np.integer]
    """``(pictures,)`` the stretch of footage of each, from 0."""
    stretches: int
    seed: int
    """Of the resamples: the same for the same set, so that any two models are compared on the same ones."""
    cameras: Sequence[str]
    """Of each picture."""
    days: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The metrics of a set, and of its parts."""

    overall: Sampled
    sizes: Mapping[str, Sampled]
    cameras: Mapping[str, Sampled]
    days: Mapping[str, Sampled]

    def of(self, labels: Sequence[int]) -> Part:
        """The same of some of its classes, by their places, in this order."""
        groups = (
            {name: one.of(labels) for name, one in group.items()} for group in (self.sizes, self.cameras, self.days)
        )
        return Part(self.overall.of(labels), *groups)


def draws(footage: Footage, settings: EvaluateSettings) -> NDArray[np.integer] | None:
    """The resamples of a set; None where it has too few independent stretches to say anything."""
    from data_engine.metrics.average_precision import draws_of
    from data_engine.metrics.measuring import LEAST_STRETCHES

    if footage.stretches < LEAST_STRETCHES:
        return None
    return draws_of(footage.stretches, settings.resamples, footage.seed)


def parts(matches: Matches, footage: Footage, drawn: NDArray[np.integer] | None) -> Part:
    """Everything that is an average precision.

    Args:
        matches: of the whole set.
        footage: of the same pictures.
        drawn: as of :func:`draws`.
    """
    from data_engine.metrics.matching import ALL, SIZES
    from data_engine.metrics.measuring import Subset, measure

    overall = measure(matches, footage.units, drawn)
    sizes = {
        name: measure(matches, footage.units, drawn, Subset(size))
        for size, (name, _low, _high) in enumerate(SIZES)
        if size != ALL
    }

    def grouped(names: Sequence[str]) -> dict[str, Sampled]:
        import numpy as np

        found, numbers, counts = np.unique(np.asarray(names, object), return_inverse=True, return_counts=True)
        if len(found) == 1:
            return {str(found[0]): overall}
        many = set(np.argsort(-counts, kind="stable")[:MOST_WITH_INTERVALS].tolist())
        return {
            str(name): measure(
                matches,
                footage.units,
                drawn if place in many else None,
                Subset(pictures=numbers == place),
            )
            for place, name in enumerate(found)
        }

    return Part(overall, sizes, grouped(footage.cameras), grouped(footage.days))


def scores(
    part: Part, names: Sequence[str], level: float
) -> tuple[Scores, dict[str, Scores], dict[str, dict[str, Scores]]]:
    """The metrics of the whole, of every class, and of every ``size``, ``camera`` and ``day`` by their names."""
    by = {"size": part.sizes, "camera": part.cameras, "day": part.days}
    return (
        part.overall.scores(level),
        {name: part.overall.scores(level, place) for place, name in enumerate(names)},
        {kind: {name: one.scores(level) for name, one in group.items()} for kind, group in by.items()},
    )


def deltas(
    champion: Part, challenger: Part, names: Sequence[str], metric: Metric, level: float
) -> tuple[Delta, dict[str, Delta], dict[str, dict[str, Delta]]]:
    """The same of two models of the same classes on the same pictures; classes without a box are left out."""
    from data_engine.metrics.measuring import delta

    kinds = {"size": "sizes", "camera": "cameras", "day": "days"}
    return (
        delta(champion.overall, challenger.overall, metric, level),
        {
            name: delta(champion.overall, challenger.overall, metric, level, place)
            for place, name in enumerate(names)
            if champion.overall.boxes[place]
        },
        {
            kind: {
                name: delta(one, getattr(challenger, field)[name], metric, level)
                for name, one in getattr(champion, field).items()
            }
            for kind, field in kinds.items()
        },
    )


def recalls(
    champion: Matches,
    challenger: Matches,
    labels: Mapping[str, tuple[int, int]],
    footage: Footage,
    drawn: NDArray[np.integer] | None,
    settings: EvaluateSettings,
) -> tuple[Delta, dict[str, Delta], dict[str, dict[str, Delta]]]:
    """As :func:`deltas`, of the recall where both raise as many false alarms as the first may.

    Args:
        champion: whose operating thresholds, for the wanted recall of each class, say how many that are.
        challenger: of the same pictures.
        labels: the common classes, each with its places among those of the two.
        footage: of the same pictures.
        drawn: as of :func:`draws`.
        settings: the recall that is wanted, and the level.
    """
    import numpy as np

    from data_engine.metrics.equal_alarms import recalls as recalled
    from data_engine.metrics.equal_alarms import taken
    from data_engine.metrics.matching import ALL, SIZES
    from data_engine.metrics.measuring import Subset

    every, single = settings.wanted()
    pair = taken(
        champion, challenger, list(labels.values()), [single.get(name, every) for name in labels], settings.level
    )

    def of(subset: Subset) -> tuple[Delta, list[Delta | None]]:
        return recalled(*pair, footage.units, drawn, settings.level, subset)

    def grouped(names: Sequence[str]) -> dict[str, Delta]:
        every = np.asarray(names, object)
        return {name: of(Subset(pictures=every == name))[0] for name in sorted(set(names))}

    overall, by_class = of(Subset())
    sizes = {name: of(Subset(size))[0] for size, (name, _low, _high) in enumerate(SIZES) if size != ALL}
    return (
        overall,
        {name: found for name, found in zip(labels, by_class, strict=True) if found is not None},
        {"size": sizes, "camera": grouped(footage.cameras), "day": grouped(footage.days)},
    )


def operating(
    matches: Matches,
    footage: Footage,
    drawn: NDArray[np.integer] | None,
    names: Sequence[str],
    settings: EvaluateSettings,
    floor: float,
) -> tuple[dict[str, Threshold], dict[str, Curve], dict[str, Reliability], Reliability]:
    """Thresholds, curves and calibration by class, and the calibration of all classes together.

    Args:
        floor: score below which boxes are noise, whose calibration is of no use.
    """
    from data_engine.metrics.operating import curve, judged_of, reliability, threshold

    every, single = settings.wanted()
    judged: dict[str, Judged] = {name: judged_of(matches, footage.units, label) for label, name in enumerate(names)}
    return (
        {name: threshold(one, single.get(name, every), drawn, settings.level) for name, one in judged.items()},
        {name: curve(one) for name, one in judged.items()},
        {name: reliability([one], floor) for name, one in judged.items()},
        reliability(judged.values(), floor),
    )


def unknown(settings: EvaluateSettings, names: Iterable[str]) -> list[str]:
    """The classes for which a recall is wanted and that the model does not have."""
    known = set(names)
    return [name for name in settings.wanted()[1] if name not in known]
