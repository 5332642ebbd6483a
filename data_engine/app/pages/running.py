"""How far running commands are, for whoever looks from outside: a small file each in the state folder.

A command writes it when long work begins, once a second at most, and removes it at its end.  One that was killed leaves
its file, which names its process: who reads sees that nobody is behind it any more.
"""

from __future__ import annotations

import contextlib
import glob
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from data_engine.app.engine import STATE_FOLDER
from data_engine.ports import Progress

FOLDER = f"{STATE_FOLDER}/running"
EVERY_S = 1.0
"""Seconds between two writings."""
_FORGOTTEN_S = 24 * 3600
"""After so long nobody is told of a command that was killed."""
_ELSEWHERE_S = 120
"""Of a process of another machine it is not known whether it lives: it does while its file is not older."""


class Work(msgspec.Struct, frozen=True):
    """What a command is at."""

    command: str
    """As it is typed, without options: ``sample``."""
    process: int
    begun: str
    """Of the process, by its system's clock: tells it from a later one of the same number; empty where not known."""
    host: str
    started_at: str
    """Of the command, ISO 8601."""
    label: str = ""
    """What it does now: ``reading pictures``."""
    done: int = 0
    total: int | None = None
    unit: str = ""
    rate: float | None = None
    """Units a second, of this piece of work."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A command as its file tells of it."""

    work: Work
    at: datetime
    """When it last told."""
    alive: bool

    @property
    def share(self) -> float | None:
        """How much is done, 0..1; None where nobody knows."""
        total = self.work.total
        return None if not total or self.work.done > total else self.work.done / total

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at this rate."""
        if self.share is None or self.work.total is None or not self.work.rate:
            return None
        return (self.work.total - self.work.done) / self.work.rate


class TellingProgress:
    """A progress that also tells it in the state folder of a workspace; a context manager around the command.

    Args:
        inner: shows it where the command was started.
        command: its name.
        clock: seconds that only go on.
    """

    def __init__(self, inner: Progress, command: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner, self._clock = inner, clock
        number = os.getpid()
        self._work = Work(
            command, number, _begun(number) or "", socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds")
        )
        self._path: Path | None = None
        self._told_s = self._began_s = 0.0
        self._before = 0

    def __enter__(self) -> TellingProgress:
        return self

    def __exit__(self, *ended: object) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._path.parent.rmdir()

    def attach(self, root: Path) -> None:
        """Tell it in this workspace from now on; what killed ones of the same command left there is removed.

        Nothing is told in a folder that has no state of this program.
        """
        folder = root / FOLDER
        if not folder.parent.is_dir():
            return
        for path, seen in _all(folder):
            if seen.work.command == self._work.command and not seen.alive:
                path.unlink(missing_ok=True)
        for path in folder.glob(f"{glob.escape(self._work.host)}-*.tmp"):
            # Half-written by one that was killed just then.
            number = path.stem.rpartition("-")[2]
            if not number.isdigit() or _begun(int(number)) is None:
                path.unlink(missing_ok=True)
        self._path = folder / f"{self._work.host}-{self._work.process}.json"

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        """Begin one piece of work."""
        self._inner.start(label, total, unit, done=done)
        self._began_s, self._before = self._clock(), done
        self._work = msgspec.structs.replace(self._work, label=label, total=total, unit=unit, done=done, rate=None)
        self._tell()

    def advance(self, amount: int = 1) -> None:
        """Count what was done."""
        self._inner.advance(amount)
        now_s = self._clock()
        done = self._work.done + amount
        rate = (done - self._before) / (now_s - self._began_s) if now_s > self._began_s else None
        self._work = msgspec.structs.replace(self._work, done=done, rate=rate)
        if now_s - self._told_s >= EVERY_S:
            self._tell()

    def note(self, text: str) -> None:
        """A remark that stays."""
        self._inner.note(text)

    def finish(self) -> None:
        """End the piece of work."""
        self._inner.finish()

    def _tell(self) -> None:
        self._told_s = self._clock()
        if self._path is None:
            return
        beside = self._path.with_suffix(".tmp")
        # A command is not to end because nobody can be told how far it is.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            beside.write_bytes(msgspec.json.encode(self._work))
            beside.replace(self._path)


def running(root: Path) -> list[Seen]:
    """The commands that are under way in a workspace, and those that were killed this day, the newest first."""
    found = [seen for _path, seen in _all(root / FOLDER)]
    fresh = [seen for seen in found if seen.alive or _age_s(seen.at) < _FORGOTTEN_S]
    return sorted(fresh, key=lambda seen: seen.work.started_at, reverse=True)


def _all(folder: Path) -> list[tuple[Path, Seen]]:
    found = []
    for path in sorted(folder.glob("*.json")):
        # It may end at this moment; and what is no such file is nobody's progress.
        with contextlib.suppress(OSError, msgspec.DecodeError):
            work = msgspec.json.decode(path.read_bytes(), type=Work)
            at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            found.append((path, Seen(work, at, _is_alive(work, at))))
    return found


def _is_alive(work: Work, at: datetime) -> bool:
    if work.host != socket.gethostname():
        return _age_s(at) < _ELSEWHERE_S
    begun = _begun(work.process)
    if begun is not None:
        return begun == work.begun
    try:
        os.kill(work.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A system that does not tell when a process began.
    return not work.begun


def _begun(process: int) -> str | None:
    """When a process began, in ticks since the system did (proc(5), field 22 of ``stat``); None where not told."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    # The name, in parentheses, may hold spaces and parentheses itself.
    return text.rpartition(")")[2].split()[19]


def _age_s(at: datetime) -> float:
    return (datetime.now(UTC) - at).total_seconds()
