"""Column files: a NumPy ``.npz`` of named columns with a ``meta.json``, whose equal contents are equal bytes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from data_engine.errors import DamagedInputError
from data_engine.formats import strict_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

M = TypeVar("M", bound=msgspec.Struct)

_EPOCH = (1980, 1, 1, 0, 0, 0)
BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, KeyError, ValueError, EOFError, OSError, NotImplementedError,
    RuntimeError, IndexError, OverflowError, SyntaxError, MemoryError,
)  # fmt: skip
"""What ``zipfile`` and NumPy raise on damaged bytes."""


def packed(meta: msgspec.Struct, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """A file of these columns, little-endian and compressed; its zip entries carry no time."""
    return packed_members(meta, columns)


def packed_members(meta: msgspec.Struct | Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> bytes:
    """The same, of a description that may be a mapping; its members keep their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add(archive, "meta.json", msgspec.json.encode(meta))
        for name, column in columns.items():
            member = io.BytesIO()
            little_endian = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
            np.lib.format.write_array(member, little_endian, version=(1, 0), allow_pickle=False)
            _add(archive, f"{name}.npy", member.getvalue())
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # else it differs between systems
    archive.writestr(entry, data, compresslevel=6)


def unpacked(
    data: bytes, meta: type[M], columns: Mapping[str, tuple[str, int]], *, name: str, what: str
) -> tuple[M, dict[str, NDArray[Any]]]:
    """The description and the columns of a file that :func:`packed` made; the columns are read-only views.

    Args:
        data: the file's bytes.
        meta: the type of its ``meta.json``.
        columns: NumPy's name of the type (``<f4``) and the number of dimensions, by the column's name.
        name: which file it is, for errors.
        what: what it should hold, for errors: ``stored predictions``.

    Raises:
        DamagedInputError: truncated or changed bytes, another kind of file, a column missing or of another type.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {part: archive.read(part) for part in ("meta.json", *(f"{column}.npy" for column in columns))}
        described = strict_json.decode(members["meta.json"], meta, name=f"{name}: meta.json", what="their description")
        found = {column: _column(members[f"{column}.npy"], *kind) for column, kind in columns.items()}
    except BROKEN as error:
        raise DamagedInputError(f"{name} does not hold {what}: {error}") from None
    return described, found


def rows_fit(frame_ids: Sequence[str], offsets: NDArray[np.int64], *columns: NDArray[Any]) -> bool:
    """Whether the frames differ, and own all rows of the columns between them: each the rows between two offsets."""
    return bool(
        len(offsets) == len(frame_ids) + 1
        and len(set(frame_ids)) == len(frame_ids)
        and offsets[0] == 0
        and (np.diff(offsets) >= 0).all()
        and all(offsets[-1] == len(column) for column in columns)
    )


def _column(member: bytes, dtype: str, dimensions: int) -> NDArray[Any]:
    """A read-only view of an ``.npy`` file's numbers."""
    stream = io.BytesIO(member)
    np.lib.format.read_magic(stream)
    shape, fortran, found = np.lib.format.read_array_header_1_0(stream)
    if found != np.dtype(dtype) or fortran or len(shape) != dimensions:
        raise ValueError(f"a column of {found} {shape} instead of {dtype}")
    return np.frombuffer(member, found, offset=stream.tell()).reshape(shape)
