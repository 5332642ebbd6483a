"""What is known of a job beside how it stands: since when it stands so, who reviewed it, what of it was accepted.

All dates are the backend's own, by its clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from data_engine.lineage import intents
from data_engine.lineage.database import Connection, insert_new, rows_where_in
from data_engine.lineage.intents import Intent
from data_engine.lineage.labelling import KnownJob
from data_engine.lineage.tables import acceptance_intents, acceptances, job_changes, reviews
from data_engine.types import content_id


@dataclass(frozen=True, slots=True)
class Held:
    """What an accepted job holds."""

    at: str
    """``updated_at`` of the job with it."""
    content: str
    """Content id of its boxes, those on deleted frames among them."""
    deleted: tuple[str, ...] = ()
    """Names of its deleted frames."""
    by: str | None = None
    """Who accepted it, where that was said; else it is who was seen to complete it."""


@dataclass(frozen=True, slots=True)
class History:
    """What was seen of one job."""

    since: str | None = None
    """``updated_at`` of the job when it was first seen in its present stage and state."""
    submitted_at: str | None = None
    """``updated_at`` of the job when it was first seen to be out of its annotator's hands, the last time that it left
    them; None where it was seen accepted only."""
    handed_in: str | None = None
    """Remarks that were made since are about what its annotator handed in last; None where any may be."""
    returned: bool = False
    """Whether it was set back to annotation with whoever had it in a later stage, and nobody was given it since."""
    reviewer: str | None = None
    """Who had it in ``validation`` last or decided on it here last, and is not its annotator."""
    acceptance: str | None = None
    """Id of the acceptance that it stands by now, where that was recorded."""
    accepted_at: str | None = None
    """``updated_at`` of the job when its content was looked at last, and was what had been accepted."""
    accepted_content: str | None = None
    """Content id of what was accepted."""
    accepted_deleted: frozenset[str] = frozenset()
    """Names of the frames that were deleted when it was accepted."""
    accepted_by: str | None = None
    """Who accepted it: of the recorded acceptance, else who was seen to complete it; None where that is not known."""
    decided_at: str | None = None
    """The backend's date of that completion."""
    intents: tuple[Intent, ...] = ()
    """What it was to hold and by whose word, where it was accepted by one of them and that was not recorded."""


def histories(connection: Connection, jobs: Sequence[KnownJob]) -> dict[str, History]:
    """The histories of these jobs, by lineage id."""
    ids = [job.id for job in jobs]
    changes: dict[str, list[Any]] = {}
    for row in rows_where_in(connection, sa.select(job_changes), job_changes.c.job_id, ids):
        changes.setdefault(row.job_id, []).append(row)
    decided: dict[str, list[Any]] = {}
    query = sa.select(reviews).where(reviews.c.action != "submitted", reviews.c.actor.is_not(None))
    for row in rows_where_in(connection, query, reviews.c.job_id, ids):
        decided.setdefault(row.job_id, []).append(row)
    held: dict[str, list[Any]] = {}
    for row in rows_where_in(connection, sa.select(acceptances), acceptances.c.job_id, ids):
        held.setdefault(row.job_id, []).append(row)
    meant = intents.of_jobs(connection, ids)
    return {
        job.id: _history(
            job,
            changes.get(job.id, []),
            decided.get(job.id, []),
            held.get(job.id, []),
            meant.get(job.id, []),
        )
        for job in jobs
    }


def record_acceptances(connection: Connection, jobs: Sequence[KnownJob], held: Mapping[str, Held]) -> dict[str, str]:
    """Record what accepted jobs hold.

    An acceptance is recorded once, by what is found at the first look; later ones with the same content only move the
    date up to which it is known to stand.

    Args:
        jobs: as they are recorded by now.
        held: by lineage id.

    Returns:
        ids of the acceptances that these jobs stand by, by lineage id of the job.
    """
    told = [job for job in jobs if job.id in held]
    stand: dict[str, str] = {}
    new: list[dict[str, Any]] = []
    for identity, history in histories(connection, told).items():
        now = held[identity]
        accepted_at = history.since or now.at
        stand[identity] = history.acceptance or content_id("acceptance", identity, accepted_at)
        new.append(
            {
                "id": stand[identity],
                "job_id": identity,
                "submitted_at": history.submitted_at,
                "accepted_at": accepted_at,
                "accepted_by": now.by or history.accepted_by,
                "content": now.content,
                "deleted": sorted(now.deleted),
                "at": now.at,
            }
        )
    insert_new(connection, acceptances, new)
    moved = [{"acceptance": row["id"], "now": row["at"]} for row in new]
    if moved:
        statement = sa.update(acceptances).where(acceptances.c.id == sa.bindparam("acceptance"))
        connection.execute(statement.values(at=sa.bindparam("now")), moved)
    return stand


def replace_content(connection: Connection, job_id: str, before: str, after: str) -> None:
    """Record that what was accepted (or is about to be) of a job is told by another content id from now on."""
    for table in (acceptances, acceptance_intents):
        where = (table.c.job_id == job_id) & (table.c.content == before)
        connection.execute(sa.update(table).where(where).values(content=after))


def _history(
    job: KnownJob, changes: Sequence[Any], decided: Sequence[Any], held: Sequence[Any], meant: Sequence[Intent]
) -> History:
    newest_first = sorted(changes, key=_at, reverse=True)
    same = list(takewhile(lambda row: (row.stage, row.state) == (job.stage, job.state), newest_first))
    before = newest_first[len(same) :]
    since = same[-1].at if same else None
    had_it = [row.assignee for row in newest_first if row.stage == "validation"]
    had_it += [row.actor for row in sorted(decided, key=_at, reverse=True)]
    # One from before the job was opened again is not what it stands by now.
    stands = [row for row in held if since is None or _at(row) >= datetime.fromisoformat(since)]
    newest = max(stands, key=_at, default=None)
    accepted = (job.stage, job.state) == ("acceptance", "completed")
    by, decided_at = _completed(job, same, before) if accepted else (None, None)
    # One from before the job was seen standing otherwise came to nothing.
    last = max((_at(row) for row in before), default=None)
    live = [intent for intent in meant if last is None or datetime.fromisoformat(intent.seen_at) >= last]
    return History(
        since=since,
        submitted_at=_submitted(newest_first[::-1]),
        handed_in=_handed_in(newest_first[::-1]),
        returned=_returned(job, newest_first),
        reviewer=next((name for name in had_it if name not in (None, job.annotator)), None),
        acceptance=newest and newest.id,
        accepted_at=newest and newest.at,
        accepted_content=newest and newest.content,
        accepted_deleted=frozenset(newest.deleted) if newest else frozenset(),
        accepted_by=(newest.accepted_by if newest else None) or by,
        decided_at=decided_at,
        intents=tuple(live) if accepted and newest is None else (),
    )


def _completed(job: KnownJob, same: Sequence[Any], before: Sequence[Any]) -> tuple[str | None, str | None]:
    """Who completed an accepted job, and when, as far as it was seen; changes from new to old.

    A person completes a job by its state alone, and has it then.  Where the stage moved too, somebody else moved it.
    """
    if not same or not before:
        return None, None
    last, first = before[0], same[-1]
    if last.stage == "acceptance" and last.state in ("new", "in progress"):
        return (first.assignee, first.at) if first.assignee == last.assignee else (None, None)
    if (last.stage, last.state) == ("validation", "completed") and last.assignee != job.annotator:
        completed = list(takewhile(lambda row: (row.stage, row.state) == ("validation", "completed"), before))
        return last.assignee, completed[-1].at
    return None, None


def _handed_in(changes: Sequence[Any]) -> str | None:
    """Since when remarks are about what was handed in last: the date of that, of changes from old to new."""
    found, last = None, None
    for row in changes:
        if row.stage == "annotation" and row.state != "completed":
            found, last = None, row.at
        elif found is None:
            # Seen further on only, it was handed in some time after it was seen with its annotator.
            found = row.at if (row.stage, row.state) in (("annotation", "completed"), ("validation", "new")) else last
    return found


def _returned(job: KnownJob, newest_first: Sequence[Any]) -> bool:
    back = list(takewhile(lambda row: row.stage == "annotation", newest_first))
    before = newest_first[len(back) :]
    return bool(back and before) and {row.assignee for row in back} == {before[0].assignee} == {job.assignee}


def _submitted(changes: Sequence[Any]) -> str | None:
    """The date of the last change that took the job out of its annotator's hands, of changes from old to new."""
    found, with_annotator, stage = None, True, None
    for row in changes:
        done = row.stage != "annotation" or row.state == "completed"
        # What was in another stage and is completed in this one was in their hands again, though nobody looked.
        if done and (with_annotator or (row.stage == "annotation" and stage != "annotation")):
            # Seen accepted before it was seen anywhere in between: when it was handed in nobody knows.
            found = None if row.stage == "acceptance" else row.at
        with_annotator, stage = not done, row.stage
    return found


def _at(row: Any) -> datetime:
    return datetime.fromisoformat(row.at)
