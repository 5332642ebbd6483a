"""``simulate``: known labels, replayed with every strategy."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.app.engine import Engine
from data_engine.app.footage.embed import embed_missing, stored_embeddings
from data_engine.app.selection.simulate_arms import Arms
from data_engine.app.selection.simulate_data import LabelledSet, from_coco, from_history
from data_engine.errors import DamagedInputError, UsageError
from data_engine.stages import simulate as stage
from data_engine.stages.simulate_settings import CONTROL
from data_engine.types import Report
from data_engine.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.metrics.intervals import Interval
    from data_engine.stages.simulate import Comparison, Point
    from data_engine.stages.simulate_settings import SimulateSettings

__all__ = ["Arms", "LabelledSet", "arms_of", "from_coco", "from_history", "play", "simulate"]


def simulate(
    engine: Engine, *, coco: Path | None = None, images: Path | None = None, output: Path | None = None
) -> Report:
    """Replay the newest dataset version, or a labelled COCO file, with every strategy.

    Args:
        coco: the file; by default the newest dataset version is replayed.
        images: the folder of its pictures; the file's own by default.
        output: where to write one line a strategy, seed and round.

    Raises:
        MissingInputError: nothing was accepted yet, or no picture is there.
        DamagedInputError: it is no COCO file, or a picture cannot be read.
        UsageError: fewer pictures than the rounds begin with, no box to learn from or to measure on.
    """
    if images is not None and coco is None:
        raise UsageError("--images are the pictures of a labelled file", hint="name it, too: --coco FILE")
    known = from_history(engine) if coco is None else from_coco(engine, coco, images)
    points = play(engine, known)
    written = None if output is None else engine.storage.key_of(output)
    if written is not None:
        engine.storage.write_bytes(written, _csv(points).encode())
    report = _report(engine.settings.simulate, known, points)
    return report if written is None else replace(report, data={**report.data, "points": engine.shown(written)})


def play(engine: Engine, known: LabelledSet) -> list[Point]:
    """Every strategy of every seed; what was trained before is not trained again.

    Raises:
        UsageError: as :func:`simulate`.
        DamagedInputError: a picture cannot be read.
    """
    settings = engine.settings.simulate
    _check(known, settings)
    arms = arms_of(engine, known)
    seeds = range(settings.first_seed, settings.first_seed + settings.seeds)
    runs = [(strategy, seed) for seed in seeds for strategy in settings.arms]
    executor, progress = engine.executor(settings.at_once), engine.progress
    progress.start("simulating", len(seeds) + len(runs) * (settings.rounds - 1), "models")
    try:
        # The models that all strategies of a seed share come first, so that no two processes train the same one.
        for _ in executor.map(arms.begin, seeds, advance=progress.advance):
            pass
        return [point for run in executor.map(arms.play, runs, advance=progress.advance) for point in run]
    finally:
        progress.finish()


def arms_of(engine: Engine, known: LabelledSet) -> Arms:
    """What every run needs.

    Raises:
        DamagedInputError: a picture cannot be read.
    """
    return Arms.of(engine, known, _vectors(engine, known))


def _check(known: LabelledSet, settings: SimulateSettings) -> None:
    if len(known.pool) < settings.initial + settings.step:
        raise UsageError(
            f"{counted(len(known.pool), 'picture')} to choose from are fewer than the {settings.initial} to begin with "
            f"and the {settings.step} of a round",
            hint="give smaller numbers: --initial, --step",
        )
    for what, pictures in (("choose from", known.pool), ("measure on", known.test)):
        if not any(picture.boxes for picture in pictures):
            raise UsageError(f"no picture to {what} has a box", hint="simulate replays labelled pictures")
    rare = stage.rarest_class(known.pool, known.names)
    if not any(picture.count(rare) for picture in known.test):
        raise UsageError(f"the rarest class, {rare}, has no box in the pictures to measure on", hint="--test-share")


def _vectors(engine: Engine, known: LabelledSet) -> Mapping[str, NDArray[np.float32]]:
    """What the pictures of the pool look like, by frame id; described once, as for ``filter``."""
    frames = [picture.frame for picture in known.pool]
    _made, failed = embed_missing(engine, frames)
    if failed:
        raise DamagedInputError(failed[0].reason)
    ids, vectors = stored_embeddings(engine, [frame.id for frame in frames])
    return dict(zip(ids, vectors, strict=True))


def _report(settings: SimulateSettings, known: LabelledSet, points: Sequence[Point]) -> Report:
    compared = [stage.compare(points, strategy) for strategy in settings.arms]
    best = stage.recommended(compared)
    rare = stage.rarest_class(known.pool, known.names)
    if not any(point.map > 0 for point in points):
        title = "nothing can be told: no model found anything; train longer (--passes, --epochs)"
    elif best == CONTROL:
        title = f"recommended: {best}, for nothing else is shown to be better beyond its interval"
    else:
        title = f"recommended: {best}, which is better than {CONTROL} beyond its interval"
    return Report(
        title=title,
        data={
            "recommended": best,
            "rarest_class": rare,
            "pool": len(known.pool),
            "test": len(known.test),
            "seeds": settings.seeds,
            "labelled_first": min(point.frames for point in points),
            "labelled_last": max(point.frames for point in points),
        },
        rows=tuple(_row(row) for row in compared),
        notes=(
            *known.notes,
            f"differences are against random with the same seed: means over the rounds, with 95 % intervals by "
            f"Student's t over {counted(settings.seeds, 'seed')}",
        ),
    )


def _row(row: Comparison) -> dict[str, Any]:
    control = row.strategy == CONTROL
    shown = {
        "map_at_equal_frames": row.map_frames,
        "rare_at_equal_frames": row.rare_frames,
        "map_at_equal_boxes": row.map_boxes,
        "rare_at_equal_boxes": row.rare_boxes,
    }
    return {
        "strategy": row.strategy,
        "map": round(row.map_last, 4),
        "rare_ap50": round(row.rare_last, 4),
        "boxes": round(row.boxes_last, 1),
        **{name: "" if control else _shown(interval) for name, interval in shown.items()},
        "rare_frames_x": _times(row.picked_rare_frames),
        "rare_boxes_x": _times(row.picked_rare_boxes),
    }


def _shown(interval: Interval | None) -> str:
    if interval is None:
        return "never met"
    return str(interval) if interval.pairs > 1 else f"{interval.mean:+.3f}"


def _times(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 2)


def _csv(points: Sequence[Point]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [entry.name for entry in fields(stage.Point)]
    writer.writerow(names)
    for point in points:
        writer.writerow([getattr(point, name) for name in names])
    return text.getvalue()
