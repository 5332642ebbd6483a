"""What ``evaluate`` costs, against pycocotools' own ``COCOeval`` on the same boxes.

    python benchmarks/evaluate.py [--pictures 2000] [--classes 10] [--resamples 1000] [--rounds 3] [--worlds 300]

Drawn boxes of all sizes, of which a model finds four of five, with as many false ones besides as a detector has at low
scores.  ``COCOeval`` is asked for what ``evaluate`` measures: every class in COCO's four ranges of size, with 100 boxes
a picture.  Each round runs everything once, in turn; printed are medians of CPU seconds and of the ratios within each
round, and by how much the averages differ at most.

Then, whether intervals keep their word: in drawn worlds whose frames come in stretches, some of which are harder than
others for every model, how often the interval holds what the model is worth on ten thousand stretches, and how often
one of two models that are equally good passes for better beyond chance; by resampled stretches, and by resampled
frames.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_engine.metrics.average_precision import draws_of
from data_engine.metrics.coco import TrueBoxes
from data_engine.metrics.matching import SIZES, Matches, match, pairs_of
from data_engine.metrics.measuring import Subset, delta, measure

CAMERAS = 10
FALSE = 40
"""Boxes a picture that find nothing."""
STRETCHES, FRAMES = 40, 10
"""Of a drawn world: stretches of footage, and frames of each."""


def drawn(pictures: int, classes: int) -> tuple[list[TrueBoxes], np.ndarray, np.ndarray, np.ndarray]:
    """The truth, and offsets, corners and scores of what a model says."""
    random = np.random.default_rng(0)
    truth, offsets, xyxy, scores = [], [0], [], []
    for _ in range(pictures):
        count = int(random.integers(0, 8))
        at, wh = random.uniform(0, 1500, (count, 2)), random.uniform(10, 200, (count, 2))
        labels = random.integers(0, classes, count)
        truth.append(TrueBoxes(np.hstack([at, at + wh]), labels, np.zeros(count, np.bool_)))
        seen = random.random(count) < 0.8
        found = np.hstack([at, at + wh]) + random.normal(0, 0.05, (count, 4)) * np.hstack([wh, wh])
        false = random.uniform(0, 1500, (FALSE, 2))
        xyxy += [found[seen], np.hstack([false, false + random.uniform(10, 200, false.shape)])]
        sure = np.zeros((int(seen.sum()) + FALSE, classes))
        sure[np.arange(int(seen.sum())), labels[seen]] = random.uniform(0.2, 1, int(seen.sum()))
        sure[int(seen.sum()) + np.arange(FALSE), random.integers(0, classes, FALSE)] = random.beta(1, 8, FALSE) + 0.01
        scores.append(sure)
        offsets.append(offsets[-1] + len(sure))
    boxes = np.concatenate(xyxy).astype(np.float32)
    return truth, np.array(offsets), boxes, np.concatenate(scores).clip(0, 1).astype(np.float16)


def plain(truth: list[TrueBoxes], offsets: np.ndarray, xyxy: np.ndarray, scores: np.ndarray) -> tuple[Any, float]:
    """COCOeval's precision (overlaps, levels, classes, sizes), and the CPU seconds of its evaluation alone."""
    pairs = pairs_of(offsets, scores)
    frame = {
        "images": [{"id": number + 1} for number in range(len(truth))],
        "categories": [{"id": number + 1, "name": str(number)} for number in range(scores.shape[1])],
    }

    def entries(picture: Any, label: Any, corners: Any, score: Any) -> list[dict[str, Any]]:
        xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).astype(float).tolist()
        rows = zip(picture.tolist(), label.tolist(), xywh, score.tolist(), strict=True)
        return [
            {"id": n, "image_id": p + 1, "category_id": c + 1, "bbox": b, "area": b[2] * b[3], "iscrowd": 0, "score": s}
            for n, (p, c, b, s) in enumerate(rows, 1)
        ]

    owners = np.repeat(np.arange(len(truth)), [len(boxes) for boxes in truth])
    labels = np.concatenate([boxes.classes for boxes in truth])
    corners = np.concatenate([boxes.xyxy for boxes in truth])
    with contextlib.redirect_stdout(io.StringIO()):
        wanted, given = COCO(), COCO()
        wanted.dataset = {**frame, "annotations": entries(owners, labels, corners, np.ones(len(owners)))}
        given.dataset = {
            **frame,
            "annotations": entries(pairs.picture, pairs.label, xyxy[pairs.box].astype(float), pairs.score),
        }
        wanted.createIndex()
        given.createIndex()
        began = time.process_time()
        asked = COCOeval(wanted, given, "bbox")
        asked.params.maxDets = [100]
        asked.evaluate()
        asked.accumulate()
    return asked.eval["precision"][:, :, :, :, 0], time.process_time() - began


def seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the CPU seconds that it took."""
    began = time.process_time()
    return work(), time.process_time() - began


def filmed(stretches: int, seed: int, models: int) -> tuple[list[Matches], np.ndarray]:
    """Equally good models on footage of stretches of ten frames, some stretches harder than others; the stretches."""
    random = np.random.default_rng(seed)
    frames = stretches * FRAMES
    units = np.repeat(np.arange(stretches), FRAMES)
    easy = random.beta(2, 1, stretches)
    owners = np.repeat(np.arange(frames), 3).astype(np.int32)
    zeros = np.zeros(len(owners), np.int32)
    found = []
    for _ in range(models):
        # A model has its own trouble with a stretch, beside the footage's.
        chance = np.clip(easy + random.normal(0, 0.15, stretches), 0.02, 0.98)[units[owners]]
        hit = random.random(len(owners)) < chance
        score = np.where(hit, random.beta(5, 2, len(owners)), random.beta(2, 4, len(owners))).astype(np.float32)
        bits = np.where(hit, 1023, 0).astype(np.uint16)[:, None].repeat(4, axis=1)
        counts = np.ones((len(owners), 4), np.bool_)
        passed = np.zeros_like(bits)
        found.append(Matches(frames, 1, owners, zeros, score, bits, passed, owners, zeros, counts))
    return found, units


def coverage(worlds: int) -> None:
    """Print how often intervals hold, by what is resampled."""
    (endless,), units = filmed(10_000, 0, 1)
    worth = measure(endless, units, None).values[1]
    print(f"\n{worlds} worlds of {STRETCHES} stretches of {FRAMES} frames; intervals of 95 %\n")
    print("| resampled | holds the model's worth | an equal model passes for better |\n| --- | --- | --- |")
    for name in ("stretches", "frames"):
        holds = passes = 0
        for world in range(worlds):
            (one, other), units = filmed(STRETCHES, 1 + world, 2)
            drawn_by = units if name == "stretches" else np.arange(len(units))
            draws = draws_of(int(drawn_by.max()) + 1, 400, world)
            before, after = measure(one, drawn_by, draws), measure(other, drawn_by, draws)
            interval = before.scores(0.95).map50
            holds += interval.low <= worth <= interval.high
            passes += delta(before, after, "map50", 0.95).low > 0
        print(f"| {name} | {holds / worlds:.1%} | {passes / worlds:.1%} |")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--pictures", type=int, default=2000)
    options.add_argument("--classes", type=int, default=10)
    options.add_argument("--resamples", type=int, default=1000)
    options.add_argument("--stretches", type=int, default=200)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--worlds", type=int, default=300)
    given = options.parse_args()
    world = drawn(given.pictures, given.classes)
    units = np.arange(given.pictures) * given.stretches // given.pictures
    cameras = np.arange(given.pictures) % CAMERAS
    draws = draws_of(given.stretches, given.resamples, 0)
    taken: dict[str, list[float]] = {}
    worst = 0.0
    for _ in range(given.rounds):
        precision, whole = plain(*world)
        found, matching = seconds(lambda: match(*world))

        def every(matches: Matches, drawn_: Any) -> list[Any]:
            return [measure(matches, units, drawn_, Subset(size)) for size in range(len(SIZES))]

        point, averages = seconds(lambda found=found: every(found, None))
        _sampled, overall = seconds(lambda found=found: measure(found, units, draws))
        _sizes, sizes = seconds(lambda found=found: every(found, draws)[1:])
        _parts, by_camera = seconds(
            lambda found=found: [measure(found, units, draws, Subset(pictures=cameras == c)) for c in range(CAMERAS)]
        )
        rows = {
            "COCOeval, four sizes": whole,
            "matching once, four sizes": matching,
            "averages of every class and size": averages,
            f"{given.resamples} resamples, all boxes": overall,
            f"{given.resamples} resamples, by size": max(sizes - overall, 0.0),
            f"{given.resamples} resamples, {CAMERAS} cameras": by_camera,
            "all of evaluate": matching + averages + sizes + by_camera,
        }
        for name, value in rows.items():
            taken.setdefault(name, []).append(value)
        for size, one in enumerate(point):
            theirs = precision[:, :, :, size]
            known = theirs[:, 0] > -1
            worst = max(worst, float(np.abs(theirs.mean(axis=1)[known] - one.precision.T[known]).max(initial=0.0)))
    first = taken["COCOeval, four sizes"]
    print(
        f"{given.pictures} pictures, {given.classes} classes, {len(found.true_label)} boxes, "
        f"{len(found.score)} detections"
    )
    print(f"largest difference of an average precision: {worst:.1e}\n")
    print("| what | CPU s | over COCOeval |\n| --- | --- | --- |")
    for name, values in taken.items():
        ratio = statistics.median(value / base for value, base in zip(values, first, strict=True))
        print(f"| {name} | {statistics.median(values):.2f} | {ratio:.2f} |")
    if given.worlds:
        coverage(given.worlds)


if __name__ == "__main__":
    main()
