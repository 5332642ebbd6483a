"""CVAT as the place where people correct boxes and accept or reject them, through ``cvat-sdk``.

Nothing of the SDK is imported before the server is first asked something.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_engine.annotation.cvat.backend import CvatBackend

__all__ = ["CvatBackend"]


def __getattr__(name: str) -> Any:
    """The backend, on first use; ModuleNotFoundError where the SDK is not installed."""
    if name != "CvatBackend":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec("cvat_sdk") is None:
        raise ModuleNotFoundError("No module named 'cvat_sdk'", name="cvat_sdk")
    from data_engine.annotation.cvat.backend import CvatBackend

    return CvatBackend
