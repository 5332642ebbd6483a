"""A column file without some of its frames, whichever kind it is: predictions, vectors, crops."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from data_engine.errors import DamagedInputError
from data_engine.formats.columns import BROKEN, packed_members


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a column file."""

    owner: str
    """Id of the model, or the name of what made the vectors."""
    frame_ids: tuple[str, ...]
    data: bytes


def frames_in(path: Path) -> tuple[str, ...]:
    """The frames that a column file holds; none of another ``.npz``.

    Raises:
        DamagedInputError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if "meta.json" not in archive.namelist():
                return ()
            return tuple(_meta(archive.read("meta.json"))["frame_ids"])
    except BROKEN as error:
        raise DamagedInputError(f"{path.name} cannot be read: {error}") from None


def without_frames(data: bytes, gone: Collection[str], *, name: str) -> Remainder:
    """The file without the rows of these frames, as it would have been written without them.

    Raises:
        DamagedInputError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            meta = _meta(archive.read("meta.json"))
            columns = {
                member.removesuffix(".npy"): np.load(io.BytesIO(archive.read(member)), allow_pickle=False)
                for member in archive.namelist()
                if member.endswith(".npy")
            }
        kept = np.array([frame not in gone for frame in meta["frame_ids"]], bool)
        rows = kept
        if "offsets" in columns:
            counts = np.diff(columns["offsets"])
            rows = np.repeat(kept, counts)
            columns["offsets"] = np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int64)
        columns = {column: array if column == "offsets" else array[rows] for column, array in columns.items()}
    except BROKEN as error:
        raise DamagedInputError(f"{name} cannot be read: {error}") from None
    frame_ids = [frame for frame in meta["frame_ids"] if frame not in gone]
    owner = next(str(meta[member]) for member in ("model_id", "embedder", "name") if member in meta)
    return Remainder(owner, tuple(frame_ids), packed_members({**meta, "frame_ids": frame_ids}, columns))


def _meta(data: bytes) -> dict[str, Any]:
    meta = msgspec.json.decode(data, type=dict[str, Any])
    if not isinstance(meta.get("frame_ids"), list):
        raise ValueError("it names no frames")
    return meta
