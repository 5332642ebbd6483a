"""What models were measured to be worth: on one set of pictures, and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from data_engine.types.footage import Frame

Metric = Literal["map", "map50"]
"""``map`` is the mean average precision over the overlaps 0.50, 0.55 … 0.95, ``map50`` at 0.50 alone."""
Compared = Literal["map", "map50", "recall"]
"""What two models are held against each other by; ``recall`` is that at the overlap 0.50 where both raise as many false
alarms (:mod:`data_engine.metrics.equal_alarms`)."""
EvaluatedOn = Literal["golden", "validation", "folder"]


@dataclass(frozen=True, slots=True)
class TruthBox:
    """A box that is there to be found."""

    label: str
    """Class name of today."""
    xywh: tuple[float, float, float, float]
    """Left, top, width, height in pixels of the frame."""
    crowd: bool = False
    """A region of many objects: what is found inside counts neither for nor against a model."""


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Pictures with all that is to be found in them."""

    kind: EvaluatedOn
    name: str
    """For people: ``golden set of v4``, ``validation of v3``, a folder."""
    frames: tuple[Frame, ...]
    """In the order of their ids; each picture is there."""
    boxes: Mapping[str, Sequence[TruthBox]]
    """By frame id; a frame without boxes may be left out."""
    digest: str
    """Content id of the frames and their boxes: equal ones are one set, whatever it is called."""
    version_id: str | None = None
    """The dataset version that it is of; None for a folder."""
    missing: int = 0
    """Pictures that are no longer on the disk, and so of no use."""
    notes: tuple[str, ...] = ()
    """What people should know of the choice: that there is no golden set yet …"""


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its confidence interval."""

    value: float | None
    """None where it is not defined: an average over no box."""
    low: float | None = None
    """None where there is no interval: no value, or fewer than two independent stretches of footage."""
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """The COCO metrics on some pictures or of some boxes."""

    map: Measured
    map50: Measured
    recall: float | None
    """Mean over the overlaps of the share of boxes that are found at all, with 100 boxes a picture (COCO's AR)."""
    images: int
    """Pictures that were looked at."""
    boxes: int
    """That are there to be found; regions of many objects not counted."""

    def of(self, metric: Metric) -> Measured:
        """The metric of that name."""
        return self.map if metric == "map" else self.map50


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which score on a class's boxes are taken, for a wanted recall."""

    wanted: float
    """Share of the class's boxes that are to be found, above 0 to 1."""
    score: float | None
    """The highest that reaches it, or the lowest that there is where none does; None for a class without a box."""
    reached: bool
    recall: Measured
    precision: Measured
    """At :attr:`score`."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often boxes of about the same score are right."""

    error: float | None
    """Expected calibration error; None without a box."""
    boxes: int
    bins: tuple[tuple[float, float, int], ...]
    """Mean score, share that is right, and boxes, from the lowest score up."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """What boxes of each class are taken for."""

    names: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    """True classes down and said ones across, in the order of :attr:`names`, then what is there and not seen (the last
    column), and what is seen and not there (the last row)."""
    iou: float
    """Overlap from which a box is at the place of a true one."""
    score: float
    """Boxes of less are not looked at."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision against recall of one class at the overlap 0.50, at COCO's 101 levels of recall 0, 0.01 … 1."""

    precision: tuple[float, ...]
    score: tuple[float, ...]
    """At which each level is reached; 0 for those that are not."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one model is worth on one set of pictures."""

    id: str
    """Content id of model, set, settings and environment."""
    model_id: str
    on: str
    """Name of the set."""
    data_digest: str
    images: int
    boxes: int
    """Of the model's classes."""
    class_names: tuple[str, ...]
    """The model's, as they are called today."""
    overall: Scores
    per_class: Mapping[str, Scores]
    per_size: Mapping[str, Scores]
    """``small``, ``medium``, ``large``: COCO's, by the box's area in pixels, below 32², below 96², from there on."""
    per_camera: Mapping[str, Scores]
    per_day: Mapping[str, Scores]
    """ISO 8601 dates; ``unknown`` for frames of which nobody knows when they were filmed."""
    thresholds: Mapping[str, Threshold]
    """By class."""
    reliability: Mapping[str, Reliability]
    """By class."""
    calibration: Reliability
    """Of all classes together."""
    curves: Mapping[str, Curve]
    confusion: Confusion
    stretches: int
    """Independent stretches of footage: what the intervals resample."""
    predicted_now: int = 0
    """Pictures that the model had to be asked about."""
    cached: bool = False
    """Whether the matching was done before."""
    notes: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Delta:
    """A metric of two models on the same pictures."""

    champion: float | None
    """None where it is not defined: no box of the class, no picture of the camera."""
    challenger: float | None
    difference: float | None
    """``challenger - champion``; None where either is."""
    low: float | None
    """The difference's confidence interval, from a paired bootstrap; None where there is none: no difference, or fewer
    than two independent stretches of footage."""
    high: float | None
    images: int
    """Pictures that were looked at; for a class those that hold a box of it."""
    boxes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models side by side on the same pictures, by the classes that both have."""

    champion_id: str
    challenger_id: str
    on: str
    """Name of the set: ``golden set of v4``, ``validation of v3``, a folder."""
    kind: EvaluatedOn
    data_digest: str
    images: int
    boxes: int
    """Of the common classes."""
    metric: Compared
    level: float
    """Of the intervals."""
    stretches: int
    """Independent stretches of footage: what the bootstrap resamples; few make rough intervals."""
    overall: Delta
    per_class: Mapping[str, Delta]
    """Of the common classes that have a box; a class without one is in :attr:`unmeasured`."""
    per_camera: Mapping[str, Delta]
    per_day: Mapping[str, Delta]
    per_size: Mapping[str, Delta]
    recall: Mapping[str, Delta] = field(default_factory=dict)
    """By class, whatever :attr:`metric` is: the recall where both raise as many false alarms as the first one may."""
    unmeasured: tuple[str, ...] = ()
    """Common classes without a box on these pictures: nothing is said of them."""
    champion_only: tuple[str, ...] = ()
    """Classes that the challenger does not have: left out."""
    challenger_only: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
