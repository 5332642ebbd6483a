"""A plant with two cameras, its truth, and a shell in its folder: what the tests of the command line stand on."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from data_engine.demo.footage import Footage, make_footage

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = {"camera-1": "Werk Süd/カメラ 1", "camera-2": "Werk Süd/カメラ 2"}
"""Where the footage's own cameras lie in the plant."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def title(self) -> str:
        return self.out.splitlines()[0]

    @property
    def next(self) -> str:
        """The command that the report says comes next."""
        return next((line[6:] for line in self.out.splitlines() if line.startswith("next: ")), "")

    @property
    def said(self) -> dict[str, str]:
        """The report's values, as they are shown."""
        return dict(line.split(": ", 1) for line in self.out.splitlines()[1:] if ": " in line)

    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


@dataclass(frozen=True, slots=True)
class Shell:
    """Types commands, with no terminal."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def type(self, line: str, *, below: str = ".") -> Ended:
        """``dataengine …`` or ``scripts/…``, as it is typed in the folder or in one below it."""
        program, *words = shlex.split(line)
        command = ["-m", "data_engine"] if program == "dataengine" else [str(ROOT / program)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DATAENGINE_")}
        done = subprocess.run(
            [sys.executable, *command, *words],
            cwd=self.folder / below,
            env={**clean, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def counts(self) -> dict[str, int]:
        """Rows of every table of the lineage database."""
        with sqlite3.connect(self.folder / ".dataengine/lineage.db") as database:
            names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
            return {name: database.execute(f"select count(*) from {name}").fetchone()[0] for name in names}

    def files(self, folder: str) -> list[str]:
        """Names of the files right in a folder, sorted; those that begin with a dot left out."""
        inside = (self.folder / folder).iterdir()
        return sorted(path.name for path in inside if path.is_file() and not path.name.startswith("."))


@dataclass(frozen=True, slots=True)
class Plant:
    """Footage in place, and the people who know what is to be seen on it."""

    shell: Shell
    footage: Footage

    def draw_boxes(self, job: int) -> int:
        """Put the true boxes into a job's file, as an annotator with a COCO editor does; returns how many."""
        (file,) = self.shell.folder.glob(f"annotation/tasks/*/jobs/{job}/annotations.json")
        document = json.loads(file.read_text("utf-8"))
        labels = {category["name"]: category["id"] for category in document["categories"]}
        document["annotations"] = [
            {"image_id": image["id"], "category_id": labels[label], "bbox": list(xywh)}
            for image in document["images"]
            for label, xywh in self._truth(image["file_name"])
        ]
        for number, annotation in enumerate(document["annotations"], 1):
            annotation["id"] = number
        file.write_text(json.dumps(document), "utf-8")
        return len(document["annotations"])

    def _truth(self, name: str) -> list[Any]:
        """The boxes of a frame by its name, ``<video>_<time in ms>_<short id>.jpg``; lineage knows its camera."""
        video, time_ms, short = Path(name).stem.rsplit("_", 2)
        with sqlite3.connect(self.shell.folder / ".dataengine/lineage.db") as database:
            ((camera,),) = database.execute("select camera from frames where id like ?", [f"{short}%"])
        (own,) = (own for own, place in CAMERAS.items() if place == camera)
        return self.footage.boxes_at(
            f"{own}-clip-{video.removeprefix('08 0').removeprefix('08_0')}", int(time_ms) / 1000
        )


def build(folder: Path, *, clips: int, seconds: float, environment: Mapping[str, str] | None = None) -> Plant:
    """Film ``clips`` videos a camera into ``videos_raw/<camera>/08 0<n>.mp4``: both cameras use the same names."""
    drawn = make_footage(
        folder.parent / "drawn", seed=3, cameras=2, seconds=seconds, fps=Fraction(8), size=(320, 240), clips=clips
    )
    for clip in drawn.clips:
        number = clip.name.rsplit("-", 1)[1]
        target = folder / "videos_raw" / CAMERAS[clip.camera] / f"08 0{number}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(drawn.path(clip).read_bytes())
    return Plant(Shell(folder, environment or {}), drawn)
