"""The loop on real CCTV: held-out AP50 after each round, and what it cost.

    python benchmarks/flywheel_vtest.py [--rounds 3] [--seeds 3] [--workers 1] [--data ../shared/data/video]

The footage is vtest.avi (PETS 2009 S2.L1: a static camera, people walking) with its ground truth, which plays the
annotators and the reviewer.  The first 60 % of the clip are the pool, the last 30 % are only measured on; what lies
between them is not used.  Each round chooses a number of frames, has them annotated and reviewed, exports a dataset
version and trains YOLO from scratch on it.  The control draws the same number of frames at random; all the rest is
the same.  Every number of a row is the mean over the seeds; "frames" and "boxes" are what people had done by then.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from data_engine.app.engine import Engine, open_engine
from data_engine.app.footage.sample import INPUT, sample
from data_engine.app.init import init
from data_engine.app.models.models import champion_key, open_detector
from data_engine.cli.progress import SilentProgress
from data_engine.demo.footage import LabelledBox
from data_engine.demo.measure import HeldOut, held_out_frames, measure
from data_engine.demo.turn import Turn, take_turn
from data_engine.formats.hardframes import write_hard_frames
from data_engine.lineage import footage, uploads
from data_engine.types import Frame

CLASSES = ("person",)
FPS, FRAMES = 10, 795
POOL_FRAMES = int(FRAMES * 0.6)
HELD_OUT_FROM_S = -(-FRAMES * 7 // 10) / FPS
HELD_OUT_EVERY_S = 0.5
ARMS = ("filter", "random")
SETTINGS: dict[str, dict[str, Any]] = {
    # The camera stands still: the mean similarity of scene-change would keep one frame.
    "sample": {"method": "tiles", "workers": 1},
    # The hash sees little of people before an unmoved background, so only equal hashes count as look-alikes.
    "filter": {"budget": 12, "tolerance": 0},
    # People are 30 x 80 pixels: the library's own scaling would shrink them to nothing.
    "retrain": {
        "kind": "yolo",
        "size": "tiny",
        "image_size": 256,
        "epochs": 40,
        "batch": 2,
        "device": "cpu",
        "extra": ["scale=0.2"],
    },
    "predict": {"device": "cpu"},
}


class Clip:
    """vtest.avi and its ground truth."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "vtest.avi"
        self._boxes: dict[int, list[LabelledBox]] = defaultdict(list)
        with (folder / "vtest_tracks.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                left, top = max(0.0, float(row["x"])), max(0.0, float(row["y"]))
                # Some boxes reach beyond the picture, where an annotator cannot draw.
                right = min(768.0, float(row["x"]) + float(row["w"]))
                bottom = min(576.0, float(row["y"]) + float(row["h"]))
                self._boxes[int(row["frame"]) - 1].append(("person", (left, top, right - left, bottom - top)))

    def boxes_at(self, time_s: float) -> list[LabelledBox]:
        """Who is to be seen at a time of the clip; the ground truth counts frames from 1."""
        return self._boxes[round(time_s * FPS)]

    def truth(self, frame: Frame) -> list[LabelledBox]:
        """Who is to be seen on a frame of the pool, which begins where the clip begins."""
        assert frame.time_s is not None
        return self.boxes_at(frame.time_s)

    def write_pool(self, target: Path) -> None:
        """The first 60 % as a video of its own: the packets as they are, so the pictures too."""
        import av

        with av.open(str(self.path)) as source, av.open(str(target), "w") as output:
            stream = output.add_stream_from_template(source.streams.video[0])
            for number, packet in enumerate(source.demux(video=0)):
                if number == POOL_FRAMES:
                    break
                packet.stream = stream
                output.mux(packet)

    def held_out(self) -> list[HeldOut]:
        """Frames of the last 30 %."""
        return held_out_frames(
            self.path, key=self.path.name, every_s=HELD_OUT_EVERY_S, truth=self.boxes_at, start_s=HELD_OUT_FROM_S
        )


@dataclass(frozen=True, slots=True)
class Round:
    """What one round cost and brought."""

    ap50: float
    frames: int
    """Annotated so far, in all rounds."""
    boxes: int
    """The same."""
    train: int
    """Frames on the training side of the split."""
    kept: int
    edited: int
    added: int
    """What people did in this round: proposals taken as they were, moved, boxes drawn."""
    cpu_s: dict[str, float]


def rounds(clip: Clip, folder: Path, arm: str, seed: int, count: int) -> Iterator[tuple[Turn, Round]]:
    """Play the loop in a new workspace; each round as it is done."""
    init(folder, classes=CLASSES, progress=SilentProgress())
    clip.write_pool(folder / INPUT / "plaza.avi")
    held_out = clip.held_out()
    settings = {name: dict(section) for name, section in SETTINGS.items()}
    settings["filter"]["seed"] = settings["retrain"]["seed"] = seed
    with open_engine(folder, workspace=folder, overrides=settings, progress=SilentProgress(), environ={}) as engine:
        for number in range(count):
            frames = None if arm == "filter" else drawn(engine, random.Random(f"{seed} {number}"))
            turn = take_turn(engine, clip.truth, annotator="annotator", reviewer="reviewer", frames=frames)
            detector = open_detector(engine, engine.storage.path(champion_key("yolo")))
            exported = turn.reports["export"].data
            yield (
                turn,
                Round(
                    ap50=measure(detector, held_out, CLASSES)["map50"] or 0.0,
                    frames=exported["frames"],
                    boxes=exported["boxes"],
                    train=exported["train"],
                    kept=exported["proposals_kept"],
                    edited=exported["proposals_edited"],
                    added=exported["boxes_added"],
                    cpu_s=turn.cpu_s,
                ),
            )


def drawn(engine: Engine, rng: random.Random) -> Path:
    """A list of as many sampled frames as the budget, drawn among those that are in no task."""
    sample(engine)
    with engine.database.read() as connection:
        taken = uploads.frames_in_tasks(connection, engine.settings.annotation.backend)
        free = sorted(f.key for f in footage.sampled_frames(connection) if f.id not in taken)
    path = engine.root / "drawn_frames.txt"
    path.write_text(write_hard_frames(rng.sample(free, SETTINGS["filter"]["budget"])), "utf-8")
    return path


def play(data: Path, arm: str, seed: int, count: int) -> list[Round]:
    """All rounds of one arm and one seed, in a folder that does not outlive them."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for _turn, done in rounds(Clip(data), Path(folder) / "workspace", arm, seed, count):
            print(f"  {arm}, seed {seed}, round {len(found)}: AP50 {done.ap50:.3f}", file=sys.stderr, flush=True)
            found.append(done)
        return found


def table(played: dict[str, list[list[Round]]]) -> Iterator[str]:
    """The result, as Markdown."""
    yield "| choice | round | frames | boxes | train frames | kept / moved / drawn | AP50 | lowest to highest |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for arm, runs in played.items():
        for number, column in enumerate(zip(*runs, strict=True)):
            ap50 = [done.ap50 for done in column]
            work = " / ".join(f"{_mean([getattr(r, n) for r in column]):.0f}" for n in ("kept", "edited", "added"))
            numbers = [f"{_mean([getattr(r, n) for r in column]):.0f}" for n in ("frames", "boxes", "train")]
            spread = f"{min(ap50):.3f} to {max(ap50):.3f}"
            yield f"| {arm} | {number} | {' | '.join(numbers)} | {work} | {_mean(ap50):.3f} | {spread} |"


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="loops played at the same time")
    beside = Path(__file__).resolve().parents[2] / "shared/data/video"
    parser.add_argument("--data", type=Path, default=beside, help="folder of vtest.avi and vtest_tracks.csv")
    given = parser.parse_args()
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        waiting = {
            arm: [pool.submit(play, given.data, arm, seed, given.rounds) for seed in range(given.seeds)] for arm in ARMS
        }
        played = {arm: [future.result() for future in futures] for arm, futures in waiting.items()}
    print("\n".join(table(played)))
    cpu: Counter[str] = Counter()
    for runs in played.values():
        for run in runs:
            for done in run:
                cpu.update(done.cpu_s)
    shares = ", ".join(f"{name} {seconds / cpu.total():.1%}" for name, seconds in cpu.most_common())
    print(f"\n{len(ARMS) * given.seeds * given.rounds} rounds, {cpu.total():.0f} CPU s: {shares}")


if __name__ == "__main__":
    main()
