"""One turn of the loop, with a ground truth in the place of the people."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_engine.app.annotation.preannotate import OUTPUT, preannotate
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.convert import convert
from data_engine.app.engine import Engine
from data_engine.app.footage.sample import sample
from data_engine.app.merge.export import export
from data_engine.app.models.models import current_model
from data_engine.app.models.retrain import retrain
from data_engine.app.selection.filter import filter_frames
from data_engine.demo.people import Truth, Worked, work
from data_engine.types import Report


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one turn."""

    reports: dict[str, Report]
    """By step; ``filter`` is missing when the frames were named, ``preannotate`` when there was no model."""
    worked: Worked
    cpu_s: dict[str, float]
    """CPU seconds of this process, by step."""


def take_turn(
    engine: Engine, truth: Truth, *, annotator: str, reviewer: str, careless: bool = False, frames: Path | None = None
) -> Turn:
    """Sample, filter, preannotate (once there is a model), upload, annotate and review, export, convert, retrain.

    Args:
        engine: the workspace.
        truth: what annotators see.
        annotator: who annotates.
        reviewer: who reviews.
        careless: overlook a box, so that a job is rejected and corrected.
        frames: a list of frames to annotate, chosen by other means than ``filter``.
    """
    reports: dict[str, Report] = {}
    cpu_s: dict[str, float] = {}

    def step(name: str, command: Callable[[], Report]) -> None:
        began = time.process_time()
        reports[name] = command()
        cpu_s[name] = time.process_time() - began

    step("sample", lambda: sample(engine))
    if frames is None:
        step("filter", lambda: filter_frames(engine))
    proposals = None
    if current_model(engine, None) is not None:
        step("preannotate", lambda: preannotate(engine, frames=frames))
        # Frames that were named come with proposals that are named.
        proposals = None if frames is None else engine.root / OUTPUT
    step("upload", lambda: upload(engine, frames=frames, preannotations=proposals))
    worked = work(engine, truth, annotator=annotator, reviewer=reviewer, careless=careless)
    step("export", lambda: export(engine))
    step("convert", lambda: convert(engine))
    step("retrain", lambda: retrain(engine))
    return Turn(reports, worked, cpu_s)
