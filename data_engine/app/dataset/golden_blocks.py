"""The dataset as blocks that may become golden, and what a choice of them makes of its frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from data_engine.lineage import datasets, golden_frames, split_sources
from data_engine.lineage.database import Connection
from data_engine.lineage.split_sources import Placed
from data_engine.selection.golden import Block, Key
from data_engine.selection.near_index import NearIndex
from data_engine.selection.splits import SplitPlan
from data_engine.types import Split


@dataclass(slots=True)
class _Stretch:
    """The frames of one block, by the side that they are on."""

    frames: dict[Split, list[Placed]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    """Versions that models were trained on with frames of it, or nearer to it than the guard."""
    copied: bool = False
    """Whether a frame of another source on the training side looks like one of it."""

    def on(self, *sides: Split) -> list[Placed]:
        return [one for side in sides for one in self.frames.get(side, ())]


class Blocks:
    """The newest version, block by block.

    Args:
        connection: one state of the database.
        number: of the newest version.
    """

    def __init__(self, connection: Connection, number: int) -> None:
        held = datasets.frames_of(connection, number)
        everything = split_sources.ever_held(connection).placed()
        self._plans = datasets.plans(connection, {one.source for one in everything})
        self._golden = split_sources.golden(connection)
        self._boxes = golden_frames.boxes_by_frame(connection)
        self.models = golden_frames.trained_models(connection)
        versions = {model.version for model in self.models if model.version is not None}
        seen = golden_frames.trained_on(connection, versions)
        self._here = [one for one in everything if one.frame_id in held]
        self._stretches: dict[Key, _Stretch] = {}
        for one in self._here:
            stretch = self._stretches.setdefault(self._key(one), _Stretch())
            stretch.frames.setdefault(held[one.frame_id].split, []).append(one)
        # Also what has left the dataset was seen.
        for one in everything:
            if one.frame_id in seen:
                for key in self._near(one):
                    if key in self._stretches:
                        self._stretches[key].seen |= seen[one.frame_id]
        self._mark_copies()

    def may_be_chosen(self) -> list[Block]:
        """The blocks with frames for judging that no model was trained on."""
        found = []
        for key, stretch in self._stretches.items():
            if key[1] in self._golden.get(key[0], ()) or stretch.seen:
                continue
            training = stretch.on("train")
            if training and stretch.copied:
                continue
            frames = stretch.on("valid", "train")
            if frames:
                found.append(Block(key, len(frames), self._counts(frames), judged=not training))
        return found

    def refused(self) -> tuple[int, set[int]]:
        """How many frames of the training side models have seen, and on which versions these were trained."""
        seen = [stretch for stretch in self._stretches.values() if stretch.seen and stretch.on("train")]
        return sum(len(stretch.on("train")) for stretch in seen), {n for stretch in seen for n in stretch.seen}

    def held(self) -> Block:
        """All that is golden already, as one block."""
        frames = [one for stretch in self._stretches.values() for one in stretch.on("golden")]
        return Block(("", 0), len(frames), self._counts(frames))

    def on(self, side: Split) -> int:
        """Frames of one side."""
        return sum(len(stretch.on(side)) for stretch in self._stretches.values())

    def turned(self, chosen: Iterable[Key]) -> dict[str, Split]:
        """The frames that change sides when these blocks become golden: to golden, or from training to the guard."""
        golden = {axis: set(blocks) for axis, blocks in self._golden.items()}
        for axis, block in chosen:
            golden.setdefault(axis, set()).add(block)
        turned: dict[str, Split] = {}
        for key, stretch in self._stretches.items():
            for side, frames in stretch.frames.items():
                for one in frames:
                    now = turning(self._plans[one.source], one.position, side, golden.get(key[0], ()))
                    if now != side:
                        turned[one.frame_id] = now
        return turned

    @property
    def categories(self) -> list[int]:
        """Ids of the classes that have boxes."""
        return sorted({category for counts in self._boxes.values() for category in counts})

    @property
    def frames(self) -> int:
        """Frames of the whole version."""
        return len(self._here)

    def _key(self, one: Placed) -> Key:
        plan = self._plans[one.source]
        return plan.axis, plan.block_of(one.position)

    def _near(self, one: Placed) -> Collection[Key]:
        """The blocks that a frame lies in or nearer to than the guard."""
        plan = self._plans[one.source]
        # Exactly one guard is far enough.
        guard = plan.guard * (1 - 1e-9)
        return {(plan.axis, plan.block_of(one.position + step)) for step in (-guard, 0.0, guard)}

    def _counts(self, frames: Iterable[Placed]) -> Mapping[int, int]:
        counts: Counter[int] = Counter()
        for one in frames:
            counts.update(self._boxes.get(one.frame_id, {}))
        return counts

    def _mark_copies(self) -> None:
        training = [one for s in self._stretches.values() for one in s.on("train") if one.dhash is not None]
        if not training:
            return
        numbers: dict[str, int] = {}
        axes = np.array([numbers.setdefault(self._plans[o.source].axis, len(numbers)) for o in training], np.intp)
        hashes = np.array([one.dhash for one in training], np.uint64)
        copied = np.zeros(len(training), np.bool_)
        for asked, _found in NearIndex(hashes, axes).pairs(hashes, axes):
            copied[asked] = True
        for row in np.flatnonzero(copied).tolist():
            self._stretches[self._key(training[row])].copied = True


def turning(plan: SplitPlan, position: float, side: Split, golden: Collection[int]) -> Split:
    """The side of a frame that was on ``side``, now that these blocks of its axis are golden."""
    if side not in ("train", "valid") or not golden:
        return side
    now = plan.side(position, golden)
    # What the plan says without them is no reason: sides are kept as they were given.
    return now if now in ("golden", "guard") and now != plan.side(position) else side
