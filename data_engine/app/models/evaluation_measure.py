"""A model looked at on a set of pictures, with all the averages of it: measured once, whoever asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.models.evaluation_footage import footage_of
from data_engine.app.models.evaluation_matches import Looked, look
from data_engine.lineage.seen_by import learned_from
from data_engine.types import Model
from data_engine.types.evaluation import EvaluationSet
from data_engine.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.stages.evaluate import EvaluateSettings, Footage, Part

_FEW = 10
"""Stretches of footage below which intervals are rough."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """One model on one set."""

    looked: Looked
    footage: Footage
    what: str
    """What the stretches of footage are, in words."""
    drawn: NDArray[np.integer] | None
    """The resamples; None where there are too few stretches."""
    part: Part
    """By place among the model's classes of today."""


def measure(engine: Engine, model: Model, on: EvaluationSet) -> Measurement:
    """Look at a registered model on a set of pictures, and average.

    Raises:
        MissingInputError: the model's file is gone, or none of its classes is in the set.
        DamagedInputError: the model's file is damaged, or it numbers its classes otherwise than the registry.
    """
    from data_engine.stages import evaluate as stage

    looked = look(engine, model, on)
    footage, what = footage_of(engine, looked.frames, on.digest)
    drawn = stage.draws(footage, engine.settings.evaluate)
    return Measurement(looked, footage, what, drawn, stage.parts(looked.matches, footage, drawn))


def of_both(engine: Engine, one: Measurement, other: Measurement, on: EvaluationSet) -> tuple[Measurement, Measurement]:
    """Both on the pictures that both could be asked about."""
    from data_engine.stages import evaluate as stage

    if one.looked.frames == other.looked.frames:
        return one, other
    frames = [frame for frame in one.looked.frames if frame in set(other.looked.frames)]
    footage, what = footage_of(engine, frames, on.digest)
    drawn = stage.draws(footage, engine.settings.evaluate)
    first, second = (cut(each.looked, [frame.id for frame in frames]) for each in (one, other))
    return (
        Measurement(first, footage, what, drawn, stage.parts(first.matches, footage, drawn)),
        Measurement(second, footage, what, drawn, stage.parts(second.matches, footage, drawn)),
    )


def cut(looked: Looked, frame_ids: Sequence[str]) -> Looked:
    """A model on some of the frames that it was looked at on."""
    kept = set(frame_ids)
    places = [place for place, frame in enumerate(looked.frames) if frame.id in kept]
    return replace(looked, frames=tuple(looked.frames[place] for place in places), matches=looked.matches.of(places))


def remarks(
    engine: Engine, looked: Sequence[Looked], on: EvaluationSet, stretches: int, what: str, settings: EvaluateSettings
) -> list[str]:
    """What the numbers rest on."""
    from data_engine.stages.evaluate import MOST_WITH_INTERVALS

    notes = []
    if stretches < 2:
        notes.append(f"no intervals: {on.name} is one stretch of footage, and nothing tells how another would differ")
    else:
        rough = f", and of {stretches} they are rough" if stretches < _FEW else ""
        notes.append(
            f"{settings.level:.0%} intervals from {settings.resamples} resamples of {stretches} stretches of footage "
            f"({what}){rough}"
        )
    many = len({frame.camera for frame in on.frames})
    if many > MOST_WITH_INTERVALS:
        notes.append(f"of {many} cameras the {MOST_WITH_INTERVALS} with the most pictures have intervals")
    ids = {frame.id for frame in on.frames}
    for one in looked:
        with engine.database.read() as connection:
            learned, known = learned_from(connection, one.opened.model.id)
        if seen := len(ids & learned):
            may = "learned" if known else "may have learned"
            notes.append(
                f"{one.opened.path.name} {may} from {counted(seen, 'picture')} of {on.name}: there it shows what it "
                "remembers"
            )
    return notes
