"""Every frame of a workspace in columns: any filter of a page is a few array operations, however many frames there are.

A hundred thousand frames take about 20 MB and a second to read; a page of any filter then takes a millisecond or two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from data_engine.app.engine import Engine
from data_engine.app.rounds import rounds
from data_engine.lineage import classes, conflicts, datasets, frame_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]

STATES = (
    "sampled",
    "chosen",
    "in a task",
    "train",
    "valid",
    "golden",
    "guard",
    "left the dataset",
)
"""How far a frame has come; those of the dataset are told by their side of the split."""
DISPUTED = "in dispute"
"""A further state, of frames that are in the dataset as well."""
Order = Literal["name", "score"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which frames are looked for; a field that is None or empty asks for nothing."""

    camera: str = ""
    label: str = ""
    """Class of a box that the newest version holds."""
    state: str = ""
    round: int | None = None
    """The round that brought the frame into the dataset; one more than there are for the one under way."""
    least: float | None = None
    """Score by which it was chosen the last time, at least."""
    most: float | None = None
    name: str = ""
    """Part of the file's name."""
    order: Order = "name"


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of frames."""

    ids: tuple[str, ...]
    first: int
    """How many come before it."""
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """The columns; every array has a row a frame, in the order of the names."""

    ids: Sequence[str]
    rows: Mapping[str, int]
    """By id."""
    names: Sequence[str]
    cameras: tuple[str, ...]
    camera: NDArray[np.int32]
    state: NDArray[np.int8]
    round: NDArray[np.int16]
    """0 for frames that no version ever held."""
    rounds: int
    """That ended."""
    score: NDArray[np.float64]
    """NaN for frames that were never chosen."""
    classes: Mapping[str, Positions]
    """Rows of the frames that hold a box of each class."""
    disputed: Positions

    def page(self, wanted: Wanted, size: int, *, after: str = "", before: str = "") -> Shown:
        """Up to ``size`` frames.

        Args:
            wanted: which.
            size: how many at most.
            after: id of the frame that the page comes after; the first page without.
            before: id of the frame that the page ends before; near the beginning it is the first page.
        """
        found = self.matching(wanted)
        place = self._place(found, wanted, after or before)
        first = 0
        if place is not None and after:
            there = place < len(found) and self.ids[found[place]] == after
            first = place + there
        elif place is not None:
            first = max(0, place - size)
        rows = found[first : first + size]
        return Shown(tuple(self.ids[row] for row in rows.tolist()), min(first, len(found)), len(found))

    def matching(self, wanted: Wanted) -> Positions:
        """Rows of the frames that are looked for, in the order that is asked for."""
        kept = np.ones(len(self.ids), np.bool_)
        if wanted.camera:
            kept &= self.camera == (self.cameras.index(wanted.camera) if wanted.camera in self.cameras else -1)
        if wanted.label:
            kept &= self._only(self.classes.get(wanted.label))
        if wanted.state == DISPUTED:
            kept &= self._only(self.disputed)
        elif wanted.state:
            kept &= self.state == (STATES.index(wanted.state) if wanted.state in STATES else -1)
        if wanted.round is not None:
            kept &= self.round == wanted.round
        if wanted.least is not None:
            kept &= self.score >= wanted.least
        if wanted.most is not None:
            kept &= self.score <= wanted.most
        if wanted.order == "score":
            kept &= ~np.isnan(self.score)
        found = np.flatnonzero(kept)
        if wanted.name:
            part = wanted.name.casefold()
            found = np.array([row for row in found.tolist() if part in self.names[row].casefold()], np.int64)
        if wanted.order == "score":
            found = found[np.argsort(-self.score[found], kind="stable")]
        return found

    def _only(self, rows: Positions | None) -> NDArray[np.bool_]:
        kept = np.zeros(len(self.ids), np.bool_)
        if rows is not None:
            kept[rows] = True
        return kept

    def _place(self, found: Positions, wanted: Wanted, frame_id: str) -> int | None:
        """Where a frame stands among those found, or would stand; None where nobody knows it."""
        row = self.rows.get(frame_id)
        if row is None:
            return None
        if wanted.order == "name":
            return int(np.searchsorted(found, row))
        # As they are sorted: the highest score first, of equal ones by name.
        score = -self.score[found]
        own = -self.score[row]
        low, high = (int(np.searchsorted(score, own, side)) for side in ("left", "right"))
        return low + int(np.searchsorted(found[low:high], row))


def read(engine: Engine) -> FrameIndex:
    """The index of all frames as they are on record now."""
    with engine.database.read() as connection:
        ids: list[str] = []
        names: list[str] = []
        numbers: dict[str, int] = {}
        camera: list[int] = []
        for frame_id, name, filmed_by in frame_rows.all_frames(connection):
            ids.append(frame_id)
            names.append(name)
            camera.append(numbers.setdefault(filmed_by, len(numbers)))
        rows = {frame_id: row for row, frame_id in enumerate(ids)}
        state = np.zeros(len(ids), np.int8)
        score = np.full(len(ids), np.nan)
        for frame_id, value in frame_rows.chosen(connection):
            if (row := rows.get(frame_id)) is not None:
                state[row], score[row] = STATES.index("chosen"), value
        for (frame_id,) in frame_rows.in_tasks(connection):
            if (row := rows.get(frame_id)) is not None:
                state[row] = STATES.index("in a task")
        began = np.zeros(len(ids), np.int64)
        for frame_id, since, until, side in frame_rows.held(connection):
            if (row := rows.get(frame_id)) is not None:
                state[row] = STATES.index(side if until is None else "left the dataset")
                began[row] = began[row] or since
        held: dict[int, list[int]] = {}
        for frame_id, category in frame_rows.classes_held(connection):
            if (row := rows.get(frame_id)) is not None:
                held.setdefault(category, []).append(row)
        newest = datasets.latest(connection)
        registry = None if newest is None else classes.registry_at(connection, newest.number)
        disputed = [rows[one.frame_id] for one in conflicts.open_ones(connection) if one.frame_id in rows]
    ended = [one.version for one in rounds.told(engine) if one.version is not None]
    known = {} if registry is None else {category.id: category.name for category in registry.categories}
    return FrameIndex(
        ids=ids,
        rows=rows,
        names=names,
        cameras=tuple(numbers),
        camera=np.array(camera, np.int32),
        state=state,
        # A round's version is the newest that it brought: a frame is of the first round whose version is not older.
        round=np.where(began == 0, 0, np.searchsorted(np.array(ended, np.int64), began) + 1).astype(np.int16),
        rounds=len(ended),
        score=score,
        classes={
            known.get(category, f"class {category}"): np.unique(np.array(found, np.int64))
            for category, found in sorted(held.items())
        },
        disputed=np.unique(np.array(disputed, np.int64)),
    )
