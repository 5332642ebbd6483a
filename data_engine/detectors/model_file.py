"""What every model file must be before anything is read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError, MissingInputError

if TYPE_CHECKING:
    from pathlib import Path


def first_bytes(path: Path, count: int = 4) -> bytes:
    """The beginning of a model file.

    Raises:
        MissingInputError: there is no such file.
        DamagedInputError: it is a folder, empty, or may not be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(count)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingInputError(
            f"model {path} is not there", hint="train one with: dataengine retrain, or give --model another file"
        ) from None
    except IsADirectoryError:
        raise DamagedInputError(f"{path.name} is a folder, not a model file") from None
    except PermissionError:
        raise DamagedInputError(f"{path.name} cannot be read: permission denied") from None
    if not head:
        raise DamagedInputError(f"{path.name} is empty, not a model")
    return head


def is_archive(path: Path) -> bool:
    """Whether the file is a zip archive, as PyTorch's checkpoints are (ONNX files never are)."""
    return first_bytes(path) == b"PK\x03\x04"
