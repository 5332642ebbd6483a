"""Whether reviewers looked at what they accepted: of jobs that were decided in the pages, which see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from data_engine.lineage import reviewing
from data_engine.stages.audit import GLANCE_S
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.app.annotation.jobs import SeenJob
    from data_engine.app.engine import Engine
    from data_engine.lineage.reviewing import Look


def accepted_looks(engine: Engine, jobs: Sequence[SeenJob]) -> dict[int, Look]:
    """How each of these jobs that stands accepted was looked at then, by its number; others are left out."""
    accepted = {seen.known.id: seen.job.id for seen in jobs if seen.job.accepted}
    with engine.database.read() as connection:
        found = reviewing.looks_at(connection, accepted)
    last = {accepted[identity]: looks[-1] for identity, looks in found.items()}
    return {number: look for number, look in sorted(last.items()) if look.action == "accepted"}


def is_stamped(look: Look) -> bool:
    """Whether a job was accepted with frames that nobody opened, or faster than anybody sees."""
    return look.opened < look.frames or look.seconds < GLANCE_S * look.opened


def stamped_rows(looks: dict[int, Look]) -> list[dict[str, Any]]:
    """The jobs that were accepted without a look at each frame."""
    return [
        {
            "job": number,
            "reviewer": look.reviewer,
            "frames": look.frames,
            "unopened": look.frames - look.opened,
            "seconds_per_frame": _per_frame(look.seconds, look.opened),
        }
        for number, look in looks.items()
        if is_stamped(look)
    ]


def reviewer_rows(looks: dict[int, Look]) -> list[dict[str, Any]]:
    """How reviewers looked at the jobs that they accepted in the pages, by name."""
    rows = []
    for name in sorted({look.reviewer or "" for look in looks.values()}):
        theirs = [look for look in looks.values() if (look.reviewer or "") == name]
        opened = sum(look.opened for look in theirs)
        rows.append(
            {
                "reviewer": name or "-",
                "jobs": len(theirs),
                "frames": sum(look.frames for look in theirs),
                "unopened": sum(look.frames - look.opened for look in theirs),
                "seconds_per_frame": _per_frame(sum(look.seconds for look in theirs), opened),
                "flagged": sum(map(is_stamped, theirs)),
            }
        )
    return rows


def stamped_notes(looks: dict[int, Look]) -> Iterator[str]:
    """A sentence a job that was accepted without a look at each frame."""
    for number, look in looks.items():
        if not is_stamped(look):
            continue
        said = []
        if look.opened < look.frames:
            said.append(f"nobody opened {look.frames - look.opened} of {counted(look.frames, 'frame')}")
        if look.seconds < GLANCE_S * look.opened:
            said.append(f"a frame was looked at for {look.seconds / look.opened:.2f} s")
        yield f"job {number} was accepted by {look.reviewer or 'somebody'}, and {' and '.join(said)}"


def _per_frame(seconds: float, opened: int) -> float | None:
    return round(seconds / opened, 2) if opened else None
