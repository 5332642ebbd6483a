"""What scoring frames costs, against a bare loop of decode, resize and ``session.run`` written for this alone.

    python benchmarks/scoring.py [--rounds 5] [--frames 96] [--threads 2]

RF-DETR Nano at its real size (384 px, random weights, exported by rfdetr) over 720p JPEGs drawn here.  Every contender
runs in a fresh process; each round runs all of them once, in turn, and the order turns from round to round.  Printed
are medians over the rounds, and the medians of the ratios within each round.

``filter`` is the code that ``dataengine filter`` scores with: in a workspace whose frames and model are registered, and
of which nothing was predicted yet. It reads every frame through the storage, checks its size, keeps the vector of every
class, writes the column files and records them in lineage. ``bare`` reads with OpenCV, four pictures at a time, and
keeps nothing; ONNX Runtime's threads spin while they wait, as is its default, or do not. All open the model once, which
is counted; importing is not counted, but printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

CLASSES = ("person", "helmet", "no-helmet")
BATCH, SIDE = 4, 384
CONTENDERS = ("bare", "bare, one at a time", "bare, no spinning", "filter")


def model_at(folder: Path) -> Path:
    """The export of an RF-DETR Nano that was never trained."""
    from rfdetr import RFDETRNano

    model = RFDETRNano(pretrain_weights=None, num_classes=len(CLASSES), device="cpu")
    path = model.export(
        output_dir=str(folder), format="onnx", verbose=False, dynamic_batch=True, notes={"class_names": list(CLASSES)}
    )
    return Path(path)


def draw(folder: Path, count: int) -> None:
    """720p JPEGs of a textured street with blocks on it, each of another."""
    import cv2
    import numpy as np

    folder.mkdir()
    for number in range(count):
        random = np.random.default_rng(number)
        coarse = random.integers(60, 200, (45, 80, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        picture += random.integers(-12, 13, picture.shape, dtype=np.int16)
        for _ in range(8):
            x, y = int(random.integers(1200)), int(random.integers(600))
            picture[y : y + 110, x : x + 50] = random.integers(0, 256, 3)
        cv2.imwrite(str(folder / f"street {number:05}.jpg"), np.clip(picture, 0, 255).astype(np.uint8))


def bare(model: Path, frames: Path, batch: int, *, spinning: bool = True) -> int:
    """Decode, resize, run; the number of pictures."""
    import cv2
    import numpy as np
    import onnxruntime

    mean = np.array([0.485, 0.456, 0.406], np.float32)
    deviation = np.array([0.229, 0.224, 0.225], np.float32)
    options = onnxruntime.SessionOptions()
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    paths = sorted(frames.iterdir())
    for start in range(0, len(paths), batch):
        pictures = []
        for path in paths[start : start + batch]:
            rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            small = cv2.resize(rgb.astype(np.float32) / 255, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
            pictures.append(((small - mean) / deviation).transpose(2, 0, 1))
        session.run(["dets", "labels"], {name: np.stack(pictures)})
    return len(paths)


def opened_workspace(root: Path) -> AbstractContextManager[Engine]:
    from data_engine.app.engine import open_engine
    from data_engine.cli.progress import SilentProgress

    return open_engine(
        root, workspace=root, overrides={"predict": {"device": "cpu", "batch": BATCH}}, progress=SilentProgress()
    )


def prepare(root: Path, model: Path) -> None:
    """A workspace that knows its frames and its model."""
    from data_engine.app.footage.pictures import frames_in
    from data_engine.app.init import init
    from data_engine.app.models.models import register_model
    from data_engine.cli.progress import SilentProgress

    init(root, classes=CLASSES, progress=SilentProgress())
    with opened_workspace(root) as engine:
        frames_in(engine, root / "frames", hint="")
        register_model(engine, model)


def scored(root: Path, model: Path) -> int:
    """Score the workspace's frames as ``filter`` does; their number."""
    from data_engine.app.footage.pictures import frames_in
    from data_engine.app.models.models import predict_missing, register_model

    with opened_workspace(root) as engine:
        frames, _ = frames_in(engine, root / "frames", hint="")
        opened = register_model(engine, model)
        begun()
        return predict_missing(engine, opened, frames)[0]


_BEGUN: list[tuple[float, float]] = []


def begun() -> None:
    """From here on it is counted."""
    _BEGUN.append((time.perf_counter(), cpu_seconds()))


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_mb() -> float:
    """The most memory this program has held; ``ru_maxrss`` would also count what its parent held at the fork."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def contender(name: str, root: Path, model: Path) -> dict[str, float]:
    """Run one; seconds, and the peak of its memory in MB."""
    started = cpu_seconds()
    if name == "filter":
        count = scored(root, model)
    else:
        import cv2  # noqa: F401
        import numpy as np  # noqa: F401
        import onnxruntime  # noqa: F401

        begun()
        batch = 1 if name == "bare, one at a time" else BATCH
        count = bare(model, root / "frames", batch, spinning=name != "bare, no spinning")
    wall, cpu = _BEGUN[0]
    return {
        "frames": count,
        "wall": time.perf_counter() - wall,
        "cpu": cpu_seconds() - cpu,
        "before": cpu - started,
        "peak": peak_mb(),
    }


def measured(name: str, root: Path, model: Path, scratch: Path, cpus: Sequence[int]) -> dict[str, float]:
    copy = scratch / "copy"
    shutil.copytree(root, copy)
    try:
        command = [sys.executable, __file__, "--contender", name, "--root", str(copy), "--model", str(model)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus)
        )
    finally:
        shutil.rmtree(copy)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run the contenders, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2, help="cores that a contender may use")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help="an RF-DETR .onnx of 384 px, instead of one made here")
    given = parser.parse_args()
    if given.contender:
        print(json.dumps(contender(given.contender, given.root, given.model)))
        return
    cpus = sorted(os.sched_getaffinity(0))[: given.threads]
    with tempfile.TemporaryDirectory(prefix="scoring-") as name:
        scratch = Path(name)
        model = given.model or model_at(scratch)
        root = scratch / "workspace"
        root.mkdir()
        draw(root / "frames", given.frames)
        prepare(root, model)
        runs: dict[str, list[dict[str, float]]] = {each: [] for each in CONTENDERS}
        for number in range(given.rounds):
            turn = number % len(CONTENDERS)
            for each in CONTENDERS[turn:] + CONTENDERS[:turn]:
                runs[each].append(measured(each, root, model, scratch, cpus))
                assert runs[each][-1]["frames"] == given.frames, runs[each][-1]
        print(f"{given.frames} frames of 1280 x 720, {SIDE} px, {len(cpus)} cores, {given.rounds} rounds")
        print(f"{'':22}{'CPU s':>9}{'ratio':>8}{'wall s':>9}{'ratio':>8}{'peak MB':>9}{'CPU s before':>14}")
        for each, found in runs.items():
            middle = {key: statistics.median(run[key] for run in found) for key in found[0]}
            cpu, wall = (
                statistics.median(run[key] / other[key] for run, other in zip(found, runs["bare"], strict=True))
                for key in ("cpu", "wall")
            )
            print(
                f"{each:22}{middle['cpu']:9.2f}{cpu:8.3f}{middle['wall']:9.2f}{wall:8.3f}{middle['peak']:9.0f}"
                f"{middle['before']:14.2f}"
            )


if __name__ == "__main__":
    main()
