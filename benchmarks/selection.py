"""What choosing costs at a million frames, and how near lazy k-center comes to computing every distance.

    python benchmarks/selection.py [--frames 1000000] [--budget 10000] [--strategy hybrid] [--only choose|cover|hashes]

``choose``: 1,000,000 drawn frames of 40 cameras and 30 days, 5 boxes of 4 classes each, embeddings of 512 numbers as
float16 in clusters, and difference hashes in runs of near-duplicates, as still scenes give them; 10,000 are chosen with
the default settings, near-duplicate suppression included.  It runs in a fresh process.  Making the frames is not part
of the time; making the pool of them is.  Peak memory is that of everything, the made frames included.

``cover``: k-center greedy on 50,000 vectors of 512 numbers, drawn evenly and in clusters, against a reference that
computes every distance: seconds, and the covering radius over the reference's.

``hashes``: near-duplicate suppression alone, every frame offered.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASSES = ("person", "helmet", "no-helmet", "vehicle")
CAMERAS, DAYS, BOXES, WIDTH = 40, 30, 5, 512
CLUSTERS, RUN = 3000, 8
PARTS = {
    "FramePool": ("pool.py", "__post_init__"),
    "scores": ("filter_scores.py", "look"),
    "random order": ("budget.py", "shuffled"),
    "weighted k-center": ("diversity.py", "weighted_farthest"),
    "k-center": ("diversity.py", "next"),
    "places, near-duplicates": ("budget.py", "fill"),
    "expected boxes": ("costs.py", "expected_boxes"),
    "why refused": ("refusals.py", "reason"),
    "identity": ("filter_places.py", "identity_of"),
}


def clock() -> tuple[float, float]:
    """Wall and CPU seconds."""
    return time.perf_counter(), time.process_time()


def embeddings(count: int, generator: np.random.Generator, clusters: int = CLUSTERS) -> NDArray[np.float16]:
    """``(count, 512)`` unit vectors in clusters; without clusters evenly."""
    centres = generator.standard_normal((max(clusters, 1), WIDTH), np.float32)
    found = np.empty((count, WIDTH), np.float16)
    for start in range(0, count, 20_000):
        some = generator.standard_normal((min(20_000, count - start), WIDTH), np.float32)
        if clusters:
            some = 0.5 * some + centres[generator.integers(0, clusters, len(some))]
        found[start : start + len(some)] = some / np.linalg.norm(some, axis=1, keepdims=True)
    return found


def hashes(count: int, generator: np.random.Generator) -> NDArray[np.uint64]:
    """``(count,)`` difference hashes: runs of frames that differ in a bit or two from the first of the run."""
    first = generator.integers(0, 2**64, count // RUN + 1, np.uint64)
    flipped = np.uint64(1) << generator.integers(0, 64, count, np.uint64)
    return np.repeat(first, RUN)[:count] ^ np.where(generator.random(count) < 0.7, flipped, np.uint64(0))


def columns(count: int, generator: np.random.Generator) -> dict[str, object]:
    """What a pool is made of: every camera has one video a day, a frame every two seconds."""
    number = np.arange(count)
    camera = number * CAMERAS // count
    each = np.searchsorted(camera, np.arange(CAMERAS))
    within = number - each[camera]
    day = within * DAYS // (count // CAMERAS + 1)
    centre = generator.random((count * BOXES, 2), np.float32) * np.array([1180, 620], np.float32) + 50
    size = generator.random((count * BOXES, 2), np.float32) * 40 + 10
    # Most boxes are sure or noise; the rare class is rare and doubtful.
    scores = generator.beta(0.4, 1.6, (count * BOXES, len(CLASSES))).astype(np.float16)
    scores[:, 2] *= np.float16(0.3)
    return {
        "frame_ids": tuple(f"{i * 0x9E3779B97F4A7C15 % 2**64:016x}{i:016x}" for i in range(count)),
        "cameras": tuple(f"camera-{c:02}" for c in camera.tolist()),
        "video_ids": tuple(f"video-{c:02}-{d:02}" for c, d in zip(camera.tolist(), day.tolist(), strict=True)),
        "times_s": within * 2.0,
        "dhashes": hashes(count, generator),
        "offsets": np.arange(count + 1) * BOXES,
        "xyxy": np.concatenate([centre - size, centre + size], axis=1),
        "scores": scores,
        "class_names": CLASSES,
        "days": tuple(f"2026-11-{d + 1:02}" for d in day.tolist()),
    }


def choose(frames: int, budget: int, strategy: str, profiled: bool) -> dict[str, object]:
    """Choose among drawn frames, in this process."""
    from data_engine.selection.pool import FramePool
    from data_engine.stages.filter import Context, FilterSettings
    from data_engine.stages.filter import choose as chosen_of

    generator = np.random.default_rng(0)
    made = columns(frames, generator)
    vectors = embeddings(frames, generator)
    profile = cProfile.Profile()
    wall, cpu = clock()
    if profiled:
        profile.enable()
    pool = FramePool(**made)  # type: ignore[arg-type]
    settings = FilterSettings(budget=budget, strategy=strategy)  # type: ignore[arg-type]
    labels = dict(zip(CLASSES, (9000, 4000, 150, 2500), strict=True))
    selection = chosen_of(
        pool, label_counts=labels, settings=settings, model_id="drawn", context=Context(embeddings=vectors)
    )
    profile.disable()
    wall_s, cpu_s = (after - before for after, before in zip(clock(), (wall, cpu), strict=True))
    place = {frame_id: row for row, frame_id in enumerate(pool.frame_ids)}
    rows = np.array([place[frame.frame_id] for frame in selection.frames], np.int64)
    return {
        "chosen": len(rows),
        "cameras": len(np.unique(pool.camera_of[rows])),
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "parts": shares(profile) if profiled else {},
    }


def shares(profile: cProfile.Profile) -> dict[str, float]:
    """Seconds of each of the parts."""
    found: dict[str, float] = {}
    for (path, _line, function), numbers in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        for name, where in PARTS.items():
            if (Path(path).name, function) == where:
                found[name] = found.get(name, 0.0) + numbers[3]
    return found


def exact(vectors: NDArray[np.float32], count: int) -> tuple[list[int], float]:
    """k-center greedy as it is written down, from the first row, and its covering radius."""
    nearest = vectors @ vectors[0]
    chosen = [0]
    while len(chosen) < count:
        chosen.append(int(nearest.argmin()))
        np.maximum(nearest, vectors @ vectors[chosen[-1]], out=nearest)
    return chosen, float(np.sqrt(max(2 - 2 * float(nearest.min()), 0)))


def cover(count: int, budget: int) -> None:
    """Print k-center against the reference."""
    from data_engine.selection.diversity import FarthestFirst

    print(f"\nk-center, {budget} of {count} x {WIDTH}\n")
    print("| vectors | every distance, CPU s | lazy, CPU s | radius | over the reference's | same rows |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, clusters in (("even", 0), ("in clusters", CLUSTERS)):
        vectors = embeddings(count, np.random.default_rng(1), clusters).astype(np.float32)
        before = time.process_time()
        reference, radius = exact(vectors, budget)
        between = time.process_time()
        search = FarthestFirst(vectors, vectors[:1])
        search.drop(0)
        chosen = [0]
        while len(chosen) < budget and (found := search.next()) is not None:
            search.add(found[0])
            chosen.append(found[0])
        after = time.process_time()
        nearest = np.full(count, -1.0, np.float32)
        for start in range(0, budget, 1000):
            np.maximum(nearest, (vectors @ vectors[chosen[start : start + 1000]].T).max(axis=1), out=nearest)
        mine = float(np.sqrt(max(2 - 2 * float(nearest.min()), 0)))
        same = len(set(chosen) & set(reference)) / budget
        print(
            f"| {name} | {between - before:.1f} | {after - between:.1f} | {mine:.4f} "
            f"| {mine / radius:.4f} | {100 * same:.1f} % |",
            flush=True,
        )


def suppress(count: int, budget: int) -> None:
    """Print what near-duplicate suppression costs when every frame is offered, by tolerance."""
    from data_engine.selection.near_duplicates import Hashes

    print(f"\nnear-duplicates: {count} hashes offered, all that look new are remembered up to {budget}\n")
    print("| bits | CPU s | remembered |")
    print("| --- | --- | --- |")
    drawn = hashes(count, np.random.default_rng(2)).tolist()
    for tolerance in (0, 2, 4, 8):
        before = time.process_time()
        kept, remembered = Hashes(tolerance), 0
        for dhash in drawn:
            if not kept.has_near(dhash) and remembered < budget:
                kept.add(dhash)
                remembered += 1
        print(f"| {tolerance} | {time.process_time() - before:.1f} | {remembered} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--strategy", default="hybrid")
    parser.add_argument("--only", choices=("choose", "cover", "hashes"))
    parser.add_argument("--points", type=int, default=50_000, help="vectors of the cover")
    parser.add_argument("--centres", type=int, default=2_000, help="chosen of the cover")
    parser.add_argument("--here", choices=("plain", "profiled"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(choose(options.frames, options.budget, options.strategy, options.here == "profiled")))
        return
    if options.only in (None, "choose"):
        command = [sys.executable, __file__, "--frames", str(options.frames), "--budget", str(options.budget)]
        command += ["--strategy", options.strategy, "--here"]
        plain, profiled = (
            json.loads(subprocess.run([*command, how], check=True, capture_output=True, text=True).stdout)
            for how in ("plain", "profiled")
        )
        print(f"{options.strategy}: {plain['chosen']} of {options.frames} frames from {plain['cameras']} cameras")
        print(f"{plain['wall_s']:.1f} s, {plain['cpu_s']:.1f} CPU s, peak {plain['peak_mb']:.0f} MB\n")
        print("| part, with the profiler on | share |")
        print("| --- | --- |")
        for name, seconds in sorted(profiled["parts"].items(), key=lambda part: -part[1]):
            print(f"| {name} | {100 * seconds / profiled['wall_s']:.0f} % |")
    if options.only in (None, "cover"):
        cover(options.points, options.centres)
    if options.only in (None, "hashes"):
        suppress(options.frames, options.budget)


if __name__ == "__main__":
    main()
