"""Blinking boxes on the true tracks of real pedestrians, with some boxes taken out."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from data_engine.selection.evidence import MISSED
from data_engine.selection.pool import FramePool
from data_engine.selection.temporal import blinks
from data_engine.selection.uncertainty import seen_boxes

TRACKS = Path(__file__).parents[4] / "shared/data/video/vtest_tracks.csv"
FRAME_RATE, FRAMES = 10, 795


@pytest.mark.required
@pytest.mark.skipif(not TRACKS.is_file(), reason="the real tracks (shared/data/video) are not here")
def test_boxes_taken_out_are_missed_and_hardly_any_other() -> None:
    tracks: dict[int, list[tuple[float, float, float, float]]] = defaultdict(list)
    with TRACKS.open() as file:
        for row in csv.DictReader(file, fieldnames=["frame", "track", "x", "y", "w", "h"]):
            if row["frame"].isdigit():
                x, y, w, h = (float(row[name]) for name in "xywh")
                tracks[int(row["frame"]) - 1].append((x, y, x + w, y + h))
    rng = np.random.default_rng(0)
    numbers = list(range(0, FRAMES, FRAME_RATE // 2))
    boxes = [np.array(tracks[number], np.float32).reshape(-1, 4) for number in numbers]
    taken = {}
    for place in range(1, len(numbers) - 1, 7):
        which = int(rng.integers(len(boxes[place])))
        taken[place] = (boxes[place][which, :2] + boxes[place][which, 2:]) / 2
        boxes[place] = np.delete(boxes[place], which, axis=0)
    flat = np.concatenate(boxes)
    pool = FramePool(
        frame_ids=tuple(f"{number:04}" for number in numbers),
        cameras=("gate",) * len(numbers),
        video_ids=("v",) * len(numbers),
        times_s=np.array(numbers) / FRAME_RATE,
        dhashes=np.zeros(len(numbers), np.uint64),
        offsets=np.cumsum([0, *map(len, boxes)]),
        xyxy=flat,
        scores=np.full((len(flat), 1), 0.9, np.float32),
        class_names=("person",),
    )
    evidence = blinks(pool, seen_boxes(pool, 0.05), np.ones(1), 0.4, 1.0)
    missed = [(int(evidence.frame[i]), evidence.centre[i]) for i in np.flatnonzero(evidence.kind == MISSED)]
    right = {frame for frame, at in missed if frame in taken and np.abs(at - taken[frame]).max() < 25}
    assert len(right) >= 0.75 * len(taken)
    assert len(missed) - len(right) <= 0.05 * len(numbers)
