"""The device that PyTorch runs on: the one asked for, or an error."""

from __future__ import annotations

from typing import Any

from data_engine.detectors.device import parse_device
from data_engine.errors import MissingDependencyError, UsageError


def started(torch: Any, device: str, threads: int | None) -> str:
    """``cpu`` or ``cuda:N``, as the request says; ``auto`` is the first GPU that PyTorch sees, else the CPU.

    Args:
        torch: the package.
        device: see :func:`data_engine.detectors.device.parse_device`.
        threads: PyTorch's CPU threads, for the whole process; None leaves them as they are.

    Raises:
        UsageError: no such GPU, or TensorRT, which runs ``.onnx`` files only.
        MissingDependencyError: CUDA was asked for, and PyTorch has none.
    """
    wanted = parse_device(device)
    if wanted.kind == "tensorrt":
        raise UsageError("TensorRT runs .onnx files, not PyTorch's checkpoints", hint="give the model's .onnx file")
    if wanted.kind == "cuda":
        _check_cuda(torch, wanted.number)
    if threads is not None:
        torch.set_num_threads(threads)
    use_cuda = wanted.kind == "cuda" or (wanted.kind == "auto" and torch.cuda.is_available())
    return f"cuda:{wanted.number}" if use_cuda else "cpu"


def _check_cuda(torch: Any, index: int) -> None:
    if not torch.cuda.is_available():
        raise MissingDependencyError(
            "PyTorch sees no CUDA device here; what works is cpu", hint="choose --device cpu, or install a CUDA PyTorch"
        )
    count = torch.cuda.device_count()
    if index >= count:
        raise UsageError(f"there is no device cuda:{index}", hint=f"choose cuda:0 to cuda:{count - 1}")
