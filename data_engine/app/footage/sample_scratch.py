"""Where a run of ``sample`` keeps what lets it go on after a kill: a folder a fingerprint, used by one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from data_engine.app.engine import STATE_FOLDER, Engine

FOLDER = f"{STATE_FOLDER}/sampling"
STALE_S = 7 * 24 * 3600.0
"""Seconds after which nobody is expected to come back to a run that was killed: then its folder is removed."""
_LOCK = "lock"


@contextlib.contextmanager
def scratch_folder(engine: Engine, fingerprint: str) -> Iterator[str]:
    """The key of the folder of a run with this fingerprint; removed when the block ends well.

    After an error, an interrupt or a kill it stays, and the next run goes on from what is in it.  Of two that run at
    the same moment the second gets a folder of its own.
    """
    root = engine.root / FOLDER
    with contextlib.ExitStack() as stack:
        number = 1
        while True:
            name = fingerprint if number == 1 else f"{fingerprint}-{number}"
            if stack.enter_context(locked(root / name)):
                break
            number += 1
        yield f"{FOLDER}/{name}"
        shutil.rmtree(root / name, ignore_errors=True)
        _remove_stale(root, fingerprint)
        with contextlib.suppress(OSError):
            root.rmdir()


def _remove_stale(root: Path, fingerprint: str) -> None:
    """Remove what nobody comes back to: old folders, and those of this fingerprint that a second run left behind."""
    oldest = time.time() - STALE_S
    for folder in root.iterdir() if root.is_dir() else ():
        with contextlib.suppress(OSError):
            left = folder.name.startswith(f"{fingerprint}-")
            if left or max(path.stat().st_mtime for path in [folder, *folder.rglob("*")]) < oldest:
                with locked(folder) as mine:
                    if mine:
                        shutil.rmtree(folder)


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether this process has the folder for itself until the block ends; it is made where it is not there.

    Args:
        wait: until whoever has it is done.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / _LOCK
        try:
            lock = path.open("w")
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # Whoever had it before may have removed the folder since it was opened here.
            mine = path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat())
        except BlockingIOError:
            lock.close()
            yield False
            return
        except FileNotFoundError:
            mine = False
        if mine:
            break
        lock.close()
    try:
        yield True
    finally:
        lock.close()
