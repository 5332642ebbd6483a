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
from data_engine.errors import UsageError
from data_engine.types import Failed, Report
from data_engine.words import counted

_STEPS: dict[str, Callable[[Engine], Report]] = {
    "filter": filter_frames,
    "preannotate": preannotate,
    "upload": upload,
    "export": export,
    "convert": convert,
    "retrain": retrain,
}


def run(engine: Engine) -> Report:
    """Sample the videos that never were, then take every step that needs nobody.

    Safe to call again at any time, also while people are at work: what is done is not done again.

    Raises:
        UsageError: what ``convert`` is to write is not what is trained on.
    """
    _refuse_other_format(engine)
    done: list[tuple[str, Report]] = []
    if engine.storage.path(INPUT).is_dir() and any(engine.storage.list(INPUT, unreadable=lambda _folder: None)):
        done.append(("sample", sample(engine, only_new=True)))
    proposed = False
    now = standing(engine)
    while (step := _next(now, proposed=proposed)) is not None:
        report = _STEPS[step](engine)
        done.append((step, report))
        engine.progress.note(f"{step}: {report.title}")
        proposed = step == "preannotate"
        before, now = now, standing(engine)
        # A step that moved nothing on (all of its inputs failed, or there is nothing left) would do so for ever.
        if now == before and not proposed:
            break
    failures: list[Failed] = [failure for _step, report in done for failure in report.failures]
    return Report(
        title=_where(now),
        data={"steps": len(done), "jobs_waiting_for_people": now.open_jobs, "frames": now.frames},
        rows=tuple({"step": step, "result": report.title} for step, report in done),
        notes=tuple(note for _step, report in done for note in report.notes),
        failures=tuple(failures),
        next=now.next(),
    )


def _refuse_other_format(engine: Engine) -> None:
    """The walk would stand before the training for ever, without a word why."""
    wanted, kind = engine.settings.convert.format, engine.settings.retrain.kind
    if wanted not in ("all", kind):
        raise UsageError(
            f"run trains a {kind} model, and [convert] format {wanted} writes no folder to train it on",
            hint=f"dataengine run --convert-format {kind}; and for other tools: dataengine convert --format {wanted}",
        )


def _next(now: Standing, *, proposed: bool) -> str | None:
    """The step to take now; None when a person is needed, or there is nothing to work on."""
    if now.waiting_frames:
        return "preannotate" if now.has_model and not (proposed or now.proposed) else "upload"
    if now.unmerged or not now.written:
        return "export"
    if now.open_jobs:
        return None
    if now.version is not None and now.version.number > now.model_version:
        return "retrain" if now.converted else "convert"
    return "filter" if now.frames else None


def _where(now: Standing) -> str:
    if not now.frames:
        return f"there is no frame yet: put videos into {INPUT}/"
    if now.open_jobs:
        return f"waiting for people: {counted(now.open_jobs, 'job')}"
    return "nothing is left to choose: every frame was annotated, or looks like one that was"
