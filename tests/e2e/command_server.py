"""Runs dataengine's command line in forked children of one process, with a fault at an exact step where one is wanted.

A fork costs a tenth of what a fresh interpreter costs, which is what makes it possible to kill a command before every
single change that it makes.  A step is what changes the workspace or its database: a file renamed, linked, removed or
opened for writing in its place, a folder made or removed, a transaction committed.  What is done to a temporary file
is none: it is either there or not when the next step comes.

The protocol is one JSON object a line on standard input, two on standard output; see :class:`Commands`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_TEMPORARY = ".dataengine-tmp-"
_STEPS = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "open"}
_ELSEWHERE = ("..", "logs", ".dataengine/lineage.db", ".dataengine/running")
PREDICTIONS_A_PART = 6
"""In place of 64, so that a few frames make several files of predictions."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    """Its exit code, or minus the number of the signal that killed it."""
    steps: tuple[str, ...]
    """What it did, step by step; empty when it was killed."""
    out: str
    err: str


class Commands:
    """The side of the tests; a context manager.

    Args:
        trains: import what trains models as well.
        cvat: import what talks to a CVAT server as well.
        environ: of all commands, beside this process's own.
    """

    def __init__(self, *, trains: bool = False, cvat: bool = False, environ: Mapping[str, str] | None = None) -> None:
        self._settings = tempfile.TemporaryDirectory()
        environ = {"YOLO_CONFIG_DIR": self._settings.name, **(environ or {})}
        self._running: list[int] = []
        self._process = subprocess.Popen(
            [sys.executable, __file__, *(["trains"] if trains else []), *(["cvat"] if cvat else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2]), **environ},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._settings.cleanup()

    def run(self, folder: Path, *words: str, fault: str = "", step: int | str = 0, file_limit: int = 0) -> Ended:
        """Run one command in ``folder``.

        Args:
            fault: ``SIGKILL`` or ``SIGINT``, sent by the command to itself just before ``step``: a number, from
                1, or a part of what it does.
            file_limit: bytes that no file may grow beyond (``RLIMIT_FSIZE``), when not 0.
        """
        order = {"words": words, "fault": fault, "step": step, "file_limit": file_limit}
        (ended,) = self._together(folder, [order])
        return ended

    def together(self, folder: Path, *commands: Sequence[str]) -> list[Ended]:
        """Run several commands in ``folder`` at the same time."""
        return self._together(folder, [{"words": words} for words in commands])

    def kill(self) -> int:
        """SIGKILL to what runs now; for another thread than the one that waits for it to end.

        Returns:
            how many processes that were.
        """
        running = self._running
        for process in running:
            os.kill(process, signal.SIGKILL)
        return len(running)

    def _together(self, folder: Path, orders: list[dict[str, Any]]) -> list[Ended]:
        self._process.stdin.write(json.dumps({"folder": str(folder), "commands": orders}) + "\n")
        self._process.stdin.flush()
        self._running = json.loads(self._process.stdout.readline() or "[]")
        answer = self._process.stdout.readline()
        self._running = []
        assert answer, "the command server is gone"
        return [Ended(**{**ended, "steps": tuple(ended["steps"])}) for ended in json.loads(answer)]


def _serve() -> None:
    _import_everything()
    for line in sys.stdin:
        order = json.loads(line)
        running = [_start(order["folder"], command) for command in order["commands"]]
        print(json.dumps([process for process, _pipes in running]), flush=True)
        print(json.dumps([_ended(*child) for child in running]), flush=True)


def _import_everything() -> None:
    import importlib

    import av  # noqa: F401
    import cv2
    import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401

    import data_engine.app.models.models as models
    from data_engine.stages import COMMANDS

    cv2.setNumThreads(1)
    models.PART = PREDICTIONS_A_PART
    for module in (
        "onnxruntime",
        "data_engine.app.rounds.run",
        "data_engine.app.annotation.review",
        "data_engine.app.init",
    ):
        importlib.import_module(module)
    for step in COMMANDS:
        importlib.import_module(f"data_engine.cli.{step.command}")
    if "cvat" in sys.argv:
        import cvat_sdk.core.client
        import cvat_sdk.core.helpers  # noqa: F401
    if "trains" in sys.argv:
        from data_engine.trainers.yolo_model import import_ultralytics

        import_ultralytics()


def _start(folder: str, command: dict[str, Any]) -> tuple[int, list[int]]:
    """The child's number, and the pipes of its output, its errors and its steps.

    Pipes, for they may grow where files may not.
    """
    pipes = [os.pipe() for _ in range(3)]
    child = os.fork()
    if child:
        for _ours, theirs in pipes:
            os.close(theirs)
        return child, [ours for ours, _theirs in pipes]
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["PWD"] = folder
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # Fresh objects: text that the parent had not written yet is the parent's.
        sys.stdout = open(pipes[0][1], "w", encoding="utf-8")  # noqa: SIM115
        sys.stderr = open(pipes[1][1], "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        if command.get("file_limit"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (command["file_limit"], resource.RLIM_INFINITY))
        steps = _Steps(folder, command.get("fault", ""), command.get("step", 0))
        steps.watch()
        from data_engine.cli.main import main

        code = main(command["words"])
        os.write(pipes[2][1], json.dumps(steps.end()).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _text(pipe: int) -> str:
    with open(pipe, encoding="utf-8") as file:
        return file.read()


def _ended(child: int, pipes: list[int]) -> dict[str, Any]:
    # All at once: one that is full holds up the child.
    with ThreadPoolExecutor(len(pipes)) as readers:
        out, err, steps = readers.map(_text, pipes)
    _pid, status = os.waitpid(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "steps": json.loads(steps or "[]"),
        "out": out,
        "err": err,
    }


class _Steps:
    """Counts the steps of this process, and sends it a signal before one of them."""

    def __init__(self, folder: str, fault: str, at: int | str) -> None:
        self._taken: list[str] = []
        self._ended = False
        self._folder = folder
        self._signal = getattr(signal, fault) if fault else None
        self._at = at

    def watch(self) -> None:
        import sqlalchemy as sa
        from sqlalchemy.engine import Engine

        # Audit events come before what they tell about is done.
        sys.addaudithook(self._audit)
        sa.event.listen(Engine, "commit", lambda _connection: self._step("commit"))

    def end(self) -> list[str]:
        """Count no more; the steps that there were."""
        self._ended = True
        return self._taken

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _STEPS and not self._ended and isinstance(arguments[0], (str, bytes, os.PathLike)):
            # A link or a renaming changes the second path, everything else the first.
            path = os.fspath(arguments[1 if event in ("os.rename", "os.link") else 0])
            path = os.path.abspath(os.fsdecode(path))
            inside = os.path.relpath(path, self._folder)
            if inside.startswith(_ELSEWHERE) or "/.training/" in inside:
                return
            if event in ("open", "os.remove", "os.link") and os.path.basename(path).startswith(_TEMPORARY):
                return
            # A folder that is there already is no step, nor is reading.
            if event == "os.mkdir" and os.path.isdir(path):
                return
            if event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR):
                self._step(f"{event} {inside}")

    def _step(self, what: str) -> None:
        self._taken.append(what)
        here = self._at in what if isinstance(self._at, str) else self._at == len(self._taken)
        if here and self._signal is not None:
            os.kill(os.getpid(), self._signal)


if __name__ == "__main__":
    _serve()
