"""Five rounds of ``run`` on real CCTV: what they bring on footage that nobody labels, and what the loop itself costs.

    OMP_NUM_THREADS=1 python benchmarks/rounds.py [--rounds 5] [--seeds 3] [--workers 2] [--data ../shared/data/video]

Footage, truth and held-out frames are those of ``flywheel_vtest.py``.  Each round is what a cron job would do: ``run``
goes as far as it can, the truth annotates and reviews, ``run`` goes on.  Measured are, after each round, the model that
was trained and the model in use, on the held-out frames; and the CPU seconds of everything that ``run`` does, parted
into training (the trainer's own call), inference (the detectors' calls) and the rest, which is the loop's overhead.
The interval of the gain is over the seeds (Student's t).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flywheel_vtest import CLASSES, SETTINGS, Clip

from data_engine.app.engine import Engine, open_engine
from data_engine.app.footage.sample import INPUT
from data_engine.app.init import init
from data_engine.app.models.models import champion_key, open_detector
from data_engine.app.rounds.report import report
from data_engine.app.rounds.rounds import told
from data_engine.app.rounds.run import run
from data_engine.cli.progress import SilentProgress
from data_engine.demo.measure import HeldOut, measure
from data_engine.demo.people import work
from data_engine.lineage import models
from data_engine.metrics.intervals import paired_interval

FRAMES_PER_ROUND = 10
SAMPLED_EVERY_S = 0.5
"""96 frames of the pool, so that five rounds leave something to choose from in the last."""


@dataclass
class Watch:
    """CPU seconds of some functions, wherever they are called."""

    seconds: Counter[str] = field(default_factory=Counter)
    _here: threading.local = field(default_factory=threading.local)

    def watch(self, owner: Any, name: str, label: str, clock: Callable[[], float]) -> None:
        """Count what a method takes under a label; a call within another one belongs to that one."""
        real = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            if getattr(self._here, "inside", False):
                return real(*given, **named)
            self._here.inside = True
            began = clock()
            try:
                return real(*given, **named)
            finally:
                self.seconds[label] += clock() - began
                self._here.inside = False

        setattr(owner, name, watched)


def cpu_s() -> float:
    """CPU seconds of this process and of those that it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def watched() -> Watch:
    """A watch on the trainer and on the detectors."""
    from data_engine.detectors.yolo import YoloOnnx, YoloTorch
    from data_engine.trainers.yolo import YoloTrainer

    found = Watch()
    found.watch(YoloTrainer, "train", "training", cpu_s)
    for detector in (YoloOnnx, YoloTorch):
        for name in ("prepare", "infer"):
            # Pictures are read ahead by other threads meanwhile: those seconds are not the detector's.
            found.watch(detector, name, "inference", time.thread_time)
    return found


@dataclass(frozen=True, slots=True)
class Round:
    """What one round cost and brought."""

    ap50: float
    """Of the model that was trained, on the held-out frames."""
    in_use: float
    """Of the model in use after the round."""
    frames: int
    boxes: int
    promoted: bool
    training_s: float
    inference_s: float
    rest_s: float
    steps_s: dict[str, float]
    """CPU seconds by step, as lineage keeps them."""


def rounds(clip: Clip, folder: Path, seed: int, count: int) -> Iterator[Round]:
    """Play the loop in a new workspace; each round as it is done."""
    init(folder, classes=CLASSES, progress=SilentProgress())
    clip.write_pool(folder / INPUT / "plaza.avi")
    held_out = clip.held_out()
    settings = {name: dict(section) for name, section in SETTINGS.items()}
    settings["filter"].pop("budget")
    settings["filter"]["seed"] = settings["retrain"]["seed"] = seed
    settings["sample"] = {"method": "interval", "interval": SAMPLED_EVERY_S, "workers": 1}
    settings["run"] = {"frames_per_round": FRAMES_PER_ROUND, "rounds": count}
    watch = watched()
    with open_engine(folder, workspace=folder, overrides=settings, progress=SilentProgress(), environ={}) as engine:
        number = 0
        began, before = cpu_s(), Counter[str]()
        spent = 0.0
        while number < count:
            began = cpu_s()
            report_ = run(engine, anyway=True)
            spent += cpu_s() - began
            ended = told(engine)
            if len(ended) > number:
                # run has begun the next round already: its few seconds of choosing are that one's.
                number = len(ended)
                now = Counter(watch.seconds)
                took = now - before
                yield _round(engine, held_out, ended[-1], spent, took)
                before, spent = Counter(watch.seconds), 0.0
            if not work(engine, clip.truth, annotator="annotator", reviewer="reviewer").jobs and number < count:
                raise SystemExit(f"the loop stands still after {number} rounds: {report_.title}")
        report(engine)


def _round(engine: Engine, held_out: list[HeldOut], one: Any, spent: float, took: Counter[str]) -> Round:
    with engine.database.read() as connection:
        model = models.by_id(connection, one.model_after)
    assert model is not None
    trained = measure(open_detector(engine, engine.storage.path(model.key)), held_out, CLASSES)
    used = measure(open_detector(engine, engine.storage.path(champion_key("yolo"))), held_out, CLASSES)
    from data_engine.app.rounds.round_rows import decision_of

    decided = decision_of(engine, one)
    return Round(
        ap50=trained["map50"] or 0.0,
        in_use=used["map50"] or 0.0,
        frames=one.frames,
        boxes=one.boxes,
        promoted=decided is not None and not decided.refused,
        training_s=took["training"],
        inference_s=took["inference"],
        rest_s=spent - took["training"] - took["inference"],
        steps_s=dict(one.cpu_s),
    )


def play(data: Path, seed: int, count: int, keep: Path | None) -> list[Round]:
    """All rounds of one seed, in a folder that does not outlive them unless it is to be kept."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) if keep is None else keep
        found = []
        for done in rounds(Clip(data), home / f"seed{seed}", seed, count):
            found.append(done)
            print(
                f"  seed {seed}, round {len(found)}: AP50 {done.ap50:.3f}, in use {done.in_use:.3f}, "
                f"CPU s: training {done.training_s:.1f}, inference {done.inference_s:.1f}, rest {done.rest_s:.1f}",
                file=sys.stderr,
                flush=True,
            )
        return found


def table(runs: list[list[Round]]) -> Iterator[str]:
    """The result, as Markdown."""
    yield "| round | frames | boxes | AP50 of its model | lowest to highest | AP50 in use | promoted |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for number, column in enumerate(zip(*runs, strict=True), 1):
        trained = [done.ap50 for done in column]
        yield (
            f"| {number} | {_total(column, 'frames', runs, number):.0f} | {_total(column, 'boxes', runs, number):.0f} "
            f"| {statistics.fmean(trained):.3f} | {min(trained):.3f} to {max(trained):.3f} "
            f"| {statistics.fmean(done.in_use for done in column):.3f} "
            f"| {sum(done.promoted for done in column)} of {len(column)} |"
        )


def _total(_column: Any, name: str, runs: list[list[Round]], number: int) -> float:
    """Mean over the seeds of what people had labelled by then."""
    return statistics.fmean(sum(getattr(done, name) for done in one[:number]) for one in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="loops played at the same time")
    parser.add_argument("--keep", type=Path, help="a folder to leave the workspaces in")
    beside = Path(__file__).resolve().parents[2] / "shared/data/video"
    parser.add_argument("--data", type=Path, default=beside, help="folder of vtest.avi and vtest_tracks.csv")
    given = parser.parse_args()
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = [pool.submit(play, given.data, seed, given.rounds, given.keep) for seed in range(given.seeds)]
        runs = [future.result() for future in waiting]
    print("\n".join(table(runs)))
    for name, label in (("ap50", "the model of the last round"), ("in_use", "the model in use after the last round")):
        gains = [getattr(one[-1], name) - one[0].ap50 for one in runs]
        print(f"\n{label} against that of the first, held-out AP50, {len(gains)} seeds: {paired_interval(gains)}")
    every = [done for one in runs for done in one]
    training, inference, rest = (
        sum(getattr(d, f"{name}_s") for d in every) for name in ("training", "inference", "rest")
    )
    whole = training + inference + rest
    print(
        f"\n{len(every)} rounds, {whole:.0f} CPU s: training {training / whole:.1%}, "
        f"inference {inference / whole:.1%}, the loop itself {rest / whole:.1%} ({rest / len(every):.1f} s a round)"
    )
    steps: Counter[str] = Counter()
    for done in every:
        steps.update(done.steps_s)
    print("by step: " + ", ".join(f"{name} {seconds / len(every):.2f} s" for name, seconds in steps.most_common()))


if __name__ == "__main__":
    main()
