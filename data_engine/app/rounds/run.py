"""``run``: walk the loop, round by round, from where it stands to where a person is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from data_engine.app.annotation.status_jobs import piles, rows_of
from data_engine.app.annotation.sync import sync
from data_engine.app.engine import Engine
from data_engine.app.footage.sample import INPUT, sample
from data_engine.app.rounds import rounds
from data_engine.app.rounds.round_rows import row_of
from data_engine.app.rounds.round_stop import HOW, lifted, new_cameras, told_of_lifting
from data_engine.app.rounds.run_steps import STEPS, cpu_s
from data_engine.app.status import Standing, standing
from data_engine.errors import ConflictError, ServiceError, UsageError
from data_engine.lineage import uploads
from data_engine.types import Failed, Report
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.app.rounds.rounds import Budget
    from data_engine.lineage.rounds import Round

_LOCK = "run"
_LOOKS = {"sample": "videos_sampled", "sync": "moved"}
"""Steps that are taken each time to see whether there is anything, and the number that says so."""
Why = Literal["people", "nothing", "budget", "rounds", "worth", "busy"]
"""What a walk stopped for: people are at work; nothing is left to do; the round's budget is spent; all rounds that were
asked for are done; the last rounds brought less than they cost; another run is at work here."""


@dataclass(slots=True)
class _Walk:
    """What was done on the way, and why it ended."""

    done: list[tuple[str, Report]] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)
    """CPU seconds by step."""
    why: Why = "nothing"
    told: str = ""
    """Why, in words, where :attr:`why` does not say it all."""
    verdict: Mapping[str, Any] | None = None
    ended: list[Round] = field(default_factory=list)
    """Rounds that have ended, in all."""
    now: Standing | None = None


def run(engine: Engine, *, anyway: bool = False, wait: Callable[[], object] | None = None) -> Report:
    """Sample the videos that never were, then take every step that needs nobody.

    Safe to call again at any time, also while people are at work: what is done is not done again.  Of two at the same
    time the second says so and does nothing.

    Args:
        engine: the workspace.
        anyway: begin another round although the last ones brought less than they cost.
        wait: called where people are at work, and then it goes on; None returns there.

    Raises:
        UsageError: what ``convert`` is to write is not what is trained on.
    """
    _refuse_other_format(engine)
    walk = _Walk()
    before = ""
    while True:
        try:
            with engine.database.alone_if_free(_LOCK) as free:
                if free:
                    _go(engine, walk, anyway=anyway)
                else:
                    walk.why = "busy"
            said = _where(walk)
        except (ServiceError, ConflictError) as error:
            if wait is None:
                raise
            said = f"{error.message}; tried again in a while"
            walk.why = "people"
        if wait is None or walk.why not in ("people", "busy"):
            return _report(engine, walk)
        # What stays as it is is said once.
        if said != before:
            engine.progress.note(f"{engine.now()[:19]} {said}")
        before, anyway = said, False
        wait()


def _go(engine: Engine, walk: _Walk, *, anyway: bool) -> None:
    """Walk to where nothing more can be done now."""
    walk.why, walk.told, walk.verdict = "nothing", "", None
    # What a run that was killed after its training left unrecorded.
    _record(engine, walk)
    if engine.storage.path(INPUT).is_dir() and any(engine.storage.list(INPUT, unreadable=lambda _folder: None)):
        _take(engine, walk, "sample", lambda: sample(engine, only_new=True))
    walk.now = now = standing(engine)
    if now.jobs and not engine.backend().edits_files:
        _take(engine, walk, "sync", lambda: sync(engine))
        now = standing(engine)
    proposed = False
    while True:
        budget = rounds.budget(engine, walk.ended, _waiting(engine, now))
        allowed = now if budget.fit is None else replace(now, waiting_frames=len(budget.fit))
        step = _next(allowed, proposed=proposed)
        if step == "filter" and not _another(engine, walk, budget, anyway=anyway):
            break
        if step is None:
            walk.why = "people" if now.open_jobs else "nothing"
            break
        _take(engine, walk, step, partial(STEPS[step], engine, budget))
        proposed = step == "preannotate"
        before, now = now, standing(engine)
        if step == "retrain":
            _record(engine, walk)
        # A step that moved nothing on (all of its inputs failed, or there is nothing left) would do so for ever.
        if now == before and not proposed:
            walk.why = "people" if now.open_jobs else "nothing"
            break
    walk.now = now


def _record(engine: Engine, walk: _Walk) -> None:
    """Record the rounds that ended, and what the model of the last one reaches."""
    walk.ended = rounds.record(engine)
    walk.ended[-1:] = [rounds.measure(engine, one) for one in walk.ended[-1:]]


def _take(engine: Engine, walk: _Walk, step: str, command: Callable[[], Report]) -> None:
    """Take a step and keep what it did and cost."""
    began = cpu_s()
    report = command()
    spent = cpu_s() - began
    rounds.count_cpu(engine, step, spent)
    walk.cpu_s[step] = walk.cpu_s.get(step, 0.0) + spent
    quiet = step in _LOOKS and not report.data.get(_LOOKS[step]) and not report.failures
    if not quiet:
        engine.progress.note(f"{step}: {report.title}")
    # While it waits, nothing happens often.
    if not quiet or all(name != step for name, _report in walk.done):
        walk.done.append((step, report))


def _waiting(engine: Engine, now: Standing) -> list[str]:
    """Frames of the newest selection that are in no task that exists, the most wanted first."""
    if now.selection is None or not now.waiting_frames:
        return []
    with engine.database.read() as connection:
        in_tasks = uploads.frames_in_tasks(connection, engine.backend().name, planned=False)
    return [row.frame_id for row in now.selection.frames if row.frame_id not in in_tasks]


def _another(engine: Engine, walk: _Walk, budget: Budget, *, anyway: bool) -> bool:
    """Whether people are to get more frames: what is left of this round's budget, or a further round's."""
    if budget.room.spent:
        walk.why, walk.told = "budget", f"the budget of round {budget.number} is spent"
        return False
    most = engine.settings.run.rounds
    if most is not None and len(walk.ended) >= most:
        walk.why, walk.told = "rounds", f"{len(walk.ended)} of {counted(most, 'round')} done"
        return False
    if not walk.ended or (walk.ended[-1].stop or {}).get("overruled_at"):
        return True
    found = rounds.verdict(engine, walk.ended)
    if isinstance(found, str):
        walk.verdict = {"go_on": True, "told": found}
        return True
    walk.verdict = found.as_json()
    last = walk.ended[-1]
    if found.go_on:
        if last.stop is not None:
            walk.ended[-1] = rounds.stop(engine, last, None)
        return True
    why = {**walk.verdict, "at": engine.now() if last.stop is None else last.stop["at"]}
    cameras = [] if anyway else new_cameras(engine, walk.ended)
    if anyway:
        why["overruled_at"] = engine.now()
    elif cameras:
        why = lifted(why, cameras, engine.now())
        engine.progress.note(told_of_lifting(cameras))
    if why != last.stop:
        walk.ended[-1] = rounds.stop(engine, last, why)
    walk.why, walk.told = "worth", f"{found.told}; {HOW}"
    return anyway or bool(cameras)


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
    if now.undecided:
        return "promote"
    return "filter" if now.frames else None


def _where(walk: _Walk) -> str:
    """Where the walk stands, in one line."""
    now = walk.now
    if walk.why == "busy":
        return "another run is at work here: nothing was done"
    if walk.why == "worth":
        return f"no further round: {walk.told}"
    if walk.why in ("budget", "rounds"):
        return f"no further frames: {walk.told}"
    if now is None or not now.frames:
        return f"there is no frame yet: put videos into {INPUT}/"
    if now.open_jobs:
        return f"waiting for people: {counted(now.open_jobs, 'job')}"
    return "nothing is left to choose: every frame was annotated, or looks like one that was"


def _report(engine: Engine, walk: _Walk) -> Report:
    now = walk.now
    if now is None:
        return Report(title=_where(walk), data={"stopped_for": walk.why, "steps": 0})
    failures: list[Failed] = [failure for _step, report in walk.done for failure in report.failures]
    waiting = piles(engine, [seen for seen in now.jobs if not seen.job.accepted])
    return Report(
        title=_where(walk),
        data={
            "stopped_for": walk.why,
            "steps": len(walk.done),
            "jobs_waiting_for_people": now.open_jobs,
            "frames": now.frames,
            "rounds_done": len(walk.ended),
            **({"verdict": walk.verdict} if walk.verdict is not None else {}),
            "waiting_for": [asdict(pile) for pile in waiting],
            "cpu_s": {step: round(spent, 2) for step, spent in walk.cpu_s.items()},
        },
        tables={
            "last_rounds": [row_of(engine, one) for one in walk.ended[-3:]],
            "people": rows_of(waiting, engine.clock()),
        },
        rows=tuple({"step": step, "result": report.title} for step, report in walk.done),
        notes=tuple(dict.fromkeys(note for _step, report in walk.done for note in report.notes)),
        failures=tuple(failures),
        next="dataengine run --anyway" if walk.why == "worth" else now.next(),
    )
