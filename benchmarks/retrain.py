"""What ``retrain`` costs over the library's own training call with the same settings, in CPU seconds.

Interleaved, each in a process of its own; medians, and the ratio with its spread.  The library's side is its own call
of the same recipe on the same folder: ultralytics' ``YOLO.train`` and ``export``; rfdetr's Lightning trainer, as its
``train`` builds it, and ``export``.  The product's side is the trainer behind ``retrain``: it also copies the data's
list, keeps checkpoints, writes ``metrics.jsonl`` and TensorBoard's files, and makes the bytes repeatable.

Two ratios, of the same runs.  ``training`` is what the training call itself takes, from an imported library to a
checkpoint: what ``retrain`` promises a limit for.  ``all`` has the imports and the export to ONNX as well, which both
sides do, and so says how much of a whole run it is.  What ``retrain`` does after that (measuring the export, deciding
about the model) has no counterpart in a training call and is in neither.

    python benchmarks/retrain.py --rounds 5
    python benchmarks/retrain.py --kind rfdetr
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/contract")]
SIDES = ("library", "retrain")
PARTS = ("training", "all")


def options_of(kind: str, epochs: int) -> dict[str, Any]:
    """A small training that takes long enough to be measured."""
    import test_trainers as suite

    size = {"image_size": 160} if kind == "yolo" else {}
    return {**suite.QUICK[kind], **size, "epochs": epochs, "batch": 8, "device": "cpu"}


def cpu_s() -> float:
    """Of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(call: Callable[..., Any], into: list[float]) -> Callable[..., Any]:
    """The same call, which adds its CPU seconds to a list."""

    def measured(*arguments: Any, **named: Any) -> Any:
        began = cpu_s()
        try:
            return call(*arguments, **named)
        finally:
            into.append(cpu_s() - began)

    return measured


def imported(kind: str) -> None:
    """All that a training needs of its library."""
    if kind == "yolo":
        from data_engine.trainers.yolo_model import import_ultralytics

        import_ultralytics()
        import ultralytics.engine.exporter
        import ultralytics.models.yolo  # noqa: F401
    else:
        from data_engine.trainers.rfdetr import _import_rfdetr

        _import_rfdetr()
    import onnx  # noqa: F401
    import torch

    torch.set_num_threads(1)


def library(kind: str, data: Path, output: Path, options: dict[str, Any], exports: list[float]) -> None:
    """The library's own calls."""
    from data_engine.metrics.splits import read_split, read_training
    from data_engine.trainers.options import TrainOptions
    from data_engine.trainers.quiet import talking_to

    sides = read_training(kind, data), read_split(kind, data, "valid")
    chosen = TrainOptions.of(options)
    output.mkdir(parents=True)
    if kind == "yolo":
        from data_engine.trainers.yolo import LEARNING_RATE, RECIPE
        from data_engine.trainers.yolo_data import private_copy
        from data_engine.trainers.yolo_model import opened_model

        with talking_to(output / "log", "ultralytics"):
            model = opened_model(chosen.size, None, output)
            model.train(
                **RECIPE,
                data=str(private_copy(output / "data", *sides)),
                epochs=chosen.epochs,
                batch=chosen.batch,
                nbs=chosen.batch,
                imgsz=chosen.image_size,
                lr0=LEARNING_RATE,
                seed=0,
                device="cpu",
                workers=0,
                patience=0,
                val=False,
                project=str(output),
                name="run",
                verbose=False,
            )
            export = timed(model.export, exports)
            export(format="onnx", dynamic=True, simplify=False, imgsz=chosen.image_size, device="cpu")
        return
    from data_engine.trainers.rfdetr import _LOGGERS, RECIPE, _model
    from data_engine.trainers.rfdetr_data import private_copy as copy

    with talking_to(output / "log", *_LOGGERS):
        model = _model(chosen, None, None, len(sides[0].class_names), "cpu")
        model.train(
            **RECIPE,
            dataset_dir=str(copy(output / "data", *sides)),
            output_dir=str(output / "run"),
            epochs=chosen.epochs,
            batch_size=chosen.batch,
            lr=chosen.learning_rate,
            num_workers=0,
            seed=0,
            eval_interval=chosen.epochs,
            run_test=False,
            device="cpu",
        )
        export = timed(model.export, exports)
        export(output_dir=str(output / "onnx"), format="onnx", verbose=False, dynamic_batch=True)


def retrain(kind: str, data: Path, output: Path, options: dict[str, Any], exports: list[float]) -> None:
    """What the product does for the same."""
    import importlib

    import test_trainers as suite

    module = importlib.import_module(f"data_engine.trainers.{kind}")
    module.export = timed(module.export, exports)  # type: ignore[attr-defined]
    suite.TRAINERS[kind].train(data, output, options, weights=None, progress=suite.Watch())


def one(side: str, kind: str, data: Path, output: Path, epochs: int) -> None:
    """A side in this process; prints its CPU seconds."""
    import test_trainers as suite

    if kind == "rfdetr":
        suite.shrink(lambda target, name, value: setattr(target, name, value))
    imported(kind)
    exports: list[float] = []
    began = cpu_s()
    {"library": library, "retrain": retrain}[side](kind, data, output, options_of(kind, epochs), exports)
    print(json.dumps({"training": cpu_s() - began - sum(exports), "all": cpu_s()}))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["yolo", "rfdetr"], default="yolo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--one", nargs=3, metavar=("SIDE", "DATA", "OUTPUT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one[0], asked.kind, Path(asked.one[1]), Path(asked.one[2]), asked.epochs)
        return
    import test_trainers as suite

    seconds: dict[str, dict[str, list[float]]] = {side: {part: [] for part in PARTS} for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        side = 160 if asked.kind == "yolo" else 64
        data = suite.training_folder(asked.kind, root / "data", train=asked.images, valid=asked.images // 5, side=side)
        for number in range(asked.rounds):
            for name in SIDES if number % 2 else reversed(SIDES):
                words = ["--kind", asked.kind, "--epochs", str(asked.epochs)]
                words += ["--one", name, str(data), str(root / f"{name} {number}")]
                done = subprocess.run(
                    [sys.executable, __file__, *words],
                    env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    sys.exit(done.stderr)
                found = json.loads(done.stdout.splitlines()[-1])
                for part in PARTS:
                    seconds[name][part].append(found[part])
                told = ", ".join(f"{part} {found[part]:.2f}" for part in PARTS)
                print(f"round {number + 1}: {name} {told} CPU s", file=sys.stderr, flush=True)
    load = f"load {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"
    print(f"{asked.kind}, {asked.images} pictures, {asked.epochs} epochs, {asked.rounds} pairs, {load}; CPU seconds")
    print(f"{'':10}{'library':>9}{'retrain':>9}{'ratio':>8}   ratios of the pairs")
    for part in PARTS:
        theirs, mine = (statistics.median(seconds[name][part]) for name in SIDES)
        pairs = sorted(m / t for t, m in zip(*(seconds[name][part] for name in SIDES), strict=True))
        print(f"{part:10}{theirs:9.2f}{mine:9.2f}{mine / theirs:8.3f}   {pairs[0]:.3f} .. {pairs[-1]:.3f}")


if __name__ == "__main__":
    main()
