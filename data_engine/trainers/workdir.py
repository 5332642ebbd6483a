"""A trainer's output folder: begun, gone on with after a kill, and complete only with its last file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_engine.errors import DataEngineError, StorageFullError
from data_engine.trainers.epochs import METRICS_FILE
from data_engine.trainers.trackers import TENSORBOARD_FOLDER
from data_engine.types import TrainedModel, content_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from data_engine.metrics.splits import LabelledSplit
    from data_engine.trainers.options import TrainOptions

RESULT_FILE = "result.json"
ONNX_FILE = "model.onnx"
LOG_FILE = "training.log"
CSV_FILE = "training.csv"
ARGUMENTS_FILE = "arguments.json"
"""Every setting of the library as it was resolved, its own defaults among them."""
_SCRATCH = ".training"
_REQUEST = "request"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NEARLY_NOTHING = 64 << 20


@dataclass(frozen=True, slots=True)
class WorkDir:
    """An output folder and the request that it is filled for."""

    output: Path
    request: str
    """Content id of everything that decides the result."""

    @classmethod
    def of(
        cls,
        output: Path,
        kind: str,
        version: str,
        data: tuple[LabelledSplit, LabelledSplit],
        options: TrainOptions,
        weights: Path | None,
    ) -> WorkDir:
        """The folder for training ``kind`` (recipe ``version``) on both sides of ``data`` with these options."""
        decisive = json.dumps(options.decisive(), sort_keys=True, default=str)
        start = file_sha256(weights) if weights else "scratch"
        digests = (split.digest() for split in data)
        return cls(output.resolve(), content_id("training", kind, version, *digests, decisive, start))

    @property
    def scratch(self) -> Path:
        """Where the library works; hidden, and gone when the training is done."""
        return self.output / _SCRATCH

    def finished(self) -> TrainedModel | None:
        """The model of this same request, when it was trained here before and is still as it was written."""
        try:
            record = json.loads((self.output / RESULT_FILE).read_text("utf-8"))
            trained = TrainedModel(
                record["kind"],
                record["weights"],
                record["onnx"],
                tuple(record["class_names"]),
                {},
                int(record["epochs"]),
            )
            files = (self.output / trained.weights_key, self.output / trained.onnx_key)
            same = record["request"] == self.request and [file_sha256(file) for file in files] == record["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return trained if same else None

    def begin(self) -> None:
        """Make the scratch folder, or keep what a training of this same request left in it to go on with.

        Takes the mark of completeness away from what was here.
        """
        self.output.mkdir(parents=True, exist_ok=True)
        (self.output / RESULT_FILE).unlink(missing_ok=True)
        mark = self.scratch / _REQUEST
        if mark.is_file() and mark.read_text("utf-8") == self.request:
            return
        for name in (LOG_FILE, METRICS_FILE, ARGUMENTS_FILE):
            (self.output / name).unlink(missing_ok=True)
        for folder in (self.scratch, self.output / TENSORBOARD_FOLDER):
            shutil.rmtree(folder, ignore_errors=True)
        self.scratch.mkdir()
        mark.write_text(self.request, "utf-8")

    def fresh(self, name: str) -> Path:
        """A path in the scratch folder with nothing there."""
        path = self.scratch / name
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
        return path

    def write_arguments(self, arguments: Mapping[str, Any]) -> None:
        """Keep the library's resolved settings; paths of this folder are written relative to it."""
        text = json.dumps(dict(sorted(arguments.items())), indent=1, default=str, ensure_ascii=False)
        (self.output / ARGUMENTS_FILE).write_text(text.replace(f"{self.output}{os.sep}", "") + "\n", "utf-8")

    def finish(self, trained: TrainedModel, files: Mapping[str, Path]) -> TrainedModel:
        """Move ``files`` (name in the output folder -> where the library wrote it), then write the result."""
        for name, source in files.items():
            if source.is_file():
                with source.open("rb") as written:
                    os.fsync(written.fileno())
                os.replace(source, self.output / name)
        record = {
            "request": self.request,
            "kind": trained.kind,
            "weights": trained.weights_key,
            "onnx": trained.onnx_key,
            "sha256": [file_sha256(self.output / key) for key in (trained.weights_key, trained.onnx_key)],
            "class_names": trained.class_names,
            "epochs": trained.epochs,
        }
        temporary = self.scratch / RESULT_FILE
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.output / RESULT_FILE)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return trained

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn a full disk into the error that says so."""
        try:
            yield
        except DataEngineError:
            raise
        except OSError as error:
            if error.errno in _FULL:
                raise self._full() from error
            raise
        except RuntimeError as error:
            # torch's archive writer does not pass the operating system's error on.
            if "PytorchStreamWriter" in str(error) and shutil.disk_usage(self.output).free < _NEARLY_NOTHING:
                raise self._full() from error
            raise

    def _full(self) -> StorageFullError:
        return StorageFullError(
            f"the disk is full: the training in {self.output} did not finish",
            hint="free some space and run the same command again",
        )


def digests_of(output: Path) -> dict[str, str] | None:
    """The SHA-256 of each file of a model as its training wrote it, by name; None where no finished training tells."""
    try:
        record = json.loads((output / RESULT_FILE).read_text("utf-8"))
        return dict(zip((record["weights"], record["onnx"]), record["sha256"], strict=True))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link(target: Path, path: Path) -> None:
    """Make a file or folder appear under a second path: a link, or a copy where the system allows none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target.resolve(), target_is_directory=target.is_dir())
    except OSError as error:
        if error.errno in _FULL:
            raise
        (shutil.copytree if target.is_dir() else shutil.copyfile)(target, path)
