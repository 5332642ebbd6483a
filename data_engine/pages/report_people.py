"""The report's part on the people: who labelled and reviewed, in how many minutes, and how closely they looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_engine.pages.markup import text
from data_engine.pages.report_tables import MOST, grid, number, whole
from data_engine.words import counted

_NOTE = (
    "Boxes are those of the newest version. Minutes are those between the moments at which jobs were seen to change, "
    "of the jobs that were seen in progress; of the others nobody knows them."
)
_LOOKED = ("probes", "caught", "moved", "relabelled", "added", "removed", "changed_in_review", "flagged")


def people_part(data: Mapping[str, Any]) -> str:
    """Annotators, reviewers, and what the audit found."""
    annotators, reviewers = data["annotators"], data["reviewers"]
    if not annotators and not reviewers:
        return '<section id="people"><h2>People</h2><p class="said">Nobody has annotated yet.</p></section>'
    return (
        f'<section id="people"><h2>People</h2>{_annotators(annotators)}<div class="grid">{_reviewers(reviewers)}</div>'
        f'{_audit(data["audit"])}<p class="soft">{text(_NOTE)}</p></section>'
    )


def _annotators(annotators: Sequence[Mapping[str, Any]]) -> str:
    columns = ("jobs", "frames", "kept", "edited", "added", "rejections")
    rows = [
        (
            person["annotator"],
            *(whole(person[name]) for name in columns),
            number(person["minutes"], 1),
            whole(person["jobs_timed"]),
        )
        for person in annotators
    ]
    head = ("annotator", "jobs", "frames", "boxes kept", "edited", "drawn", "sent back", "minutes", "of jobs")
    return f'<section class="card"><h3>Annotators</h3>{grid("Annotators", head, rows)}</section>'


def _reviewers(reviewers: Sequence[Mapping[str, Any]]) -> str:
    if not reviewers:
        return ""
    rows = [
        (
            person["reviewer"],
            whole(person["accepted"]),
            whole(person["rejected"]),
            number(person["minutes"], 1),
            whole(person["jobs_timed"]),
        )
        for person in reviewers
    ]
    head = ("reviewer", "accepted", "sent back", "minutes", "of jobs")
    return f'<section class="card"><h3>Reviewers</h3>{grid("Reviewers", head, rows)}</section>'


def _audit(found: Mapping[str, Any] | None) -> str:
    """Whether people looked: probes that were caught, and jobs that were waved through."""
    if found is None:
        return ""
    rows = [(person["annotator"], *(whole(person[name]) for name in _LOOKED)) for person in found["annotators"]]
    head = (
        "annotator",
        "probes",
        "caught",
        "moved",
        "relabelled",
        "drawn",
        "removed",
        "changed in review",
        "to look at",
    )
    told: Sequence[str] = found["told"]
    lines = "".join(f"<li>{text(line)}</li>" for line in told[:MOST])
    probes, rushed = found["probes"], len(found["rushed_jobs"])
    lead = (
        f"{whole(found['caught'])} of {counted(probes, 'probe')} caught; "
        if probes
        else "No probe was shown, so nothing tells whether people look: [upload] probes; "
    )
    lead += f"{counted(rushed, 'job')} handed in without a change in less time than looking takes."
    return (
        f'<section class="card"><h3>How closely they looked</h3><p>{text(lead)}</p>'
        f"{grid('What annotators made of the proposals', head, rows)}"
        f"{lines and f'<ul>{lines}</ul>'}</section>"
    )
