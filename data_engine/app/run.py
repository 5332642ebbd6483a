"""``run``: walk the loop from where it stands to where a person is needed."""

from __future__ import annotations

from collections.abc import Callable

from data_engine.app.convert import convert
from data_engine.app.engine import Engine
from data_engine.app.export import export
from data_engine.app.filter import filter_frames
from data_engine.app.preannotate import preannotate
from data_engine.app.retrain import retrain
from data_engine.app.sample import INPUT, sample
from data_engine.app.status import Standing, standing
from data_engine.app.upload import upload
from data_engine.types import Failed, Report

_STEPS: dict[str, Callable[[Engine], Report]] = {
    "filter": filter_frames,
    "preannotate": preannotate,
    "upload": upload,
    "export": export,
    "convert": convert,
    "retrain": retrain,
}


def run(engine: Engine) -> Report:
    """Sample what is new, then take every step that needs nobody.

    Safe to call again at any time, also while people are at work: what is done is not done again.
    """
    done: list[tuple[str, Report]] = []
    if engine.storage.path(INPUT).is_dir() and any(engine.storage.list(INPUT)):
        done.append(("sample", sample(engine)))
    proposed = False
    while (step := _next(standing(engine), proposed=proposed)) is not None:
        report = _STEPS[step](engine)
        done.append((step, report))
        engine.progress.note(f"{step}: {report.title}")
        proposed = step == "preannotate"
        if step == "filter" and not report.data["chosen"]:
            break
    now = standing(engine)
    failures: list[Failed] = [failure for _step, report in done for failure in report.failures]
    return Report(
        title=_where(now),
        data={"steps": len(done), "jobs_waiting_for_people": now.open_jobs, "frames": now.frames},
        rows=tuple({"step": step, "result": report.title} for step, report in done),
        notes=tuple(note for _step, report in done for note in report.notes),
        failures=tuple(failures),
        next=now.next(),
    )


def _next(now: Standing, *, proposed: bool) -> str | None:
    """The step to take now; None when a person is needed, or there is nothing to work on."""
    if not now.frames:
        return None
    if now.waiting_frames:
        return "preannotate" if now.has_model and not proposed else "upload"
    if now.unmerged:
        return "export"
    if now.open_jobs:
        return None
    if now.version is not None and now.version.number > now.model_version:
        return "retrain" if now.converted else "convert"
    return "filter"


def _where(now: Standing) -> str:
    if not now.frames:
        return f"there is no frame yet: put videos into {INPUT}/"
    if now.open_jobs:
        return f"{now.open_jobs} jobs wait for people"
    return "every frame that the budget is worth has been annotated"
