"""A trainer's output folder: begun anew, filled, and complete only with its last file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from data_engine.errors import DataEngineError, StorageFullError, UsageError
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
_SCRATCH = ".training"
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
        # A CPU's training loads its pictures itself, whatever the number of workers.
        asked = replace(options, workers=0) if options.device == "cpu" else options
        decisive = json.dumps(asdict(asked), sort_keys=True, default=str)
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
        """Empty the scratch folder, and take the mark of completeness away from what was here."""
        self.output.mkdir(parents=True, exist_ok=True)
        for name in (RESULT_FILE, LOG_FILE):
            (self.output / name).unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()

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
    def translated(self, batch: int) -> Iterator[None]:
        """Turn a full disk and a full GPU into the errors that say so."""
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
            if type(error).__name__ == "OutOfMemoryError":
                raise UsageError(
                    f"the GPU has not enough memory for batches of {batch} pictures",
                    hint=f"use --batch {max(1, batch // 2)}, or a smaller --image-size",
                ) from error
            raise

    def _full(self) -> StorageFullError:
        return StorageFullError(
            f"the disk is full: the training in {self.output} did not finish",
            hint="free some space and run the same command again",
        )


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
