"""A model in an ONNX file, run by ONNX Runtime on a device that is really the one asked for."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_engine.detectors.base import GPU_BATCH, filled
from data_engine.detectors.base import runs as runs_of
from data_engine.detectors.device import Device, parse_device
from data_engine.detectors.model_file import first_bytes
from data_engine.errors import DamagedInputError, MissingDependencyError, UsageError
from data_engine.words import installing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from data_engine.types import FloatArray

Shape = tuple[int | None, ...]
"""Sides of an array; None where the model leaves one open."""
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_WARNINGS, _QUIET = 2, 4
_LARGEST_SIDE = 8192
"""Pixels of a model's input: one that says more would take the memory of the machine for its first picture."""
"""ONNX Runtime's log levels: its default, and "fatal" for what is checked here and raised."""


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """What a file says about itself, without being run."""

    outputs: Mapping[str, Shape]
    metadata: Mapping[str, str]


def describe(path: Path) -> OnnxFacts:
    """Read a file's outputs and metadata.

    Raises:
        MissingInputError, DamagedInputError: it is not there, or not an ONNX model.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    first_bytes(path)
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _facts(_session(runtime, path, options, [CPU]))


class OnnxModel:
    """An opened model with one picture input.

    Args:
        path: the file.
        device: ``auto`` (CUDA when ONNX Runtime can really use it, else the CPU), ``cpu``, ``cuda``, ``cuda:N``,
            ``tensorrt`` or ``tensorrt:N``.  TensorRT leaves the nodes that it does not know to CUDA.
        threads: CPU threads; None leaves the choice to ONNX Runtime.
        batch: pictures that go into a GPU at once.

    Raises:
        MissingInputError, DamagedInputError: it is not there, not an ONNX model, or not one of pictures.
        MissingDependencyError: ONNX Runtime is not installed, or is one without the provider that was asked for.
        UsageError: an unknown device, or one that ONNX Runtime could not start.
    """

    def __init__(self, path: Path, *, device: str = "auto", threads: int | None = None, batch: int = GPU_BATCH) -> None:
        wanted = parse_device(device)
        first_bytes(path)
        self.name = path.name
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        # Threads that wait in a loop take the cores from those that read the next pictures, and save no time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session = _on_device(runtime, path, options, wanted)
        provider: str = self._session.get_providers()[0]
        self.on_cpu = provider == CPU
        self.device = provider if self.on_cpu or not wanted.number else f"{provider}:{wanted.number}"
        facts = _facts(self._session)
        self.metadata, self.outputs = facts.metadata, facts.outputs
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise DamagedInputError(f"{self.name} does not take pictures: its inputs are {_listed(inputs)}")
        self._input: str = inputs[0].name
        self._dtype = np.float16 if inputs[0].type == "tensor(float16)" else np.float32
        shape = _shape(inputs[0].shape)
        self.batch = shape[0] or (1 if self.on_cpu else batch)
        """Pictures that go in at once: always as many.

        On a CPU each runs alone: running several together saves nothing there (decision 0014), and what comes out for a
        picture can't depend on which others an interrupted run had left to do.
        """
        self.height, self.width = shape[2], shape[3]
        """Sides of the input in pixels; None where the model leaves them open."""
        if max(self.height or 0, self.width or 0) > _LARGEST_SIDE:
            raise DamagedInputError(
                f"{self.name} takes pictures of {self.width} x {self.height} pixels: more than {_LARGEST_SIDE} a side "
                "is no detector's"
            )

    def runs(self, pictures: int) -> list[slice]:
        """How to cut so many pictures into runs."""
        return runs_of(pictures, self.batch)

    def run(self, pictures: FloatArray, outputs: Sequence[str]) -> list[FloatArray]:
        """The named outputs, float32, for ``(n, 3, height, width)`` pictures, ``n`` at most :attr:`batch`.

        Raises:
            DamagedInputError: the model fails, or answers with NaN or with another number of rows.
        """
        count = len(pictures)
        pictures = filled(pictures, self.batch)
        try:
            answers = self._session.run(list(outputs), {self._input: pictures.astype(self._dtype, copy=False)})
        except Exception as error:  # ONNX Runtime's errors share no class of their own
            raise DamagedInputError(
                f"{self.name} fails on pictures of shape {pictures.shape}: {_first_line(error)}",
                hint="" if self.on_cpu else "if the GPU's memory is full, try a smaller --batch",
            ) from error
        found: list[FloatArray] = []
        for name, answer in zip(outputs, answers, strict=True):
            if answer.ndim != 3 or len(answer) != len(pictures):
                raise DamagedInputError(
                    f"{self.name}: output {name} has shape {answer.shape} for {len(pictures)} pictures, "
                    f"not ({len(pictures)}, …, …)"
                )
            answer = answer[:count].astype(np.float32, copy=False)
            if not np.isfinite(answer).all():
                raise DamagedInputError(f"{self.name} answers with NaN or infinite numbers in {name}")
            found.append(answer)
        return found


def _onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "ONNX Runtime, which runs .onnx models, is not installed",
            hint=f"{installing('cpu')}, or with an NVIDIA GPU: {installing('gpu')}",
        ) from error
    runtime: ModuleType = onnxruntime
    # Left-overs of an uninstalled twin distribution import as an empty package.
    if not hasattr(runtime, "InferenceSession"):
        raise MissingDependencyError(
            "the installed ONNX Runtime is broken: two of its distributions were mixed",
            hint=f"pip uninstall onnxruntime onnxruntime-gpu, then {installing('cpu')}",
        )
    return runtime


def _on_device(runtime: ModuleType, path: Path, options: Any, wanted: Device) -> Any:
    """A session that really runs where it was wanted: ONNX Runtime itself falls back to the CPU in silence."""
    offered = runtime.get_available_providers()
    provider, name = (TENSORRT, "TensorRT") if wanted.kind == "tensorrt" else (CUDA, "CUDA")
    if wanted.kind in ("cuda", "tensorrt") and provider not in offered:
        raise MissingDependencyError(
            f"this ONNX Runtime has no {name}: it offers {', '.join(offered)}",
            hint=f"pip uninstall onnxruntime, then {installing('gpu')}",
        )
    if wanted.kind == "cpu" or provider not in offered:
        return _session(runtime, path, options, [CPU])
    if hasattr(runtime, "preload_dlls"):
        # Finds the CUDA libraries that pip installed; it prints what it can't find, and the session tells us that.
        with contextlib.redirect_stdout(io.StringIO()):
            runtime.preload_dlls()
    if wanted.kind == "auto":
        runtime.set_default_logger_severity(_QUIET)  # nobody asked for the GPU that is not there
    chosen = [(one, {"device_id": wanted.number}) for one in dict.fromkeys((provider, CUDA)) if one in offered]
    try:
        session = _session(runtime, path, options, [*chosen, CPU])
    except DamagedInputError:
        # The file or the GPU: the CPU knows which.
        session = _session(runtime, path, options, [CPU])
    finally:
        runtime.set_default_logger_severity(_WARNINGS)
    started = session.get_providers()[0]
    if started != provider and wanted.kind != "auto":
        libraries = "TensorRT libraries (pip install tensorrt-cu12)" if wanted.kind == "tensorrt" else "CUDA libraries"
        packages = "" if wanted.kind == "tensorrt" else " (pip install 'onnxruntime-gpu[cuda,cudnn]')"
        raise UsageError(
            f"{name} device {wanted.number} could not be started for {path.name}; what works here is {started}",
            hint=f"check the driver with nvidia-smi and the {libraries}{packages}, or choose --device cpu",
        )
    return session


def _session(runtime: ModuleType, path: Path, options: Any, providers: Sequence[Any]) -> Any:
    options.log_severity_level = _QUIET
    try:
        # With the fallback on, a GPU that fails in the middle of the work is replaced by the CPU without a word.
        return runtime.InferenceSession(str(path), options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors share no class of their own
        if type(error).__name__ == "InvalidProtobuf":
            raise DamagedInputError(f"{path.name} is not an ONNX model") from error
        raise DamagedInputError(f"{path.name} cannot be loaded: {_first_line(error)}") from error


def _facts(session: Any) -> OnnxFacts:
    return OnnxFacts(
        {output.name: _shape(output.shape) for output in session.get_outputs()},
        dict(session.get_modelmeta().custom_metadata_map),
    )


def _shape(sides: Sequence[object]) -> Shape:
    return tuple(side if isinstance(side, int) else None for side in sides)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(f"{value.name} {value.shape}" for value in values) or "none"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
