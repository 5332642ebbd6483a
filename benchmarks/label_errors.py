"""Whether the boxes that a model contradicts are wrong: errors planted in real labels, and how many are found.

    python benchmarks/label_errors.py [--bccd ../shared/data/bccd] [--epochs 40] [--share 0.03] [--seeds 10]
        [--keep FOLDER]

A YOLO "tiny" learns from scratch from the train split of a real, imbalanced set (red cells, white cells and platelets,
12 : 1 : 1).  In the labels of its val and test splits, which it has not seen, boxes are removed (overlooked), given
another class (swapped), moved by a third to two thirds of their size (badly placed) or invented where nothing is
(spurious), each kind in that share of the boxes.  The engine is that of ``dataengine dataset errors``.

Told is, for each kind, the precision among its first 10, 20 and as many findings as errors were planted, over seeds
with a 95 % interval of the mean difference to chance: the share of planted errors among all boxes, and for overlooked
ones among the detections that no box accounts for.  ``all`` is the list as it is shown, where any planted error counts.
Labels are real, so errors that are theirs count as false alarms: what is told is a lower bound.
``--learned`` plants the errors in the train split before the training and looks for them there: what a model that
learned from the errors still finds of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_engine.cli.progress import make_progress
from data_engine.detectors.loading import open_detector
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, read_coco
from data_engine.media.images import read_rgb
from data_engine.metrics.intervals import paired_interval
from data_engine.selection.label_errors import (
    KINDS,
    Piece,
    Usual,
    cleared,
    compare,
    contradictions,
    order,
)
from data_engine.selection.overlap import iou
from data_engine.stages.convert import convert_yolo
from data_engine.storage.local import LocalStorage
from data_engine.trainers.yolo import YoloTrainer
from data_engine.types import Detections

TRAINING = {"size": "tiny", "batch": 4, "image_size": 256, "device": "cpu", "threads": 1, "extra": {"scale": 0.1}}
FIRST = (10, 20)


@dataclass(frozen=True, slots=True)
class Planted:
    """Boxes with errors among them."""

    frame: NDArray[np.int64]
    classes: NDArray[np.int64]
    xyxy: NDArray[np.float32]
    error: NDArray[np.int64]
    """``(boxes,)`` position in KINDS of what was done to a box; -1 for nothing."""
    removed_frame: NDArray[np.int64]
    removed_xyxy: NDArray[np.float32]


def plant(frame: Any, classes: Any, xyxy: Any, sizes: Any, number: int, share: float, seed: int) -> Planted:
    """Errors of each kind in a share of the boxes.

    Args:
        sizes: ``(frames, 2)`` width and height in pixels.
        number: of classes.
    """
    rng = np.random.default_rng(seed)
    each = max(round(share * len(frame)), 1)
    chosen = rng.permutation(len(frame))
    gone, swap, move = chosen[:each], chosen[each : 2 * each], chosen[2 * each : 3 * each]
    classes, xyxy, error = classes.copy(), xyxy.copy(), np.full(len(frame), -1, np.int64)
    classes[swap] = (classes[swap] + rng.integers(1, number, each)) % number
    error[swap] = KINDS.index("swapped")
    wh = xyxy[move, 2:] - xyxy[move, :2]
    step = wh * rng.uniform(1 / 3, 2 / 3, (each, 2)) * rng.choice([-1, 1], (each, 2))
    xyxy[move] += np.concatenate([step, step], axis=1)
    error[move] = KINDS.index("badly placed")
    kept = np.ones(len(frame), bool)
    kept[gone] = False
    rows: tuple[list[int], list[int], list[Any]] = ([], [], [])
    while len(rows[0]) < each:
        like, where = rng.integers(len(frame)), int(rng.integers(len(sizes)))
        size = xyxy[like, 2:] - xyxy[like, :2]
        room = sizes[where] - size
        if (room <= 0).any():
            continue
        corner = rng.uniform(0, room)
        box = np.concatenate([corner, corner + size]).astype(np.float32)
        here = xyxy[frame == where]
        if len(here) and iou(np.tile(box, (len(here), 1)), here).max() > 0.1:
            continue
        rows[0].append(where)
        rows[1].append(classes[like])
        rows[2].append(box)
    made = Planted(
        np.concatenate([frame[kept], rows[0]]).astype(np.int64),
        np.concatenate([classes[kept], rows[1]]).astype(np.int64),
        np.concatenate([xyxy[kept], np.array(rows[2])]).astype(np.float32),
        np.concatenate([error[kept], np.full(each, KINDS.index("spurious"))]).astype(np.int64),
        frame[gone],
        xyxy[gone],
    )
    row = np.argsort(made.frame, kind="stable")
    return Planted(
        made.frame[row], made.classes[row], made.xyxy[row], made.error[row], made.removed_frame, made.removed_xyxy
    )


def piece_of(planted: Planted, seen: Sequence[Detections]) -> Piece:
    """The boxes with what the model said."""
    return cleared(
        Piece(
            planted.frame,
            planted.classes,
            planted.xyxy,
            np.zeros(len(planted.frame), bool),
            np.repeat(np.arange(len(seen)), [len(one) for one in seen]).astype(np.int64),
            np.concatenate([one.xyxy for one in seen]).astype(np.float32),
            np.concatenate([one.scores for one in seen]).astype(np.float32),
        )
    )


def judged(planted: Planted, seen: Sequence[Detections], number: int) -> dict[str, tuple[list[bool], float, int]]:
    """For each kind, and for all: whether each finding is a planted error, the worst first; chance; how many."""
    piece = piece_of(planted, seen)
    compared = compare(piece)
    usual = Usual(number)
    usual.add(piece, compared)
    found = contradictions(piece, compared, usual)

    def over(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether detections lie where a box was removed."""
        hits = np.zeros(len(rows), bool)
        for at, row in enumerate(rows):
            if row < 0:
                continue
            there = planted.removed_frame == piece.seen_frame[row]
            boxes = planted.removed_xyxy[there]
            if len(boxes):
                hits[at] = iou(np.tile(piece.seen_xyxy[row], (len(boxes), 1)), boxes).max() >= 0.5
        return hits

    good = np.where(found.box >= 0, planted.error[found.box] == found.kind, over(found.seen))
    wrong = np.where(found.box >= 0, planted.error[found.box] >= 0, good)
    told: dict[str, tuple[list[bool], float, int]] = {}
    for kind, name in enumerate(KINDS):
        rows = np.flatnonzero(found.kind == kind)
        rows = rows[np.argsort(-found.score[rows], kind="stable")]
        by_chance = over(compared.alone) if name == "overlooked" else planted.error == kind
        share = float(by_chance.mean()) if len(by_chance) else 0.0
        number_planted = len(planted.removed_frame) if name == "overlooked" else int((planted.error == kind).sum())
        told[name] = good[rows].tolist(), share, number_planted
    everything = int((planted.error >= 0).sum()) + len(planted.removed_frame)
    listed = order(found.kind, found.score)
    told["all"] = wrong[listed].tolist(), everything / (len(planted.error) + len(planted.removed_frame)), everything
    return told


def side(dataset: CocoDataset, names: set[str]) -> tuple[list[CocoImage], Any, Any, Any]:
    """The images of these splits, with their boxes as arrays."""
    images = [image for image in dataset.images if image.extra["split"] in names]
    place = {image.id: row for row, image in enumerate(images)}
    boxes = sorted((a for a in dataset.annotations if a.image_id in place), key=lambda a: place[a.image_id])
    xywh = np.array([a.xywh for a in boxes], np.float32)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    return (
        images,
        np.array([place[a.image_id] for a in boxes], np.int64),
        np.array([dataset.categories.index_of(a.category_id) for a in boxes], np.int64),
        xyxy,
    )


def written(dataset: CocoDataset, images: Sequence[CocoImage], planted: Planted) -> CocoDataset:
    """A data set of these images with planted boxes."""
    annotations = tuple(
        CocoAnnotation(number, images[f].id, dataset.categories.categories[c].id, (x1, y1, x2 - x1, y2 - y1))
        for number, (f, c, (x1, y1, x2, y2)) in enumerate(
            zip(planted.frame.tolist(), planted.classes.tolist(), planted.xyxy.tolist(), strict=True), 1
        )
    )
    return CocoDataset(tuple(images), annotations, dataset.categories, {})


def trained(dataset: CocoDataset, pictures: Path, home: Path, epochs: int) -> Any:
    """The detector, which is trained where it is not there yet."""
    home.mkdir(parents=True, exist_ok=True)
    progress = make_progress(quiet=False)
    if not (home / "model.onnx").exists():
        storage = LocalStorage(home)
        keys = {image.file_name: storage.key_of(pictures / image.file_name) for image in dataset.images}
        convert_yolo(
            dataset,
            "train",
            storage=storage,
            root="data",
            find_picture=lambda image: keys[image.file_name],
            progress=progress,
        )
        output = home / "training"
        output.mkdir(exist_ok=True)
        options = {**TRAINING, "epochs": epochs}
        made = YoloTrainer().train(home / "data", output, options, weights=None, progress=progress)
        (output / made.onnx_key).rename(home / "model.onnx")
    return open_detector(home / "model.onnx", kind="yolo", device="cpu", threads=1)


def asked(detector: Any, images: Sequence[CocoImage], pictures: Path) -> list[Detections]:
    """What the model sees, as it is stored: boxes from 0.01 up."""
    found: list[Detections] = []
    for start in range(0, len(images), 8):
        some = [read_rgb(pictures / image.file_name) for image in images[start : start + 8]]
        found += [one.kept(0.01, 100) for one in detector.predict(some)]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bccd", type=Path, default=Path("../shared/data/bccd"))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--share", type=float, default=0.03)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--keep", type=Path, default=Path("label_errors"))
    parser.add_argument("--learned", action="store_true")
    given = parser.parse_args(arguments)
    pictures = given.bccd / "images"
    dataset = read_coco((given.bccd / "instances.json").read_bytes(), name="instances.json")
    number = len(dataset.categories)
    runs = []
    sizes: Any
    for seed in range(given.seeds if not given.learned else 1):
        learning, frame, classes, xyxy = side(dataset, {"train"})
        sizes = np.array([(image.width, image.height) for image in learning])
        spoilt = plant(frame, classes, xyxy, sizes, number, given.share, seed)
        home = given.keep / ("spoilt" if given.learned else "clean")
        source = written(dataset, learning, spoilt) if given.learned else _only(dataset, learning)
        detector = trained(source, pictures.resolve(), home.resolve(), given.epochs)
        if given.learned:
            runs.append(judged(spoilt, asked(detector, learning, pictures), number))
            continue
        if not runs:
            images, frame, classes, xyxy = side(dataset, {"val", "test"})
            seen = asked(detector, images, pictures)
            held = (images, frame, classes, xyxy, seen)
        images, frame, classes, xyxy, seen = held
        sizes = np.array([(image.width, image.height) for image in images])
        runs.append(judged(plant(frame, classes, xyxy, sizes, number, given.share, seed), seen, number))
    for kind in (*KINDS, "all"):
        planted = runs[0][kind][2]
        print(f"{kind}: {planted} planted, {fmean(len(run[kind][0]) for run in runs):.0f} findings")
        for first in (*FIRST, planted):
            precise = [fmean(hits[:first]) if (hits := run[kind][0]) else 0.0 for run in runs]
            chance = [run[kind][1] for run in runs]
            found = [sum(run[kind][0][:first]) / planted for run in runs]
            lift = paired_interval([p - c for p, c in zip(precise, chance, strict=True)])
            print(
                f"  first {first:4}: precision {fmean(precise):.2f}, chance {fmean(chance):.3f}, "
                f"difference {lift}, of all planted {fmean(found):.2f}"
            )
    return 0


def _only(dataset: CocoDataset, images: Sequence[CocoImage]) -> CocoDataset:
    ids = {image.id for image in images}
    return CocoDataset(
        tuple(images), tuple(a for a in dataset.annotations if a.image_id in ids), dataset.categories, {}
    )


if __name__ == "__main__":
    sys.exit(main())
