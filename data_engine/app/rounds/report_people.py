"""Who labelled and who reviewed, as lineage knows it, and how closely they looked, as the audit does."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from data_engine.app.annotation.audit import audit
from data_engine.app.annotation.costs import minutes_worked
from data_engine.errors import DataEngineError, MissingInputError
from data_engine.lineage import datasets, job_times, labour, version_counts

if TYPE_CHECKING:
    from data_engine.app.engine import Engine


def people(engine: Engine) -> dict[str, Any]:
    """``annotators`` and ``reviewers``, a row each, those who did most first."""
    from data_engine.selection.costs import CostModel

    settings = engine.settings.filter
    stated = CostModel.stated(settings.minutes_per_frame, settings.minutes_per_box)
    with engine.database.read() as connection:
        version = datasets.latest(connection)
        of_job = labour.annotators(connection)
        contents = job_times.contents(connection)
        changes = job_times.changes(connection)
        worked = minutes_worked(changes, contents, stated)
        looked = minutes_worked(changes, contents, stated, review=True)
        review_of = labour.reviewers(connection)
        back = labour.rejections(connection)
        hands = [] if version is None else version_counts.hand_groups(connection, version.number)
        decided = labour.deeds(connection)
    boxes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for group in hands:
        boxes[group.annotator or "-"][group.change] += group.boxes
    jobs, frames, timed, rejected = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    minutes: defaultdict[str, float] = defaultdict(float)
    for job, name in of_job.items():
        jobs[name] += 1
        frames[name] += contents[job][0] if job in contents else 0
        rejected[name] += back.get(job, 0)
        if job in worked:
            timed[name] += 1
            minutes[name] += worked[job]
    reviews, reviewing = Counter[str](), defaultdict[str, float](float)
    for job, name in review_of.items():
        if job in looked:
            reviews[name] += 1
            reviewing[name] += looked[job]
    reviewed: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for deed in decided:
        reviewed[deed.actor][deed.action] += deed.times
    return {
        "annotators": [
            {
                "annotator": name,
                "jobs": jobs[name],
                "frames": frames[name],
                "kept": boxes[name]["kept"],
                "edited": boxes[name]["edited"],
                "added": boxes[name]["added"],
                "minutes": round(minutes[name], 1) if timed[name] else None,
                "jobs_timed": timed[name],
                "rejections": rejected[name],
            }
            for name in sorted(jobs.keys() | boxes.keys(), key=lambda n: (-jobs[n], -boxes[n].total(), n))
        ],
        "reviewers": [
            {
                "reviewer": name,
                "accepted": reviewed[name]["accepted"],
                "rejected": reviewed[name]["rejected"],
                "minutes": round(reviewing[name], 1) if reviews[name] else None,
                "jobs_timed": reviews[name],
            }
            for name in sorted(reviewed, key=lambda n: (-reviewed[n].total(), n))
        ],
    }


def looked_at(engine: Engine, notes: list[str]) -> dict[str, Any] | None:
    """What ``review audit`` tells of the jobs that were handed in; None where there is none, or the server is away.

    Args:
        engine: the workspace.
        notes: gets why it could not be told.
    """
    try:
        found = audit(engine)
    except MissingInputError:
        return None
    except DataEngineError as error:
        notes.append(f"how closely people looked is not told: {error.message}")
        return None
    return {"annotators": [dict(row) for row in found.rows], **found.data, "told": list(found.notes)}
