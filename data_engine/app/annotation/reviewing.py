"""Jobs that wait for a reviewer, for the pages: from lineage alone, so that the list is there at once.

On a server people also decide by themselves; what they said there is not listed, for ``sync`` acts on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from data_engine.errors import UsageError
from data_engine.lineage import waiting_jobs
from data_engine.lineage.waiting_jobs import Waiting, Wanted
from data_engine.words import elapsed

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.ports import AnnotationBackend

PAGE = 50
"""Jobs on a page."""
_SAID = ("completed", "rejected")
"""States by which a person says on a server what is to become of a job."""


@dataclass(frozen=True, slots=True)
class Row:
    """A job that waits."""

    job: Waiting
    age: str
    """Since it changed last, by the backend's clock and this machine's."""

    @property
    def second_look(self) -> bool:
        """Whether it was looked at once and waits for the lead."""
        return self.job.stage == "acceptance"


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the waiting jobs, those that waited longest first."""

    rows: tuple[Row, ...]
    total: int
    """On all pages."""
    tasks: tuple[tuple[int, str], ...]
    """Number and name of those with jobs that wait."""
    annotators: tuple[str, ...]
    next: str
    """Where the next page begins; empty on the last one."""


def waiting(
    engine: Engine,
    *,
    task: int | None = None,
    annotator: str | None = None,
    person: str | None = None,
    after: str = "",
    limit: int = PAGE,
) -> Page:
    """A page of the jobs that wait for a reviewer or for the lead's second look.

    Args:
        engine: the workspace.
        task: only those of this task, by its number.
        annotator: only those that this person annotated.
        person: only those that this person may take: theirs or nobody's, and not annotated by them.
        after: where the page begins, as the page before said.
        limit: most of its rows.

    Raises:
        UsageError: ``after`` is no such place.
    """
    backend = engine.backend()
    wanted = Wanted(task, annotator, person, said(backend))
    now = engine.clock()
    with engine.database.read() as connection:
        found = waiting_jobs.waiting(connection, backend.name, wanted, after=_cursor(after), limit=limit + 1)
        total = waiting_jobs.count(connection, backend.name, wanted)
        tasks, annotators = waiting_jobs.choices(connection, backend.name, wanted.said)
    shown = found[:limit]
    more = f"{shown[-1].updated_at} {shown[-1].number}" if len(found) > limit else ""
    return Page(_rows(shown, now), total, tuple(tasks), tuple(annotators), more)


def next_job(engine: Engine, person: str, *, besides: int) -> int | None:
    """The job that has waited longest for this person, besides the one that they have; None where none does."""
    backend = engine.backend()
    with engine.database.read() as connection:
        wanted = Wanted(person=person, said=said(backend))
        found = waiting_jobs.waiting(connection, backend.name, wanted, limit=2)
    return next((job.number for job in found if job.number != besides), None)


def said(backend: AnnotationBackend) -> tuple[str, ...]:
    """The states in which a job waits for ``sync``, not for a reviewer."""
    return () if backend.edits_files else _SAID


def _rows(jobs: Sequence[Waiting], now: datetime) -> tuple[Row, ...]:
    return tuple(Row(job, elapsed((now - datetime.fromisoformat(job.updated_at)).total_seconds())) for job in jobs)


def _cursor(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    at, _, number = text.partition(" ")
    try:
        datetime.fromisoformat(at)
        return at, int(number)
    except ValueError:
        raise UsageError(f"{text!r} is no place in the list of jobs", hint="begin with its first page") from None
