"""Which pictures models are judged on: the golden set, a validation side, or a folder from elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.engine import Engine, present
from data_engine.errors import MissingInputError
from data_engine.lineage import evaluations, footage
from data_engine.lineage.database import Connection
from data_engine.lineage.purging import STUB
from data_engine.types import DatasetVersion, Frame, Split, content_id
from data_engine.types.evaluation import EvaluatedOn, EvaluationSet, TruthBox
from data_engine.words import counted

GOLDEN, VALIDATION = "golden", "validation"


def evaluation_set(engine: Engine, name: str | None = None) -> EvaluationSet:
    """The set of that name; without one the golden set, and where there is none the newest version's validation side.

    Args:
        name: ``golden``, ``validation``, a dataset version (its validation side), or a labelled folder.

    Raises:
        MissingInputError: there is no such set, or no picture of it is left.
        UsageError: several versions go by that name.
        DamagedInputError: a folder without labels that are known.
    """
    if name is not None and name not in (GOLDEN, VALIDATION) and _is_path(name):
        from data_engine.app.models.evaluation_folders import labelled_folder

        return labelled_folder(engine, Path(name))
    with engine.database.read() as connection:
        version = version_named(connection, None if name in (None, GOLDEN, VALIDATION) else name)
        kind: EvaluatedOn = "golden" if name == GOLDEN else "validation"
        notes: tuple[str, ...] = ()
        if name is None and evaluations.frames_on(connection, "golden", version.number):
            kind = "golden"
        elif name is None:
            notes = (
                f"there is no golden set yet, so the validation side of {version.label} judges, by which models were "
                "chosen too: dataengine dataset golden keeps one",
            )
        return _side_of(engine, connection, kind, version, notes)


def units_of(engine: Engine, on: EvaluationSet) -> list[int]:
    """The stretch of footage of each frame of a set, in its order: what the intervals resample, numbered from 0."""
    from data_engine.app.models.evaluation_footage import footage_of

    units: list[int] = footage_of(engine, on.frames, on.digest)[0].units.tolist()
    return units


def set_of(
    frames: Iterable[Frame],
    boxes: Mapping[str, Sequence[TruthBox]],
    kind: EvaluatedOn,
    name: str,
    *,
    version_id: str | None = None,
    missing: int = 0,
    notes: Iterable[str] = (),
) -> EvaluationSet:
    """A set of these frames, with its digest."""
    ordered = tuple(sorted(frames, key=lambda frame: frame.id))
    parts: list[str] = []
    for frame in ordered:
        parts.append(frame.id)
        parts += [f"{box.label} {box.xywh!r} {box.crowd:d}" for box in boxes.get(frame.id, ())]
    return EvaluationSet(
        kind, name, ordered, boxes, content_id("evaluation set", *parts), version_id, missing, tuple(notes)
    )


def _is_path(name: str) -> bool:
    """Whether a folder or file is meant, and not a version: one called as a version is only where a path is spelt."""
    if "/" in name or os.sep in name or name in (".", ".."):
        return True
    return not re.fullmatch(r"[vV]?\d{1,9}", name) and present(Path(name))


def _side_of(
    engine: Engine, connection: Connection, kind: EvaluatedOn, version: DatasetVersion, notes: tuple[str, ...]
) -> EvaluationSet:
    side: Split = "golden" if kind == "golden" else "valid"
    ids = evaluations.frames_on(connection, side, version.number)
    if not ids:
        raise MissingInputError(
            f"{version.label} has no golden set" if side == "golden" else f"{version.label} has no validation side",
            hint="run first: dataengine dataset golden"
            if side == "golden"
            else "annotate more footage, then: dataengine export",
        )
    frames = [frame for frame in footage.frames_by_id(connection, ids).values() if frame.camera != STUB]
    there = [frame for frame in frames if engine.storage.exists(frame.key)]
    name = f"golden set of {version.label}" if side == "golden" else f"validation of {version.label}"
    if not there:
        raise MissingInputError(f"no picture of the {name} is left", hint="bring them back, or: dataengine sample")
    missing = len(frames) - len(there)
    if missing:
        notes += (f"{counted(missing, 'picture')} of the {name} no longer on the disk, left out",)
    boxes = evaluations.truth_on(connection, version.number, [frame.id for frame in there])
    return set_of(there, boxes, kind, name, version_id=version.id, missing=missing, notes=notes)
