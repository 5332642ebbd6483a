"""Why a frame was taken, for people."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING

from data_engine.selection.balance import RARE
from data_engine.selection.evidence import DISAGREEMENT, FLASH, KINDS, MISSED, SWITCH, Evidence
from data_engine.selection.evidence import RARE as RARE_CLASS
from data_engine.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from data_engine.types import Frame, Selection

EXPLORATION = "exploration"
NEXT_BEST = "next best"
RANDOM = "random"
DIVERSE = "diverse"
LIKE = "like"
HARD = "hard"


def reason_of(evidence: Evidence, frame: int, class_names: Sequence[str], weights: NDArray[np.float64]) -> str:
    """The strongest piece of each kind, strongest first: ``missed: helmet at 412,96 seen before and after``."""
    said: dict[int, str] = {}
    named: set[int] = set()
    for row in evidence.of_frame(frame):
        kind, label = int(evidence.kind[row]), int(evidence.label[row])
        # A doubt about a rare class has said already that it is rare.
        if kind in said or (kind == RARE_CLASS and label in named):
            continue
        said[kind] = f"{KINDS[kind]}: {_piece(evidence, row, class_names, weights)}"
        named.add(label)
    return "; ".join(said.values())


def _piece(evidence: Evidence, row: int, class_names: Sequence[str], weights: NDArray[np.float64]) -> str:
    label, kind = int(evidence.label[row]), int(evidence.kind[row])
    name, score = class_names[label], float(evidence.score[row])
    x, y = (round(float(c)) for c in evidence.centre[row])
    if kind == MISSED:
        text = f"{name} at {x},{y} seen before and after"
    elif kind == SWITCH:
        text = f"{name} at {x},{y} taken for {class_names[int(evidence.other[row])]}"
    elif kind == FLASH:
        text = f"{name} at {x},{y} seen only here"
    elif kind == DISAGREEMENT:
        other = int(evidence.other[row])
        text = f"{name} at {x},{y} " + (f"or {class_names[other]}" if other >= 0 else "seen by one model only")
    elif kind == RARE_CLASS:
        return f"{name} {score:.2f}"
    else:
        text = f"{name} {score:.2f}"
    return f"{text} (rare)" if weights[label] >= RARE else text


def why_counts(selection: Selection) -> dict[str, int]:
    """How many frames were taken as ``hard``, by ``exploration``, as ``next best``, as ``diverse``; and those that were
    hunted (``like``) or drawn (``random``), where there are any.
    """
    found = Counter(frame.reason.split(":", 1)[0].split(" (", 1)[0] for frame in selection.frames)
    named = {why: found[why] for why in (EXPLORATION, NEXT_BEST, DIVERSE)}
    named |= {why: found[why] for why in (LIKE, RANDOM) if found[why]}
    return {HARD: len(selection.frames) - sum(named.values()), **named}


def summary(selection: Selection, candidates: int, wanted: int | None) -> str:
    """One line: ``12 of 400 frames chosen, 40 wanted: 8 hard, 4 exploration``."""
    counts = ", ".join(f"{count} {why}" for why, count in why_counts(selection).items() if count)
    short = f", {wanted} wanted" if wanted is not None and len(selection.frames) < wanted else ""
    return f"{len(selection.frames)} of {counted(candidates, 'frame')} chosen{short}{': ' + counts if counts else ''}"


def header_lines(selection: Selection, candidates: int, wanted: int | None) -> tuple[str, ...]:
    """The comment lines that open ``hard_frames.txt``, each beginning with ``# ``."""
    by = f"model {selection.model_id}" if selection.model_id else "no model yet, chosen for diversity"
    lines = [f"selection {selection.id}, {by}", summary(selection, candidates, wanted)]
    if wanted is not None and len(selection.frames) < wanted:
        lines.append("the other frames look like chosen ones, are too close to them in time, or are not hard enough")
    lines.append("one frame a line, the most wanted first")
    return tuple(f"# {line}" for line in lines)


def reasons_csv(selection: Selection, frames: Mapping[str, Frame]) -> str:
    """The selection as CSV text: rank, file, score, reason, and a column for each part of the score.

    Args:
        selection: what was chosen.
        frames: the chosen frames by id; a missing one is a KeyError.
    """
    parts = sorted({name for chosen in selection.frames for name in chosen.parts})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "file", "score", "reason", *parts])
    for chosen in selection.frames:
        values = [f"{chosen.parts[name]:.6g}" if name in chosen.parts else "" for name in parts]
        writer.writerow([chosen.rank, frames[chosen.frame_id].name, f"{chosen.score:.6g}", chosen.reason, *values])
    return text.getvalue()
