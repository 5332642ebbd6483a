"""How long after `a` the next frame of a review is on screen, in Chromium, against a page that only swaps pictures.

    python benchmarks/serve_review.py [--frames 200] [--rounds 3]

The job has 1080p JPEGs of their own with eight proposals each, handed in as proposed; the server is a process of its
own, and everything is on this machine.  A key's time is from the browser's own time of the event to the first task
after the frame in which the next picture and its boxes were painted.  Keys come each 700 ms (a person who looks), then
each 150 ms (faster than anybody looks).  The limit is a page that holds all its pictures decoded and draws the next one
on a canvas of the same size, with nothing else: no boxes, no marks, no server.  Limit and page take turns.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_engine.app.annotation import review
from data_engine.app.annotation.upload import upload
from data_engine.app.engine import Engine, open_engine
from data_engine.app.footage.pictures import frames_in
from data_engine.app.init import init
from data_engine.stages.base import Silent
from data_engine.stages.export import dataset_name

SIZE = (1920, 1080)
CLASSES = ("person", "helmet")
GOAL_MS = 100.0
PACES_MS = (700, 150)
HELD = 24
"""Decoded pictures that the bare page holds: 200 MB."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TIMED = """
window.laps = [];
window.shown = () => {
  const stage = document.querySelector("#stage");
  return stage?.dataset.painted === "true" && stage.dataset.frame;
};
addEventListener("keydown", (event) => {
  if (event.key !== "a") return;
  const start = event.timeStamp;
  const before = window.last;
  const look = () => {
    const now = window.shown();
    if (!now || now === before) return requestAnimationFrame(look);
    window.last = now;
    requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = () => window.laps.push(performance.now() - start);
      painted.port2.postMessage(0);
    });
  };
  look();
});
"""
BARE = """<!doctype html><title>bare</title><body style="margin:0"><canvas id="c"></canvas><script>
const ids = %s;
const canvas = document.getElementById("c");
[canvas.width, canvas.height] = [%d, %d];
let at = 0;
window.shown = () => String(at);
(async () => {
  const held = [];
  for (const id of ids) held.push(await createImageBitmap(await (await fetch(`/pictures/${id}`)).blob()));
  const draw = () => canvas.getContext("2d").drawImage(held[at %% held.length], 0, 0, canvas.width, canvas.height);
  document.addEventListener("keydown", (event) => { if (event.key === "a") { at++; draw(); } });
  draw();
  window.last = "0";
  document.title = "ready";
})();
</script>"""


def draw(folder: Path, count: int) -> None:
    """Pictures with as much in them as footage: about 400 kB each."""
    folder.mkdir(parents=True)
    for seed in range(count):
        rng = np.random.default_rng(seed)
        coarse = cv2.resize(rng.integers(0, 256, (27, 48, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
        noise = rng.integers(0, 24, (SIZE[1], SIZE[0], 1), dtype=np.uint8)
        cv2.imwrite(str(folder / f"p{seed:04d}.jpg"), cv2.add(coarse, np.repeat(noise, 3, axis=2)))


def proposals(engine: Engine, folder: Path) -> Path:
    """Eight boxes on each picture."""
    frames, _failures = frames_in(engine, folder, hint="")
    images, boxes = [], []
    for number, frame in enumerate(frames, 1):
        images.append({"id": number, "file_name": dataset_name(frame), "width": SIZE[0], "height": SIZE[1]})
        for place in range(8):
            xywh = [60 + 220 * place, 80 + 90 * ((number + place) % 9), 150, 210]
            boxes.append(
                {"id": len(boxes) + 1, "image_id": number, "category_id": 1 + place % 2, "bbox": xywh, "score": 0.9}
            )
    file = engine.root / "proposals.json"
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return file


def make(root: Path, frames: int) -> None:
    """A workspace with one job of so many frames that was handed in."""
    init(root, classes=CLASSES, progress=Silent())
    draw(root / "pictures", frames)
    overrides = {"upload": {"job_size": frames, "task_size": frames, "assignee": ["ann"]}}
    with open_engine(root, workspace=root, overrides=overrides, progress=Silent(), environ={}) as engine:
        upload(engine, frames=root / "pictures", preannotations=proposals(engine, root / "pictures"))
        review.submit(engine, 1, by="ann")


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of its pages."""
    command = [sys.executable, "-m", "data_engine", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        assert server.stderr is not None
        try:
            yield next(found[0] for line in server.stderr if (found := re.search(r"http://\S+", line)))
        finally:
            server.terminate()


def laps(page: Any, count: int, pace_ms: int) -> list[float]:
    """Milliseconds from key to paint, of so many keys."""
    page.evaluate("window.laps.length = 0")
    for _ in range(count):
        page.keyboard.press("a")
        page.wait_for_timeout(pace_ms)
    page.wait_for_function(f"() => window.laps.length >= {count}")
    found: list[float] = page.evaluate("window.laps")
    return found


def told(name: str, times: list[float]) -> str:
    """Quantiles of times in ms."""
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{name:<34} median {statistics.median(ordered):6.1f} ms   p95 {p95:6.1f} ms   worst {ordered[-1]:6.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "plant"
        make(root, given.frames)
        with served(root) as address, sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            form = {"name": "rita", "role": "reviewer"}
            context.request.post(f"{address}/signin", form=form, headers={"Origin": address}, max_redirects=0)
            context.add_init_script(TIMED)
            page = context.new_page()
            page.goto(f"{address}/review/1")
            page.wait_for_selector("#stage[data-painted=true]")
            page.evaluate("window.last = window.shown()")
            sheet = page.locator("#stage canvas")
            size = sheet.evaluate("(canvas) => [canvas.width, canvas.height]")
            ids = [frame["id"] for frame in json.loads(page.text_content("#job-data") or "")["frames"]]
            bare = context.new_page()
            html = BARE % (json.dumps(ids[:HELD]), *size)
            bare.route("**/bare", lambda route: route.fulfill(body=html, content_type="text/html"))
            bare.goto(f"{address}/bare")
            bare.wait_for_function("() => document.title === 'ready'")
            each = (given.frames - 1) // (given.rounds * len(PACES_MS))
            ours: dict[int, list[float]] = {pace: [] for pace in PACES_MS}
            limit: dict[int, list[float]] = {pace: [] for pace in PACES_MS}
            for _ in range(given.rounds):
                for pace in PACES_MS:
                    bare.bring_to_front()
                    limit[pace] += laps(bare, each, pace)
                    page.bring_to_front()
                    ours[pace] += laps(page, each, pace)
            browser.close()
    print(
        f"{len(ours[PACES_MS[0]])} keys each, canvas of {size[0]} x {size[1]} pixels, pictures of {SIZE[0]} x {SIZE[1]}"
    )
    for pace in PACES_MS:
        print(f"a key each {pace} ms")
        print("  " + told("bare page that swaps pictures", limit[pace]))
        print("  " + told("review page, `a` to its successor", ours[pace]))
        late = sum(lap > GOAL_MS for lap in ours[pace])
        ratio = statistics.median(ours[pace]) / statistics.median(limit[pace])
        print(f"  ratio of the medians {ratio:.2f}; {late} of {len(ours[pace])} later than {GOAL_MS:g} ms")


if __name__ == "__main__":
    main()
