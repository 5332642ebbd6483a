"""Measuring models on labelled pictures, one by itself or two side by side."""

from __future__ import annotations

from dataclasses import replace

from data_engine.app.engine import Engine
from data_engine.app.models.evaluation_matches import seen_by, true_boxes
from data_engine.app.models.evaluation_measure import Measurement, measure, of_both, remarks
from data_engine.app.models.evaluation_record import record
from data_engine.app.models.evaluation_sets import evaluation_set as evaluation_set
from data_engine.app.models.models import registered_classes
from data_engine.errors import MissingInputError, UsageError
from data_engine.types import Detections, Model, content_id
from data_engine.types.evaluation import Compared, Comparison, Evaluation, EvaluationSet
from data_engine.words import listed


def evaluate(engine: Engine, model: Model, on: EvaluationSet, measured: Measurement | None = None) -> Evaluation:
    """What a registered model is worth on a set of pictures; asked of the same again, no picture is looked at.

    Args:
        measured: what :func:`~data_engine.app.models.evaluation_measure.measure` gave of the same, where somebody has
            it.

    Raises:
        MissingInputError: the model's file is gone, or none of its classes is in the set.
        DamagedInputError: the model's file is damaged, or it numbers its classes otherwise than the registry.
        UsageError: a recall is wanted of a class that there is not.
    """
    from data_engine.metrics.outcomes import confusion
    from data_engine.stages import evaluate as stage

    settings = engine.settings.evaluate
    found = measure(engine, model, on) if measured is None else measured
    looked, footage, drawn = found.looked, found.footage, found.drawn
    strange = stage.unknown(settings, looked.names)
    nowhere = [name for name in strange if name not in registered_classes(engine)]
    if nowhere:
        raise UsageError(
            f"a recall is wanted of {listed(nowhere)}, and there is no such class",
            hint=f"the model's classes are: {listed(looked.names, most=20)}",
        )
    overall, per_class, by = stage.scores(found.part, looked.names, settings.level)
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
    notes = (*on.notes, *looked.notes, *remarks(engine, [looked], on, footage.stretches, found.what, settings))
    if strange:
        # Settings are for all models, and an older one need not have every class.
        notes += (f"{looked.opened.path.name} does not have {listed(strange)}: no threshold for it",)
    absent = [name for name, scores in per_class.items() if not scores.boxes]
    if absent:
        notes += (f"{on.name} has no box of {listed(absent)}: no number, and in no average",)
    record(engine, looked, on, evaluation, settings)
    return replace(evaluation, notes=notes)


def compare(
    engine: Engine,
    champion: Model,
    challenger: Model,
    on: EvaluationSet,
    *,
    metric: Compared | None = None,
    measured: tuple[Measurement, Measurement] | None = None,
) -> Comparison:
    """Two registered models on the same pictures, by the classes that both have.

    Args:
        metric: that of the settings by default.
        measured: the two, as of :func:`evaluate`.

    Raises:
        MissingInputError: as of :func:`evaluate`, or the models have no class in common.
    """
    from data_engine.stages import evaluate as stage

    settings = engine.settings.evaluate
    chosen = metric or settings.metric
    pair = measured or (measure(engine, champion, on), measure(engine, challenger, on))
    before, after = of_both(engine, *pair, on)
    first, second, footage = before.looked, after.looked, before.footage
    common = [name for name in first.names if name in second.names]
    if not common:
        raise MissingInputError(
            f"{first.opened.path.name} and {second.opened.path.name} have no class in common: "
            f"{listed(first.names)}; {listed(second.names)}",
            hint="compare models of the same classes",
        )
    labels = {name: (first.names.index(name), second.names.index(name)) for name in common}
    recalled = stage.recalls(first.matches, second.matches, labels, footage, before.drawn, settings)
    if chosen == "recall":
        overall, per_class, by = recalled
    else:
        mine, theirs = zip(*labels.values(), strict=True)
        parts = before.part.of(mine), after.part.of(theirs)
        overall, per_class, by = stage.deltas(*parts, common, chosen, settings.level)
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
        images=len(first.frames),
        boxes=overall.boxes,
        metric=chosen,
        level=settings.level,
        stretches=footage.stretches,
        overall=overall,
        per_class=per_class,
        per_camera=by["camera"],
        per_day=by["day"],
        per_size=by["size"],
        recall=recalled[1],
        unmeasured=tuple(name for name in common if name not in per_class),
        champion_only=tuple(only[0]),
        challenger_only=tuple(only[1]),
        notes=(*notes, *remarks(engine, [first, second], on, footage.stretches, before.what, settings)),
    )
