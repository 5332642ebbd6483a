"""How many of the people who come into a static scene are on a kept frame, at the same number of frames for all.

    python benchmarks/events.py [--data ../shared/data/video] [--seeds 1 2 3 4 5] [--minutes 30] [--workers 1]

The footage is made of vtest.avi (PETS 2009 S2.L1) and its ground truth by ``events_scene.py``: half an hour of the
clip's empty background with 40 appearances of walkers cut from the clip.  The sampling methods run through the stage
itself, with their default options; a budget keeps the best of what they propose, as ``--budget`` does, and where they
propose fewer frames, they keep fewer.  Uniform sampling and PySceneDetect always get as many as the budget allows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from events_scene import CLOCK, FPS, Clip, Scene, plan, write

from data_engine.media.probe import probe
from data_engine.selection.coverage import rank
from data_engine.stages.sample import sample_one
from data_engine.stages.sample_settings import SampleSettings
from data_engine.storage.local import LocalStorage

SHARES = (0.005, 0.01, 0.02, 0.05)
TUNED_ON = 0
METHODS: dict[str, dict[str, Any]] = {
    "tiles": {"method": "tiles"},
    "tiles --ignore the clock": {"method": "tiles", "ignore": [CLOCK]},
    "scene-change": {"method": "scene-change"},
    # The threshold at which it proposes 5 % on the seed that tiles was tuned on.
    "scene-change --threshold 0.97": {"method": "scene-change", "threshold": 0.97},
    "interval": {"method": "interval"},
    "keyframes": {"method": "keyframes"},
    "content": {"method": "content"},
}
APART_S = 0.6
"""Seconds between two cuts of PySceneDetect: its own shortest scene."""
FLASHED_S = 1.5
"""A frame kept within so many seconds of the start of a flash is counted as the flash's."""


@dataclass(frozen=True)
class Ranked:
    """Candidates in the order in which a budget takes them."""

    frames: tuple[int, ...]

    def best(self, count: int) -> list[int]:
        return sorted(self.frames[:count])


@dataclass
class Tally:
    """What was seen, over the seeds."""

    appearances: int = 0
    seen: int = 0
    kept: int = 0
    empty: int = 0

    def add(self, frames: Sequence[int], appearances: Iterable[frozenset[int]]) -> None:
        shown: set[int] = set()
        for visible in appearances:
            self.appearances += 1
            self.seen += not visible.isdisjoint(frames)
            shown |= visible
        self.kept += len(frames)
        self.empty += sum(frame not in shown for frame in frames)

    def cell(self, runs: int) -> str:
        empty = f"{self.empty / self.kept:.0%}" if self.kept else "-"
        return f"{self.seen / max(1, self.appearances):.3f} / {empty} / {self.kept / runs:.0f}"


@dataclass
class Played:
    """One video, sampled in every way."""

    decoded: int
    appearances: list[frozenset[int]]
    ranked: dict[str, Ranked] = field(default_factory=dict)
    scene: Scene | None = None


def sampled(path: Path, options: dict[str, Any], scratch: Path) -> tuple[int, Ranked]:
    """Frames decoded, and what a method proposes in the order of a budget."""
    storage = LocalStorage(path.parent)
    video = probe(path, key=path.name, camera="scene")
    places = {"output": f"{scratch.name}/frames", "scratch": f"{scratch.name}/work"}
    result = sample_one(video, SampleSettings(**options), storage, **places)
    times = [kept.frame.time_s or 0.0 for kept in result.frames]
    order, _ = rank(times, [kept.weight for kept in result.frames])
    return result.decoded, Ranked(tuple(round(times[place] * FPS) for place in order))


def uniform(decoded: int, count: int) -> list[int]:
    """Frames in the middles of equal parts."""
    return [int((2 * n + 1) * decoded / (2 * count)) for n in range(count)]


def scenedetect(path: Path) -> dict[str, Ranked]:
    """PySceneDetect's scores, as the frames that come out first when its detectors' thresholds are lowered."""
    from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, StatsManager, open_video

    stats = StatsManager()
    manager = SceneManager(stats)
    manager.add_detector(AdaptiveDetector())
    manager.add_detector(ContentDetector())
    video = open_video(str(path))
    manager.detect_scenes(video)
    ratio = next(key for key in stats.metric_keys if key.startswith("adaptive_ratio"))
    scores = np.array([stats.get_metrics(n, ["content_val", ratio]) for n in range(video.frame_number)], np.float64)
    content, adaptive = np.nan_to_num(scores, nan=-1.0).T
    # Where neighbours are all the same the ratios are equal: then the larger change comes first.
    orders = {"adaptive": np.lexsort((-content, -adaptive)), "content": np.argsort(-content, kind="stable")}
    return {f"PySceneDetect {name}": Ranked(_apart(order.tolist())) for name, order in orders.items()}


def _apart(order: Sequence[int]) -> tuple[int, ...]:
    gap = round(APART_S * FPS)
    taken = np.zeros(len(order), np.bool_)
    chosen = []
    for number in order:
        if not taken[number]:
            chosen.append(number)
            taken[max(0, number - gap + 1) : number + gap] = True
    return tuple(chosen)


def play(path: Path, appearances: list[frozenset[int]], scene: Scene | None = None) -> Played:
    """Sample a video in every way."""
    played = Played(0, appearances, scene=scene)
    for name, options in METHODS.items():
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            played.decoded, played.ranked[name] = sampled(path, options, Path(scratch))
    played.ranked |= scenedetect(path)
    return played


def play_seed(data: Path, cache: Path, seed: int, minutes: float) -> Played:
    """Make the scene of a seed, unless that was done before, and sample it.  Runs in a worker process."""
    clip = Clip(data)
    scene = plan(clip, seed, minutes)
    path = cache / scene.file_name
    if not path.exists():
        write(clip, scene, path)
    return play(path, [appearance.visible_frames for appearance in scene.appearances], scene)


def play_clip(data: Path, cache: Path) -> Played:
    """Sample the clip as it is; an appearance is a person's whole track.  Runs in a worker process."""
    path = cache / "vtest.avi"
    if not path.exists():
        path.symlink_to((data / "vtest.avi").resolve())
    return play(path, list(Clip(data).tracks.values()))


def table(runs: Sequence[Played]) -> list[str]:
    """What is seen at each share of frames."""
    lines = ["| method | proposed | " + " | ".join(f"{share:.1%}" for share in SHARES) + " | all proposed |"]
    lines.append("| --- |" + " --- |" * (len(SHARES) + 2))
    for name in (*METHODS, "PySceneDetect adaptive", "PySceneDetect content", "uniform"):
        peer = name not in METHODS
        cells = []
        for share in (*SHARES, None):
            tally = Tally()
            for run in runs:
                count = run.decoded if share is None else max(1, int(share * run.decoded))
                frames = uniform(run.decoded, count) if name == "uniform" else run.ranked[name].best(count)
                tally.add(frames, run.appearances)
            cells.append("-" if share is None and peer else tally.cell(len(runs)))
        proposed = "-" if peer else f"{sum(len(r.ranked[name].frames) / r.decoded for r in runs) / len(runs):.2%}"
        lines.append(f"| {name} | {proposed} | " + " | ".join(cells) + " |")
    return lines


def false_keeps(runs: Sequence[Played]) -> list[str]:
    """Frames that a method proposes though nobody is to be seen, by what went on at that time, over all scenes."""
    causes = ("first frame", "infrared switch", "flashes", "else: clock, light, noise")
    lines = ["| method | " + " | ".join(causes) + " |", "| --- |" + " --- |" * len(causes)]
    for name in METHODS:
        counts = dict.fromkeys(causes, 0)
        for run in runs:
            assert run.scene is not None
            present = frozenset(n for a in run.scene.appearances for n in range(a.first, a.first + len(a.cuts)))
            for frame in run.ranked[name].frames:
                if frame not in present:
                    counts[causes[_cause(frame, run.scene)]] += 1
        lines.append(f"| {name} | " + " | ".join(map(str, counts.values())) + " |")
    return lines


def _cause(frame: int, scene: Scene) -> int:
    if frame == 0:
        return 0
    if scene.switch <= frame < scene.settled:
        return 1
    return 2 if any(first <= frame < first + FLASHED_S * FPS for first, _ in scene.flashes) else 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, default=root.parent / "shared/data/video", help="folder of vtest.avi")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help=f"not {TUNED_ON}: tuned on it")
    parser.add_argument("--minutes", type=float, default=30.0, help="length of each scene")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "dataengine-events",
        help="folder for the scenes, about 140 MB each for half an hour; they are made once",
    )
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(play_seed, given.data, given.cache, seed, given.minutes) for seed in given.seeds]
        clip = pool.submit(play_clip, given.data, given.cache)
        for number, future in enumerate(as_completed([*waiting, clip]), start=1):
            future.result()
            print(f"{number} of {len(waiting) + 1} videos done", file=sys.stderr, flush=True)
        runs, untouched = [future.result() for future in waiting], clip.result()
    seen = sum(len(run.appearances) for run in runs)
    print(f"{len(runs)} scenes of {given.minutes:g} min, {seen} appearances: event recall / share of kept frames that")
    print("show nobody / frames kept a scene\n")
    print("\n".join(table(runs)))
    print("\nFrames proposed though nobody is in the picture, in all scenes together\n")
    print("\n".join(false_keeps(runs)))
    print(f"\nThe untouched clip: share of its {len(untouched.appearances)} people seen / empty / frames kept\n")
    print("\n".join(table([untouched])))


if __name__ == "__main__":
    main()
