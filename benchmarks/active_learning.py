"""Whether choosing frames pays: every strategy against random, from the same first model on.

    python benchmarks/active_learning.py [--data bccd drawn] [--seeds 5] [--first-seed 0] [--at-once 2]
        [--strategies hybrid,entropy,rarity,diversity] [--cache FOLDER] [--bccd ../shared/data/bccd]
        [--picks-only] [--whole]

``bccd`` is a real, imbalanced set (red cells, white cells and platelets, 12 : 1 : 1): chosen from its train split,
measured on its val and test splits together.  ``drawn`` is the footage of ``dataengine demo``, a frame a second: chosen
from six clips of three cameras, measured on clips of other halls and people; about one frame in ten has a bare head.
Models are YOLO "tiny", from scratch, with the settings below.  The engine is that of ``dataengine simulate``.

``--picks-only`` trains the first model of each seed and no other, and prints what each strategy would pick by it.
``--whole`` also trains on the whole pool and prints how many frames reach 95 % of its mAP.  Everything trained is kept
in the cache folder, by its content: with other code that chooses, only what it chooses otherwise is trained anew.
Strategies were tuned on seeds from 100 on; reported are 0 to 4.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

import cv2

from data_engine.app.engine import Engine, open_engine
from data_engine.app.selection.simulate import LabelledSet, arms_of, from_coco, play
from data_engine.cli.progress import make_progress
from data_engine.demo.footage import CLASSES, make_footage
from data_engine.demo.measure import held_out_frames
from data_engine.stages.simulate import Comparison, Labelled, Point, compare, first_pictures, rarest_class, recommended

STRATEGIES = "hybrid,entropy,rarity,diversity"
TRAINING = {"kind": "yolo", "size": "tiny", "batch": 4, "device": "cpu", "threads": 1}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "bccd": {
        "simulate": {"rounds": 3, "initial": 40, "step": 25, "passes": 1200},
        # Platelets are a tenth of a picture high: at 192 pixels next to nothing of them is left.
        "retrain": {**TRAINING, "image_size": 256, "extra": ("scale=0.1",)},
        # Slides are one camera; no two of them are of one place.
        "filter": {"tolerance": 0},
    },
    "drawn": {
        "simulate": {"rounds": 3, "initial": 30, "step": 20, "passes": 1200},
        # Heads are small in these pictures: the library's own scaling would shrink them to nothing.
        "retrain": {**TRAINING, "image_size": 192, "extra": ("scale=0.2",)},
        # The hash sees little of people before an unmoved background, so only equal hashes count as look-alikes.
        "filter": {"tolerance": 0},
    },
}
FULL = 0.95
CAMERAS, CLIPS, SECONDS, HELD_OUT_SECONDS = 3, 2, 50.0, 40.0
HELD_OUT_SEED = 1000


def drawn(folder: Path) -> Path:
    """A labelled COCO file of drawn footage, a frame a second; made once."""
    file = folder / "instances.json"
    if file.is_file():
        return file
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for split, seed, clips, seconds in (("train", 0, CLIPS, SECONDS), ("test", HELD_OUT_SEED, 1, HELD_OUT_SECONDS)):
        footage = make_footage(
            folder / "videos" / split,
            seed=seed,
            cameras=CAMERAS,
            clips=clips,
            seconds=seconds,
            fps=Fraction(10),
            size=(384, 288),
        )
        for clip in footage.clips:
            frames = held_out_frames(
                footage.path(clip), key=clip.file, every_s=1.0, truth=lambda t, c=clip, f=footage: f.boxes_at(c.name, t)
            )
            for second, frame in enumerate(frames):
                name = f"{split}-{clip.camera}/{clip.name}_{second:03d}.jpg"
                path = folder / "images" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), frame.rgb[:, :, ::-1])
                height, width = frame.rgb.shape[:2]
                number = len(images) + 1
                images.append({"id": number, "file_name": name, "width": width, "height": height, "split": split})
                for label, xywh in frame.boxes:
                    box = {"id": len(boxes) + 1, "image_id": number, "category_id": CLASSES.index(label) + 1}
                    boxes.append({**box, "bbox": list(xywh), "area": xywh[2] * xywh[3], "iscrowd": 0})
    categories = [{"id": number, "name": name, "supercategory": "object"} for number, name in enumerate(CLASSES, 1)]
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}), "utf-8")
    return file


def row(*cells: object) -> None:
    """A line of a markdown table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def print_picks(engine: Engine, known: LabelledSet, seeds: range) -> None:
    """What each strategy would pick by the first model, over what chance would."""
    settings, arms = engine.settings.simulate, arms_of(engine, known)
    for _ in engine.executor(settings.at_once).map(arms.begin, seeds, advance=engine.progress.advance):
        pass
    rare = rarest_class(known.pool, known.names)
    whose = f"{rare} over chance, seeds {seeds[0]}-{seeds[-1]}"
    print(f"\nFirst picks of {settings.step} after {settings.initial}; {whose}:\n")
    row("strategy", "rare frames", "rare boxes", "boxes", "rare frames by seed")
    row(*["---"] * 5)
    for strategy in settings.arms:
        ratios = [
            ratio_to_chance(known, arms.first_picks(strategy, seed), settings.initial, seed, rare) for seed in seeds
        ]
        frames, rares, boxes = (fmean(ratio[part] for ratio in ratios) for part in range(3))
        row(strategy, f"{frames:.2f}", f"{rares:.2f}", f"{boxes:.2f}", " ".join(f"{one[0]:.2f}" for one in ratios))


def ratio_to_chance(
    known: LabelledSet, picked: Sequence[Labelled], initial: int, seed: int, rare: str
) -> tuple[float, float, float]:
    """Frames with the rare class, its boxes, and all boxes, over what as many frames hold on average."""
    begun = {picture.frame.id for picture in first_pictures(known.pool, initial, seed)}
    rest = [picture for picture in known.pool if picture.frame.id not in begun]
    share = len(picked) / len(rest)

    def counts(pictures: Sequence[Labelled]) -> tuple[int, int, int]:
        rares = [picture.count(rare) for picture in pictures]
        return sum(count > 0 for count in rares), sum(rares), sum(len(picture.boxes) for picture in pictures)

    mine, chance = counts(picked), counts(rest)
    return (
        mine[0] / max(chance[0] * share, 1e-9),
        mine[1] / max(chance[1] * share, 1e-9),
        mine[2] / max(chance[2] * share, 1e-9),
    )


def print_curves(known: LabelledSet, points: Sequence[Point], strategies: Sequence[str]) -> list[Comparison]:
    """What was measured after each round, and every strategy against random."""
    print("\nAfter each round, means over the seeds (mAP, AP50 of the rarest class, boxes labelled):\n")
    rounds = sorted({point.round for point in points})
    labelled = [round(fmean(point.frames for point in points if point.round == number)) for number in rounds]
    row("strategy", *(f"{frames} frames" for frames in labelled))
    row(*["---"] * (len(rounds) + 1))
    for strategy in strategies:
        cells = []
        for number in rounds:
            here = [point for point in points if (point.strategy, point.round) == (strategy, number)]
            means = (fmean(point.map for point in here), fmean(point.rare_ap50 for point in here))
            cells.append(f"{means[0]:.3f}, {means[1]:.3f}, {fmean(point.boxes for point in here):.0f}")
        row(strategy, *cells)
    print("\nAgainst random, paired by seed, with 95 % intervals by Student's t; means over the rounds:\n")
    row(
        "strategy",
        "mAP, equal frames",
        "rare AP50, equal frames",
        "mAP, equal boxes",
        "rare AP50, equal boxes",
        "rare frames x",
        "rare boxes x",
    )
    row(*["---"] * 7)
    compared = [compare(points, strategy) for strategy in strategies]
    for found in compared[1:]:
        ratios = (found.picked_rare_frames, found.picked_rare_boxes)
        row(
            found.strategy,
            found.map_frames,
            found.rare_frames,
            found.map_boxes or "never met",
            found.rare_boxes or "never met",
            *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        )
    print(f"\nrecommended: {recommended(compared)}; the rarest class is {rarest_class(known.pool, known.names)}")
    return compared


def print_whole(engine: Engine, known: LabelledSet, points: Sequence[Point], seeds: range) -> None:
    """What the whole pool teaches, and how many frames teach nearly as much."""
    arms = arms_of(engine, known)
    wanted = FULL * fmean(float(arms.learn(known.pool, seed).metrics["map"]) for seed in seeds)
    print(f"\n95 % of the mAP of all {len(known.pool)} frames is {wanted:.3f}; reached with:\n")
    for strategy in engine.settings.simulate.arms:
        mine = [point for point in points if point.strategy == strategy]
        curve = [
            (fmean(p.frames for p in mine if p.round == number), fmean(p.map for p in mine if p.round == number))
            for number in sorted({point.round for point in mine})
        ]
        frames = next((count for count, value in curve if value >= wanted), None)
        reached = "never" if frames is None else f"{frames:.0f} frames ({frames / len(known.pool):.0%} of the pool)"
        print(f"- {strategy}: {reached}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--strategies", default=STRATEGIES)
    parser.add_argument("--cache", type=Path, default=Path("al_cache"))
    parser.add_argument("--bccd", type=Path, default=Path("../shared/data/bccd"))
    parser.add_argument("--picks-only", action="store_true")
    parser.add_argument("--whole", action="store_true")
    args = parser.parse_args()
    for name in args.data:
        began = time.monotonic()
        folder = (args.cache / name).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        file = drawn(folder) if name == "drawn" else args.bccd / "instances.json"
        if not file.is_file():
            sys.exit(f"{file} is not there: name the folder with --bccd")
        overrides = {section: dict(values) for section, values in SETTINGS[name].items()}
        overrides["simulate"] |= {
            "strategies": tuple(args.strategies.split(",")),
            "seeds": args.seeds,
            "first_seed": args.first_seed,
            "at_once": args.at_once,
        }
        print(f"\n## {name}")
        with open_engine(folder, overrides=overrides, progress=make_progress(quiet=False), environ={}) as engine:
            known = from_coco(engine, file, file.parent / "images")
            seeds = range(args.first_seed, args.first_seed + args.seeds)
            if args.picks_only:
                print_picks(engine, known, seeds)
            else:
                points = play(engine, known)
                print_curves(known, points, engine.settings.simulate.arms)
                if args.whole:
                    print_whole(engine, known, points, seeds)
        print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
