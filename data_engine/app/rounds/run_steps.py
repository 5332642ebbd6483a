"""The steps that ``run`` takes, each within what its round may cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from data_engine.app.annotation.preannotate import preannotate
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.convert import convert
from data_engine.app.engine import Engine
from data_engine.app.merge.export import export
from data_engine.app.models.promote import consider
from data_engine.app.models.promote_report import remarks_on
from data_engine.app.models.promote_report import report as decided
from data_engine.app.models.retrain import retrain
from data_engine.app.selection.filter import filter_frames
from data_engine.lineage import models
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.rounds.rounds import Budget


def cpu_s() -> float:
    """CPU seconds of this process and of those that it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _decide(engine: Engine) -> Report:
    """Whether the model that was trained last comes into use; that it does not is no failure of the walk."""
    with engine.database.read() as connection:
        model = models.trained_last(connection)
    assert model is not None  # nothing is to be decided otherwise
    decision = consider(engine, model)
    return replace(decided(model, decision, dry_run=False), failures=(), notes=remarks_on(decision))


def _filter(engine: Engine, budget: Budget) -> Report:
    """Choose within what the round may cost and what ``[filter]`` says, whichever is less."""
    settings, room = engine.settings.filter, budget.room
    less: dict[str, Any] = {}
    if room.frames is not None:
        less["budget"] = min(room.frames, settings.budget or room.frames)
    if room.minutes is not None:
        less["budget_minutes"] = min(room.minutes, settings.budget_minutes or room.minutes)
    with _set(engine, filter=settings.model_copy(update=less)):
        return filter_frames(engine)


@contextmanager
def _set(engine: Engine, **sections: Any) -> Iterator[None]:
    """Other settings for a while."""
    before = engine.settings
    engine.settings = before.model_copy(update=sections)
    try:
        yield
    finally:
        engine.settings = before


STEPS: Mapping[str, Callable[[Engine, Budget], Report]] = {
    "filter": _filter,
    "preannotate": lambda engine, _budget: preannotate(engine),
    "upload": lambda engine, budget: upload(engine, only=budget.fit),
    "export": lambda engine, _budget: export(engine),
    "convert": lambda engine, _budget: convert(engine),
    "retrain": lambda engine, _budget: retrain(engine),
    "promote": lambda engine, _budget: _decide(engine),
}
"""By the command's name; each gets the workspace and what the round under way may still cost."""
