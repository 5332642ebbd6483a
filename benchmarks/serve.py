"""How long every page takes in a workspace of 100,000 frames, 2,000 jobs and 1,000,000 boxes, and which ones grow.

    python benchmarks/serve.py [--frames 100000 10000] [--calls 15] [--keep FOLDER]

The workspaces are made by ``serve_data.py``: every frame is a real file.  ``dataengine serve`` runs in a process of its
own, just started; every address that answers to GET is asked for, with other frames, boxes and jobs each time.  Printed
are the first answer after the start, the median and the worst of the later ones by the clock, and the median of the
server's CPU time, which other work on the machine changes less; and after how long what the pages count of the whole
workspace was there.  A route that is in no list here is an error.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from master_data import FRAMES_A_JOB, Master
from serve_data import PASSWORD, make

from data_engine.web.server import MODULES

LIMIT_MS = 300
COUNTED = {
    "/wheel/now": "being counted",
    "/wheel/history": "being counted",
    "/frames": "for the first time",
    "/versions": "is being counted",
    "/versions/v19/tables": "being counted",
    "/versions/v18/diff/v19": "for the first time",
}
"""Pages of which a part is counted beside them, and what they say until it is there."""


def addresses(master: Master) -> dict[str, Callable[[random.Random], str]]:
    """A maker of real addresses for each route."""
    merged = master.starts[master.merged]

    def frame(rng: random.Random) -> str:
        return master.frame(rng.randrange(merged))

    def open_frame(rng: random.Random) -> tuple[int, int]:
        """A frame whose job is with its annotator, and that job."""
        n = rng.randrange(merged, master.frames)
        job = n // FRAMES_A_JOB + 1
        return (n, job) if job % 2 == 0 else open_frame(rng)

    def draft(rng: random.Random) -> str:
        n, job = open_frame(rng)
        return f"/jobs/{job}/frames/{master.frame(n)}"

    def review(rng: random.Random) -> int:
        return merged // FRAMES_A_JOB + 1 + 2 * rng.randrange((master.frames - merged) // FRAMES_A_JOB // 2)

    kinds = ("frame", "video", "selection", "model", "version", "camera", "job")

    def node(rng: random.Random) -> str:
        kind = rng.choice(kinds)
        known = {
            "frame": frame(rng),
            "video": "gate3",
            "selection": str(rng.randint(1, 20)),
            "model": f"{1:032x}",
            "version": f"v{rng.randint(1, master.merged)}",
            "camera": "camera3",
            "job": str(rng.randint(1, merged // FRAMES_A_JOB)),
        }
        return f"{kind}:{known[kind]}"

    return {
        "/": lambda _: "/",
        "/wheel/now": lambda _: "/wheel/now",
        "/wheel/history": lambda _: "/wheel/history",
        "/frames": lambda rng: (
            "/frames?"
            + rng.choice(
                (
                    "",
                    f"after={frame(rng)}",
                    "class=no-helmet",
                    "class=person&camera=camera3&state=valid",
                    "state=chosen&order=score",
                    f"order=score&after={frame(rng)}",
                    "round=2&least=0.5",
                    "name=gate7_",
                )
            )
        ),
        "/frames/{frame_id}": lambda rng: f"/frames/{frame(rng)}",
        "/frames/{frame_id}/like": lambda rng: f"/frames/{frame(rng)}/like",
        "/thumbs/{frame_id}": lambda rng: f"/thumbs/{frame(rng)}",
        "/pictures/{frame_id}": lambda rng: f"/pictures/{frame(rng)}",
        "/selections": lambda _: "/selections",
        "/selections/{number}": lambda rng: f"/selections/{rng.randint(1, 20)}?above={rng.randrange(100)}",
        "/versions": lambda _: "/versions",
        "/versions/{label}": lambda _: f"/versions/v{master.merged}",
        "/versions/{label}/tables": lambda _: f"/versions/v{master.merged}/tables",
        "/versions/{label}/diff": lambda _: f"/versions/v{master.merged}/diff?other=v3",
        "/versions/{first}/diff/{second}": lambda rng: (
            f"/versions/v{master.merged - 1}/diff/v{master.merged}?"
            + rng.choice(("", "start=240", "kind=added&start=480", "kind=changed"))
        ),
        "/lineage": lambda rng: "/lineage?what=" + rng.choice(("job 12", "camera3", "gate3", frame(rng)[:12])),
        "/lineage/{what:path}": lambda rng: f"/lineage/{node(rng)}",
        "/signin": lambda _: "/signin",
        "/jobs": lambda _: "/jobs",
        "/jobs/{job}/annotate": lambda rng: f"/jobs/{open_frame(rng)[1]}/annotate",
        "/jobs/{job}/session": lambda rng: f"/jobs/{open_frame(rng)[1]}/session",
        "/jobs/{job}/frames/{frame_id}": draft,
        "/review": lambda _: "/review",
        "/review/{job}": lambda rng: f"/review/{review(rng)}",
        "/review/{job}/state": lambda rng: f"/review/{review(rng)}/state",
    }


def routes() -> Iterator[str]:
    """Every path that answers to GET."""
    for module in MODULES:
        for route in module.router.routes:
            if "GET" in getattr(route, "methods", ()):
                yield route.path


class Server:
    """``dataengine serve`` in a process of its own."""

    def __init__(self, root: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DATAENGINE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "data_engine", "serve", "--port", "0"],
            cwd=root,
            env={**clean, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"https?://\S+", line):
                self.address = found[0]
                return
        raise SystemExit("the server did not start")

    def client(self, person: str) -> httpx.Client:
        """A signed-in browser, as it were."""
        client = httpx.Client(
            base_url=self.address, headers={"Accept": "text/html,*/*", "Origin": self.address}, timeout=120
        )
        answer = client.post("/signin", data={"name": person, "password": PASSWORD.format(person)})
        assert answer.status_code == 303, answer.text
        return client

    def cpu_ms(self) -> float:
        """CPU time of all of its threads (proc(5), ``schedstat``)."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(30)


def asked(client: httpx.Client, address: str) -> tuple[float, str]:
    """Milliseconds until the whole answer was there, and its text."""
    began = time.perf_counter()
    answer = client.get(address)
    spent = (time.perf_counter() - began) * 1000
    if answer.status_code not in (200, 303):
        raise SystemExit(f"{address}: {answer.status_code} {answer.text[:400]}")
    return spent, answer.text if "text" in answer.headers.get("content-type", "") else ""


def measure(root: Path, frames: int, calls: int) -> dict[str, tuple[float, ...]]:
    """First, median and worst milliseconds of each route by the clock, and median ones of the processor."""
    master = make(root, frames)
    made = addresses(master)
    unknown = sorted(set(routes()) - set(made))
    if unknown:
        raise SystemExit(f"routes that this benchmark does not know: {', '.join(unknown)}")
    rng = random.Random(7)
    found: dict[str, tuple[float, ...]] = {}
    # Each route's first answer is that of a server that was just started: nothing is counted or kept yet.
    server = Server(root)
    clients = {name: server.client(name) for name in ("anna", "rita")}
    started = time.perf_counter()
    first = {path: asked(_who(clients, path), make_one(rng))[0] for path, make_one in made.items()}
    ready = {}
    while len(ready) < len(COUNTED):
        for path, words in COUNTED.items():
            if path not in ready and words not in asked(clients["rita"], path)[1]:
                ready[path] = time.perf_counter() - started
        if time.perf_counter() - started > 300:
            raise SystemExit(f"never counted: {sorted(set(COUNTED) - set(ready))}")
        time.sleep(0.05)
    print(
        f"{frames:,} frames: counted after " + ", ".join(f"{path} {s:.1f} s" for path, s in ready.items()), flush=True
    )
    asked(clients["rita"], made["/frames/{frame_id}/like"](rng))
    time.sleep(10)  # until the vectors are there, and nothing is counted any more
    for path, make_one in made.items():
        spent, busy = [], []
        for _ in range(calls):
            before = server.cpu_ms()
            spent.append(asked(_who(clients, path), make_one(rng))[0])
            busy.append(server.cpu_ms() - before)
        found[path] = first[path], statistics.median(spent), max(spent), statistics.median(busy)
    server.end()
    return found


def _who(clients: dict[str, httpx.Client], path: str) -> httpx.Client:
    return clients["anna" if path.startswith("/jobs") else "rita"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[100_000, 10_000])
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--keep", type=Path, help="folder to keep the workspaces in")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="serve"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        results = {frames: measure(folder / str(frames), frames, given.calls) for frames in given.frames}
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\nmilliseconds; the limit is {LIMIT_MS}\n")
    heads = " | ".join(f"{n:,}: first | median | worst | CPU" for n in given.frames)
    print(f"| page | {heads} |\n| --- |{' ---: | ---: | ---: | ---: |' * len(given.frames)}")
    for path in next(iter(results.values())):
        cells = " | ".join(" | ".join(f"{value:.0f}" for value in results[n][path]) for n in given.frames)
        print(f"| `{path}` | {cells} |")
    worst = max(values[2] for found in results.values() for values in found.values())
    print(f"\nthe worst answer took {worst:.0f} ms, {worst / LIMIT_MS:.2f} of the limit")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
