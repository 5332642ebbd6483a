"""Replay: what a history of labels would have brought, had each strategy chosen.

Every strategy of a seed begins with the same random pictures and the same first model, then picks, learns from what it
picked, and picks again.  Labels are known from the beginning and shown only once a picture is picked.  Nothing here
trains or opens a file: that is handed in.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_engine.metrics.intervals import Interval, paired_interval
from data_engine.selection.balance import unseen
from data_engine.selection.pool import FramePool
from data_engine.stages.filter import Context, choose
from data_engine.stages.simulate_settings import CONTROL, SimulateSettings
from data_engine.types import Detections, Frame, Selection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.selection.hunting import Hunted
    from data_engine.stages.filter_settings import FilterSettings

VERSION = 1


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture whose boxes are known."""

    frame: Frame
    boxes: tuple[tuple[str, tuple[float, float, float, float]], ...]
    """Class name, and left, top, width, height in pixels."""

    def count(self, name: str) -> int:
        """Boxes of a class."""
        return sum(label == name for label, _box in self.boxes)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a model that was trained on some pictures says."""

    predictions: Mapping[str, Detections]
    """On every picture of the pool, by frame id."""
    metrics: Mapping[str, Any]
    """On the test pictures: ``map``, ``map50``, ``ap50_per_class``."""


Learn = Callable[[Sequence[Labelled], int], Learned]
"""Trains on pictures, with a seed."""
Hunt = Callable[[Sequence[Frame], Mapping[str, Detections], Sequence[Labelled], tuple[str, ...]], "Hunted"]
"""Frames in the pool's order, a model's boxes on them, labelled pictures, and classes -> what looks like those."""


@dataclass(frozen=True, slots=True)
class Point:
    """One strategy after one round of one seed."""

    strategy: str
    seed: int
    round: int
    frames: int
    """Pictures labelled so far."""
    boxes: int
    """Boxes labelled so far."""
    rare_frames: int
    """Pictures with the rarest class among those picked in this round."""
    rare_boxes: int
    """Its boxes in them."""
    map: float
    map50: float
    rare_ap50: float


def rarest_class(pool: Sequence[Labelled], names: Sequence[str]) -> str:
    """The class with the fewest boxes in the pool, of those that have any; the first of equals.

    Raises:
        ValueError: no class has a box.
    """
    counts = Counter(label for picture in pool for label, _box in picture.boxes)
    present = [name for name in names if counts[name]]
    if not present:
        raise ValueError("no picture has a box")
    return min(present, key=lambda name: counts[name])


def first_pictures(pool: Sequence[Labelled], count: int, seed: int) -> list[Labelled]:
    """The pictures that everybody begins with: drawn at random, the same wherever they come from."""
    return random.Random(f"begin {seed}").sample(sorted(pool, key=lambda picture: picture.frame.id), count)


def replay(
    strategy: str,
    seed: int,
    pool: Sequence[Labelled],
    names: Sequence[str],
    settings: SimulateSettings,
    filtering: FilterSettings,
    *,
    learn: Learn,
    vectors: Callable[[Sequence[str]], NDArray[np.float32]],
    hunt: Hunt,
) -> list[Point]:
    """One strategy of one seed, round by round.

    Args:
        strategy: its name.
        seed: of the first pictures, the trainings and the random picks.
        pool: all pictures that may be picked.
        names: the classes.
        settings: how many pictures and rounds.
        filtering: the settings of ``filter`` for everything but the strategy, budget and seed.
        learn: trains a model.
        vectors: frame ids -> ``(n, d)`` unit vectors of these frames.
        hunt: finds what looks like labelled boxes.
    """
    rare = rarest_class(pool, names)
    labelled = first_pictures(pool, settings.initial, seed)
    picked = labelled
    points: list[Point] = []
    for number in range(settings.rounds):
        learned = learn(labelled, seed)
        points.append(_point(strategy, seed, number, labelled, picked, rare, learned.metrics))
        have = {picture.frame.id for picture in labelled}
        rest = [picture for picture in pool if picture.frame.id not in have]
        if number == settings.rounds - 1 or not rest:
            break
        chosen = pick(strategy, seed, rest, labelled, names, settings.step, filtering, learned, vectors, hunt)
        by_id = {picture.frame.id: picture for picture in rest}
        picked = [by_id[row.frame_id] for row in chosen.frames]
        if not picked:
            break
        labelled = [*labelled, *picked]
    return points


def pick(
    strategy: str,
    seed: int,
    rest: Sequence[Labelled],
    labelled: Sequence[Labelled],
    names: Sequence[str],
    step: int,
    filtering: FilterSettings,
    learned: Learned,
    vectors: Callable[[Sequence[str]], NDArray[np.float32]],
    hunt: Hunt,
) -> Selection:
    """What ``filter`` would choose, by its own code, from the pictures that are left."""
    counts = {name: sum(picture.count(name) for picture in labelled) for name in names}
    settings = filtering.model_copy(
        update={"strategy": strategy, "budget": step, "budget_boxes": None, "budget_minutes": None, "seed": seed}
    )
    frames = [picture.frame for picture in rest]
    pool = FramePool.of(frames, learned.predictions, tuple(names))
    by_id = {frame.id: frame for frame in frames}
    hunted = None
    if strategy == "hybrid" and (blind := unseen(learned.metrics["ap50_per_class"], counts, settings.targets)):
        ordered = [by_id[frame_id] for frame_id in pool.frame_ids]
        hunted = hunt(ordered, learned.predictions, labelled, blind)
    context = Context(
        embeddings=lambda rows: vectors([pool.frame_ids[row] for row in rows.tolist()]),
        labelled=vectors([picture.frame.id for picture in labelled]),
        hunted=hunted,
    )
    return choose(pool, label_counts=counts, settings=settings, model_id="simulated", context=context)


def _point(
    strategy: str,
    seed: int,
    number: int,
    labelled: Sequence[Labelled],
    picked: Sequence[Labelled],
    rare: str,
    metrics: Mapping[str, Any],
) -> Point:
    return Point(
        strategy,
        seed,
        number,
        frames=len(labelled),
        boxes=sum(len(picture.boxes) for picture in labelled),
        rare_frames=sum(picture.count(rare) > 0 for picture in picked),
        rare_boxes=sum(picture.count(rare) for picture in picked),
        map=float(metrics["map"] or 0.0),
        map50=float(metrics["map50"] or 0.0),
        rare_ap50=float(metrics["ap50_per_class"].get(rare) or 0.0),
    )


# --- comparison ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """A strategy against random, paired by seed; differences of a metric are its mean over the rounds with picks."""

    strategy: str
    map_frames: Interval
    """mAP at equal numbers of pictures."""
    rare_frames: Interval
    """AP50 of the rarest class at equal numbers of pictures."""
    map_boxes: Interval | None
    """mAP at equal numbers of boxes; None where the numbers never meet."""
    rare_boxes: Interval | None
    picked_rare_frames: float | None
    """Pictures with the rarest class that it picked in the first round, as a multiple of random's; None for 0 of 0."""
    picked_rare_boxes: float | None
    map_last: float
    """Mean mAP after the last round."""
    rare_last: float
    boxes_last: float
    """Mean number of boxes labelled in the end."""


def compare(points: Sequence[Point], strategy: str) -> Comparison:
    """A strategy, or random itself, against random.

    Equal boxes: each run's metric is drawn as a line over the boxes labelled; the difference is its mean over the
    boxes that both runs of a seed have come by, beyond the pictures that they began with.

    Raises:
        ValueError: a seed in which one of the two has no point.
    """
    mine, theirs = _by_seed(points, strategy), _by_seed(points, CONTROL)
    if mine.keys() != theirs.keys() or not mine:
        raise ValueError(f"{strategy} and {CONTROL} were played with other seeds: {sorted(mine)}, {sorted(theirs)}")
    pairs = [(mine[seed], theirs[seed]) for seed in sorted(mine)]

    def at_frames(metric: str) -> Interval:
        found = paired_interval([_mean_difference(a, b, metric) for a, b in pairs])
        assert found is not None
        return found

    def at_boxes(metric: str) -> Interval | None:
        found = [_at_equal_boxes(a, b, metric) for a, b in pairs]
        return paired_interval([value for value in found if value is not None])

    last = [run[-1] for run, _other in pairs]
    return Comparison(
        strategy,
        at_frames("map"),
        at_frames("rare_ap50"),
        at_boxes("map"),
        at_boxes("rare_ap50"),
        _ratio(pairs, "rare_frames"),
        _ratio(pairs, "rare_boxes"),
        float(np.mean([point.map for point in last])),
        float(np.mean([point.rare_ap50 for point in last])),
        float(np.mean([point.boxes for point in last])),
    )


def recommended(comparisons: Sequence[Comparison]) -> str:
    """The strategy whose worth is shown: random unless another is better beyond its interval.

    Better is: above random at equal pictures, in mAP or for the rarest class, with the whole interval; and with no
    interval, of either metric, at equal pictures or boxes, wholly below it.  Of several, the one that gained most of
    both metrics at equal pictures.
    """
    shown = []
    for row in comparisons:
        intervals = [row.map_frames, row.rare_frames, *(i for i in (row.map_boxes, row.rare_boxes) if i is not None)]
        wins = row.map_frames.above or row.rare_frames.above
        if row.strategy != CONTROL and wins and not any(interval.below for interval in intervals):
            shown.append(row)
    best = max(shown, key=lambda row: row.map_frames.mean + row.rare_frames.mean, default=None)
    return CONTROL if best is None else best.strategy


Run = list[Point]


def _by_seed(points: Sequence[Point], strategy: str) -> dict[int, Run]:
    found: dict[int, Run] = {}
    for point in sorted(points, key=lambda point: point.round):
        if point.strategy == strategy:
            found.setdefault(point.seed, []).append(point)
    return found


def _mean_difference(a: Run, b: Run, metric: str) -> float:
    rounds = list(zip(a[1:], b[1:], strict=False)) or [(a[0], b[0])]
    return float(np.mean([getattr(x, metric) - getattr(y, metric) for x, y in rounds]))


def _at_equal_boxes(a: Run, b: Run, metric: str, steps: int = 101) -> float | None:
    start, end = a[0].boxes, min(a[-1].boxes, b[-1].boxes)
    if end <= start:
        return None
    grid = np.linspace(start, end, steps)
    lines = [np.interp(grid, [p.boxes for p in run], [getattr(p, metric) for p in run]) for run in (a, b)]
    # They begin as one: the mean over the whole is that over the area between the two.
    return float(np.trapezoid(lines[0] - lines[1], grid) / (end - start))


def _ratio(pairs: Sequence[tuple[Run, Run]], field: str) -> float | None:
    picks = [(a[1], b[1]) for a, b in pairs if len(a) > 1 and len(b) > 1]
    mine, theirs = (sum(getattr(pair[side], field) for pair in picks) for side in (0, 1))
    return mine / theirs if theirs else None
