"""What a lead wants to see of the loop at a glance, as plain values for a page: counts, warnings, rounds, people.

Everything is what ``status``, ``report`` and ``review audit`` say, by the same functions; the annotation server is not
asked, what counts is what was seen of it last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

from data_engine.app.annotation.recorded_jobs import look_recorded
from data_engine.app.dataset.dataset_certificate import written, wrong_with
from data_engine.app.engine import Engine
from data_engine.app.status import status
from data_engine.errors import DataEngineError, MissingInputError
from data_engine.lineage import champions, choices, conflicts, datasets, job_times, models
from data_engine.types import Model
from data_engine.words import counted

_SHORT = 8
_LOOKED_BACK = timedelta(days=14)
_JOB = re.compile(r"job (\d+)\b")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the flow."""

    name: str
    count: int
    detail: str
    link: str
    """The page behind it; empty for none."""
    within: bool = False
    """Whether it is a part of the step before."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that somebody should look at."""

    kind: Literal["leak", "stale model", "dispute", "review", "not counted"]
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """Where the loop stands."""

    steps: tuple[Step, ...]
    next: str
    """The command to type now."""
    warnings: tuple[Concern, ...]
    runs: tuple[Mapping[str, Any], ...]
    """The newest runs: ``stage``, ``state``, ``attempts``, ``started_at``, ``finished_at``."""


def flow(engine: Engine) -> Flow:
    """Counts at every step, what comes next, and what is wrong by now."""
    said = status(engine, look_recorded(engine))
    with engine.database.read() as connection:
        used = champions.newest(connection)
        model = None if used is None else models.by_id(connection, used.model_id)
        number = choices.newest_number(connection)
    links = {
        "videos": "/frames",
        "frames sampled": "/frames",
        "hard frames": f"/selections/{number}" if number else "/selections",
        "tasks": "/review",
        "jobs": "/review",
        "dataset versions": "/versions",
        "models": "" if model is None else f"/lineage/model:{model.id}",
    }
    steps = tuple(
        Step(
            row["step"].strip(),
            row["count"],
            row["detail"],
            links.get(row["step"], "/review" if row["step"].startswith("  ") else ""),
            within=row["step"].startswith(" "),
        )
        for row in said.rows
    )
    return Flow(steps, said.next, tuple(_warnings(engine, model)), tuple(said.data["latest_runs"]))


def _warnings(engine: Engine, model: Model | None) -> list[Concern]:
    """What is wrong by now; ``model`` is the one in use."""
    with engine.database.read() as connection:
        newest = datasets.latest(connection)
        of = {version.id: version.number for version in datasets.versions(connection)}
        disputed = conflicts.open_ones(connection)
    if newest is None:
        return []
    found = []
    link = f"/versions/{newest.label}"
    certificate = written(engine, newest.number)
    if certificate is None or certificate["id"] != newest.id:
        found.append(Concern("leak", f"{newest.label} has no certificate: whether it leaks is not known", link))
    else:
        found += [Concern("leak", f"{newest.label}: {wrong}", link) for wrong in wrong_with(certificate)]
    trained_on = 0 if model is None else of.get(model.dataset_version_id or "", 0)
    if model is not None and 0 < trained_on < newest.number:
        behind = counted(newest.number - trained_on, "version")
        text = f"the model in use, {model.kind} {model.id[:_SHORT]}, was trained on v{trained_on}: {behind} behind"
        found.append(Concern("stale model", text, f"/lineage/model:{model.id}"))
    if disputed:
        text = f"{counted(len(disputed), 'frame')} on which two accepted jobs disagree wait for somebody"
        found.append(Concern("dispute", text, f"/frames/{quote(disputed[0].frame_id)}"))
    return found


def looked(engine: Engine) -> tuple[Concern, ...]:
    """What ``review audit`` finds suspicious in the jobs of the last days, each with the job to look at.

    Only of a local backend, whose files are read: a server would be asked for the boxes of every job.
    """
    from data_engine.app.annotation.audit import audit

    if not engine.backend().edits_files:
        text = "whether annotators look: every job would be read from the server; dataengine review audit"
        return (Concern("not counted", text),)
    try:
        said = audit(engine, since=(engine.clock() - _LOOKED_BACK).isoformat())
    except MissingInputError:
        return ()
    except DataEngineError as error:
        return (Concern("not counted", f"whether annotators look: {error.message}"),)
    return tuple(Concern("review", note, _job_link(note)) for note in said.notes)


def looked_stamp(engine: Engine) -> str:
    """Another text when jobs were handed in, accepted or rejected since."""
    with engine.database.read() as connection:
        return job_times.stamp(connection)


def _job_link(note: str) -> str:
    found = _JOB.match(note)
    return "" if found is None else f"/review/{found[1]}"


def history(engine: Engine) -> dict[str, Any]:
    """The rounds, the balance of the classes, and who did what, as the report tells them; nothing is measured anew."""
    from data_engine.app.rounds import report_rounds, rounds
    from data_engine.app.rounds.report_models import promotions
    from data_engine.app.rounds.report_people import people

    found = rounds.told(engine)
    return {
        "rounds": report_rounds.told(engine, found, None),
        "class_balance": report_rounds.class_balance(engine, found),
        "promotions": promotions(engine),
        **people(engine),
    }
