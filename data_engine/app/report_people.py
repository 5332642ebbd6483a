"""Who labelled and who reviewed, as lineage knows it: no annotation server is asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from data_engine.app.costs import minutes_worked
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
        worked = minutes_worked(job_times.changes(connection), contents, stated)
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
            {"reviewer": name, "accepted": reviewed[name]["accepted"], "rejected": reviewed[name]["rejected"]}
            for name in sorted(reviewed, key=lambda n: (-reviewed[n].total(), n))
        ],
    }
