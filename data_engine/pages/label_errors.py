"""The page of the boxes that a model contradicts: each with its picture, what is labelled and what the model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_engine.formats.label_errors import Finding, LabelErrors, Xywh
from data_engine.pages.markup import document, swatch, table, text
from data_engine.pages.picture import Mark, picture
from data_engine.types import Frame
from data_engine.words import counted

LABELLED, SAID, OTHERS = "rare", "c1", "c7"
"""Colours of the box in question, of what the model says, and of the frame's other boxes."""


def label_errors_page(
    errors: LabelErrors,
    frames: Mapping[str, Frame],
    boxes: Mapping[str, Sequence[tuple[str, Xywh]]],
    pictures: Mapping[str, bytes],
    *,
    model: str,
    totals: Mapping[str, int],
) -> str:
    """The page, as one HTML document without any reference to another file; the same arguments give the same page.

    Args:
        errors: what is shown, in its order; findings on frames without a picture are rows of a table.
        frames: by id.
        boxes: class and place of every labelled box, by frame id.
        pictures: frame id -> JPEG of any scale, empty where the picture could not be read.
        model: the file's name.
        totals: how many findings of each kind there are in all.
    """
    title = f"Boxes of {errors.dataset} that {model} contradicts"
    told = ", ".join(f"{number} {kind}" for kind, number in totals.items()) or "none"
    drawn = [finding for finding in errors.findings if finding.frame in pictures]
    rest = [finding for finding in errors.findings if finding.frame not in pictures]
    cards = "".join(_card(finding, frames, boxes, pictures) for finding in drawn)
    keys = swatch(LABELLED, "labelled") + swatch(SAID, "the model says") + swatch(OTHERS, "other boxes")
    usual = table(
        ("class", "boxes", "found", "usual confidence", "usual overlap"),
        [
            (name, str(u.boxes), f"{u.found:.2f}", f"{u.confidence:.2f}", f"{u.overlap:.2f}")
            for name, u in errors.classes.items()
        ],
    )
    more = table(("rank", "kind", "score", "file", "question"), map(_row, rest)) if rest else ""
    return document(
        title,
        f"<h1>{text(title)}</h1><p>{text(told)}; the worst {len(errors.findings)} are listed.</p><p>{keys}</p>"
        f'<div class="shots">{cards}</div>{more}<h2>What is usual of the model</h2>{usual}',
    )


def _card(
    finding: Finding,
    frames: Mapping[str, Frame],
    boxes: Mapping[str, Sequence[tuple[str, Xywh]]],
    pictures: Mapping[str, bytes],
) -> str:
    frame = frames[finding.frame]
    marks = []
    if finding.xywh is not None:
        marks.append(Mark(finding.xywh, LABELLED, finding.label or ""))
    if finding.place is not None:
        marks.append(Mark(finding.place, SAID, f"{finding.says} {finding.probability:.2f}", dashed=True))
    marks += [
        Mark(xywh, OTHERS, "", title=name)
        for name, xywh in boxes.get(finding.frame, ())
        if finding.xywh is None or max(abs(a - b) for a, b in zip(xywh, finding.xywh, strict=True)) > 0.01
    ]
    learned = " · the model may have learned from this frame" if finding.learned else ""
    shown = picture(pictures[finding.frame], (frame.width, frame.height), marks, f"{finding.file}: {finding.question}")
    others = counted(len(boxes.get(finding.frame, ())), "box")
    return (
        f'<figure id="f{finding.rank}">{shown}<figcaption><b>{finding.rank}. {text(finding.kind)}</b> '
        f'<span class="soft">score {finding.score:.2f}</span><br>{text(finding.question)}'
        f"<small>{text(finding.file)} · {others}{text(learned)}</small></figcaption></figure>"
    )


def _row(finding: Finding) -> tuple[str, ...]:
    return str(finding.rank), finding.kind, f"{finding.score:.2f}", finding.file, finding.question
