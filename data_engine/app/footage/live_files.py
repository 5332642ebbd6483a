"""The files that recordings of live sources are written to.

A part is written below the tool's own folder and appears among the videos when it is complete, in one step.  One that
a killed recording left behind is completed later: its first half is as good as any other.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from data_engine.app.engine import STATE_FOLDER, Engine

FOLDER = "videos_raw/live"
"""Where recordings appear, in a folder a camera."""
PARTIAL = f"{STATE_FOLDER}/live"
"""Where they are written."""
FULL = (errno.ENOSPC, errno.EDQUOT)
_SUFFIX = ".mkv"


class PartFiles:
    """The files of one camera; see :class:`data_engine.media.live.PartFiles`.

    A part is locked while it is written, so that nobody takes it for one that was left behind.
    """

    def __init__(self, engine: Engine, camera: str) -> None:
        self.keys: list[str] = []
        """Of the finished parts."""
        self._engine = engine
        self._camera = camera
        self._open: dict[Path, IO[bytes]] = {}

    def begin(self) -> tuple[Path, datetime]:
        folder = self._engine.root / PARTIAL / self._camera
        folder.mkdir(parents=True, exist_ok=True)
        started = self._engine.clock().astimezone(UTC)
        while True:
            name = f"{started:%Y-%m-%dT%H-%M-%S}-{started.microsecond // 1000:03}Z{_SUFFIX}"
            path = folder / name
            if not self._engine.storage.exists(_key_of(path)):
                with contextlib.suppress(FileExistsError):
                    file = path.open("xb")
                    fcntl.flock(file, fcntl.LOCK_EX)
                    self._open[path] = file
                    # Somebody may have taken it for one that was left behind, before the lock.
                    if path.exists():
                        return path, started
            started += timedelta(milliseconds=1)

    def finish(self, path: Path) -> None:
        key = _key_of(path)
        with self._engine.storage.writing(key) as target:
            _put(path, target)
        self.keys.append(key)
        self.discard(path)

    def discard(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._open.pop(path).close()


def _key_of(partial: Path) -> str:
    return f"{FOLDER}/{partial.parent.name}/{partial.name}"


def _put(path: Path, target: Path) -> None:
    """Give the file a second name, or where the disk has none to give, a copy: the first goes when this one stands."""
    target.unlink()
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno in FULL:
            raise
        shutil.copyfile(path, target)


def recover(engine: Engine) -> list[str]:
    """Complete the parts that killed recordings left behind."""
    notes = []
    for path in sorted((engine.root / PARTIAL).glob(f"*/*{_SUFFIX}")):
        with _lock_of(path) as mine:
            if not mine:
                continue
            key = _key_of(path)
            if not engine.storage.exists(key):
                from data_engine.media.live_part import mend

                mended = path.with_suffix(".mended")
                seconds = mend(path, mended)
                if seconds is not None:
                    with engine.storage.writing(key) as target:
                        _put(mended, target)
                    notes.append(f"completed a recording that was cut off: {engine.shown(key)}, {seconds:.0f} s")
                mended.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
    return notes


@contextlib.contextmanager
def _lock_of(path: Path) -> Iterator[bool]:
    """Whether nobody writes the file any more, and for the time of the block nobody else thinks so."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            # Another may have completed it between.
            yield path.exists()
