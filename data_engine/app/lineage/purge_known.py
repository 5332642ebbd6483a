"""What the pictures and videos of a source are known by, wherever they were moved or copied to, and however called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_engine.formats.pruning import Marks
from data_engine.lineage import footage, purge_sources
from data_engine.lineage.database import Connection
from data_engine.lineage.purge_sources import Source
from data_engine.selection.near_index import NEAR
from data_engine.stages.export import dataset_name
from data_engine.types import ID_LENGTH


@dataclass(frozen=True, slots=True)
class Pictures:
    """How the pictures and videos of a source are known again."""

    keys: frozenset[str]
    sums: frozenset[str]
    sizes: frozenset[int]
    """In bytes, of the files with these sums."""
    videos: frozenset[str] = frozenset()
    """Ids: the beginnings of the files' sums."""
    video_sizes: frozenset[int] = frozenset()
    looks: frozenset[int] = frozenset()
    """Difference hashes of the frames."""

    def is_one(self, path: Path) -> bool:
        """Whether a file has the bytes of one of the pictures."""
        return path.stat().st_size in self.sizes and _sha256(path) in self.sums

    def is_video(self, path: Path) -> bool:
        """Whether a file has the bytes of one of the videos."""
        return path.stat().st_size in self.video_sizes and _sha256(path)[:ID_LENGTH] in self.videos

    def looks_like(self, path: Path) -> bool:
        """Whether a picture looks like one of the frames: encoded again, or another moment of a camera that stands."""
        from data_engine.errors import DataEngineError
        from data_engine.media.hashing import dhash_of_file

        if not self.looks:
            return False
        try:
            look = dhash_of_file(path)
        except DataEngineError:
            return False
        looks = np.fromiter(self.looks, np.uint64, len(self.looks))
        return bool((np.bitwise_count(looks ^ np.uint64(look)) <= NEAR).any())


def known_by(connection: Connection, source: Source, videos: Mapping[str, str]) -> tuple[Marks, Pictures]:
    """What a source is named by, and what its pictures are known by.

    Args:
        connection: while its rows are there.
        source: what is to go.
        videos: the keys of its videos, as of :func:`data_engine.lineage.purge_sources.video_keys`.
    """
    names, keys = purge_sources.names_and_keys(connection, source)
    found = footage.frames_by_id(connection, source.frames)
    own = {dataset_name(frame) for frame in found.values()}
    files = footage.files_by_key(connection, keys)
    sizes = {int(size) for file in files.values() if (size := file.stamp.partition("-")[0]).isdigit()}
    boxes = purge_sources.box_ids(connection, source)
    marks = Marks((*source.frames, *source.videos), {*names.values(), *own}, {*keys, *videos}, boxes)
    return marks, Pictures(
        frozenset(keys),
        frozenset(file.sha256 for file in files.values()),
        frozenset(sizes),
        frozenset(source.videos),
        frozenset(purge_sources.video_sizes(connection, source)),
        frozenset(frame.dhash for frame in found.values() if frame.dhash is not None),
    )


def _sha256(path: Path) -> str:
    from data_engine.media.images import sha256_of

    return sha256_of(path)
