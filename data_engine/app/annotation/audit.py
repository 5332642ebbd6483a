"""``review audit``: what annotators did to the proposals, how fast, and whether they looked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from data_engine.app.annotation.audit_looks import accepted_looks, reviewer_rows, stamped_notes, stamped_rows
from data_engine.app.annotation.costs import minutes_worked
from data_engine.app.annotation.job_boxes import boxes_now, notice, submission
from data_engine.app.annotation.jobs import SeenJob, refresh
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import job_times, shown_boxes, uploads
from data_engine.lineage import probes as lineage_probes
from data_engine.types import Proposed, Report
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.stages.audit import AuditedJob, Person, Tally
    from data_engine.types import Box, Probe

_MOST_NOTES = 20


@dataclass(frozen=True, slots=True)
class _Past:
    """What the changes of a job tell."""

    handed_in: str | None = None
    """When it was handed in last, by the backend's clock."""
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class _Overlooked:
    """A probe that came back untouched."""

    job: int
    annotator: str | None
    frame: str
    probe: Probe
    reviewed: bool
    """Whether a reviewer accepted it, too."""

    def told(self, link: str) -> dict[str, Any]:
        box = self.probe.box
        return {
            "job": self.job,
            "annotator": self.annotator,
            "frame": self.frame,
            "kind": self.probe.kind,
            "label": box.label,
            "box": list(box.xywh),
            "accepted": self.reviewed,
            "open": link,
        }

    def sentence(self) -> str:
        accepted = " and was accepted" if self.reviewed else ""
        return (
            f"job {self.job} ({self.annotator or 'nobody named'}): the {self.probe.kind} {self.probe.box.label} box on "
            f"{self.frame} came back untouched{accepted}"
        )


def audit(engine: Engine, *, since: str | None = None) -> Report:
    """What became of the proposals in the jobs that were handed in, by annotator.

    Counted is what the annotator handed in, where somebody looked before the reviewer changed it; else what is there
    now.  A job that is back in annotation counts as it was handed in the last time.

    Args:
        since: only jobs that were handed in on this day or later, by the backend's clock; also a time.

    Raises:
        UsageError: ``since`` is no date.
        MissingInputError: no job was handed in.
    """
    from data_engine.selection.costs import CostModel
    from data_engine.stages.audit import Tally, by_person

    begin = None if since is None else _day(since)
    backend = engine.backend()
    seen = refresh(engine, backend)
    with engine.database.read() as connection:
        changes = job_times.changes(connection)
    past = {job: _past(list(told)) for job, told in groupby(changes, key=lambda change: change.job_id)}
    finished = [
        job
        for job in seen
        if (job.job.stage != "annotation" or job.job.state == "completed" or _of(past, job).handed_in is not None)
        and (begin is None or datetime.fromisoformat(_of(past, job).handed_in or job.job.updated_at) >= begin)
    ]
    if not finished:
        raise MissingInputError(
            "no job was handed in yet" if since is None else f"no job was handed in since {since}",
            hint="see what they wait for: dataengine review list",
        )
    settings = engine.settings.filter
    stated = CostModel.stated(settings.minutes_per_frame, settings.minutes_per_box)
    contents, now = {}, {}
    engine.progress.start("reading jobs", len(finished), "jobs")
    for job in finished:
        now[job.known.id] = boxes = boxes_now(engine, backend, job)
        if _submitted(engine, job, _of(past, job)) is None:
            notice(engine, backend, job)
        contents[job.known.id] = (len(boxes), sum(map(len, boxes.values())))
        engine.progress.advance()
    engine.progress.finish()
    minutes = minutes_worked(changes, contents, stated)
    audited: list[AuditedJob] = []
    overlooked: list[_Overlooked] = []
    for job in finished:
        entry, missed = _audited(engine, job, now[job.known.id], _of(past, job), minutes.get(job.known.id))
        audited.append(entry)
        overlooked += missed
    emptied = [entry for entry in audited if entry.work.emptied]
    rushed = [entry for entry in audited if entry.rushed(settings.minutes_per_frame)]
    people = by_person(audited)
    looks = accepted_looks(engine, finished)
    links = {number: backend.link_of(number) for number in {each.job for each in overlooked}}
    total = sum((person.work for person in people), Tally())
    return Report(
        title=f"{counted(len(audited), 'job')} of {counted(len(people), 'annotator')}",
        data={
            "jobs": len(audited),
            **_counts(total),
            "untouched_probes": [each.told(links[each.job]) for each in overlooked],
            "rushed_jobs": [
                {"job": e.number, "annotator": e.annotator, "frames": e.work.frames, "minutes": e.minutes}
                for e in rushed
            ],
            "emptied_jobs": [
                {"job": e.number, "annotator": e.annotator, "removed": e.work.removed, "probes": e.work.probes}
                for e in emptied
            ],
            **({"unlooked_jobs": stamped_rows(looks)} if looks else {}),
        },
        tables={"reviewers": reviewer_rows(looks)} if looks else {},
        rows=tuple(_row(person, rushed + emptied, overlooked) for person in people),
        notes=tuple(_notes(rushed, emptied, overlooked, stamped_notes(looks))),
        next=f"dataengine review show {overlooked[0].job}" if overlooked else "",
    )


def _audited(
    engine: Engine, seen: SeenJob, now: Mapping[str, Sequence[Box]], past: _Past, minutes: float | None
) -> tuple[AuditedJob, list[_Overlooked]]:
    """A finished job, and the probes in it that nobody touched to this moment or at its submission."""
    from data_engine.stages.audit import AuditedJob, Tally, compare, compare_reviewed
    from data_engine.stages.probes import uncaught

    least = engine.settings.export.match_iou
    kept = _submitted(engine, seen, past)
    made = now if kept is None else {name: rows for name, rows in kept.items() if name in now}
    with engine.database.read() as connection:
        ids = uploads.frame_names(connection, seen.known.task_id)
        of_job = {name: ids[name] for name in made if name in ids}
        shown = shown_boxes.proposals_on(connection, seen.known.task_id, of_job.values())
        watched = lineage_probes.on_frames(connection, seen.known.task_id, of_job.values())
    work = Tally()
    missed: list[_Overlooked] = []
    for name, frame_id in of_job.items():
        before = [Proposed(p.id, p.model_id, p.box) for p in shown.get(frame_id, ())]
        probes = watched.get(frame_id, [])
        work += compare(before, made[name], least, probes)
        still = {p.box.proposal_id for p in uncaught(now[name], probes).values()}
        missed += [
            _Overlooked(seen.job.id, seen.known.annotator, name, p, p.box.proposal_id in still and seen.job.accepted)
            for p in {p.box.proposal_id: p for p in uncaught(made[name], probes).values()}.values()
        ]
    if work.emptied:
        work = replace(work, caught=0)
    review = None
    if kept is not None and seen.job.accepted:
        review = compare_reviewed(kept, now, least)
    return AuditedJob(seen.job.id, seen.known.annotator, work, minutes, past.rejected, review), missed


def _day(text: str) -> datetime:
    """Midnight UTC of a date, or a time with or without its offset."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"--since {text}: not a date", hint="as in 2026-11-28, or 2026-11-28T14:30") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _of(past: Mapping[str, _Past], job: SeenJob) -> _Past:
    return past.get(job.known.id, _Past())


def _submitted(engine: Engine, seen: SeenJob, past: _Past) -> Mapping[str, Sequence[Box]] | None:
    """What the annotator handed in the last time; None where nobody looked then."""
    kept = submission(engine, seen.known.id)
    if kept is None or past.handed_in is None:
        return None
    # An older one: the job was handed in again since.
    late = datetime.fromisoformat(kept.updated_at) >= datetime.fromisoformat(past.handed_in)
    return kept.boxes if late else None


def _past(told: Sequence[job_times.Change]) -> _Past:
    """When a job was handed in last and how often it went back, by its changes in the order of time."""
    handed_in: str | None = None
    rejected = 0
    was_done = was_rejected = False
    for change in sorted(told, key=lambda change: datetime.fromisoformat(change.at)):
        done = change.stage != "annotation" or change.state == "completed"
        if done and not was_done:
            handed_in = change.at
        rejected += change.state == "rejected" and not was_rejected
        was_done, was_rejected = done, change.state == "rejected"
    return _Past(handed_in, rejected)


def _row(person: Person, flagged: Sequence[AuditedJob], overlooked: Sequence[_Overlooked]) -> dict[str, Any]:
    review = person.review
    agreed = None if review is None else review.unchanged_share
    return {
        "annotator": person.name or "-",
        "jobs": len(person.jobs),
        **_counts(person.work),
        "minutes_per_job": None if person.minutes_per_job is None else round(person.minutes_per_job, 2),
        "rejected": person.rejected,
        "rejections": person.rejections,
        "changed_in_review": None if review is None else review.changed,
        "agreement": None if agreed is None else round(agreed, 4),
        "flagged": len(
            {job.number for job in flagged if job.annotator == person.name}
            | {each.job for each in overlooked if each.annotator == person.name}
        ),
    }


def _counts(work: Tally) -> dict[str, int]:
    return {
        "frames": work.frames,
        "kept": work.kept,
        "moved": work.moved,
        "relabelled": work.relabelled,
        "added": work.added,
        "removed": work.removed,
        "probes": work.probes,
        "caught": work.caught,
    }


def _notes(
    rushed: Sequence[AuditedJob],
    emptied: Sequence[AuditedJob],
    overlooked: Sequence[_Overlooked],
    stamped: Iterable[str],
) -> Iterator[str]:
    sentences = [each.sentence() for each in overlooked]
    sentences += [
        f"job {job.number} ({job.annotator or 'nobody named'}): nothing was changed on "
        f"{counted(job.work.frames, 'frame')}"
        + (", and it was never seen in progress" if job.minutes is None else f" in {job.minutes:.1f} min")
        for job in rushed
    ]
    sentences += [
        f"job {job.number} ({job.annotator or 'nobody named'}): emptied, all of its boxes removed"
        + (f"; {counted(job.work.probes, 'probe')} among them not counted as caught" if job.work.probes else "")
        for job in emptied
    ]
    sentences += stamped
    yield from sentences[:_MOST_NOTES]
    if len(sentences) > _MOST_NOTES:
        yield f"and {len(sentences) - _MOST_NOTES} more like these: add --json"
    if overlooked:
        yield "an untouched probe enters no dataset; look at its job, and reject it where nobody looked"
