"""What ``retrain`` costs over the library's own training call with the same settings, in CPU seconds.

Interleaved, each in a process of its own; medians, and the ratio with its spread.  The library's side is its own call
of the same recipe on the same folder: ultralytics' ``YOLO.train`` and ``export``; rfdetr's Lightning trainer, as its
``train`` builds it, and ``export``.  The product's side is the trainer behind ``retrain``: it also copies the data's
list, keeps checkpoints, writes ``metrics.jsonl`` and TensorBoard's files, and makes the bytes repeatable.

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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/contract")]
SIDES = ("library", "retrain")


def options_of(kind: str, epochs: int) -> dict[str, Any]:
    """A small training that takes long enough to be measured."""
    import test_trainers as suite

    size = {"image_size": 160} if kind == "yolo" else {}
    return {**suite.QUICK[kind], **size, "epochs": epochs, "batch": 8, "device": "cpu"}


def library(kind: str, data: Path, output: Path, options: dict[str, Any]) -> None:
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
        from data_engine.trainers.yolo_model import import_ultralytics, opened_model

        import_ultralytics()
        import torch

        torch.set_num_threads(1)
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
            model.export(format="onnx", dynamic=True, simplify=False, imgsz=chosen.image_size, device="cpu")
        return
    from data_engine.trainers.rfdetr import _LOGGERS, RECIPE, _import_rfdetr, _model
    from data_engine.trainers.rfdetr_data import private_copy as copy

    _import_rfdetr()
    import torch

    torch.set_num_threads(1)
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
        model.export(output_dir=str(output / "onnx"), format="onnx", verbose=False, dynamic_batch=True)


def retrain(kind: str, data: Path, output: Path, options: dict[str, Any]) -> None:
    """What the product does for the same."""
    import test_trainers as suite

    suite.TRAINERS[kind].train(data, output, options, weights=None, progress=suite.Watch())


def one(side: str, kind: str, data: Path, output: Path, epochs: int) -> None:
    """A side in this process; prints its CPU seconds, those of the imports among them."""
    import test_trainers as suite

    if kind == "rfdetr":
        suite.shrink(lambda target, name, value: setattr(target, name, value))
    {"library": library, "retrain": retrain}[side](kind, data, output, options_of(kind, epochs))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps(used.ru_utime + used.ru_stime))


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

    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
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
                seconds[name].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"round {number + 1}: {name} {seconds[name][-1]:.2f} CPU s", file=sys.stderr, flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = sorted(mine / theirs for mine, theirs in zip(seconds["retrain"], seconds["library"], strict=True))
    print(f"{asked.kind}, {asked.images} pictures, {asked.epochs} epochs, {asked.rounds} rounds, CPU seconds (medians)")
    for name, value in medians.items():
        print(f"{name:8} {value:7.2f}")
    print(f"ratio    {medians['retrain'] / medians['library']:7.3f}   (of pairs: {ratios[0]:.3f} .. {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
