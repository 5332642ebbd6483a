"""Measuring models on labelled pictures, one by itself or two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.evaluation_footage import footage_of
from data_engine.app.evaluation_matches import Looked, look, seen_by, true_boxes
from data_engine.app.evaluation_record import record
from data_engine.app.evaluation_sets import evaluation_set as evaluation_set
from data_engine.app.models import registered_classes
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage.seen_by import learned_from
from data_engine.types import Detections, Frame, Model, content_id
from data_engine.types.evaluation import Comparison, Evaluation, EvaluationSet, Metric
from data_engine.words import counted, listed

if TYPE_CHECKING:
    from data_engine.metrics.matching import Matches
    from data_engine.stages.evaluate import EvaluateSettings

_FEW = 10
"""Stretches of footage below which intervals are rough."""


def evaluate(engine: Engine, model: Model, on: EvaluationSet) -> Evaluation:
    """What a registered model is worth on a set of pictures; asked of the same again, no picture is looked at.

    Raises:
        MissingInputError: the model's file is gone, or none of its classes is in the set.
        DamagedInputError: the model's file is damaged, or it numbers its classes otherwise than the registry.
        UsageError: a recall is wanted of a class that there is not.
    """
    from data_engine.metrics.outcomes import confusion
    from data_engine.stages import evaluate as stage

    settings = engine.settings.evaluate
    looked = look(engine, model, on)
    strange = stage.unknown(settings, looked.names)
    nowhere = [name for name in strange if name not in registered_classes(engine)]
    if nowhere:
        raise UsageError(
            f"a recall is wanted of {listed(nowhere)}, and there is no such class",
            hint=f"the model's classes are: {listed(looked.names, most=20)}",
        )
    footage, what = footage_of(engine, looked.frames, on.digest)
    drawn = stage.draws(footage, settings)
    overall, per_class, by = stage.scores(stage.parts(looked.matches, footage, drawn), looked.names, settings.level)
    floor = engine.settings.filter.floor
    thresholds, curves, reliability, calibration = stage.operating(
        looked.matches, footage, drawn, looked.names, settings, floor
    )
    seen = seen_by(engine, looked.opened, looked.frames)
    evaluation = Evaluation(
        id=content_id("evaluation", looked.key, settings.fingerprint(), repr(floor)),
        model_id=model.id,
        on=on.name,
        data_digest=on.digest,
        images=len(looked.frames),
        boxes=overall.boxes,
        class_names=looked.names,
        overall=overall,
        per_class=per_class,
        per_size=by["size"],
        per_camera=by["camera"],
        per_day=by["day"],
        thresholds=thresholds,
        reliability=reliability,
        calibration=calibration,
        curves=curves,
        confusion=confusion(
            true_boxes(on, looked.frames, looked.names),
            [seen.get(frame.id, Detections.empty(len(looked.names))) for frame in looked.frames],
            looked.names,
            overlap=settings.iou,
            score=settings.score,
        ),
        stretches=footage.stretches,
        predicted_now=looked.predicted,
        cached=looked.cached,
    )
    notes = (*on.notes, *looked.notes, *_remarks(engine, [looked], on, footage.stretches, what, settings))
    if strange:
        # Settings are for all models, and an older one need not have every class.
        notes += (f"{looked.opened.path.name} does not have {listed(strange)}: no threshold for it",)
    absent = [name for name, scores in per_class.items() if not scores.boxes]
    if absent:
        notes += (f"{on.name} has no box of {listed(absent)}: no number, and in no average",)
    record(engine, looked, on, evaluation, settings)
    return replace(evaluation, notes=notes)


def compare(
    engine: Engine, champion: Model, challenger: Model, on: EvaluationSet, *, metric: Metric | None = None
) -> Comparison:
    """Two registered models on the same pictures, by the classes that both have.

    Args:
        metric: that of the settings by default.

    Raises:
        MissingInputError: as of :func:`evaluate`, or the models have no class in common.
    """
    from data_engine.stages import evaluate as stage

    settings = engine.settings.evaluate
    chosen = metric or settings.metric
    first, second = look(engine, champion, on), look(engine, challenger, on)
    common = [name for name in first.names if name in second.names]
    if not common:
        raise MissingInputError(
            f"{first.opened.path.name} and {second.opened.path.name} have no class in common: "
            f"{listed(first.names)}; {listed(second.names)}",
            hint="compare models of the same classes",
        )
    frames = [frame for frame in first.frames if frame in set(second.frames)]
    footage, what = footage_of(engine, frames, on.digest)
    drawn = stage.draws(footage, settings)
    before, after = (
        stage.parts(_of_frames(looked, frames), footage, drawn, [looked.names.index(name) for name in common])
        for looked in (first, second)
    )
    overall, per_class, by = stage.deltas(before, after, common, chosen, settings.level)
    if not overall.boxes:
        raise MissingInputError(
            f"{on.name} holds no box of the classes that both models have: {listed(common)}",
            hint="name another set: dataengine evaluate --on validation",
        )
    only = [name for name in first.names if name not in common], [name for name in second.names if name not in common]
    notes = (*on.notes, *first.notes, *(note for note in second.notes if note not in first.notes))
    if any(only):
        notes += (f"compared on the classes that both have: {listed(common)}; left out: {listed(only[0] + only[1])}",)
    return Comparison(
        champion_id=champion.id,
        challenger_id=challenger.id,
        on=on.name,
        kind=on.kind,
        data_digest=on.digest,
        images=len(frames),
        boxes=overall.boxes,
        metric=chosen,
        level=settings.level,
        stretches=footage.stretches,
        overall=overall,
        per_class=per_class,
        per_camera=by["camera"],
        per_day=by["day"],
        per_size=by["size"],
        unmeasured=tuple(name for name in common if name not in per_class),
        champion_only=tuple(only[0]),
        challenger_only=tuple(only[1]),
        notes=(*notes, *_remarks(engine, [first, second], on, footage.stretches, what, settings)),
    )


def _of_frames(looked: Looked, frames: Sequence[Frame]) -> Matches:
    """The matches of these of its frames."""
    if len(frames) == len(looked.frames):
        return looked.matches
    place = {frame.id: row for row, frame in enumerate(looked.frames)}
    return looked.matches.of([place[frame.id] for frame in frames])


def _remarks(
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
