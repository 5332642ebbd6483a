"""What ``upload`` to a CVAT server costs.

    python benchmarks/upload.py [--frames 500] [--rounds 3] [--unseen]
    python benchmarks/upload.py --memory --frames 100000 --size 64x48

The server, over a socket, is that of the tests (``tests/cvat_server``) as a process of its own, or the real one that
``--url`` names (with ``--username`` and ``--password``).

The same 1280 x 720 pictures with five proposals each are uploaded in turn by ``cvat-sdk``'s own ``create_from_data``
and ``import_annotations`` (the boxes alone, and with the three attributes that bring a box back with its proposal), and
by ``dataengine upload``, in fresh processes; printed are medians of seconds and CPU seconds, the start of Python
included, and the peak of memory.  Pictures are registered in a workspace as the loop meets them, so ``upload`` has seen
them; ``--unseen`` adds an upload that meets them for the first time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from cvat_bench import (
    BOXES,
    JOB_SIZE,
    LABELS,
    TASK_SIZE,
    USER,
    environment,
    make_frames,
    test_server,
    upload_command,
    workspace,
)

BY_SDK = """
import json, sys
from pathlib import Path
from cvat_sdk import make_client
from cvat_sdk.core.client import Config
url, user, password, frames, proposals, size, job, project = sys.argv[1:9]
labels, attributes = json.loads(sys.argv[9]), json.loads(sys.argv[10])
everything = json.loads(Path(proposals).read_text())
files = sorted(Path(frames).iterdir())
of = {}
for box in everything["annotations"]:
    of.setdefault(box["image_id"], []).append(box)
    if attributes:
        box["attributes"] = {"confidence": str(box["score"]), "proposal": f"{box['id']:032x}", "origin": "model"}
with make_client(url, credentials=(user, password)) as client:
    client.config.status_check_period = 0.1
    labels = [{"name": name, "attributes": attributes} for name in labels]
    made = client.projects.create({"name": project, "labels": labels})
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


WAYS = (
    "cvat-sdk, boxes alone",
    "cvat-sdk, boxes with their origin",
    "dataengine upload",
    "dataengine upload, pictures never seen",
)
_TEXT = {"mutable": False, "input_type": "text", "default_value": "", "values": []}
ATTRIBUTES = [{"name": name, **_TEXT} for name in ("confidence", "proposal", "origin")]
"""What ``upload`` declares, so that a box comes back with its proposal: each is one more row on the server."""


def cost(args: argparse.Namespace, home: Path) -> None:
    """Print what the ways take."""
    proposals = _frames(home, args)
    found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS[: 3 + args.unseen]}
    # A name of its own each time: on a real server earlier runs are still there.
    mark = f"{time.time_ns():x}"
    known = workspace(home / "workspace")
    for number in range(args.rounds):
        with test_server(home) if args.url is None else given(args.url) as url:
            user = (args.username, args.password) if args.url else USER
            env = environment(url, user)
            if not number:
                # What the loop uploads it has sampled or filtered before: the pictures are registered.
                register = [
                    sys.executable, "-m", "data_engine", "filter", "--quiet",
                    "--input", str(home / "frames"), "--strategy", "random", "--budget", "1",
                ]  # fmt: skip
                timed(register, known, env)
            for way, rows in found.items():
                project = f"bench {mark} {number} {way}"
                if way.startswith("cvat-sdk"):
                    told = [url, *user, str(home / "frames"), str(proposals), str(TASK_SIZE), str(JOB_SIZE), project]
                    told += [json.dumps(LABELS), json.dumps(ATTRIBUTES if way == WAYS[1] else [])]
                    rows.append(timed([sys.executable, "-c", BY_SDK, *told], home, env))
                else:
                    folder = known if way == "dataengine upload" else workspace(home / f"workspace-{number}")
                    command = upload_command(home / "frames", proposals)
                    rows.append(timed(command, folder, env | {"DATAENGINE_CVAT_PROJECT": project}))
    width, height = args.size
    print(f"\n{args.frames} frames of {width} x {height} with {BOXES} boxes each, medians of {args.rounds}:\n")
    print(
        "| way | seconds | CPU s | peak MB | over the first | over the second |\n| --- | --- | --- | --- | --- | --- |"
    )
    bases = [median(row[0] for row in found[way]) for way in WAYS[:2]]
    for way, rows in found.items():
        mine = [median(row[part] for row in rows) for part in range(3)]
        ratios = " | ".join(f"{mine[0] / base:.2f}" for base in bases)
        print(f"| {way} | {mine[0]:.1f} | {mine[1]:.1f} | {mine[2]:.0f} | {ratios} |")


def memory(args: argparse.Namespace, home: Path) -> None:
    """Print what one upload of pictures that were never seen takes, without the other way beside it."""
    proposals = _frames(home, args)
    with test_server(home) as url:
        folder = workspace(home / "workspace")
        seconds, cpu, peak = timed(upload_command(home / "frames", proposals), folder, environment(url, USER))
    print(f"{args.frames} frames with {BOXES} boxes each: {seconds:.0f} s, {cpu:.0f} CPU s, {peak:.0f} MB")


def _frames(home: Path, args: argparse.Namespace) -> Path:
    # In a process of its own: a child's peak of memory is never below what its parent held when it began.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(make_frames, home / "frames", args.frames, args.size).result()


@contextmanager
def given(url: str) -> Iterator[str]:
    """A server that is there already."""
    yield url


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(1280, 720))
    parser.add_argument("--unseen", action="store_true", help="also with pictures that are registered on the way")
    parser.add_argument("--memory", action="store_true", help="one upload by itself, for its peak of memory")
    parser.add_argument("--url")
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password", default="")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (memory if args.memory else cost)(args, Path(folder))


if __name__ == "__main__":
    main()
