"""Boxes that blink between neighbouring frames of one camera: errors that show without any label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.evidence import FLASH, MISSED, SWITCH, Evidence
from data_engine.selection.overlap import iou, pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool
    from data_engine.selection.uncertainty import SeenBoxes

COVER_OVERLAP = 0.3
"""IoU with the expected place from which a box in between stands for the thing."""
REACH_PER_S, STILL = 1.0, 0.25
"""How far a thing may move and be the same: so many lengths of its box's longer side a second, and a little for
its trembling.  Walking is less than one height a second.  Checked on pedestrians filmed from above (PETS 2009, the true
boxes with some taken out at random): frames half a second apart show nine tenths of the gaps and one false one in a
hundred frames, a second apart six tenths and two; further apart the false ones outnumber the true."""
FLASH_DISCOUNT = 0.5
"""A box seen once may be real (something crossed the picture between two samples): it speaks half as loud."""


def blinks(
    pool: FramePool, boxes: SeenBoxes, weights: NDArray[np.float64], threshold: float, max_gap_s: float
) -> Evidence:
    """Missed, switched and flashing boxes among the frames of the pool.

    Neighbours are frames of one video that follow each other in the pool at most ``max_gap_s`` apart; frames of unknown
    time have none.  The frame in the middle is the one that is marked.

    Confident boxes of one class are followed from frame to frame by the nearest centre within reach.

    - missed: a box that does not go on in the middle frame, and one that begins after it where the first may have gone,
      and no confident box at the place between them now.  Its value is the probability that was lost.
    - switch: the same, but what is there now has another class.
    - flash: a confident box now, and nothing of its class within twice the reach before or after.

    Args:
        pool: the frames.
        boxes: their boxes from the floor up.
        weights: ``(classes,)`` rarity of each class.
        threshold: best score from which a box is confident.
        max_gap_s: seconds; beyond about one it is not the same things that are compared.
    """
    gap_s = np.where(pool.neighbour_gap_s <= max_gap_s, pool.neighbour_gap_s, np.inf)
    near = np.isfinite(gap_s)
    middle = np.zeros(len(pool), np.bool_)
    middle[1:-1] = near[:-2] & near[1:-1]
    sure = boxes.best >= threshold
    return Evidence.joined(
        [
            *_missed_and_switched(pool, boxes, sure, middle, gap_s, weights, threshold),
            _flashes(boxes, sure, middle, gap_s, weights),
        ]
    )


def _range(ascending: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each wanted number begins and ends."""
    return np.searchsorted(ascending, wanted), np.searchsorted(ascending, wanted, side="right")


def _missed_and_switched(
    pool: FramePool,
    boxes: SeenBoxes,
    sure: NDArray[np.bool_],
    middle: NDArray[np.bool_],
    gap_s: NDArray[np.float64],
    weights: NDArray[np.float64],
    threshold: float,
) -> tuple[Evidence, Evidence]:
    rows = np.flatnonzero(sure)
    step_s = gap_s[boxes.frame]
    earlier, later = _same_things(boxes, rows[np.isfinite(step_s[rows])], rows, 1, step_s)
    # What goes on from here, or comes from here, is accounted for: somebody else stepping into its place is no miss.
    ends, begins = sure.copy(), sure.copy()
    ends[earlier], begins[later] = False, False
    ends &= np.append(middle[1:], False)[boxes.frame]
    begins &= np.append(False, middle[:-1])[boxes.frame]
    both_s = step_s + np.append(gap_s[1:], np.inf)[boxes.frame]
    before, after = _same_things(boxes, np.flatnonzero(ends), np.flatnonzero(begins), 2, both_s)
    frame, label = boxes.frame[before] + 1, boxes.label[before]
    passed = (step_s[before] / both_s[before])[:, None]
    place = np.asarray(boxes.xyxy[before] * (1 - passed) + boxes.xyxy[after] * passed, np.float32)
    weaker = np.minimum(boxes.best[before], boxes.best[after]).astype(np.float64)

    assert pool.scores is not None
    now, now_other = np.zeros(len(before)), np.zeros(len(before))
    gone = np.ones(len(before), np.bool_)
    other = np.full(len(before), -1, np.int64)
    for expected, box in pairs(*_range(boxes.frame, frame)):
        there = iou(place[expected], boxes.xyxy[box]) >= COVER_OVERLAP
        expected, box = expected[there], box[there]
        same = boxes.label[box] == label[expected]
        np.maximum.at(now, expected, pool.scores[boxes.row[box], label[expected]])
        gone[expected[same & sure[box]]] = False
        expected, box = expected[~same], box[~same]
        # Ascending by score, so that the strongest is written last.
        rising = np.argsort(boxes.best[box], kind="stable")
        expected, box = expected[rising], box[rising]
        now_other[expected], other[expected] = boxes.best[box], boxes.label[box]
    taken = now_other >= threshold
    value = weights[label] * (weaker - now)
    missed, switched = gone & ~taken, gone & taken
    return (
        Evidence.of(MISSED, frame[missed], label[missed], weaker[missed], value[missed], place[missed]),
        Evidence.of(
            SWITCH,
            frame[switched],
            label[switched],
            weaker[switched],
            value[switched],
            place[switched],
            other[switched],
        ),
    )


def _same_things(
    boxes: SeenBoxes,
    earlier: NDArray[np.int64],
    later: NDArray[np.int64],
    frames: int,
    seconds: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows, so many frames apart, that are the same thing: one class, within reach, the nearest first.

    Args:
        boxes: all boxes.
        earlier: rows to begin from.
        later: rows to end at.
        frames: frames between the two.
        seconds: ``(len(boxes),)`` time between the two, for each row as the earlier one.
    """
    reach = _reach(boxes.xyxy, seconds)
    group = boxes.group
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
    for left, right in pairs(*_range(group[later], group[earlier] + frames * boxes.classes)):
        a, b = earlier[left], later[right]
        apart = _apart(boxes.xyxy[a], boxes.xyxy[b])
        keep = apart <= reach[a]
        found.append((a[keep], b[keep], apart[keep]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    a, b, apart = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((b, a, apart))
    a, b = a[order], b[order]
    # The nearest pair first, then the nearest of who is left: in each round all pairs that are nearest to both ends.
    got = [(a[:0], b[:0])]
    while len(a):
        first = np.zeros(len(a), np.int64)
        for side in (a, b):
            first[np.unique(side, return_index=True)[1]] += 1
        both = first == 2
        got.append((a[both], b[both]))
        left_over = ~np.isin(a, a[both]) & ~np.isin(b, b[both])
        a, b = a[left_over], b[left_over]
    before, after = (np.concatenate(column) for column in zip(*got, strict=True))
    return before, after


def _apart(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels between the centres."""
    twice = a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]
    return np.asarray(np.hypot(twice[:, 0], twice[:, 1]) / 2, np.float32)


def _reach(xyxy: NDArray[np.float32], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels that a thing may have moved in that time."""
    size = np.max(xyxy[:, 2:] - xyxy[:, :2], axis=1, initial=0)
    return np.asarray(size * (STILL + REACH_PER_S * seconds), np.float64)


def _flashes(
    boxes: SeenBoxes,
    sure: NDArray[np.bool_],
    middle: NDArray[np.bool_],
    gap_s: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> Evidence:
    rows = np.flatnonzero(sure & middle[boxes.frame])
    group = boxes.group
    for side in (-1, 1):
        seconds = gap_s[boxes.frame[rows] - (side < 0)]
        xyxy = boxes.xyxy[rows]
        reach = 2 * _reach(xyxy, seconds)
        known = np.zeros(len(rows), np.bool_)
        for now, then in pairs(*_range(group, group[rows] + side * boxes.classes)):
            known[now[_apart(xyxy[now], boxes.xyxy[then]) <= reach[now]]] = True
        rows = rows[~known]
        # A thing of another class at the same place is a switch, not a flash.
        known = np.zeros(len(rows), np.bool_)
        for now, then in pairs(*_range(boxes.frame, boxes.frame[rows] + side)):
            known[now[iou(boxes.xyxy[rows[now]], boxes.xyxy[then]) >= COVER_OVERLAP]] = True
        rows = rows[~known]
    score = boxes.best[rows].astype(np.float64)
    label = boxes.label[rows]
    return Evidence.of(
        FLASH, boxes.frame[rows], label, score, FLASH_DISCOUNT * weights[label] * score, boxes.xyxy[rows]
    )
