"""What ``upload`` to a CVAT server costs, and whether it happens exactly once.

    python benchmarks/upload.py cost  [--frames 500] [--rounds 3]
    python benchmarks/upload.py kills [--frames 10000] [--kills 20] [--share 0.05] [--seed 0]

Both talk over a socket to the server of the tests (``tests/cvat_server``), which runs as a process of its own, or to
the real one that ``--url`` names (with ``--username`` and ``--password``; ``cost`` only).

``cost`` uploads the same 1280 x 720 pictures with five proposals each in turn by ``cvat-sdk``'s own
``create_from_data`` and ``import_annotations``, and by ``dataengine upload``, in fresh processes; printed are medians
of seconds and CPU seconds, the start of Python included, and the peak of memory.

``kills`` lets one request in twenty fail, in a way drawn from latency, 429, 500, 502, 504 and reset connections before
and after the request took effect, and ends the process by SIGKILL at random moments; then it asks the server what is
there, and tells what is missing or doubled.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
LABELS = ("person", "helmet", "no-helmet")
BOXES = 5
USER = ("admin", "secret-of-the-tests-1")
TASK_SIZE, JOB_SIZE = 500, 50


def make_frames(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Different pictures with their proposals; the COCO file is returned."""
    folder.mkdir(parents=True)
    width, height = size
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 255, (height // 8, width // 8, 3), np.uint8), size)
    images, annotations = [], []
    for number in range(1, count + 1):
        picture = np.roll(texture, number, axis=1)
        cv2.putText(picture, str(number), (2, height // 2), cv2.FONT_HERSHEY_PLAIN, 1.0, (255, 255, 255))
        name = f"gate_{number:09d}.jpg"
        cv2.imwrite(str(folder / name), picture)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for place in range(BOXES):
            x, y = (number * 7 + place * 11) % (width // 2), (number * 3 + place * 5) % (height // 2)
            box = {"id": len(annotations) + 1, "image_id": number, "category_id": place % len(LABELS) + 1}
            annotations.append({**box, "bbox": [x, y, 12 + place, 10], "area": (12 + place) * 10, "iscrowd": 0})
            annotations[-1]["segmentation"] = []
            annotations[-1]["score"] = 0.5
    categories = [{"id": n, "name": name, "supercategory": "object"} for n, name in enumerate(LABELS, 1)]
    file = folder.parent / "proposals.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


@contextmanager
def test_server(state: Path) -> Iterator[str]:
    """The tests' server as a process of its own; its address."""
    command = [sys.executable, "-m", "tests.cvat_server", "--port", "0", "--seed", "1"]
    with (
        (state / "server.log").open("w") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def asked(url: str, path: str, order: dict[str, Any] | None = None) -> Any:
    """What the tests' server says of itself, or an order to it."""
    data = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def environment(url: str, user: tuple[str, str]) -> dict[str, str]:
    """What ``dataengine`` is told."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DATAENGINE_ANNOTATION_BACKEND": "cvat",
        "DATAENGINE_CVAT_URL": url,
        "DATAENGINE_CVAT_USERNAME": user[0],
        "DATAENGINE_CVAT_PASSWORD": user[1],
    }


def workspace(folder: Path) -> Path:
    """A new one."""
    folder.mkdir(parents=True)
    (folder / "dataengine.toml").write_text(
        f"[workspace]\nclasses = {json.dumps(LABELS)}\n"
        f"[upload]\ntask_size = {TASK_SIZE}\njob_size = {JOB_SIZE}\n[cvat]\npatience = 120\n"
    )
    return folder


def upload_command(frames: Path, proposals: Path) -> list[str]:
    return [
        sys.executable, "-m", "data_engine", "upload", "--quiet",
        "--frames", str(frames), "--preannotations", str(proposals),
    ]  # fmt: skip


BY_SDK = """
import json, sys
from pathlib import Path
from cvat_sdk import make_client
from cvat_sdk.core.client import Config
url, user, password, frames, proposals, size, job, project = sys.argv[1:9]
labels = json.loads(sys.argv[9])
everything = json.loads(Path(proposals).read_text())
files = sorted(Path(frames).iterdir())
of = {}
for box in everything["annotations"]:
    of.setdefault(box["image_id"], []).append(box)
with make_client(url, credentials=(user, password)) as client:
    client.config.status_check_period = 0.1
    made = client.projects.create({"name": project, "labels": [{"name": name} for name in labels]})
    for start in range(0, len(files), int(size)):
        part = files[start : start + int(size)]
        names = {file.name for file in part}
        task = client.tasks.create_from_data(
            {"name": f"{project} {start}", "project_id": made.id, "segment_size": int(job), "overlap": 0},
            resources=part, data_params={"sorting_method": "predefined", "image_quality": 100},
        )
        images = [image for image in everything["images"] if image["file_name"] in names]
        boxes = [box for image in images for box in of[image["id"]]]
        file = Path(proposals).with_name(f"part-{start}.json")
        file.write_text(json.dumps({**everything, "images": images, "annotations": boxes}))
        task.import_annotations("COCO 1.0", file)
"""


def timed(command: list[str], folder: Path, env: dict[str, str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds and MB of a command that must end well."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    error = process.stderr.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command[2][:20].strip()} … ended badly: {error.decode()[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def cost(args: argparse.Namespace, home: Path) -> None:
    """Print what both ways take."""
    proposals = make_frames(home / "frames", args.frames, (1280, 720))
    found: dict[str, list[tuple[float, float, float]]] = {"cvat-sdk": [], "dataengine upload": []}
    # A name of its own each time: on a real server earlier runs are still there.
    mark = f"{time.time_ns():x}"
    for number in range(args.rounds):
        for way, rows in found.items():
            with test_server(home) if args.url is None else given(args.url) as url:
                user = (args.username, args.password) if args.url else USER
                project = f"bench {mark} {number} {way}"
                if way == "cvat-sdk":
                    told = [url, *user, str(home / "frames"), str(proposals), str(TASK_SIZE), str(JOB_SIZE), project]
                    command = [sys.executable, "-c", BY_SDK, *told, json.dumps(LABELS)]
                    rows.append(timed(command, home, environment(url, user)))
                else:
                    folder = workspace(home / f"workspace-{number}")
                    env = environment(url, user) | {"DATAENGINE_CVAT_PROJECT": project}
                    rows.append(timed(upload_command(home / "frames", proposals), folder, env))
    print(f"\n{args.frames} frames of 1280 x 720 with {BOXES} boxes each, medians of {args.rounds}:\n")
    print("| way | seconds | CPU s | over cvat-sdk, time | CPU | peak MB |\n| --- | --- | --- | --- | --- | --- |")
    base = [median(row[part] for row in found["cvat-sdk"]) for part in range(3)]
    for way, rows in found.items():
        mine = [median(row[part] for row in rows) for part in range(3)]
        ratios = f"{mine[0] / base[0]:.2f} | {mine[1] / base[1]:.2f}"
        print(f"| {way} | {mine[0]:.1f} | {mine[1]:.1f} | {ratios} | {mine[2]:.0f} |")


@contextmanager
def given(url: str) -> Iterator[str]:
    """A server that is there already."""
    yield url


def kills(args: argparse.Namespace, home: Path) -> None:
    """Print what is missing or doubled after so many kills."""
    proposals = make_frames(home / "frames", args.frames, (64, 48))
    folder = workspace(home / "workspace")
    rng = random.Random(args.seed)
    with test_server(home) as url:
        asked(url, "/__faults__", {"reset": args.seed, "mix": {"share": args.share, "seconds": 0.2}})
        env = environment(url, USER)
        command = upload_command(home / "frames", proposals)
        began = time.monotonic()
        killed = runs = 0
        while True:
            runs += 1
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if killed < args.kills:
                try:
                    process.wait(rng.uniform(1.0, args.longest))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    killed += 1
                    process.wait()
                    continue
            _out, error = process.communicate()
            if process.returncode == 0:
                break
            print(f"run {runs} ended with {process.returncode}: {error.decode()[-300:].strip()}")
            if runs > 4 * args.kills + 20:
                sys.exit("it does not come to an end")
        seconds = time.monotonic() - began
        struck = Counter(asked(url, "/__faults__")["struck"])
        state = asked(url, "/__state__")
    check(state, args.frames)
    struck_text = ", ".join(f"{kind} {number}" for kind, number in sorted(struck.items()))
    print(f"{runs} runs, {killed} of them killed, {seconds:.0f} s; failures: {struck_text}")


def check(state: dict[str, Any], frames: int) -> None:
    """What the server holds, against what was to go up."""
    tasks = state["tasks"]
    names = Counter(frame for task in tasks for frame in task["frames"])
    boxes = Counter((frame, label, *points) for task in tasks for frame, label, points, _more in task["boxes"])
    print(f"{len(tasks)} tasks, {len(names)} frames, {sum(boxes.values())} boxes on the server")
    print(f"projects: {len(state['projects'])}; tasks expected: {-(-frames // TASK_SIZE)}")
    print(f"frames missing: {frames - len(names)}, doubled: {sum(n > 1 for n in names.values())}")
    print(f"boxes missing: {frames * BOXES - len(boxes)}, doubled: {sum(n > 1 for n in boxes.values())}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "kills"))
    parser.add_argument("--frames", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=25.0, help="seconds before a kill at most")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--url")
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password", default="")
    args = parser.parse_args()
    args.frames = args.frames or (500 if args.what == "cost" else 10_000)
    with tempfile.TemporaryDirectory() as folder:
        (cost if args.what == "cost" else kills)(args, Path(folder))


if __name__ == "__main__":
    main()
