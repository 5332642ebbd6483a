"""How long a full database takes to its newest schema and back, and what a kill in the middle leaves.

    python benchmarks/migrations.py [--images 100000] [--revision 0005] [--keep FOLDER]

The records, 1,000,000 boxes in 20 versions, are made by ``master_data.py`` and inserted directly.  Then the database
goes down, up, and up again killed half-way; beside the seconds stands what copying its file takes, which is what a
backup before each upgrade would cost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from master_data import Master, make_master

from data_engine.app.engine import DATABASE, open_engine
from data_engine.app.init import init
from data_engine.cli.progress import make_progress
from data_engine.lineage import migrate
from data_engine.lineage.database import Database

PARTS = 20


def timed(what: str, work: Callable[[], object], against: float | None = None) -> float:
    """Do it and tell how long it took; beside it how often that is another time."""
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    print(f"{what:34} {took:7.2f} s" + ("" if against is None else f"  {took / against:5.2f} x the copy"), flush=True)
    return took


def copied(file: Path) -> None:
    """A copy of the file that is on the disk when this ends."""
    copy = file.with_suffix(".copy")
    shutil.copyfile(file, copy)
    with copy.open("rb") as done:
        os.fsync(done.fileno())
    copy.unlink()


def killed(url: str, after: float) -> None:
    """An upgrade whose process is killed so many seconds after it began."""
    child = os.fork()
    if child == 0:
        migrate.upgrade(Database(url))
        os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a full database takes to its newest schema and back.")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--revision", default="0005", help="What to go down to.")
    parser.add_argument("--keep", type=Path, help="A folder for the workspace, used again when it is there.")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workspace, quiet = folder / "workspace", make_progress(quiet=True)
        fresh = not workspace.exists()
        init(workspace, progress=quiet)
        with open_engine(workspace, workspace=workspace, progress=quiet, environ={}) as engine:
            if fresh:
                make_master(engine, Master([arguments.images // PARTS] * PARTS))
            database, file = engine.database, workspace / DATABASE
            print(f"{arguments.images} images, {file.stat().st_size >> 20} MiB of SQLite", flush=True)
            copy = timed("a copy of the file", lambda: copied(file))
            timed("what would be lost", lambda: print(migrate.losses(database, arguments.revision)), copy)
            timed(f"down to {arguments.revision}", lambda: migrate.downgrade(database, arguments.revision), copy)
            up = timed(f"up to {migrate.HEAD}", lambda: migrate.upgrade(database), copy)
            migrate.downgrade(database, arguments.revision)
            database.close()
            killed(str(database.url), up / 2)
            left = migrate.current(database)
            timed(f"up from {left}, killed half-way before", lambda: migrate.upgrade(database), copy)
            assert (left, migrate.differences(database)) == (arguments.revision, [])


if __name__ == "__main__":
    main()
