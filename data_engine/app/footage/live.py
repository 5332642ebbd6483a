"""Live sources: recorded into the workspace's videos first, then videos like any other."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.engine import Engine
from data_engine.app.footage.cameras import camera_of
from data_engine.app.footage.live_files import FOLDER, FULL, PartFiles, recover
from data_engine.errors import DataEngineError, ServiceError, StorageFullError, UsageError
from data_engine.media.address import LiveUrl
from data_engine.types import Failed
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.media.live import Recording

_LOOK_EVERY_S = 0.2


@dataclass(slots=True)
class Taken:
    """Inputs with the live ones replaced by what was recorded of them."""

    paths: list[Path]
    cameras: dict[str, str] = field(default_factory=dict)
    """The camera of each recording, by storage key."""
    notes: list[str] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    data: list[dict[str, object]] = field(default_factory=list)
    """One entry a source, for the report; empty when there is none."""


def take(engine: Engine, inputs: Sequence[Path | LiveUrl], duration_s: float | None) -> Taken:
    """Record the live sources among the inputs, all at once, for so many seconds each.

    Raises:
        UsageError: a live source without a duration, or a duration without a live source.
        DataEngineError: nothing at all was recorded and there is no other input; as
            :meth:`data_engine.media.live.Recorder.record`.
        KeyboardInterrupt: somebody ended the recording; what was recorded is kept, and a note of the engine says so.
    """
    addresses = list(dict.fromkeys(given for given in inputs if isinstance(given, LiveUrl)))
    taken = Taken([given for given in inputs if not isinstance(given, LiveUrl)])
    if addresses and duration_s is None:
        raise UsageError(
            f"{addresses[0]} has no end: how long is it to be recorded?",
            hint="add --duration SECONDS, as in --duration 60",
        )
    if duration_s is not None and not addresses:
        raise UsageError(
            "--duration is for live sources, and no --input is one", hint="as in --input rtsp://10.0.0.5/stream1"
        )
    taken.notes += recover(engine)
    if addresses and duration_s is not None:
        _record(engine, addresses, duration_s, taken)
    return taken


class _Source:
    """One source, recorded in a thread of its own."""

    def __init__(self, engine: Engine, address: LiveUrl, told: queue.SimpleQueue[str], stop: threading.Event) -> None:
        from data_engine.media.live import Recorder

        self.address = address
        self.files = PartFiles(engine, address.camera)
        self.error: BaseException | None = None

        def pause(seconds: float) -> None:
            stop.wait(seconds)

        self._recorder = Recorder(
            address, self.files, clock=time.monotonic, sleep=pause, stopped=stop.is_set, tell=told.put
        )
        self.finished = threading.Event()
        """Waited for instead of the thread: one whose ``join`` is interrupted says that it has ended."""

    @property
    def done(self) -> Recording:
        return self._recorder.done

    def start(self, duration_s: float) -> None:
        # A daemon: who interrupts twice does not wait for a camera that says nothing.
        threading.Thread(target=self._run, args=(duration_s,), daemon=True).start()

    def _run(self, duration_s: float) -> None:
        try:
            self._recorder.record(duration_s)
        except OSError as error:
            self.error = error
            if error.errno in FULL:
                self.error = StorageFullError(
                    f"the disk is full: the recording of {self.address} ended",
                    hint="free some space; what was recorded is kept",
                )
        except BaseException as error:
            self.error = error
        finally:
            self.finished.set()


def _record(engine: Engine, addresses: Sequence[LiveUrl], duration_s: float, taken: Taken) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    stop = threading.Event()
    sources = [_Source(engine, address, told, stop) for address in addresses]
    engine.progress.start("recording", round(duration_s), "seconds")
    try:
        _wait(engine, sources, duration_s, told)
    except KeyboardInterrupt:
        stop.set()
        for source in sources:
            source.finished.wait()
        _say_what_is_kept(engine, sources)
        raise
    finally:
        engine.progress.finish()
    for source in sources:
        taken.paths += [engine.storage.path(key) for key in source.files.keys]
        taken.cameras |= {key: camera_of(key, FOLDER.partition("/")[0]) for key in source.files.keys}
        taken.data.append(_data_of(source))
        taken.notes += _remarks(source)
        if isinstance(source.error, DataEngineError):
            taken.failures.append(Failed(str(source.address), source.error.message))
        elif source.error is not None:
            # A bug, or a disk that fails.
            raise source.error
        elif source.done.ended == "lost":
            taken.failures.append(Failed(str(source.address), _lost(source)))
    if not taken.paths:
        errors = [source.error for source in sources if isinstance(source.error, DataEngineError)]
        if len(errors) == 1:
            raise errors[0]
        raise ServiceError(f"nothing was recorded: {'; '.join(error.message for error in errors)}")


def _wait(engine: Engine, sources: Sequence[_Source], duration_s: float, told: queue.SimpleQueue[str]) -> None:
    """Until all are done, showing how far they are."""
    for source in sources:
        source.start(duration_s)
    began_s, shown = time.monotonic(), 0
    while running := [source for source in sources if not source.finished.is_set()]:
        running[0].finished.wait(_LOOK_EVERY_S)
        with contextlib.suppress(queue.Empty):
            while True:
                engine.progress.note(told.get_nowait())
        passed = min(int(time.monotonic() - began_s), round(duration_s))
        if passed > shown:
            engine.progress.advance(passed - shown)
            shown = passed


def _say_what_is_kept(engine: Engine, sources: Sequence[_Source]) -> None:
    seconds = sum(source.done.seconds for source in sources)
    if any(source.files.keys for source in sources):
        where = engine.shown(FOLDER)
        engine.notes.append(f"what was recorded is kept, {seconds:.0f} s in {where}; to sample it: dataengine sample")


def _data_of(source: _Source) -> dict[str, object]:
    done = source.done
    return {
        "source": str(source.address),
        "camera": source.address.camera,
        "seconds": round(done.seconds, 3),
        "parts": done.parts,
        "ended": "failed" if source.error is not None else done.ended,
        "drops": done.drops,
        "missing_seconds": round(done.missing_s, 3),
        "restarts": done.restarts,
        "packets_lost": done.lost_packets,
    }


def _remarks(source: _Source) -> list[str]:
    done, remarks = source.done, []
    if done.drops and done.ended != "lost":
        remarks.append(f"was lost {_times(done.drops)}: {done.missing_s:.1f} s are missing")
    if done.restarts:
        remarks.append(f"its clock started again {_times(done.restarts)}")
    if done.lost_packets:
        remarks.append(f"{counted(done.lost_packets, 'packet')} before a key frame or without a time left out")
    if done.ended == "stream":
        remarks.append(f"ended by itself after {done.seconds:.1f} s")
    return [f"{source.address}: {remark}" for remark in remarks]


def _lost(source: _Source) -> str:
    done = source.done
    missing = f"{done.missing_s:.1f} s are missing, and " if done.missing_s else ""
    return f"{source.address}: lost after {done.seconds:.1f} s of video ({done.failure}): {missing}it did not come back"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
