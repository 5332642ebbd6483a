"""What a demonstration came to: its record, the table for the terminal and the page for the browser.

The page is one file: pictures travel inside it and nothing is fetched when it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from data_engine.pages import markup
from data_engine.pages.markup import MISSING, score, text, thousands
from data_engine.pages.picture import UNKNOWN, Mark, picture


@dataclass(frozen=True, slots=True)
class Metrics:
    """How well a model finds things in clips that nothing was trained on."""

    map50: float
    """Mean over classes of the average precision at an overlap of one half, 0 to 1."""
    ap50: Mapping[str, float | None]
    """The same by class; None where the held-out frames show none of it."""


@dataclass(frozen=True, slots=True)
class DemoRound:
    """One turn of the loop."""

    number: int
    """From 0; round 0 begins without a model."""
    model_before: str | None
    """Id of the model that chose and proposed; None when there was none."""
    model_after: str
    """The model in use from then on: the one that was trained, or, if that was refused, the one before."""
    frames_pool: int
    """Frames of footage, before sampling."""
    sampled: int
    chosen: int
    boxes_accepted: Mapping[str, int]
    """Boxes of accepted jobs by class."""
    proposals_kept: int
    """Proposed boxes that the annotator left as they were."""
    proposals_edited: int
    boxes_added: int
    """Boxes that the annotator drew without a proposal."""
    rejected_jobs: int
    """Jobs that a reviewer sent back before they were accepted."""
    version: str
    """The dataset version, ``v1``."""
    train_frames: int
    valid_frames: int
    before: Metrics | None
    """None when there was no model."""
    after: Metrics
    seconds: float
    """Time the round took."""
    refused: str | None = None
    """Id of the model that was trained, where it did not come into use."""

    @property
    def boxes(self) -> int:
        """Accepted boxes of all classes."""
        return sum(self.boxes_accepted.values())


@dataclass(frozen=True, slots=True)
class ChosenPicture:
    """A chosen frame with its accepted boxes."""

    round: int
    name: str
    jpeg: bytes
    size: tuple[int, int]
    """Width and height in pixels."""
    boxes: tuple[tuple[str, tuple[float, float, float, float]], ...]
    """Label and xywh in pixels."""
    reason: str
    """Why the frame was chosen."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Everything the table and the page show."""

    rounds: tuple[DemoRound, ...]
    """At least one, in their order."""
    classes: tuple[str, ...]
    rare_class: str
    """One of ``classes``."""
    pictures: tuple[ChosenPicture, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """Sentences about how it was done, for the top of the page."""
    seconds: float = 0.0
    """Time of the whole demonstration; 0 when it was not taken."""


def table_rows(result: DemoResult) -> tuple[dict[str, str], ...]:
    """The rounds as a table for the terminal: a row a measure, a column a round."""
    columns = ("measure", *(f"round {turn.number}" for turn in result.rounds))
    # A terminal may not show the narrow spaces of the page.
    rows = (tuple(cell.replace("\u202f", " ") for cell in row) for row in measures(result))
    return tuple(dict(zip(columns, row, strict=True)) for row in rows)


def render_page(result: DemoResult) -> str:
    """The page, as one HTML document without any reference to another file."""
    hues = _hues(result)
    rounds = "".join(_strip(turn, result) for turn in result.rounds)
    notes = "".join(f"<p>{text(note)}</p>" for note in result.notes)
    columns = ("", *(f"Round {turn.number}" for turn in result.rounds))
    body = (
        f'<p class="eyebrow">{text(_eyebrow(result))}</p><h1>{text(_headline(result))}</h1>{notes}'
        f"<h2>The loop, round by round</h2>{rounds}"
        f'<div class="two"><section><h2>Found in held-out footage</h2>{_found(result, hues)}</section>'
        f"<section><h2>Where the labels went</h2>{_labels(result, hues)}</section></div>"
        f'<h2>The rounds in numbers</h2><div class="card">{markup.table(columns, measures(result))}</div>'
        f"{_pictures(result, hues)}"
    )
    return markup.document("dataengine demo", body, _STYLE)


def measures(result: DemoResult) -> list[tuple[str, ...]]:
    """The rows that the terminal and the page share: a measure's name, then its value in each round."""
    turns = result.rounds
    rare = result.rare_class

    def row(name: str, cells: list[str]) -> tuple[str, ...]:
        return (name, *cells)

    rows = [
        row("model to begin with", [(turn.model_before or "none")[:8] for turn in turns]),
        row("model trained", [(turn.refused or turn.model_after)[:8] for turn in turns]),
        row("model in use", [turn.model_after[:8] for turn in turns]),
        row("frames in", [thousands(turn.frames_pool) for turn in turns]),
        row("frames sampled", [thousands(turn.sampled) for turn in turns]),
        row("frames chosen", [thousands(turn.chosen) for turn in turns]),
        row("boxes accepted", [thousands(turn.boxes) for turn in turns]),
    ]
    rows += [
        row(f"boxes, {name}", [thousands(turn.boxes_accepted.get(name, 0)) for turn in turns])
        for name in result.classes
    ]
    rows += [
        row("proposals kept", [thousands(turn.proposals_kept) for turn in turns]),
        row("proposals edited", [thousands(turn.proposals_edited) for turn in turns]),
        row("boxes drawn by hand", [thousands(turn.boxes_added) for turn in turns]),
        row("jobs sent back", [thousands(turn.rejected_jobs) for turn in turns]),
        row("dataset version", [turn.version for turn in turns]),
        row("frames train / valid", [f"{turn.train_frames} / {turn.valid_frames}" for turn in turns]),
        row("mAP50 before", [score(turn.before.map50 if turn.before else None) for turn in turns]),
        row("mAP50 after", [score(turn.after.map50) for turn in turns]),
        row(f"{rare} AP50 before", [score(turn.before.ap50.get(rare) if turn.before else None) for turn in turns]),
        row(f"{rare} AP50 after", [score(turn.after.ap50.get(rare)) for turn in turns]),
        row("seconds", [f"{turn.seconds:.0f}" for turn in turns]),
    ]
    return rows


def _eyebrow(result: DemoResult) -> str:
    return f"dataengine demo, {result.seconds:.0f} s in all" if result.seconds else "dataengine demo"


def _headline(result: DemoResult) -> str:
    first, last = result.rounds[0], result.rounds[-1]
    frames = sum(turn.chosen for turn in result.rounds)
    if first is last:
        return f"One round, {thousands(frames)} labelled frames: mAP50 {score(last.after.map50)} on held-out footage"
    return (
        f"{len(result.rounds)} rounds, {thousands(frames)} labelled frames: mAP50 from {score(first.after.map50)} "
        f"to {score(last.after.map50)} on held-out footage"
    )


def _hues(result: DemoResult) -> dict[str, str]:
    """Colours by class: the rare one keeps its own."""
    return {
        name: "rare" if name == result.rare_class else f"c{min(7, place)}" for place, name in enumerate(result.classes)
    }


def _strip(turn: DemoRound, result: DemoResult) -> str:
    rare = result.rare_class
    before = turn.before
    proposals = turn.proposals_kept + turn.proposals_edited
    steps = [
        ("", thousands(turn.frames_pool), "frames in", "of footage"),
        ("", thousands(turn.sampled), "sampled", "that differ from the one before"),
        ("", thousands(turn.chosen), "chosen", "for labelling"),
        ("", thousands(turn.boxes), "boxes accepted", f"{thousands(proposals)} began as proposals"),
        ("", thousands(turn.rejected_jobs), "jobs sent back", "and done again"),
        ("", turn.version, "dataset", f"{turn.train_frames} train, {turn.valid_frames} valid"),
        ("gain", score(turn.after.map50), "mAP50", f"before: {score(before.map50 if before else None)}"),
        (
            "rare",
            score(turn.after.ap50.get(rare)),
            f"{rare} AP50",
            f"before: {score(before.ap50.get(rare) if before else None)}",
        ),
    ]
    items = "".join(
        f'<li class="step {kind}"><b>{text(value)}</b><span>{text(name)}</span><small>{text(note)}</small></li>'
        for kind, value, name, note in steps
    )
    began = f"with model {turn.model_before[:8]}" if turn.model_before else "without a model"
    title = f'Round {turn.number} <span class="soft">{text(began)}, {turn.seconds:.0f} s</span>'
    return f'<section class="card round"><h3>{title}</h3><ol class="steps">{items}</ol></section>'


def _found(result: DemoResult, hues: Mapping[str, str]) -> str:
    last = result.rounds[-1]

    def group(name: str, hue: str, values: list[float | None]) -> str:
        bars = "".join(
            markup.bar(f"round {turn.number}", value, score(value), hue if turn is last else "old")
            for turn, value in zip(result.rounds, values, strict=True)
        )
        return f'<div class="group"><h3>{text(name)}</h3>{bars}</div>'

    groups = [group("all classes, mAP50 after each round", "c7", [turn.after.map50 for turn in result.rounds])]
    groups += [
        group(f"{name}, AP50", hues[name], [turn.after.ap50.get(name) for turn in result.rounds])
        for name in result.classes
    ]
    return f'<div class="card">{"".join(groups)}</div>'


def _labels(result: DemoResult, hues: Mapping[str, str]) -> str:
    legend = "".join(markup.swatch(hues[name], name) for name in result.classes)
    parts = []
    for turn in result.rounds:
        counts = [(name, turn.boxes_accepted.get(name, 0)) for name in result.classes]
        said = ", ".join(f"{name} {thousands(count)}" for name, count in counts)
        share = turn.boxes_accepted.get(result.rare_class, 0) / turn.boxes if turn.boxes else None
        of_rare = f"{result.rare_class}: {100 * share:.1f} % of the boxes" if share is not None else MISSING
        parts.append(
            f'<div class="group"><h3>Round {turn.number}: {thousands(turn.boxes)} boxes</h3>'
            f"{markup.stack([(hues[name], name, count) for name, count in counts])}"
            f'<p class="soft">{text(said)}. {text(of_rare)}.</p>'
            f"{_proposals(turn)}</div>"
        )
    return f'<div class="card"><p>{legend}</p>{"".join(parts)}</div>'


def _proposals(turn: DemoRound) -> str:
    total = turn.proposals_kept + turn.proposals_edited + turn.boxes_added
    rows = (("kept", turn.proposals_kept), ("edited", turn.proposals_edited), ("drawn by hand", turn.boxes_added))
    return "".join(markup.bar(name, count / total if total else None, thousands(count), "c7") for name, count in rows)


def _pictures(result: DemoResult, hues: Mapping[str, str]) -> str:
    sections = []
    for turn in result.rounds:
        figures = "".join(
            f"<figure>{_shot(shot, hues)}"
            f"<figcaption>{text(shot.reason)}<small>{text(shot.name)}</small></figcaption></figure>"
            for shot in result.pictures
            if shot.round == turn.number
        )
        if figures:
            sections.append(f'<h2>Chosen in round {turn.number}</h2><div class="shots">{figures}</div>')
    return "".join(sections)


def _shot(shot: ChosenPicture, hues: Mapping[str, str]) -> str:
    marks = [Mark(xywh, hues.get(label, UNKNOWN), label) for label, xywh in shot.boxes]
    return picture(shot.jpeg, shot.size, marks, f"{shot.name}, {len(shot.boxes)} boxes")


_STYLE = """
.round{margin:0 0 14px}
.steps{display:grid;grid-template-columns:repeat(8,1fr);gap:8px 22px;list-style:none;margin:0;padding:0}
.step{position:relative;border-top:3px solid var(--rule);padding-top:8px}
.step:not(:last-child)::after{content:"\\203A";position:absolute;right:-15px;top:8px;color:var(--soft);font-size:1.4rem;line-height:1}
.step b{display:block;font-size:1.35rem;line-height:1.2;font-variant-numeric:tabular-nums}
.step span{display:block;font-size:.9rem}
.step small{display:block;line-height:1.3;color:var(--soft)}
.step.gain{border-color:var(--accent)}
.step.rare{border-color:var(--rare)}
.two{display:grid;grid-template-columns:1fr 1fr;gap:14px}
@media(max-width:1000px){.steps{grid-template-columns:repeat(4,1fr)}}
@media(max-width:640px){.steps{grid-template-columns:1fr 1fr}.two{grid-template-columns:1fr}}
"""
