"""``promote``: a challenger comes into use when it has shown what it has to; and the way back.

A decision is recorded first and then its file is put in place (:func:`data_engine.app.models.in_use.place`); killed
between the two, the next command that uses a model does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.app.engine import Engine
from data_engine.app.models.adopted import LOCK, model_in_use
from data_engine.app.models.fitness import Fitness, fitness, purged_with
from data_engine.app.models.in_use import SHORT, keep, place, refuse_changed
from data_engine.app.models.model_registry import model_named
from data_engine.app.models.models import registered_classes
from data_engine.app.models.promote_report import report
from data_engine.app.models.rollback import rollback as rollback
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import champions, footage, models
from data_engine.stages.promote import Decision, judge
from data_engine.types import Model, Report
from data_engine.words import listed

if TYPE_CHECKING:
    from data_engine.lineage.champions import Action
    from data_engine.types.evaluation import EvaluationSet


def promote(
    engine: Engine,
    *,
    model: str | None = None,
    on: str | None = None,
    force: bool = False,
    reason: str | None = None,
    actor: str | None = None,
    dry_run: bool = False,
) -> Report:
    """Hold a challenger against the model in use, and put it in its place if it may take it.

    Args:
        engine: the workspace.
        model: id or file; the model that was trained last by default.
        on: the pictures, as of :func:`data_engine.app.models.evaluation_sets.evaluation_set`.
        force: use it whatever speaks against it.
        reason: why; kept with the decision.
        actor: who decides; kept as well.
        dry_run: only tell.

    Raises:
        UsageError: forced without a reason; no ONNX file.
        MissingInputError: no such model, or nothing was trained yet; its weights are gone.
        DamagedInputError: its file is no model.
    """
    if force and not (reason or "").strip():
        raise UsageError("a model is not forced into use without a reason", hint='--force --reason "why"')
    challenger = model_named(engine, model or "newest")
    decision = consider(
        engine, challenger, asked=model is not None, on=on, force=force, reason=reason, actor=actor, dry_run=dry_run
    )
    return report(challenger, decision, dry_run=dry_run)


def consider(
    engine: Engine,
    challenger: Model,
    *,
    asked: bool = False,
    on: str | None = None,
    force: bool = False,
    reason: str | None = None,
    actor: str | None = None,
    dry_run: bool = False,
) -> Decision:
    """:func:`promote` for a registered model; the decision is recorded, but for one that was made before.

    Args:
        asked: whether somebody named it, who may have taken it out of use before.

    Raises:
        DamagedInputError: somebody wrote over its file; that is nothing to be overruled.
        UsageError: a tolerance, or the class that decides, of a class that there is not.
        MissingInputError: its weights are gone; there is no such set of pictures.
    """
    if not engine.storage.exists(challenger.key):
        raise MissingInputError(
            f"the weights of model {challenger.id[:SHORT]} are gone ({engine.shown(challenger.key)})",
            hint="dataengine models list shows those that are there",
        )
    if Path(challenger.key).suffix.lower() != ".onnx":
        raise UsageError(f"{engine.shown(challenger.key)} is no ONNX file, and only those come into use")
    refuse_changed(engine, challenger)
    refuse_unknown_names(engine)
    with engine.database.alone(LOCK):
        used, remarks = model_in_use(engine)
        if used is not None and used.id == challenger.id:
            return _already(engine, remarks)
        decision = _decided(engine, used, challenger, on, asked=asked)
        if force:
            decision = replace(decision, promoted=True, forced=bool(decision.reasons))
        decision = replace(decision, notes=(*remarks, *decision.notes))
        if not dry_run:
            _record(engine, challenger, decision, actor=actor, reason=reason)
    return decision


def _already(engine: Engine, remarks: Iterable[str]) -> Decision:
    """The decision by which the model in use came into use."""
    with engine.database.read() as connection:
        row = champions.newest(connection)
    assert row is not None  # it was found, or has just been recorded
    numbers = {name: value for name, value in row.detail.items() if name not in ("reasons", "notes", "on")}
    notes = (*remarks, "it is in use already")
    return Decision(True, (), notes, row.over_id, row.detail.get("on"), row.action == "forced", numbers)


def refuse_unknown_names(engine: Engine) -> None:
    """Nothing where every class and camera that ``[promote]`` names is known.

    Raises:
        UsageError: one is not: what it was to protect would be held to the usual tolerance without a word.
    """
    settings = engine.settings.promote
    registry = registered_classes(engine)
    named = [settings.decisive_class] if settings.decisive_class else []
    named += settings.named_classes
    strange = [name for name in dict.fromkeys(named) if name not in registry and name not in registry.retired]
    if registry and strange:
        raise UsageError(
            f"[promote] names {listed(strange)}, and there is no such class (registered: {listed(registry.names)})"
        )
    if not settings.named_cameras:
        return
    with engine.database.read() as connection:
        cameras = footage.cameras(connection)
    strange = [name for name in settings.named_cameras if name not in cameras]
    if strange:
        there = f"known: {listed(sorted(cameras), most=20)}" if cameras else "none is known yet"
        raise UsageError(f"[promote] names camera {listed(strange)}, and there is no such camera ({there})")


def _decided(engine: Engine, used: Model | None, challenger: Model, on: str | None, *, asked: bool = False) -> Decision:
    """The rule, with everything that speaks against a challenger at once."""
    from data_engine.app.models.evaluate import compare

    settings = engine.settings.promote
    where, missing = _pictures(engine, on)
    fit = fitness(engine, challenger, () if where is None else where.frames)
    with engine.database.read() as connection:
        back = champions.taken_back(connection, challenger.id)
    if back is not None:
        why = f": {back.reason}" if back.reason else ""
        (fit.notes if asked else fit.reasons).append(f"it was taken out of use on {back.at[:10]}{why}")
    if used is None:
        return _alone(fit, "no model was in use: nothing was compared")
    if where is None:
        return _unjudged(engine, fit, used, challenger, missing)
    try:
        comparison = compare(engine, used, challenger, where, metric=settings.metric)
    except DamagedInputError as error:
        # Of the challenger that was found out above.
        if fit.reasons:
            return _alone(fit, over=used)
        return _alone(fit, f"the model in use can't be asked, nothing was compared: {error.message}", over=used)
    except MissingInputError as error:
        return _unjudged(engine, fit, used, challenger, error.message)
    decision = judge(comparison, settings, stretches=_stretches(engine, where), bars=tuple(fit.reasons))
    remarks = list(fit.notes)
    with engine.database.read() as connection:
        if purged_with(connection, used.id) and not decision.promoted:
            remarks.append("the model in use was trained on footage that was purged: --force puts another in its place")
    return replace(
        decision,
        notes=tuple(dict.fromkeys((*remarks, *where.notes, *decision.notes))),
        numbers={**fit.numbers, **decision.numbers},
    )


def _unjudged(engine: Engine, fit: Fitness, used: Model, challenger: Model, why: str) -> Decision:
    """Where nothing can be measured, what has learned from a later version of the dataset may follow, and no other."""
    if not _learned_later(engine, used, challenger):
        fit.reasons.append(f"there is nothing to judge it on: {why}")
        return _alone(fit, over=used)
    return _alone(fit, f"there is nothing to judge it on, and it has learned from a later version: {why}", over=used)


def _learned_later(engine: Engine, used: Model, challenger: Model) -> bool:
    """Whether a challenger was trained here on a later version of the dataset than the model in use."""
    with engine.database.read() as connection:
        versions = {one.model.id: one.version for one in models.registered(connection)}
    return (versions.get(challenger.id) or 0) > (versions.get(used.id) or 0)


def _alone(fit: Fitness, note: str = "", *, over: Model | None = None) -> Decision:
    """What follows from a challenger alone."""
    return Decision(
        promoted=not fit.reasons,
        reasons=tuple(fit.reasons),
        notes=(*((note,) if note else ()), *fit.notes),
        over_id=None if over is None else over.id,
        numbers=dict(fit.numbers),
    )


def _pictures(engine: Engine, on: str | None) -> tuple[EvaluationSet | None, str]:
    """What is judged on, or why there is nothing."""
    from data_engine.app.models.evaluation_sets import evaluation_set

    try:
        return evaluation_set(engine, on), ""
    except MissingInputError as error:
        if on is not None:
            raise
        return None, str(error)


def _stretches(engine: Engine, where: EvaluationSet) -> dict[str, int]:
    """Independent stretches of footage that hold a box of each class, and that are of each camera."""
    from data_engine.app.models.evaluation_footage import footage_of

    footage, _what = footage_of(engine, where.frames, where.digest)
    seen: dict[str, set[int]] = {}
    for frame, unit in zip(where.frames, footage.units.tolist(), strict=True):
        seen.setdefault(f"camera:{frame.camera}", set()).add(unit)
        for box in where.boxes.get(frame.id, ()):
            if not box.crowd:
                seen.setdefault(box.label, set()).add(unit)
    return {part: len(units) for part, units in seen.items()}


def _record(engine: Engine, challenger: Model, decision: Decision, *, actor: str | None, reason: str | None) -> None:
    detail: dict[str, Any] = {
        "reasons": list(decision.reasons),
        "notes": list(decision.notes),
        "on": decision.on,
        **decision.numbers,
    }
    if decision.promoted:
        with engine.database.read() as connection:
            ours = any(row.run_id for row in models.registered(connection) if row.model.id == challenger.id)
        if not ours:
            challenger = keep(engine, challenger, engine.storage.path(challenger.key))
    action: Action = "forced" if decision.forced else "crowned"
    with engine.database.write() as connection:
        if not decision.promoted:
            before = champions.decisions(connection, challenger.id)
            if before and before[-1].refused and (before[-1].over_id, before[-1].detail) == (decision.over_id, detail):
                return
            champions.refuse(
                connection,
                challenger.id,
                challenger.kind,
                at=engine.now(),
                decision=detail,
                over_id=decision.over_id,
            )
            return
        champions.crown(
            connection,
            challenger.id,
            challenger.kind,
            at=engine.now(),
            decision=detail,
            action=action,
            over_id=decision.over_id,
            actor=actor,
            reason=reason,
        )
    place(engine)
