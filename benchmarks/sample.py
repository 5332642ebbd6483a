"""What sampling costs, against the bare decoding of the same file: the limit.

    python benchmarks/sample.py [--rounds 3] [--frames 2400] [--data ../shared/data/video] [--only tiles,interval]

Two files: 1080p H.264 of a fixed camera, drawn here (camera_footage.py), and the real clip vtest.avi (PETS 2009, 768 x
576).  Every contender runs in a fresh process with one decoding thread; each round runs all of them once, in turn.
Printed are medians over the rounds of the CPU seconds of the process and its children.  Start-up (imports, and opening
the file) is part of them; the last ratio leaves it out, as hours of video would.  Encoding the kept pictures is
measured apart and not part of them.

The limit is ``ffmpeg -threads 1 -i FILE -f null -``.  ffmpeg is looked for on the PATH, then in the package
imageio-ffmpeg (``pip install imageio-ffmpeg``), which nothing but this benchmark uses.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "threads;1",
}
LIMIT, KEY_LIMIT = "ffmpeg, bare decode", "ffmpeg, keyframes only"
FFMPEG = {
    LIMIT: ((), ()),
    "ffmpeg, scene filter": ((), ("-vf", "select='gt(scene,0.3)'")),
    KEY_LIMIT: (("-skip_frame", "nokey"), ()),
}
PYTHON = {
    "PyAV, bare decode": "pyav",
    "VideoReader alone": "reader",
    "PySceneDetect adaptive": "pyscenedetect-adaptive",
    "PySceneDetect content": "pyscenedetect-content",
    "the naive way": "naive",
    "sample --method scene-change": "scene-change",
    "sample --method tiles": "tiles",
    "sample --method interval": "interval",
    "sample --method content": "content",
    "VideoReader alone, keyframes only": "keyframe-reader",
    "sample --method keyframes": "keyframes",
}
UHD_FRAMES = 60


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one contender cost and gave."""

    cpu_s: float
    """Of the process and its children, without encoding pictures; extrapolated to all frames where only some ran."""
    peak_mb: float
    frames: int
    """That came out of the decoder, or of the filter behind it."""
    kept: int | None = None
    start_s: float = 0.0
    saving_s: float | None = None
    wall_s: float = 0.0
    reduced: str = ""
    extrapolated: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=2400, help="of the drawn footage")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared/data/video", help="folder of vtest.avi")
    parser.add_argument("--footage", type=Path, help="folder where drawn footage is kept from one run to the next")
    parser.add_argument(
        "--only", default="", help="contenders by parts of their names, separated by commas; the limit is always run"
    )
    given = parser.parse_args()
    only = [part.strip().lower() for part in given.only.split(",") if part.strip()]
    ffmpeg = find_ffmpeg()
    if ffmpeg is None:
        print("no ffmpeg on the PATH and no imageio-ffmpeg: there is no limit to compare with", file=sys.stderr)
    with ExitStack() as stack:
        folder = given.footage or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        drawn = draw(folder, "1080p", given.frames)
        files = {f"Drawn 1080p H.264, {given.frames} frames of a fixed camera": drawn}
        if (given.data / "vtest.avi").is_file():
            files["The real clip: vtest.avi, 768 x 576, MPEG-4, 795 frames"] = given.data / "vtest.avi"
        else:
            print(f"no vtest.avi in {given.data}: only the drawn footage is measured", file=sys.stderr)
        for title, path in files.items():
            print(f"\n### {title}\n\n" + "\n".join(table(measured(path, ffmpeg, given.rounds, only))), flush=True)
        if wanted("two files at once", only):
            print("\n" + "\n".join(two_at_once(drawn, given.rounds)), flush=True)
        if wanted("4k", only):
            print("\n" + "\n".join(memory_at_4k(folder)), flush=True)


def wanted(name: str, only: Sequence[str]) -> bool:
    """Whether a part of the benchmark was asked for."""
    return not only or any(part in name.lower() for part in only)


def find_ffmpeg() -> str | None:
    """The ffmpeg to compare with."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def draw(folder: Path, kind: str, frames: int) -> Path:
    """The drawn footage of one kind; what is there already is left alone."""
    path = folder / f"{kind}_{frames}.mp4"
    if not path.exists():
        print(f"drawing {path.name}", file=sys.stderr, flush=True)
        _python(kind, path, str(frames))
    return path


def measured(path: Path, ffmpeg: str | None, rounds: int, only: Sequence[str]) -> dict[str, list[Run]]:
    """The runs of every contender, in rounds."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for number in range(rounds):
        for name, (before, after) in FFMPEG.items():
            if ffmpeg is not None and (name == LIMIT or wanted(name, only)):
                runs[name].append(_ffmpeg(ffmpeg, path, before, after, name == "ffmpeg, scene filter"))
        for name, contender in PYTHON.items():
            # Extrapolating once is exact enough for a ratio of a hundred.
            if wanted(name, only) and not (contender == "naive" and number):
                runs[name].append(_python(contender, path))
        print(f"  {path.name}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return runs


def table(runs: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """One row a contender, as Markdown."""
    limit = _cpu(runs[LIMIT]) if LIMIT in runs else None
    yield "| contender | CPU s | start-up s | over the limit | without start-up | peak MB | kept | JPEG CPU s |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, done in runs.items():
        cpu, start = _cpu(done), statistics.median(run.start_s for run in done)
        ratios = ["", ""] if limit is None else [f"{cpu / limit:.2f}", f"{(cpu - start) / limit:.2f}"]
        saving = [run.saving_s for run in done if run.saving_s is not None]
        cells = [
            name + (" (extrapolated)" if done[0].extrapolated else ""),
            f"{cpu:.2f}",
            f"{start:.2f}" if start else "",
            *ratios,
            f"{max(run.peak_mb for run in done):.0f}",
            "" if done[0].kept is None else str(done[0].kept),
            f"{statistics.median(saving):.2f}" if saving else "",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    keyframes = runs.get("sample --method keyframes")
    if KEY_LIMIT in runs and keyframes:
        start = statistics.median(run.start_s for run in keyframes)
        key_limit = _cpu(runs[KEY_LIMIT])
        yield (
            f"`keyframes` takes {_cpu(keyframes) / key_limit:.2f} of ffmpeg's keyframe-only decode, "
            f"{(_cpu(keyframes) - start) / key_limit:.2f} without start-up."
        )
    sizes = {run.reduced for done in runs.values() for run in done if run.reduced}
    if sizes:
        yield f"Similarity is taken at {', '.join(sizes)} pixels."


def two_at_once(path: Path, rounds: int) -> Iterator[str]:
    """Frames per second of two files on two cores against one file on one."""
    ratios, speeds, costs = [], [], []
    for _ in range(rounds):
        one, two = (_python(f"together-{workers}", path) for workers in (1, 2))
        speeds.append((one.frames / one.wall_s, two.frames / two.wall_s))
        ratios.append(speeds[-1][1] / speeds[-1][0])
        costs.append((two.cpu_s / two.frames) / (one.cpu_s / one.frames))
    one_fps, two_fps = (statistics.median(column) for column in zip(*speeds, strict=True))
    cores, cost = len(os.sched_getaffinity(0)), statistics.median(costs)
    yield (
        f"Two files at once (`tiles`, two processes with a decoding thread each) on {cores} cores: {two_fps:.0f} "
        f"frames per second, one file {one_fps:.0f}: {statistics.median(ratios):.2f} times ({min(ratios):.2f} to "
        f"{max(ratios):.2f} in {rounds} rounds, wall time: on idle cores only).  A frame takes {cost:.2f} of the CPU "
        f"time that it takes alone."
    )


def memory_at_4k(folder: Path) -> Iterator[str]:
    """Peak memory on drawn 4K footage."""
    yield "| 3840 x 2160 | method | peak MB |"
    yield "| --- | --- | --- |"
    for kind, codec in (("4k", "H.264"), ("4k-10bit", "HEVC, 10 bits")):
        path = draw(folder, kind, UHD_FRAMES)
        for method in ("scene-change", "tiles"):
            yield f"| {codec} | {method} | {_python(method, path).peak_mb:.0f} |"


def _cpu(runs: Sequence[Run]) -> float:
    return statistics.median(run.cpu_s for run in runs)


def _ffmpeg(ffmpeg: str, path: Path, before: Sequence[str], after: Sequence[str], keeps: bool) -> Run:
    command = [ffmpeg, "-v", "error", "-nostats", "-progress", "pipe:1", "-threads", "1", "-filter_threads", "1"]
    command += [*before, "-i", str(path), "-an", "-sn", *after, "-fps_mode", "passthrough", "-f", "null", "-"]
    printed, cpu_s, peak_mb = _process(command)
    frames = int(printed.rpartition("frame=")[2].split()[0])
    return Run(cpu_s, peak_mb, frames, frames if keeps else None)


def _python(contender: str, *arguments: Path | str) -> Run:
    script = str(HERE / "sample_contenders.py")
    printed, cpu_s, peak_mb = _process([sys.executable, script, contender, *map(str, arguments)])
    facts = json.loads(printed)
    extrapolated_s = facts.get("extrapolated_s")
    return Run(
        cpu_s=cpu_s - facts.get("saving_s", 0.0) + (extrapolated_s or 0.0),
        peak_mb=peak_mb,
        frames=facts["frames"],
        kept=facts.get("kept"),
        start_s=facts["start_s"],
        saving_s=facts.get("saving_s"),
        wall_s=facts.get("wall_s", 0.0),
        reduced=facts.get("reduced", ""),
        extrapolated=extrapolated_s is not None,
    )


def _process(command: Sequence[str]) -> tuple[str, float, float]:
    """What a process printed, its CPU seconds and its peak memory in MB; this process has no more memory than it."""
    environment = {**os.environ, **ONE_THREAD}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return printed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
