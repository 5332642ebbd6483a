"""What a model found and missed on a set of pictures, as a column file: no place and no size of any box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from data_engine.errors import DamagedInputError
from data_engine.formats.columns import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FORMAT = 1
COLUMNS = {
    "picture": ("<i4", 1),
    "label": ("<i4", 1),
    "score": ("<f4", 1),
    "found": ("<u2", 2),
    "passed": ("<u2", 2),
    "true_picture": ("<i4", 1),
    "true_label": ("<i4", 1),
    "true_counts": ("|b1", 2),
}
"""NumPy's type and the number of dimensions by the name of a column; what they hold is for :mod:`data_engine.metrics`
to say."""


class _Meta(msgspec.Struct):
    format: int
    model_id: str
    frame_ids: list[str]
    class_names: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class StoredMatches:
    """The columns, and what their pictures and labels are."""

    model_id: str
    frame_ids: tuple[str, ...]
    """Picture ``i`` is that of frame ``frame_ids[i]``."""
    class_names: tuple[str, ...]
    columns: Mapping[str, NDArray[Any]]


def pack(
    model_id: str, frame_ids: Sequence[str], class_names: Sequence[str], columns: Mapping[str, NDArray[Any]]
) -> bytes:
    """The columns as bytes, the same for the same columns."""
    return packed(
        _Meta(FORMAT, model_id, list(frame_ids), list(class_names)), {name: columns[name] for name in COLUMNS}
    )


def unpack(data: bytes, *, name: str) -> StoredMatches:
    """Read what :func:`pack` wrote, and check it.

    Raises:
        DamagedInputError: truncated or changed bytes, another kind of file, columns that do not fit together.
    """
    meta, columns = unpacked(data, _Meta, COLUMNS, name=name, what="matched boxes")
    if meta.format != FORMAT:
        raise DamagedInputError(f"{name} has the format {meta.format}; this version reads {FORMAT}")
    fits = all(
        len({len(columns[column]) for column in group}) == 1
        and _within(columns[group[0]], len(meta.frame_ids))
        and _within(columns[group[1]], len(meta.class_names))
        for group in (("picture", "label", "score", "found", "passed"), ("true_picture", "true_label", "true_counts"))
    )
    if not fits or len(set(meta.frame_ids)) != len(meta.frame_ids) or not np.isfinite(columns["score"]).all():
        raise DamagedInputError(f"{name}: its columns do not fit together")
    return StoredMatches(meta.model_id, tuple(meta.frame_ids), tuple(meta.class_names), columns)


def _within(numbers: NDArray[Any], count: int) -> bool:
    return not len(numbers) or bool(0 <= numbers.min() <= numbers.max() < count)
