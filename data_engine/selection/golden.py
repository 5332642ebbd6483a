"""Which blocks of time become the golden set, on which models are judged and never trained.

Whole blocks, never single frames: so nothing that is trained on lies nearer to one than the guard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from data_engine.types import content_id

Key = tuple[str, int]
"""The source that a block's axis counts from, and the block's number."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block with what the dataset holds of it."""

    key: Key
    frames: int
    """Those that would become golden."""
    boxes: Mapping[int, int] = field(default_factory=dict)
    """On these frames, by class id."""
    judged: bool = True
    """Whether it lies on the validation side already; else it is one of the training side that no model has seen."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much the golden set should hold."""

    frames: int
    boxes: Mapping[int, int]
    """By class id."""


def choose(blocks: Sequence[Block], wanted: Wanted, held: Block, *, spare: int) -> list[Block]:
    """The blocks that are added to what is golden, in the order of their choice; the same for every order of blocks.

    First those with most of what is lacking in boxes of any class for a frame, then by turns from every source until
    the frames suffice.  Blocks of the validation side come before those of the training side each time.

    Args:
        blocks: that may be chosen.
        wanted: what the set should hold in the end.
        held: what is golden already.
        spare: frames that the validation side can give away.
    """
    frames, boxes = held.frames, Counter(held.boxes)
    left = {block.key: block for block in blocks}
    chosen: list[Block] = []

    def free() -> list[Block]:
        return [block for block in left.values() if not block.judged or block.frames <= spare]

    def take(block: Block) -> None:
        nonlocal frames, spare
        chosen.append(left.pop(block.key))
        frames += block.frames
        spare -= block.frames if block.judged else 0
        boxes.update(block.boxes)

    def gain(block: Block) -> float:
        lacking = {c: number - boxes[c] for c, number in wanted.boxes.items() if boxes[c] < number}
        return sum(min(lack, block.boxes.get(c, 0)) / wanted.boxes[c] for c, lack in lacking.items())

    for judged in (True, False):
        while useful := [block for block in free() if block.judged is judged and gain(block) > 0]:
            take(max(useful, key=lambda block: (gain(block) / block.frames, gain(block), _draw(block.key))))
    turns = Counter(block.key[0] for block in chosen)
    for judged in (True, False):
        # A block that would go further beyond what is wanted than the set is short of it stays where it is.
        while fitting := [b for b in free() if b.judged is judged and b.frames < 2 * (wanted.frames - frames)]:
            take(min(fitting, key=lambda block: (turns[block.key[0]], _draw(block.key))))
            turns[chosen[-1].key[0]] += 1
    return chosen


def lacking(wanted: Wanted, held: Block, chosen: Collection[Block]) -> dict[int, tuple[int, int]]:
    """The classes that have fewer golden boxes than wanted: how many they have, and how many are wanted."""
    boxes = Counter(held.boxes)
    for block in chosen:
        boxes.update(block.boxes)
    return {c: (boxes[c], number) for c, number in wanted.boxes.items() if boxes[c] < number}


def _draw(key: Key) -> str:
    return content_id("golden", *key)
