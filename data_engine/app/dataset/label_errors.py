"""``dataset errors``: the boxes of the newest version that a model contradicts, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from data_engine.app.classes.classes import class_of
from data_engine.app.dataset.dataset_versions import find_version
from data_engine.app.engine import Engine
from data_engine.app.models.models import (
    OpenedModel,
    current_model,
    predict_missing,
    register_model,
    registered_classes,
    stored_columns,
)
from data_engine.app.outputs import output_key
from data_engine.app.selection.gallery import thumbnails
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import datasets, footage, models, seen_by
from data_engine.stages.export import dataset_name
from data_engine.types import DatasetVersion, Frame, Report
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.formats.label_errors import Finding, LabelErrors
    from data_engine.selection.label_errors import Compared, Findings, Piece, Usual

OUTPUT = "label_errors.json"
_AT_ONCE = 1000
"""Frames that are compared at once."""
_TRUSTED = 0.5
"""Share of the boxes that a model must find for its contradictions to be worth anything."""
_PICTURED = 120
"""Findings that are shown with their picture."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Some frames, compared."""

    frame_ids: tuple[str, ...]
    box_ids: tuple[str, ...]
    piece: Piece
    compared: Compared


def errors(
    engine: Engine,
    *,
    model: Path | None = None,
    limit: int = 50,
    name: str | None = None,
    held_out: bool = False,
    output: Path | None = None,
) -> Report:
    """Rank what a model contradicts; it is asked about the frames that it was not asked about yet.

    Args:
        model: the model in use by default.
        limit: findings at most.
        name: only of this class, as it is labelled or as the model says.
        held_out: only on frames that the model did not learn from.
        output: the JSON file; the page stands beside it.

    Raises:
        MissingInputError: no version, no model, no such class, or no picture is left.
    """
    from data_engine.formats.label_errors import write

    version = find_version(engine)
    path = current_model(engine, model)
    if path is None:
        raise MissingInputError(
            "there is no model yet, so nothing contradicts a box", hint="run first: dataengine retrain"
        )
    target = OUTPUT if output is None else output_key(engine, "--output", output)
    if PurePosixPath(target).suffix != ".json":
        raise UsageError(f"--output {output}: name a .json file; the page is written beside it")
    only = None if name is None else registered_classes(engine).name_of(class_of(registered_classes(engine), name))
    opened = register_model(engine, path)
    frames, gone = _frames(engine, version)
    asked, unreadable = predict_missing(engine, opened, list(frames.values()))
    with engine.database.read() as connection:
        learned, known = seen_by.learned_from(connection, opened.model.id)
    wanted = [frame_id for frame_id in frames if not (held_out and frame_id in learned)]
    parts, usual = _compared(engine, opened, wanted)
    found, totals = _ranked(opened, version, parts, usual, frames, learned, only, limit)
    engine.storage.write_bytes(target, write(found))
    page = PurePosixPath(target).with_suffix(".html").as_posix()
    engine.storage.write_bytes(page, _page(engine, found, frames, opened, totals).encode())
    notes = [] if not gone else [f"{counted(gone, 'picture')} of {version.label} no longer on the disk, not looked at"]
    on_learned = sum(finding.learned for finding in found.findings)
    if on_learned:
        notes.append(
            f"{counted(on_learned, 'finding')} on frames that the model {'learned' if known else 'may have learned'} "
            "from, whose errors it may repeat: --held-out leaves them out"
        )
    boxes = sum(usual.boxes for usual in found.classes.values())
    seen = sum(usual.boxes * usual.found for usual in found.classes.values()) / boxes if boxes else 1.0
    if seen < _TRUSTED:
        notes.append(f"{opened.path.name} finds {seen:.0%} of the boxes: what it contradicts is worth little")
    return Report(
        title=f"{counted(sum(totals.values()), 'box')} of {version.label} that {opened.path.name} contradicts, "
        f"the worst {len(found.findings)} listed"
        if totals
        else f"{opened.path.name} contradicts no box of {version.label}",
        data={
            "version": version.label,
            "model": opened.path.name,
            "model_id": opened.model.id,
            "frames": len(wanted),
            "frames_predicted_now": asked,
            **{kind.replace(" ", "_"): number for kind, number in totals.items()},
            "listed": len(found.findings),
            "output": engine.shown(target),
            "page": engine.shown(page),
        },
        rows=tuple(_row(finding) for finding in found.findings),
        notes=tuple(notes),
        failures=unreadable,
        next=engine.typed("review requeue", **{"from": None if target == OUTPUT else target}) + " --top 20"
        if found.findings
        else "",
    )


def _row(finding: Finding) -> dict[str, object]:
    return {
        "rank": finding.rank,
        "kind": finding.kind,
        "score": round(finding.score, 3),
        "label": finding.label,
        "says": finding.says,
        "frame": finding.file,
        "place": ",".join(f"{value:.0f}" for value in finding.where or ()),
        "learned": finding.learned,
    }


def _frames(engine: Engine, version: DatasetVersion) -> tuple[dict[str, Frame], int]:
    """The version's frames whose pictures are there, by id; and how many are gone."""
    with engine.database.read() as connection:
        frames = footage.frames_by_id(connection, sorted(datasets.frames_of(connection, version.number)))
    there = {frame_id: frame for frame_id, frame in sorted(frames.items()) if engine.storage.exists(frame.key)}
    if frames and not there:
        raise MissingInputError(f"no picture of {version.label} is left", hint="bring them back, or: dataengine sample")
    return there, len(frames) - len(there)


def _compared(engine: Engine, opened: OpenedModel, frame_ids: Sequence[str]) -> tuple[list[_Part], Usual]:
    from data_engine.selection.label_errors import Usual, compare

    with engine.database.read() as connection:
        places = models.predicted(connection, opened.model.id, frame_ids)
    # As they stand in the column files, each of which is then read once.
    order = sorted((frame_id for frame_id in frame_ids if frame_id in places), key=lambda i: places[i])
    usual = Usual(len(opened.class_names))
    parts: list[_Part] = []
    engine.progress.start("comparing", len(order), "frames")
    for part in _parts(engine, opened, order):
        compared = compare(part[2])
        usual.add(part[2], compared)
        parts.append(_Part(*part, compared))
        engine.progress.advance(len(part[0]))
    engine.progress.finish()
    return parts, usual


def _parts(
    engine: Engine, opened: OpenedModel, order: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], Piece]]:
    import numpy as np

    from data_engine.selection.label_errors import Piece, cleared

    registry = registered_classes(engine)
    column = {c.id: opened.class_names.index(c.name) for c in registry if c.name in opened.class_names}
    for start in range(0, len(order), _AT_ONCE):
        ids, offsets, xyxy, scores = stored_columns(engine, opened.model, order[start : start + _AT_ONCE])
        place = {frame_id: row for row, frame_id in enumerate(ids)}
        with engine.database.read() as connection:
            rows = sorted(seen_by.boxes_on(connection, ids), key=lambda row: (place[row[1]], row[0]))
        xywh = np.array([row[3:7] for row in rows], np.float32).reshape(-1, 4)
        piece = Piece(
            box_frame=np.array([place[row[1]] for row in rows], np.int64),
            box_class=np.array([column.get(row[2], -1) for row in rows], np.int64),
            box_xyxy=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
            box_crowd=np.array([row[7] for row in rows], np.bool_),
            seen_frame=np.repeat(np.arange(len(ids)), np.diff(offsets)).astype(np.int64),
            seen_xyxy=xyxy,
            seen_scores=np.asarray(scores, np.float32),
        )
        yield ids, tuple(row[0] for row in rows), cleared(piece)


def _ranked(
    opened: OpenedModel,
    version: DatasetVersion,
    parts: Sequence[_Part],
    usual: Usual,
    frames: dict[str, Frame],
    learned: set[str],
    only: str | None,
    limit: int,
) -> tuple[LabelErrors, dict[str, int]]:
    """The worst findings, and how many there are of each kind in all."""
    import numpy as np

    from data_engine.formats import label_errors as form
    from data_engine.selection.label_errors import KINDS, contradictions, order

    names = opened.class_names
    found = [_of_class(part, contradictions(part.piece, part.compared, usual), names, only) for part in parts]
    kind = np.concatenate([np.zeros(0, np.int64), *(one.kind for one in found)])
    score = np.concatenate([np.zeros(0, np.float32), *(one.score for one in found)])
    owner = np.repeat(np.arange(len(found)), [len(one.kind) for one in found])
    first = np.cumsum([0, *(len(one.kind) for one in found)])
    listed = []
    for rank, at in enumerate(order(kind, score)[:limit].tolist(), 1):
        part, one, row = parts[owner[at]], found[owner[at]], at - first[owner[at]]
        listed.append(_finding(rank, part, one, int(row), names, frames, learned))
    totals = Counter(KINDS[number] for number in kind.tolist())
    confidence, recall, overlap = usual.confidence(), usual.recall(), usual.overlap()
    classes = {
        name: form.Usual(int(usual.labelled[c]), *(round(float(v[c]), 4) for v in (recall, confidence, overlap)))
        for c, name in enumerate(names)
    }
    said = form.LabelErrors(version.label, version.id, opened.model.id, tuple(listed), classes)
    return said, {kind: totals[kind] for kind in KINDS if totals[kind]}


def _of_class(part: _Part, found: Findings, names: Sequence[str], only: str | None) -> Findings:
    """Those findings that are about a class, as it is labelled or as the model says."""
    from dataclasses import replace

    import numpy as np

    if only is None:
        return found
    if only not in names:
        kept = np.zeros(len(found.kind), np.bool_)
    else:
        column = names.index(only)
        scores = part.piece.seen_scores
        said = scores.argmax(axis=1) if len(scores) else np.zeros(0, np.int64)
        of_box = np.append(part.piece.box_class, -1)[found.box] == column
        kept = of_box | (np.append(said, -1)[found.seen] == column)
    return replace(found, **{f: getattr(found, f)[kept] for f in ("kind", "box", "seen", "frame", "score")})


def _finding(
    rank: int,
    part: _Part,
    found: Findings,
    row: int,
    names: Sequence[str],
    frames: dict[str, Frame],
    learned: set[str],
) -> Finding:
    from data_engine.formats.label_errors import Finding
    from data_engine.selection.label_errors import KINDS

    piece, box, seen = part.piece, int(found.box[row]), int(found.seen[row])
    frame = frames[part.frame_ids[int(found.frame[row])]]
    kind = KINDS[int(found.kind[row])]
    says = None
    if seen >= 0:
        says = int(part.compared.other[box] if kind == "swapped" else piece.seen_scores[seen].argmax())
        says = int(piece.box_class[box]) if kind == "badly placed" else says
    return Finding(
        rank=rank,
        kind=kind,
        score=round(float(found.score[row]), 6),
        frame=frame.id,
        file=dataset_name(frame),
        learned=frame.id in learned,
        box=part.box_ids[box] if box >= 0 else None,
        label=names[int(piece.box_class[box])] if box >= 0 else None,
        xywh=_xywh(piece.box_xyxy[box].tolist()) if box >= 0 else None,
        says=None if says is None else names[says],
        probability=None if says is None else round(float(piece.seen_scores[seen, says]), 4),
        place=_xywh(piece.seen_xyxy[seen].tolist()) if seen >= 0 else None,
    )


def _xywh(xyxy: Sequence[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(value, 2) for value in xyxy)
    return x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)


def _page(
    engine: Engine, found: LabelErrors, frames: dict[str, Frame], opened: OpenedModel, totals: dict[str, int]
) -> str:
    from data_engine.pages.label_errors import label_errors_page

    shown = list(dict.fromkeys(finding.frame for finding in found.findings[:_PICTURED]))
    with engine.database.read() as connection:
        rows = seen_by.boxes_on(connection, shown)
    registry = registered_classes(engine)
    boxes: dict[str, list[tuple[str, tuple[float, float, float, float]]]] = {}
    for _id, frame_id, category, x, y, w, h, _crowd in rows:
        boxes.setdefault(frame_id, []).append((registry.name_of(category), (x, y, w, h)))
    return label_errors_page(
        found,
        frames,
        boxes,
        thumbnails(engine, [frames[frame_id] for frame_id in shown]),
        model=opened.path.name,
        totals=totals,
    )
