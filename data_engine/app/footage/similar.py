"""Search by a frame that looks alike: exact, over all vectors that ``embed`` stored.

The column files are read once into one matrix beside the database, which every process maps into its memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.footage.embed import stored_embeddings
from data_engine.errors import MissingInputError
from data_engine.lineage import embeddings, tombstones

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = f"{STATE_FOLDER}/search"
"""What lies there is made again when it is gone; a purge removes it."""
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vectors of all described frames."""

    ids: Sequence[str]
    rows: dict[str, int]
    """By id."""
    matrix: NDArray[np.float32]
    """``(n, dimension)``, rows of length 1; mapped from a file, so that it is memory only while it is asked."""

    def like(self, frame_id: str, most: int) -> list[tuple[str, float]]:
        """The frames that look most alike, with their cosine, the most alike first; without the frame itself.

        Raises:
            MissingInputError: the frame is not described.
        """
        if frame_id not in self.rows:
            raise MissingInputError("this frame is not described yet", hint="dataengine embed")
        alike = self.matrix @ self.matrix[self.rows[frame_id]]
        alike[self.rows[frame_id]] = -2.0
        most = min(most, len(alike) - 1)
        if most <= 0:
            return []
        best = np.argpartition(-alike, most - 1)[:most]
        order = np.lexsort((best, -alike[best]))
        return [(self.ids[row], float(alike[row])) for row in best[order].tolist()]


def stamp(engine: Engine) -> str:
    """Another text when other frames are described, or some were purged, since."""
    with engine.database.read() as connection:
        described = embeddings.count(connection, engine.embedder().name)
        return f"{described} {len(tombstones.known(connection))}"


def vectors(engine: Engine) -> Vectors:
    """All stored vectors.

    Raises:
        DamagedInputError: a column file is damaged.
    """
    embedder = engine.embedder()
    folder = engine.storage.path(FOLDER)
    with engine.database.read() as connection:
        ids = embeddings.described(connection, embedder.name)
        before = len(tombstones.known(connection))
    folder.mkdir(parents=True, exist_ok=True)
    # One that an older index is mapped from lives on until nobody looks into it any more.
    for path in folder.glob("*.npy"):
        path.unlink(missing_ok=True)
    path = folder / f"{embedder.name}-{secrets.token_hex(4)}.npy"
    found: list[str] = []
    matrix = np.lib.format.open_memmap(path, "w+", np.float32, (max(len(ids), 1), embedder.dimension))
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        described, values = stored_embeddings(engine, ids[start : start + _ROWS_AT_ONCE])
        matrix[len(found) : len(found) + len(described)] = values
        found += described
    matrix.flush()
    with engine.database.read() as connection:
        after = len(tombstones.known(connection))
    if after != before:
        # A purge that began meanwhile may have looked here before this was written.
        path.unlink(missing_ok=True)
        raise MissingInputError("frames were purged at this moment", hint="try again in a moment")
    mapped = np.lib.format.open_memmap(path, "r")[: len(found)]
    return Vectors(found, {frame_id: row for row, frame_id in enumerate(found)}, mapped)
